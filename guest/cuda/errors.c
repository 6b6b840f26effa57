/* SPDX-License-Identifier: MIT */
/* Names and texts of errors. */
#include "guest.h"

struct error {
    int value;
    const char *name, *text;
};

static const struct error errors[] = {
#define ERROR(name, value, text) {value, #name, text},
    GPUVCHAN_CUDA_RESULTS(ERROR)
#undef ERROR
};

static const struct error *
error_find(CUresult result)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (errors[i].value == (int)result)
            return &errors[i];
    return NULL;
}

ENTRY
cuGetErrorName(CUresult result, const char **name)
{
    const struct error *error = error_find(result);

    if (!name)
        return CUDA_ERROR_INVALID_VALUE;
    *name = error ? error->name : NULL;
    return error ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

ENTRY
cuGetErrorString(CUresult result, const char **text)
{
    const struct error *error = error_find(result);

    if (!text)
        return CUDA_ERROR_INVALID_VALUE;
    *text = error ? error->text : NULL;
    return error ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
