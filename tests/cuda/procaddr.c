/* SPDX-License-Identifier: MIT */
/* cuGetProcAddress: the look-ups that programs make, and the rules for versions and default streams. */
#include <dlfcn.h>

#include "lookups.h"
#include "test.h"

/*
 * A function that the library has at all is found by every look-up that programs make of it. How many it lacks is told
 * in a comment.
 */
static bool
found(const char *name, int version, unsigned long flags, unsigned *lacks)
{
    CUdriverProcAddressQueryResult status = 99;
    void *function = &status;
    CUresult result = cuGetProcAddress_v2(name, &function, version, flags, &status);

    if (result == CUDA_SUCCESS && function && status == CU_GET_PROC_ADDRESS_SUCCESS)
        return true;
    if (result == CUDA_SUCCESS && !function && status == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND &&
        !dlsym(RTLD_DEFAULT, name)) {
        ++*lacks;
        return true;
    }
    printf("# %s, %d, %lu: %s, status %d\n", name, version, flags, error_name(result), (int)status);
    return false;
}

static void
is_symbol(const char *name, int version, unsigned long flags, const char *symbol)
{
    void *function = NULL;

    NEED(cuGetProcAddress_v2(name, &function, version, flags, NULL));
    ok(function && function == dlsym(RTLD_DEFAULT, symbol), "%s of %d, flags %lu, is %s", name, version, flags, symbol);
}

static void
is_missing(const char *name, int version, unsigned long flags, CUdriverProcAddressQueryResult wanted)
{
    CUdriverProcAddressQueryResult status = 99;
    void *function = &status;

    NEED(cuGetProcAddress_v2(name, &function, version, flags, &status));
    ok(!function && status == wanted, "'%s' of %d, flags %lu, is missing: %d", name, version, flags, (int)wanted);
}

int
main(void)
{
    void *function = &function;
    unsigned lacks = 0;
    bool all = true;

#define LOOKUP(name, version, flags) all &= found(#name, version, flags, &lacks);
    LOOKUPS(LOOKUP)
#undef LOOKUP
    ok(all, "look-ups of programs succeed");
    printf("# %u look-ups are of functions that the library lacks\n", lacks);
    is_symbol("cuInit", 2000, 0, "cuInit");
    is_symbol("cuMemAlloc", 3020, 0, "cuMemAlloc_v2");
    is_symbol("cuMemAlloc", 12000, 0, "cuMemAlloc_v2");
    is_symbol("cuCtxGetDevice", 12000, 0, "cuCtxGetDevice");
    is_symbol("cuCtxGetDevice", 13000, 0, "cuCtxGetDevice_v2");
    is_symbol("cuGetProcAddress", 11030, 0, "cuGetProcAddress");
    is_symbol("cuGetProcAddress", 12000, 0, "cuGetProcAddress_v2");
    is_symbol("cuStreamSynchronize", 7000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, "cuStreamSynchronize_ptsz");
    is_symbol("cuStreamSynchronize", 7000, CU_GET_PROC_ADDRESS_LEGACY_STREAM, "cuStreamSynchronize");
    is_symbol("cuMemcpyHtoD", 7000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, "cuMemcpyHtoD_v2_ptds");
    is_symbol("cuInit", 12000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, "cuInit");
    is_missing("cuMemcpy", 4000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM,
               CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    is_missing("cuMemAlloc", 1000, 0, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    is_missing("cuMemAlloc_v2", 12000, 0, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    is_missing("cuNothing", 12000, 0, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    is_missing("", 0, 0, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    GIVES(CUDA_ERROR_INVALID_VALUE, cuGetProcAddress_v2("cuInit", &function, 12000, 4, NULL));
    GIVES(CUDA_ERROR_NOT_FOUND, cuGetProcAddress("cuNothing", &function, 12000, 0));
    return test_end();
}
