/* SPDX-License-Identifier: MIT */
/* Green contexts: parts of a device's multiprocessors, what runs on them, and what they share. */
#include "test.h"

#define BLOCKS 512u
#define UNITS_MAX 512u
#define GREENS 2u

/* units[ctaid] = the multiprocessor, after some time, so that blocks are spread. */
static const char where_ptx[] =
    ".version 6.4\n.target sm_75\n.address_size 64\n"
    ".visible .entry where(.param .u64 units)\n{\n"
    "    .reg .pred %p;\n    .reg .b32 %r<4>;\n    .reg .b64 %rd<4>;\n"
    "    ld.param.u64 %rd1, [units];\n    mov.u32 %r1, %ctaid.x;\n    mov.u32 %r2, %smid;\n    mov.u32 %r3, 0;\n"
    "LOOP:\n    add.u32 %r3, %r3, 1;\n    setp.lt.u32 %p, %r3, 1000;\n    @%p bra LOOP;\n"
    "    mul.wide.u32 %rd2, %r1, 4;\n    add.u64 %rd3, %rd1, %rd2;\n    st.global.u32 [%rd3], %r2;\n    ret;\n}\n";

struct green {
    CUdevResource part;
    CUgreenCtx handle;
    CUcontext context;
    CUstream stream;
    bool used[UNITS_MAX];
};

static struct green greens[GREENS];
static CUdevResource all;
static unsigned total;

/* Of a library: that is in no context, and so in the green ones too. */
static CUfunction
kernel(const char *ptx, const char *name)
{
    CUlibrary library;
    CUkernel found;

    NEED(cuLibraryLoadData(&library, ptx, NULL, NULL, 0, NULL, NULL, 0));
    NEED(cuLibraryGetKernel(&found, library, name));
    return (CUfunction)found;
}

static void
whole_device(void)
{
    CUdevResource resource;
    CUcontext current;
    int count = 0;

    NEED(cuDeviceGetAttribute(&count, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
    GIVES(CUDA_SUCCESS, cuDeviceGetDevResource(0, &all, CU_DEV_RESOURCE_TYPE_SM));
    total = all.sm.smCount;
    ok(all.type == CU_DEV_RESOURCE_TYPE_SM && total == (unsigned)count, "a device has all its multiprocessors");
    ok(all.sm.minSmPartitionSize > 0 && all.sm.minSmPartitionSize <= total, "it says how small a part can be");
    GIVES(CUDA_ERROR_INVALID_CONTEXT, cuCtxGetDevResource(NULL, &resource, CU_DEV_RESOURCE_TYPE_SM));
    NEED(cuCtxGetCurrent(&current));
    GIVES(CUDA_SUCCESS, cuCtxGetDevResource(current, &resource, CU_DEV_RESOURCE_TYPE_SM));
    ok(resource.sm.smCount == total, "a context has all of them");
    GIVES(CUDA_ERROR_INVALID_RESOURCE_TYPE, cuDeviceGetDevResource(0, &resource, CU_DEV_RESOURCE_TYPE_INVALID));
    GIVES(CUDA_ERROR_INVALID_DEVICE, cuDeviceGetDevResource(99, &resource, CU_DEV_RESOURCE_TYPE_SM));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuDeviceGetDevResource(0, NULL, CU_DEV_RESOURCE_TYPE_SM));
}

static void
split(void)
{
    unsigned least = all.sm.minSmPartitionSize, count = 0, parts = GREENS;
    CUdevResource got[GREENS], remaining, none;

    GIVES(CUDA_SUCCESS, cuDevSmResourceSplitByCount(NULL, &count, &all, NULL, 0, least));
    ok(count >= 2 && count <= total / least, "there is room for two parts");
    GIVES(CUDA_SUCCESS, cuDevSmResourceSplitByCount(got, &parts, &all, &remaining, 0, least));
    ok(parts == GREENS, "two parts are made");
    for (unsigned i = 0; i < GREENS; i++) {
        greens[i].part = got[i];
        ok(got[i].type == CU_DEV_RESOURCE_TYPE_SM && got[i].sm.smCount >= least, "part %u is as large as asked for", i);
    }
    ok(total == 2 * least || (remaining.type == CU_DEV_RESOURCE_TYPE_SM &&
                              remaining.sm.smCount == total - got[0].sm.smCount - got[1].sm.smCount),
       "the rest remains");
    memset(&none, 0, sizeof(none));
    GIVES(CUDA_ERROR_INVALID_RESOURCE_TYPE, cuDevSmResourceSplitByCount(got, &parts, &none, NULL, 0, least));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuDevSmResourceSplitByCount(got, NULL, &all, NULL, 0, least));
}

static void
create(struct green *green)
{
    CUdevResourceDesc description;
    CUdevResource resource;
    unsigned long long id = 0;

    GIVES(CUDA_SUCCESS, cuDevResourceGenerateDesc(&description, &green->part, 1));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuGreenCtxCreate(&green->handle, description, 0, 0));
    GIVES(CUDA_SUCCESS, cuGreenCtxCreate(&green->handle, description, 0, CU_GREEN_CTX_DEFAULT_STREAM));
    GIVES(CUDA_SUCCESS, cuCtxFromGreenCtx(&green->context, green->handle));
    GIVES(CUDA_SUCCESS, cuGreenCtxGetId(green->handle, &id));
    ok(id != 0, "it has an id");
    GIVES(CUDA_SUCCESS, cuGreenCtxGetDevResource(green->handle, &resource, CU_DEV_RESOURCE_TYPE_SM));
    ok(resource.sm.smCount == green->part.sm.smCount, "it has its multiprocessors");
    GIVES(CUDA_SUCCESS, cuCtxGetDevResource(green->context, &resource, CU_DEV_RESOURCE_TYPE_SM));
    ok(resource.sm.smCount == green->part.sm.smCount, "and so says its context");
}

static void
streams(struct green *green, CUcontext primary)
{
    CUgreenCtx of = NULL;
    CUcontext context = NULL;
    unsigned flags = 0;
    CUdevice device = -1;

    GIVES(CUDA_ERROR_INVALID_VALUE, cuGreenCtxStreamCreate(&green->stream, green->handle, 0, 0));
    GIVES(CUDA_SUCCESS, cuGreenCtxStreamCreate(&green->stream, green->handle, CU_STREAM_NON_BLOCKING, 0));
    GIVES(CUDA_SUCCESS, cuStreamGetGreenCtx(green->stream, &of));
    ok(of == green->handle, "a stream knows its green context");
    of = NULL;
    GIVES(CUDA_SUCCESS, cuStreamGetCtx_v2(green->stream, &context, &of));
    ok(of == green->handle && context == primary, "and the primary one");
    GIVES(CUDA_SUCCESS, cuStreamGetFlags(green->stream, &flags));
    ok(flags == CU_STREAM_NON_BLOCKING, "and its flags");
    GIVES(CUDA_SUCCESS, cuStreamGetDevice(green->stream, &device));
    ok(device == 0, "and its device");
    GIVES(CUDA_SUCCESS, cuStreamGetGreenCtx(NULL, &of));
    ok(of == NULL, "the default stream of the primary context has none");
}

/* Which multiprocessors the green context's blocks run on. */
static void
places(CUfunction where, struct green *green)
{
    static uint32_t units[BLOCKS];
    CUdeviceptr data;
    unsigned used = 0;
    void *parameters[] = {&data};

    NEED(cuMemAlloc_v2(&data, sizeof(units)));
    GIVES(CUDA_SUCCESS, test_launch(where, BLOCKS, 64, green->stream, parameters));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(green->stream));
    NEED(cuMemcpyDtoH_v2(units, data, sizeof(units)));
    for (unsigned i = 0; i < BLOCKS; i++) {
        used += units[i] < UNITS_MAX && !green->used[units[i]];
        green->used[units[i] % UNITS_MAX] = true;
    }
    ok(used > 0 && used <= green->part.sm.smCount, "a kernel runs on no more multiprocessors than it has");
    NEED(cuMemFree_v2(data));
}

static void
disjoint(void)
{
    bool both = false;

    for (unsigned i = 0; i < UNITS_MAX; i++)
        both |= greens[0].used[i] && greens[1].used[i];
    ok(!both, "two green contexts have none in common");
}

/* What is made while it is current is the primary context's. */
static void
current(struct green *green, CUcontext primary, CUdeviceptr *kept)
{
    uint32_t value = 7, one = 1, got = 0;
    CUcontext now = NULL;
    CUgreenCtx of = NULL;
    CUdevice device = -1;
    void *parameters[] = {kept, &one, &value};

    GIVES(CUDA_SUCCESS, cuCtxPushCurrent_v2(green->context));
    GIVES(CUDA_SUCCESS, cuCtxGetCurrent(&now));
    ok(now == green->context, "it is current");
    GIVES(CUDA_SUCCESS, cuCtxGetDevice(&device));
    ok(device == 0, "on its device");
    GIVES(CUDA_SUCCESS, cuStreamGetGreenCtx(NULL, &of));
    ok(of == green->handle, "its default stream is its own");
    NEED(cuMemAlloc_v2(kept, 4));
    GIVES(CUDA_SUCCESS, cuMemsetD32_v2(*kept, 35, 1));
    GIVES(CUDA_SUCCESS, test_launch(kernel(kernels, "add"), 1, 1, NULL, parameters));
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
    NEED(cuMemcpyDtoH_v2(&got, *kept, 4));
    ok(got == 42, "kernels run in its default stream");
    GIVES(CUDA_SUCCESS, cuCtxPopCurrent_v2(&now));
    ok(now == green->context, "and no longer");
    GIVES(CUDA_SUCCESS, cuCtxGetCurrent(&now));
    ok(now == primary, "the primary context is again");
    got = 0;
    NEED(cuMemcpyDtoH_v2(&got, *kept, 4));
    ok(got == 42, "which has its memory");
}

static void
events(CUdeviceptr data)
{
    unsigned rounds = test_rounds(200000), got = 0;
    void *busy[] = {&data, &rounds};
    CUevent event;

    NEED(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    NEED(test_launch(kernel(kernels, "busy"), 1, 1, greens[0].stream, busy));
    GIVES(CUDA_SUCCESS, cuGreenCtxRecordEvent(greens[0].handle, event));
    GIVES(CUDA_SUCCESS, cuGreenCtxWaitEvent(greens[1].handle, event));
    NEED(cuMemcpyDtoHAsync_v2(&got, data, 4, greens[1].stream));
    NEED(cuStreamSynchronize(greens[1].stream));
    ok(got == rounds, "one green context waits for the other's work");
    GIVES(CUDA_SUCCESS, cuEventSynchronize(event));
    NEED(cuEventDestroy_v2(event));
}

static void
end(struct green *green)
{
    GIVES(CUDA_SUCCESS, cuStreamDestroy_v2(green->stream));
    GIVES(CUDA_SUCCESS, cuGreenCtxDestroy(green->handle));
}

int
main(void)
{
    CUcontext primary;
    CUdeviceptr kept;
    CUfunction where;
    uint32_t got = 0;
    int active = 0;
    unsigned flags;

    alarm(240);
    NEED(cuInit(0));
    NEED(cuDevicePrimaryCtxRetain(&primary, 0));
    NEED(cuCtxSetCurrent(primary));
    where = kernel(where_ptx, "where");
    whole_device();
    split();
    for (unsigned i = 0; i < GREENS; i++) {
        create(&greens[i]);
        streams(&greens[i], primary);
        places(where, &greens[i]);
    }
    disjoint();
    current(&greens[0], primary, &kept);
    events(kept);
    for (unsigned i = 0; i < GREENS; i++)
        end(&greens[i]);
    NEED(cuMemcpyDtoH_v2(&got, kept, 4));
    ok(got != 0, "memory stays when the green context has gone in which it was made");
    NEED(cuMemFree_v2(kept));
    NEED(cuDevicePrimaryCtxRelease(0));
    NEED(cuDevicePrimaryCtxGetState(0, &flags, &active));
    ok(!active, "and green contexts let go of the primary one");
    return test_end();
}
