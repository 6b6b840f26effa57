/* SPDX-License-Identifier: MIT */
/* Settings of contexts that few programs touch, and the old counting of a context's users. */
#include "test.h"

static void
settings(void)
{
    CUsharedconfig config = (CUsharedconfig)99;
    CUexecAffinityParam affinity = {0};
    unsigned flags = 0;
    CUresult result;

    GIVES(CUDA_SUCCESS, cuCtxSetSharedMemConfig(CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE));
    GIVES(CUDA_SUCCESS, cuCtxGetSharedMemConfig(&config));
    ok((unsigned)config <= CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE, "the banks have a size");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuCtxGetSharedMemConfig(NULL));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuCtxSetSharedMemConfig((CUsharedconfig)99));
    GIVES(CUDA_SUCCESS, cuCtxResetPersistingL2Cache());
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
    GIVES(CUDA_SUCCESS, cuCtxSetFlags(CU_CTX_SYNC_MEMOPS));
    GIVES(CUDA_SUCCESS, cuCtxGetFlags(&flags));
    ok((flags & CU_CTX_SYNC_MEMOPS) != 0, "the flag is set");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuCtxSetFlags(~0u));
    result = cuCtxGetExecAffinity(&affinity, CU_EXEC_AFFINITY_TYPE_SM_COUNT);
    ok(result == CUDA_SUCCESS || result == CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY, "multiprocessors: %s, %u",
       error_name(result), affinity.param.smCount.val);
}

static void
users(void)
{
    CUcontext made, again = NULL, current = NULL;

    NEED(cuCtxCreate_v2(&made, 0, 0));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuCtxAttach(&again, 1));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuCtxAttach(NULL, 0));
    GIVES(CUDA_SUCCESS, cuCtxAttach(&again, 0));
    ok(again == made, "attaching gives the current context");
    GIVES(CUDA_SUCCESS, cuCtxDetach(made));
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
    GIVES(CUDA_SUCCESS, cuCtxDetach(made));
    NEED(cuCtxGetCurrent(&current));
    ok(current != made, "the last one to detach has destroyed it");
}

int
main(void)
{
    CUcontext context;

    GIVES(CUDA_ERROR_NOT_INITIALIZED, cuCtxSetFlags(0));
    context = test_begin();
    settings();
    users();
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
