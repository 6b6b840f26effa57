/* SPDX-License-Identifier: MIT */
/*
 * Occupancy: how many blocks of a kernel fit. The driver computes it; the last few answers of a kernel are kept with
 * its attributes, since programs ask before each launch of the same shape.
 */
#include "launch.h"

/* ---- What is kept: question and answer in one word, so that threads share them without a lock ------------------ */

#define KEPT_SIZE_BITS 11
#define KEPT_DYNAMIC_BITS 24
#define KEPT_BLOCKS_BITS 8

/* 0: the question is too unusual to be kept. */
static uint64_t
question(int block_size, size_t dynamic_bytes, unsigned flags)
{
    if (block_size >> KEPT_SIZE_BITS || dynamic_bytes >> KEPT_DYNAMIC_BITS)
        return 0;
    return ((((uint64_t)1 << 1 | flags) << KEPT_SIZE_BITS | (unsigned)block_size) << KEPT_DYNAMIC_BITS | dynamic_bytes)
           << KEPT_BLOCKS_BITS;
}

static bool
kept(const struct cuda_guest_attributes *attributes, uint64_t asked, int *blocks)
{
    for (unsigned i = 0; asked != 0 && i < CUDA_GUEST_OCCUPANCIES; i++) {
        uint64_t word = atomic_load_explicit(&attributes->occupancies[i], memory_order_relaxed);

        if (word >> KEPT_BLOCKS_BITS == asked >> KEPT_BLOCKS_BITS) {
            *blocks = (int)(word & ((1u << KEPT_BLOCKS_BITS) - 1));
            return true;
        }
    }
    return false;
}

static void
keep(struct cuda_guest_attributes *attributes, uint64_t asked, int blocks)
{
    unsigned turn;

    if (asked == 0 || blocks < 0 || blocks >> KEPT_BLOCKS_BITS)
        return;
    turn = atomic_fetch_add_explicit(&attributes->turn, 1, memory_order_relaxed);
    atomic_store_explicit(&attributes->occupancies[turn % CUDA_GUEST_OCCUPANCIES], asked | (unsigned)blocks,
                          memory_order_relaxed);
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

static CUresult
ask_blocks(struct cuda_guest_thread *self, const struct cuda_guest_function *function,
           struct cuda_guest_attributes *attributes, int block_size, size_t dynamic_bytes, unsigned flags, int *blocks)
{
    uint64_t asked = question(block_size, dynamic_bytes, flags);
    CUresult result;

    if (kept(attributes, asked, blocks))
        return CUDA_SUCCESS;
    result = cuda_guest_result(cuda_occupancy_blocks_on(&cuda_guest.client, self->lane, function->object.handle,
                                                        block_size, dynamic_bytes, flags, blocks));
    if (result == CUDA_SUCCESS)
        keep(attributes, asked, *blocks);
    return result;
}

ENTRY
cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction handle, int block_size,
                                                     size_t dynamic_bytes, unsigned int flags)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *function;
    struct cuda_guest_attributes *attributes;
    CUresult result = cuda_guest_function_enter(handle, &self, &function, &attributes);

    if (result != CUDA_SUCCESS)
        return result;
    if (!blocks || block_size <= 0 || flags & ~(unsigned)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE)
        return CUDA_ERROR_INVALID_VALUE;
    return ask_blocks(self, function, attributes, block_size, dynamic_bytes, flags, blocks);
}

ENTRY
cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction handle, int block_size, size_t dynamic_bytes)
{
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, handle, block_size, dynamic_bytes, 0);
}

/* ---- The best size of a block ---------------------------------------------------------------- */

struct best {
    int block_size, blocks;
};

static CUresult
try_sizes(struct cuda_guest_thread *self, const struct cuda_guest_function *function,
          struct cuda_guest_attributes *attributes, CUoccupancyB2DSize dynamic_of, size_t dynamic_bytes, int limit,
          unsigned flags, struct best *best)
{
    const int *device = cuda_guest.device[cuda_guest_function_device(self, function)].attributes;
    int warp = device[CU_DEVICE_ATTRIBUTE_WARP_SIZE], most = device[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR];
    CUresult result = CUDA_SUCCESS;

    warp = warp > 0 ? warp : 32;
    for (int size = (limit + warp - 1) / warp * warp; size > 0 && result == CUDA_SUCCESS; size -= warp) {
        int block_size = size < limit ? size : limit, blocks = 0;

        result = ask_blocks(self, function, attributes, block_size, dynamic_of ? dynamic_of(block_size) : dynamic_bytes,
                            flags, &blocks);
        if (result == CUDA_SUCCESS && blocks * block_size > best->blocks * best->block_size)
            *best = (struct best){.block_size = block_size, .blocks = blocks};
        if (best->blocks * best->block_size == most)
            break;
    }
    return result;
}

ENTRY
cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block, CUfunction handle, CUoccupancyB2DSize dynamic_of,
                                          size_t dynamic_bytes, int limit, unsigned int flags)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *function;
    struct cuda_guest_attributes *attributes;
    CUresult result = cuda_guest_function_enter(handle, &self, &function, &attributes);
    struct best best = {0};
    int most;

    if (result != CUDA_SUCCESS)
        return result;
    if (!grid || !block || limit < 0 || flags & ~(unsigned)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE)
        return CUDA_ERROR_INVALID_VALUE;
    most = atomic_load(&attributes->values[CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK]);
    limit = limit == 0 || limit > most ? most : limit;
    result = try_sizes(self, function, attributes, dynamic_of, dynamic_bytes, limit, flags, &best);
    if (result != CUDA_SUCCESS)
        return result;
    *grid = best.blocks * cuda_guest.device[cuda_guest_function_device(self, function)]
                              .attributes[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT];
    *block = best.block_size;
    return CUDA_SUCCESS;
}

ENTRY
cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction function, CUoccupancyB2DSize dynamic_of,
                                 size_t dynamic_bytes, int limit)
{
    return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, function, dynamic_of, dynamic_bytes, limit, 0);
}

/* ---- Shared memory and clusters -------------------------------------------------------------- */

ENTRY
cuOccupancyAvailableDynamicSMemPerBlock(size_t *dynamic_bytes, CUfunction handle, int blocks, int block_size)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *function;
    struct cuda_guest_attributes *attributes;
    CUresult result = cuda_guest_function_enter(handle, &self, &function, &attributes);
    uint64_t bytes = 0;

    if (result != CUDA_SUCCESS)
        return result;
    if (!dynamic_bytes || blocks <= 0 || block_size <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_result(
        cuda_occupancy_dynamic_on(&cuda_guest.client, self->lane, function->object.handle, blocks, block_size, &bytes));
    if (result == CUDA_SUCCESS)
        *dynamic_bytes = bytes;
    return result;
}

static CUresult
ask_clusters(int *value, CUfunction handle, const CUlaunchConfig *config, bool most)
{
    struct cuda_guest_launch_attributes read;
    struct cuda_guest_attributes *attributes;
    struct cuda_guest_function *function;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_function_enter(handle, &self, &function, &attributes);
    uint32_t stream;
    bool plain;

    if (result != CUDA_SUCCESS)
        return result;
    if (!value || !config)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_stream_wire(self, config->hStream, &stream, NULL);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_launch_attributes_read(config, &read, &plain);
    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_occupancy_clusters_on(&cuda_guest.client, self->lane, function->object.handle, stream,
                                                        config->gridDimX, config->gridDimY, config->gridDimZ,
                                                        config->blockDimX, config->blockDimY, config->blockDimZ,
                                                        config->sharedMemBytes, read.list, read.count, most, value));
}

ENTRY
cuOccupancyMaxActiveClusters(int *clusters, CUfunction function, const CUlaunchConfig *config)
{
    return ask_clusters(clusters, function, config, false);
}

ENTRY
cuOccupancyMaxPotentialClusterSize(int *size, CUfunction function, const CUlaunchConfig *config)
{
    return ask_clusters(size, function, config, true);
}
