/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as an image: they are parsed, compiled, loaded and, where that
 * succeeds, every kernel runs for a moment with null parameters. Nothing may
 * crash, leak or touch memory that is not the device's.
 *
 * Link with the sources of the simulated device, not with the library: the
 * entry here is below the API.
 *
 * build: ALL:host/cuda/sim host/cuda/unpack.c -Ihost/cuda/sim -Ilibgpuvchan/protocol/cuda -ffp-contract=off
 * build: -llz4 -lzstd -lm -lpthread
 */
#include "../../host/cuda/sim/driver.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sim_context *context;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    CUcontext handle;

    (void)argc;
    (void)argv;
    setenv("GPUVCHAN_SIM_MAX_STEPS", "20000", 1);
    setenv("GPUVCHAN_SIM_MEMORY_MIB", "64", 1);
    if (cuInit(0) || cuCtxCreate_v2(&handle, 0, 0))
        abort();
    context = (struct sim_context *)handle;
    return 0;
}

static void
run_kernel(const struct sim_module *module, const struct sim_function *kernel)
{
    char message[256];
    struct launch launch = {.units = 1,
                            .code = module->code,
                            .kernel = kernel,
                            .grid = {1, 1, 1},
                            .block = {40, 1, 1},
                            .dynamic_shared = 256,
                            .param_bytes = kernel->param_bytes,
                            .memory = sim_driver.memory,
                            .context = context};

    launch.params = calloc(1, kernel->param_bytes + 64ul);
    if (launch.params)
        sim_launch_run(&launch, message, sizeof message);
    free(launch.params);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ptx_log log = {0};
    struct sim_module *module;
    char *image = malloc(size + 1);
    uint32_t i;

    if (!image)
        return 0;
    memcpy(image, data, size);
    image[size] = '\0';
    if (sim_module_load(context, image, size + 1, &log, &module) == CUDA_SUCCESS) {
        for (i = 0; i < module->code->function_count && i < 8; i++)
            if (module->code->functions[i].entry && module->code->functions[i].defined)
                run_kernel(module, &module->code->functions[i]);
        sim_module_destroy(module);
    }
    free(image);
    return 0;
}
