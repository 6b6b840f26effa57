/* SPDX-License-Identifier: MIT */
/* Batches of copies, of pieces and of boxes. */
#include "test.h"

#define BYTES 200000u

static CUdeviceptr memory[3];
static unsigned char *pinned, pageable[BYTES], source[BYTES], got[BYTES];
static CUstream stream;

static CUdeviceptr
address(const void *pointer)
{
    return (uintptr_t)pointer;
}

/* From pageable and pinned memory to the device, which is not read before the batch is over. */
static void
test_pieces(void)
{
    CUdeviceptr to[] = {memory[0], memory[1] + 8, memory[2]};
    CUdeviceptr from[] = {address(pageable), address(pinned), address(pinned + 100)};
    size_t sizes[] = {BYTES, BYTES - 8, 1000}, begins[] = {0, 1};
    CUmemcpyAttributes attributes[2] = {{.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL},
                                        {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM}};

    test_pattern(source, BYTES, 1);
    memcpy(pageable, source, BYTES);
    test_pattern(pinned, BYTES, 2);
    GIVES(CUDA_SUCCESS, cuMemcpyBatchAsync_v2(to, from, sizes, 3, attributes, begins, 2, stream));
    memset(pageable, 0, BYTES); /* has been read during the call */
    NEED(cuStreamSynchronize(stream));
    NEED(cuMemcpyDtoH_v2(got, memory[0], BYTES));
    ok(memcmp(got, source, BYTES) == 0, "pageable memory");
    NEED(cuMemcpyDtoH_v2(got, memory[1] + 8, BYTES - 8));
    ok(memcmp(got, pinned, BYTES - 8) == 0, "pinned memory");
    NEED(cuMemcpyDtoH_v2(got, memory[2], 1000));
    ok(memcmp(got, pinned + 100, 1000) == 0, "and a part of it");
    to[0] = address(pageable);
    from[0] = memory[1] + 8;
    sizes[0] = BYTES - 8;
    to[1] = memory[2];
    from[1] = memory[0];
    sizes[1] = BYTES;
    GIVES(CUDA_SUCCESS, cuMemcpyBatchAsync_v2(to, from, sizes, 2, &attributes[1], begins, 1, stream));
    NEED(cuStreamSynchronize(stream));
    ok(memcmp(pageable, pinned, BYTES - 8) == 0, "back to pageable memory");
    NEED(cuMemcpyDtoH_v2(got, memory[2], BYTES));
    ok(memcmp(got, source, BYTES) == 0, "between device addresses");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyBatchAsync_v2(to, from, sizes, 0, attributes, begins, 1, stream));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyBatchAsync_v2(to, from, sizes, 2, attributes, begins, 0, stream));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyBatchAsync_v2(NULL, from, sizes, 2, attributes, begins, 1, stream));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyBatchAsync_v2(to, from, sizes, 2, attributes, begins, 1, NULL));
}

static void
test_boxes(void)
{
    CUDA_ARRAY3D_DESCRIPTOR description = {20, 10, 4, CU_AD_FORMAT_UNSIGNED_INT16, 1, 0};
    CUDA_MEMCPY3D_BATCH_OP ops[2] = {{.extent = {10, 6, 3}, .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM},
                                     {.extent = {30, 5, 2}, .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_ANY}};
    CUarray array;
    bool same = true;

    NEED(cuArray3DCreate_v2(&array, &description));
    test_pattern(source, BYTES, 3);
    memcpy(pageable, source, BYTES);
    NEED(cuMemcpyHtoD_v2(memory[0], source, BYTES));
    ops[0].src.type = CU_MEMCPY_OPERAND_TYPE_POINTER;
    ops[0].src.op.ptr.ptr = address(pageable);
    ops[0].src.op.ptr.rowLength = 16;
    ops[0].src.op.ptr.layerHeight = 8;
    ops[0].dst.type = CU_MEMCPY_OPERAND_TYPE_ARRAY;
    ops[0].dst.op.array.array = array;
    ops[0].dst.op.array.offset = (CUoffset3D){5, 2, 1};
    ops[1].src.type = ops[1].dst.type = CU_MEMCPY_OPERAND_TYPE_POINTER;
    ops[1].src.op.ptr.ptr = memory[0];
    ops[1].src.op.ptr.rowLength = 40;
    ops[1].dst.op.ptr.ptr = memory[1];
    GIVES(CUDA_SUCCESS, cuMemcpy3DBatchAsync_v2(2, ops, 0, stream));
    ops[0].dst = ops[0].src;
    ops[0].dst.op.ptr.ptr = address(got);
    ops[0].src.type = CU_MEMCPY_OPERAND_TYPE_ARRAY;
    ops[0].src.op.array.array = array;
    ops[0].src.op.array.offset = (CUoffset3D){5, 2, 1};
    memset(got, 0, BYTES);
    GIVES(CUDA_SUCCESS, cuMemcpy3DBatchAsync_v2(1, ops, 0, stream));
    NEED(cuStreamSynchronize(stream));
    for (unsigned z = 0; z < 3; z++)
        for (unsigned y = 0; y < 6; y++)
            same &= memcmp(got + (z * 8 + y) * 32, source + (z * 8 + y) * 32, 20) == 0;
    ok(same, "a box of an array, in its elements");
    NEED(cuMemcpyDtoH_v2(got, memory[1], 300));
    for (unsigned y = 0; y < 10; y++)
        same &= memcmp(got + y * 30, source + y * 40, 30) == 0;
    ok(same, "a box of memory, in bytes");
    ops[0].src.op.array.offset.x = 11;
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpy3DBatchAsync_v2(1, ops, 0, stream));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpy3DBatchAsync_v2(1, ops, 1, stream));
    NEED(cuArrayDestroy(array));
}

int
main(void)
{
    CUcontext context = test_begin();

    for (unsigned i = 0; i < 3; i++)
        NEED(cuMemAlloc_v2(&memory[i], BYTES));
    NEED(cuMemHostAlloc((void **)&pinned, BYTES, 0));
    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    test_pieces();
    test_boxes();
    NEED(cuCtxDestroy_v2(context));
    return test_end();
}
