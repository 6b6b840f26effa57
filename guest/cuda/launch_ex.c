/* SPDX-License-Identifier: MIT */
/*
 * Launches with attributes: clusters, programmatic dependence, priorities and the like. They are as cheap as plain
 * ones. Events in them travel as handles; what would come back from the launch itself, a node of a graph that the
 * device can change, is not forwarded.
 */
#include <string.h>

#include "launch.h"

/* ---- Attributes ------------------------------------------------------------------------------ */

static CUresult
event_wire(CUevent handle, uint32_t *wire)
{
    const struct cuda_guest_event *event = cuda_guest_find(handle, CUDA_HANDLE_EVENT);

    if (!event)
        return CUDA_ERROR_INVALID_HANDLE;
    *wire = event->object.handle;
    return CUDA_SUCCESS;
}

static CUresult
attribute_read(const CUlaunchAttribute *from, struct cuda_guest_launch_attributes *attributes)
{
    CUlaunchAttribute *to = &attributes->list[attributes->count];
    CUresult result = CUDA_SUCCESS;

    if (from->id == CU_LAUNCH_ATTRIBUTE_IGNORE)
        return CUDA_SUCCESS;
    memset(to, 0, sizeof(*to));
    to->id = from->id;
    to->value = from->value;
    switch (from->id) {
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
        attributes->cooperative = from->value.cooperative != 0;
        break;
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
        result = event_wire(from->value.programmaticEvent.event, &attributes->programmatic);
        to->value.programmaticEvent.event = NULL;
        break;
    case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
        result = event_wire(from->value.launchCompletionEvent.event, &attributes->completion);
        to->value.launchCompletionEvent.event = NULL;
        break;
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
        if (from->value.accessPolicyWindow.num_bytes != 0)
            result = cuda_guest_range_check((uintptr_t)from->value.accessPolicyWindow.base_ptr,
                                            from->value.accessPolicyWindow.num_bytes);
        break;
    case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
        return from->value.deviceUpdatableKernelNode.deviceUpdatable ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
    default:
        break;
    }
    attributes->count += result == CUDA_SUCCESS;
    return result;
}

CUresult
cuda_guest_launch_attributes_read(const CUlaunchConfig *config, struct cuda_guest_launch_attributes *attributes,
                                  bool *plain)
{
    CUresult result = CUDA_SUCCESS;

    attributes->count = attributes->programmatic = attributes->completion = 0;
    attributes->cooperative = false;
    if (config->numAttrs != 0 && !config->attrs)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < config->numAttrs && result == CUDA_SUCCESS; i++)
        result = attributes->count == CUDA_LAUNCH_KERNEL_EX_ATTRIBUTES_MAX
                     ? CUDA_ERROR_INVALID_VALUE
                     : attribute_read(&config->attrs[i], attributes);
    *plain = attributes->count == 0;
    return result;
}

/* ---- The record ------------------------------------------------------------------------------ */

static int
launch_post(struct cuda_guest_thread *self, const struct cuda_guest_launch *launch,
            const struct cuda_guest_function *function, const struct cuda_guest_launch_attributes *attributes,
            void *const *parameters, const struct cuda_guest_packed *packed)
{
    size_t list = attributes->count * sizeof(attributes->list[0]);
    size_t payload = sizeof(struct cuda_launch_kernel_ex_request) + list + function->parameter_bytes;
    struct cuda_launch_kernel_ex_request *wire = gpuvchan_reserve(self->lane, payload);
    unsigned char *at = (unsigned char *)(wire + 1);

    if (!wire)
        return gpuvchan_stub_error(cuda_guest.channel);
    *wire = (struct cuda_launch_kernel_ex_request){
        .kernel = function->object.handle,
        .on = launch->stream,
        .programmatic = attributes->programmatic,
        .completion = attributes->completion,
        .grid_x = launch->grid[0],
        .grid_y = launch->grid[1],
        .grid_z = launch->grid[2],
        .block_x = launch->block[0],
        .block_y = launch->block[1],
        .block_z = launch->block[2],
        .shared_bytes = launch->shared_bytes,
        .attributes_count = attributes->count,
        .parameters_bytes = function->parameter_bytes,
    };
    memcpy(at, attributes->list, list);
    cuda_guest_parameters_write(function, at + list, parameters, packed);
    return gpuvchan_post(self->lane, cuda_guest.client.slot, CUDA_OPCODE_LAUNCH_KERNEL_EX, payload);
}

/* ---- Entry points ---------------------------------------------------------------------------- */

static CUresult
launch_kernel(const CUlaunchConfig *config, CUstream stream, CUfunction handle, void **parameters, void **extra)
{
    struct cuda_guest_launch launch = {
        .grid = {config->gridDimX, config->gridDimY, config->gridDimZ},
        .block = {config->blockDimX, config->blockDimY, config->blockDimZ},
        .shared_bytes = config->sharedMemBytes,
    };
    struct cuda_guest_launch_attributes attributes;
    struct cuda_guest_packed packed = {0};
    struct cuda_guest_function *function;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_launch_begin(&self, handle, &launch, stream, parameters, extra, &function, &packed);
    bool plain;

    if (result == CUDA_SUCCESS)
        result = cuda_guest_launch_attributes_read(config, &attributes, &plain);
    if (result != CUDA_SUCCESS)
        return result;
    if (plain)
        return cuLaunchKernel(handle, config->gridDimX, config->gridDimY, config->gridDimZ, config->blockDimX,
                              config->blockDimY, config->blockDimZ, config->sharedMemBytes, stream, parameters, extra);
    result = cuda_guest_result(launch_post(self, &launch, function, &attributes, parameters, &packed));
    /* How many blocks fit at once only the driver knows, and it says so at once. */
    if (attributes.cooperative && result == CUDA_SUCCESS)
        result = cuda_guest_settle(self);
    return result;
}

ENTRY
cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra)
{
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    return launch_kernel(config, config->hStream, function, parameters, extra);
}

ENTRY
cuLaunchKernelEx_ptsz(const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra)
{
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    return launch_kernel(config, cuda_guest_per_thread(config->hStream), function, parameters, extra);
}

ENTRY
cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS *launches, unsigned int count, unsigned int flags)
{
    CUresult result = cuda_guest_ready();

    (void)flags;
    if (result != CUDA_SUCCESS)
        return result;
    return !launches || count == 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NOT_SUPPORTED;
}
