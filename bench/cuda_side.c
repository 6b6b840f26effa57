/* SPDX-License-Identifier: MIT */
/*
 * cuda_side.c - a process that measures one CUDA driver library.
 *
 * Design notes: native and forwarded CUDA are measured by the same code in two processes that differ in
 * the libcuda they load and in nothing else. Each waits for a test's number on its socket, runs one round
 * and answers with a value, so that the tool can have them take turns.
 */
#include "cuda_side.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cuda_api.h"

enum kind {
    SUBMIT,    /* guest time per launch with 8 parameters; the GPU's work is not waited for */
    SUSTAINED, /* launches until they are done */
    LAUNCH_SYNC,
    SYNC_IDLE,
    MEMSET_SUBMIT,
    EVENT_SUBMIT,
    ALLOC_FREE,
    IN_PINNED,
    OUT_PINNED,
    IN_PAGEABLE,
    OUT_PAGEABLE,
};

const struct bench_cuda_test bench_cuda_tests[] = {
    {"launch-submit", "ns", true, true, SUBMIT, 0, 1000, 300},
    {"launch-sustained", "ns", true, true, SUSTAINED, 0, 20000, 2000},
    {"launch-sync", "ns", true, true, LAUNCH_SYNC, 0, 2000, 300},
    {"sync-idle", "ns", true, true, SYNC_IDLE, 0, 5000, 1000},
    {"memset-submit", "ns", true, true, MEMSET_SUBMIT, 4096, 1000, 300},
    {"event-submit", "ns", true, true, EVENT_SUBMIT, 0, 1000, 300},
    {"alloc-free-1M", "ns", true, true, ALLOC_FREE, 1 << 20, 100, 20},
    {"in-pinned-4", "ns", true, false, IN_PINNED, 4, 1000, 100},
    {"out-pinned-4", "ns", true, false, OUT_PINNED, 4, 1000, 100},
    {"in-pinned-64K", "GB/s", false, false, IN_PINNED, 64 << 10, 500, 50},
    {"in-pinned-1M", "GB/s", false, true, IN_PINNED, 1 << 20, 200, 20},
    {"out-pinned-1M", "GB/s", false, false, OUT_PINNED, 1 << 20, 200, 20},
    {"in-pinned-16M", "GB/s", false, true, IN_PINNED, 16 << 20, 40, 2},
    {"out-pinned-16M", "GB/s", false, true, OUT_PINNED, 16 << 20, 40, 2},
    {"in-pinned-256M", "GB/s", false, false, IN_PINNED, 256 << 20, 4, 2},
    {"out-pinned-256M", "GB/s", false, false, OUT_PINNED, 256 << 20, 4, 2},
    {"in-pageable-64K", "GB/s", false, false, IN_PAGEABLE, 64 << 10, 300, 30},
    {"in-pageable-16M", "GB/s", false, true, IN_PAGEABLE, 16 << 20, 10, 2},
    {"out-pageable-16M", "GB/s", false, true, OUT_PAGEABLE, 16 << 20, 10, 2},
    {"in-pageable-256M", "GB/s", false, false, IN_PAGEABLE, 256 << 20, 2, 1},
    {"out-pageable-256M", "GB/s", false, false, OUT_PAGEABLE, 256 << 20, 2, 1},
    {0},
};

#define BYTES_USUAL (16u << 20)
#define ARENA "512M" /* has room for the largest pinned memory */
#define PARAMETERS 8

static const char ptx[] = ".version 6.0\n"
                          ".target sm_52\n"
                          ".address_size 64\n"
                          ".visible .entry nothing(.param .u64 a, .param .u64 b, .param .u64 c, .param .u64 d,\n"
                          "    .param .u32 e, .param .u32 f, .param .f32 g, .param .f64 h)\n"
                          "{\n"
                          "    ret;\n"
                          "}\n";

/* The functions used: name in the library, type as in cuda_api.h. */
#define FUNCTIONS(X)            \
    X(cuInit)                   \
    X(cuDeviceGet)              \
    X(cuDeviceGetName)          \
    X(cuDevicePrimaryCtxRetain) \
    X(cuCtxSetCurrent)          \
    X(cuCtxSynchronize)         \
    X(cuModuleLoadData)         \
    X(cuModuleGetFunction)      \
    X(cuLaunchKernel)           \
    X(cuMemAlloc_v2)            \
    X(cuMemFree_v2)             \
    X(cuMemAllocHost_v2)        \
    X(cuMemFreeHost)            \
    X(cuMemcpyHtoD_v2)          \
    X(cuMemcpyDtoH_v2)          \
    X(cuMemsetD8Async)          \
    X(cuEventCreate)            \
    X(cuEventRecord)            \
    X(cuGetErrorName)

static struct {
#define POINTER(name) __typeof__(name) *name;
    FUNCTIONS(POINTER)
#undef POINTER
} cu;

static struct {
    CUfunction nothing;
    CUdeviceptr memory;
    CUevent event;
    unsigned char *pinned, *pageable;
    uint64_t bytes; /* of each */
    char problem[160];
} gpu;

struct answer {
    int error;
    double value;
    char text[160];
};

static uint64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int
check(CUresult result, const char *call)
{
    const char *name = "?";

    if (result == CUDA_SUCCESS)
        return 0;
    cu.cuGetErrorName(result, &name);
    snprintf(gpu.problem, sizeof(gpu.problem), "%s: %s", call, name);
    return -EIO;
}

#define CHECK(call)                          \
    do {                                     \
        int failed_ = check(cu.call, #call); \
        if (failed_)                         \
            return failed_;                  \
    } while (0)

/* ---- Measuring ------------------------------------------------------------------------------- */

static int
launch(void)
{
    uint64_t a[4] = {1, 2, 3, 4};
    uint32_t b[2] = {5, 6};
    float c = 7;
    double d = 8;
    void *parameters[PARAMETERS] = {&a[0], &a[1], &a[2], &a[3], &b[0], &b[1], &c, &d};

    CHECK(cuLaunchKernel(gpu.nothing, 1, 1, 1, 32, 1, 1, 0, NULL, parameters, NULL));
    return 0;
}

static int
once(const struct bench_cuda_test *test)
{
    CUdeviceptr address;
    int error;

    switch ((enum kind)test->kind) {
    case SUBMIT:
    case SUSTAINED:
        return launch();
    case LAUNCH_SYNC:
        error = launch();
        if (error != 0)
            return error;
        CHECK(cuCtxSynchronize());
        return 0;
    case SYNC_IDLE:
        CHECK(cuCtxSynchronize());
        return 0;
    case MEMSET_SUBMIT:
        CHECK(cuMemsetD8Async(gpu.memory, 1, test->bytes, NULL));
        return 0;
    case EVENT_SUBMIT:
        CHECK(cuEventRecord(gpu.event, NULL));
        return 0;
    case ALLOC_FREE:
        CHECK(cuMemAlloc_v2(&address, test->bytes));
        CHECK(cuMemFree_v2(address));
        return 0;
    case IN_PINNED:
        CHECK(cuMemcpyHtoD_v2(gpu.memory, gpu.pinned, test->bytes));
        return 0;
    case OUT_PINNED:
        CHECK(cuMemcpyDtoH_v2(gpu.pinned, gpu.memory, test->bytes));
        return 0;
    case IN_PAGEABLE:
        CHECK(cuMemcpyHtoD_v2(gpu.memory, gpu.pageable, test->bytes));
        return 0;
    case OUT_PAGEABLE:
        CHECK(cuMemcpyDtoH_v2(gpu.pageable, gpu.memory, test->bytes));
        return 0;
    }
    return -EINVAL;
}

/* What is only submitted stops the clock before it is waited for. */
static bool
is_submit(const struct bench_cuda_test *test)
{
    return test->kind == SUBMIT || test->kind == MEMSET_SUBMIT || test->kind == EVENT_SUBMIT;
}

/* Memory of each sort for copies of so many bytes; touched, so that nobody has to find pages for it later. */
static int
make_room(uint64_t bytes)
{
    void *pinned;

    if (bytes <= gpu.bytes)
        return 0;
    if (gpu.bytes > 0) {
        CHECK(cuMemFree_v2(gpu.memory));
        CHECK(cuMemFreeHost(gpu.pinned));
        free(gpu.pageable);
        gpu.bytes = 0;
    }
    CHECK(cuMemAlloc_v2(&gpu.memory, bytes));
    CHECK(cuMemAllocHost_v2(&pinned, bytes));
    gpu.pinned = pinned;
    gpu.pageable = malloc(bytes);
    if (!gpu.pageable)
        return -ENOMEM;
    memset(gpu.pinned, 1, bytes);
    memset(gpu.pageable, 2, bytes);
    gpu.bytes = bytes;
    return 0;
}

static int
measure(const struct bench_cuda_test *test, bool quick, double *value)
{
    uint32_t count = quick ? test->count_quick : test->count;
    uint64_t start, end;
    int error = make_room(test->bytes);

    if (error == 0)
        error = once(test); /* warm */
    if (error == 0)
        error = check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
    start = now_ns();
    for (uint32_t i = 0; i < count && error == 0; i++)
        error = once(test);
    end = now_ns();
    if (error == 0)
        error = check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
    if (!is_submit(test))
        end = now_ns();
    if (error != 0)
        return error;
    *value = (double)(end - start) / count;
    if (!test->lower_is_better)
        *value = (double)test->bytes / *value;
    return 0;
}

/* ---- The process ----------------------------------------------------------------------------- */

static int
load(const char *library)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

    if (!handle) {
        snprintf(gpu.problem, sizeof(gpu.problem), "%s", dlerror());
        return -ENOENT;
    }
#define LOAD(name)                                                                 \
    *(void **)&cu.name = dlsym(handle, #name);                                     \
    if (!cu.name) {                                                                \
        snprintf(gpu.problem, sizeof(gpu.problem), "%s lacks %s", library, #name); \
        return -ENOSYS;                                                            \
    }
    FUNCTIONS(LOAD)
#undef LOAD
    return 0;
}

static int
prepare_kernel(CUdevice *device)
{
    CUcontext context;
    CUmodule module;

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, *device));
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuModuleGetFunction(&gpu.nothing, module, "nothing"));
    return 0;
}

static int
prepare(char *device_name, int size)
{
    CUdevice device;
    int error = prepare_kernel(&device);

    if (error != 0)
        return error;
    CHECK(cuDeviceGetName(device_name, size, device));
    CHECK(cuEventCreate(&gpu.event, 0));
    return make_room(BYTES_USUAL);
}

static int
run_first_kernel(const char *library)
{
    CUdevice device;
    int error = load(library);

    if (error == 0)
        error = prepare_kernel(&device);
    if (error == 0)
        error = launch();
    if (error != 0)
        return error;
    CHECK(cuCtxSynchronize());
    return 0;
}

int
bench_cuda_first_kernel(const char *library)
{
    int error = run_first_kernel(library);

    if (error != 0)
        fprintf(stderr, "gpuvchan-bench: %s: %s\n", library, gpu.problem);
    return error;
}

static _Noreturn void
serve(int fd, const char *library)
{
    struct answer answer = {0};
    uint32_t request;

    answer.error = load(library);
    if (answer.error == 0)
        answer.error = prepare(answer.text, sizeof(answer.text));
    if (answer.error != 0)
        memcpy(answer.text, gpu.problem, sizeof(answer.text));
    while (send(fd, &answer, sizeof(answer), MSG_NOSIGNAL) == (ssize_t)sizeof(answer) &&
           recv(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request)) {
        memset(&answer, 0, sizeof(answer));
        answer.error = measure(&bench_cuda_tests[request >> 1], request & 1, &answer.value);
        memcpy(answer.text, gpu.problem, sizeof(answer.text));
    }
    exit(0); /* through atexit: what libraries do at the end belongs to the test */
}

static int
ask(struct bench_cuda_side *side, struct answer *answer, int timeout_ms)
{
    struct pollfd waiting = {.fd = side->fd, .events = POLLIN};

    memset(answer, 0, sizeof(*answer));
    if (poll(&waiting, 1, timeout_ms) != 1) {
        snprintf(answer->text, sizeof(answer->text), "no answer within %d s", timeout_ms / 1000);
        return -ETIMEDOUT;
    }
    if (recv(side->fd, answer, sizeof(*answer), 0) != (ssize_t)sizeof(*answer)) {
        snprintf(answer->text, sizeof(answer->text), "the measuring process has died");
        return -ECHILD;
    }
    answer->text[sizeof(answer->text) - 1] = '\0';
    return answer->error;
}

int
bench_cuda_side_start(struct bench_cuda_side *side, const char *library, const char *address)
{
    struct answer answer;
    int fd[2], error;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) != 0)
        return -errno;
    side->pid = fork();
    if (side->pid < 0) {
        error = -errno;
        close(fd[0]);
        close(fd[1]);
        return error;
    }
    if (side->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fd[0]);
        if (address)
            setenv("GPUVCHAN_ADDRESS", address, 1);
        setenv("GPUVCHAN_ARENA", ARENA, 0);
        serve(fd[1], library);
    }
    close(fd[1]);
    side->fd = fd[0];
    snprintf(side->library, sizeof(side->library), "%s", library);
    error = ask(side, &answer, 60000);
    if (error != 0) {
        fprintf(stderr, "gpuvchan-bench: %s: %s\n", library, answer.text);
        bench_cuda_side_stop(side);
        return error;
    }
    snprintf(side->device, sizeof(side->device), "%.127s", answer.text);
    return 0;
}

int
bench_cuda_side_run(struct bench_cuda_side *side, const struct bench_cuda_test *test, bool quick, double *value,
                    char *problem, size_t problem_size)
{
    uint32_t request = (uint32_t)(test - bench_cuda_tests) << 1 | quick;
    struct answer answer;
    int error;

    if (send(side->fd, &request, sizeof(request), MSG_NOSIGNAL) != (ssize_t)sizeof(request))
        error = -ECHILD;
    else
        error = ask(side, &answer, 60000);
    if (error != 0) {
        snprintf(problem, problem_size, "%s", error == -ECHILD ? "the measuring process has died" : answer.text);
        return error;
    }
    *value = answer.value;
    return 0;
}

void
bench_cuda_side_stop(struct bench_cuda_side *side)
{
    if (side->pid <= 0)
        return;
    close(side->fd);
    for (int i = 0; i < 3000 && waitpid(side->pid, NULL, WNOHANG) == 0; i++)
        poll(NULL, 0, 1);
    if (kill(side->pid, 0) == 0) {
        kill(side->pid, SIGKILL);
        waitpid(side->pid, NULL, 0);
    }
    side->pid = 0;
}
