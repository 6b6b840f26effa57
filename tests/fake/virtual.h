/* SPDX-License-Identifier: MIT */
/* A part of libcuda.c: pools, and address space and memory apart. Places are numbers that nothing is mapped at. */

#define PLACES 64u
#define PLACE_BASE 0x300000000000ull
#define POOLED_BASE 0x200000000000ull
#define GRAIN ((size_t)2 << 20)

struct place {
    CUdeviceptr start;
    size_t bytes; /* 0: there is none */
    unsigned physical;
    bool accessible;
};

static bool has_device(CUdeviceptr address, size_t bytes);
static struct place reservations[PLACES], mappings[PLACES], pooled[PLACES];
static struct {
    size_t bytes;
    bool handle;
    unsigned mappings;
} physicals[PLACES];
static bool pools[PLACES]; /* 0: the device's own */
static CUdeviceptr place_next = PLACE_BASE, pooled_next = POOLED_BASE;

static void
virtual_reset(void)
{
    memset(physicals, 0, sizeof(physicals));
    memset(pooled, 0, sizeof(pooled));
    place_next = PLACE_BASE;
    pooled_next = POOLED_BASE;
}

/* NULL: there are too many. */
static struct place *
place_new(struct place *places, CUdeviceptr start, size_t bytes)
{
    for (unsigned i = 0; i < PLACES; i++)
        if (places[i].bytes == 0) {
            places[i] = (struct place){.start = start, .bytes = bytes};
            return &places[i];
        }
    return NULL;
}

static struct place *
place_at(struct place *places, CUdeviceptr address, size_t bytes)
{
    for (unsigned i = 0; i < PLACES; i++)
        if (places[i].bytes != 0 && address - places[i].start < places[i].bytes &&
            bytes <= places[i].bytes - (address - places[i].start))
            return &places[i];
    return NULL;
}

static bool
virtual_holds(CUdeviceptr address, size_t bytes)
{
    const struct place *mapping;

    if (place_at(pooled, address, bytes))
        return true;
    while ((mapping = place_at(mappings, address, 1)) && mapping->accessible) {
        size_t here = mapping->bytes - (address - mapping->start);

        if (bytes <= here)
            return true;
        address += here;
        bytes -= here;
    }
    return false;
}

/* ---- Pools ----------------------------------------------------------------------------------- */

static CUmemoryPool
pool_handle(unsigned pool)
{
    return (CUmemoryPool)&pools[pool];
}

/** Is it a pool, or memory without an address? */
static bool
virtual_owns(const void *handle)
{
    uintptr_t number = (uintptr_t)handle, pool = number - (uintptr_t)pools;

    return (pool < PLACES && (pool == 0 || pools[pool])) ||
           (number != 0 && number <= PLACES && physicals[number - 1].handle);
}

static unsigned
check_pool(CUmemoryPool handle, const char *function)
{
    for (unsigned i = 0; i < PLACES; i++)
        if (handle == pool_handle(i) && (i == 0 || pools[i]))
            return i;
    violation("%s: %p is no pool", function, (void *)handle);
}

static bool
pooled_free(CUdeviceptr address)
{
    struct place *place = place_at(pooled, address, 1);

    if (!place || place->start != address)
        return false;
    place->bytes = 0;
    fake_cuda.live[FAKE_POOLED]--;
    return true;
}

EXPORT CUresult
cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device)
{
    BEGIN("cuDeviceGetDefaultMemPool %d", device)
    *pool = pool_handle(0);
    END
}

EXPORT CUresult
cuDeviceSetMemPool(CUdevice device, CUmemoryPool pool)
{
    BEGIN("cuDeviceSetMemPool %d", device)
    check_pool(pool, __func__);
    END
}

EXPORT CUresult
cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *properties)
{
    unsigned i = 1;

    BEGIN("cuMemPoolCreate %zu", properties->maxSize)
    while (i < PLACES && pools[i])
        i++;
    if (i == PLACES)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    pools[i] = true;
    *pool = pool_handle(i);
    fake_cuda.live[FAKE_POOLS]++;
    END
}

EXPORT CUresult
cuMemPoolDestroy(CUmemoryPool handle)
{
    unsigned pool;

    BEGIN("cuMemPoolDestroy")
    pool = check_pool(handle, __func__);
    if (pool == 0)
        violation("cuMemPoolDestroy: the device's own");
    pools[pool] = false;
    fake_cuda.live[FAKE_POOLS]--;
    END
}

EXPORT CUresult
cuMemPoolTrimTo(CUmemoryPool pool, size_t keep)
{
    BEGIN("cuMemPoolTrimTo %zu", keep)
    check_pool(pool, __func__);
    END
}

static CUresult
pool_alloc(const char *function, CUdeviceptr *address, size_t bytes, CUstream stream)
{
    const struct place *place;

    BEGIN("%s %zu", function, bytes)
    NEED_CONTEXT;
    check_stream(stream, function);
    if (bytes == 0)
        FAIL(CUDA_ERROR_INVALID_VALUE);
    place = place_new(pooled, pooled_next, bytes);
    if (!place)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    *address = place->start;
    pooled_next += (bytes + 511) / 512 * 512;
    fake_cuda.live[FAKE_POOLED]++;
    END
}

EXPORT CUresult
cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream stream)
{
    return pool_alloc(__func__, address, bytes, stream);
}

EXPORT CUresult
cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream)
{
    check_pool(pool, __func__);
    return pool_alloc(__func__, address, bytes, stream);
}

EXPORT CUresult
cuMemFreeAsync(CUdeviceptr address, CUstream stream)
{
    BEGIN("cuMemFreeAsync")
    NEED_CONTEXT;
    check_stream(stream, __func__);
    if (has_device(address, 1) && !place_at(pooled, address, 1)) /* of another sort */
        FAIL(CUDA_ERROR_INVALID_VALUE);
    if (!pooled_free(address))
        violation("cuMemFreeAsync: 0x%llx is no allocation", address);
    END
}

/* ---- Address space and memory ---------------------------------------------------------------- */

EXPORT CUresult
cuMemGetAllocationGranularity(size_t *bytes, const CUmemAllocationProp *properties,
                              CUmemAllocationGranularity_flags option)
{
    (void)properties;
    (void)option;
    *bytes = GRAIN;
    return CUDA_SUCCESS;
}

EXPORT CUresult
cuMemAddressReserve(CUdeviceptr *address, size_t bytes, size_t alignment, CUdeviceptr wanted, unsigned long long flags)
{
    const struct place *place;

    BEGIN("cuMemAddressReserve %zu %zu %llx %llu", bytes, alignment, wanted, flags)
    if (bytes == 0 || bytes % GRAIN != 0)
        FAIL(CUDA_ERROR_INVALID_VALUE);
    place = place_new(reservations, place_next, bytes);
    if (!place)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    *address = place->start;
    place_next += bytes + GRAIN;
    fake_cuda.live[FAKE_RESERVATIONS]++;
    END
}

EXPORT CUresult
cuMemAddressFree(CUdeviceptr address, size_t bytes)
{
    struct place *place;

    BEGIN("cuMemAddressFree %zu", bytes)
    place = place_at(reservations, address, bytes);
    if (!place || place->start != address || place->bytes != bytes)
        violation("cuMemAddressFree: 0x%llx is no reservation", address);
    for (unsigned i = 0; i < PLACES; i++)
        if (mappings[i].bytes != 0 && mappings[i].start - address < bytes)
            violation("cuMemAddressFree: 0x%llx is mapped", mappings[i].start);
    place->bytes = 0;
    fake_cuda.live[FAKE_RESERVATIONS]--;
    END
}

static unsigned
check_physical(CUmemGenericAllocationHandle handle, const char *function)
{
    if (handle == 0 || handle > PLACES || !physicals[handle - 1].handle)
        violation("%s: %llu is no memory", function, handle);
    return (unsigned)handle - 1;
}

static void
physical_drop(unsigned physical)
{
    if (physicals[physical].handle || physicals[physical].mappings != 0)
        return;
    physicals[physical].bytes = 0;
    fake_cuda.live[FAKE_PHYSICAL]--;
}

EXPORT CUresult
cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes, const CUmemAllocationProp *properties,
            unsigned long long flags)
{
    unsigned i = 0;

    BEGIN("cuMemCreate %zu %d %llu", bytes, properties->location.id, flags)
    if (bytes == 0 || bytes % GRAIN != 0)
        FAIL(CUDA_ERROR_INVALID_VALUE);
    while (i < PLACES && physicals[i].bytes != 0)
        i++;
    if (i == PLACES)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    physicals[i].bytes = bytes;
    physicals[i].handle = true;
    *handle = i + 1;
    fake_cuda.live[FAKE_PHYSICAL]++;
    END
}

EXPORT CUresult
cuMemRelease(CUmemGenericAllocationHandle handle)
{
    unsigned physical;

    BEGIN("cuMemRelease")
    physical = check_physical(handle, __func__);
    physicals[physical].handle = false;
    physical_drop(physical);
    END
}

EXPORT CUresult
cuMemMap(CUdeviceptr address, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
         unsigned long long flags)
{
    struct place *place;
    unsigned physical;

    BEGIN("cuMemMap %zu %zu %llu", bytes, offset, flags)
    physical = check_physical(handle, __func__);
    if (!place_at(reservations, address, bytes))
        violation("cuMemMap: 0x%llx is not reserved", address);
    if (bytes == 0 || bytes % GRAIN != 0 || address % GRAIN != 0 || offset > physicals[physical].bytes ||
        bytes > physicals[physical].bytes - offset || place_at(mappings, address, 1) ||
        place_at(mappings, address + bytes - 1, 1))
        FAIL(CUDA_ERROR_INVALID_VALUE);
    place = place_new(mappings, address, bytes);
    if (!place)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    place->physical = physical;
    physicals[physical].mappings++;
    fake_cuda.live[FAKE_MAPPINGS]++;
    END
}

EXPORT CUresult
cuMemUnmap(CUdeviceptr address, size_t bytes)
{
    struct place *place;

    BEGIN("cuMemUnmap %zu", bytes)
    place = place_at(mappings, address, bytes);
    if (!place || place->start != address || place->bytes != bytes)
        violation("cuMemUnmap: 0x%llx is no mapping", address);
    place->bytes = 0;
    physicals[place->physical].mappings--;
    physical_drop(place->physical);
    fake_cuda.live[FAKE_MAPPINGS]--;
    END
}

EXPORT CUresult
cuMemSetAccess(CUdeviceptr address, size_t bytes, const CUmemAccessDesc *grants, size_t count)
{
    BEGIN("cuMemSetAccess %zu %d %zu", bytes, (int)grants[0].flags, count)
    for (size_t done = 0; done < bytes;) {
        struct place *place = place_at(mappings, address + done, 1);

        if (!place || place->start != address + done)
            violation("cuMemSetAccess: 0x%llx is not mapped", address + done);
        place->accessible = grants[0].flags != CU_MEM_ACCESS_FLAGS_PROT_NONE;
        done += place->bytes;
    }
    END
}

EXPORT CUresult
cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr address)
{
    const struct place *place;

    BEGIN("cuMemGetAccess %d", location->id)
    place = place_at(mappings, address, 1);
    if (!place)
        violation("cuMemGetAccess: 0x%llx is not mapped", address);
    *flags = place->accessible ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    END
}
