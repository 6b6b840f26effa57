/* SPDX-License-Identifier: MIT */
/*
 * What the examples share: CUDA's own header where it is installed, else ours, and the first steps of every
 * program of the driver API.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if __has_include(<cuda.h>)
#include <cuda.h>
#else
#include "cuda_api.h"
/* As CUDA's header has it: the plain names mean today's functions. */
#define cuCtxCreate cuCtxCreate_v2
#define cuCtxDestroy cuCtxDestroy_v2
#define cuMemAlloc cuMemAlloc_v2
#define cuMemFree cuMemFree_v2
#define cuMemcpyHtoD cuMemcpyHtoD_v2
#define cuMemcpyDtoH cuMemcpyDtoH_v2
#define cuMemcpyDtoHAsync cuMemcpyDtoHAsync_v2
#define cuMemAllocHost cuMemAllocHost_v2
#define cuStreamDestroy cuStreamDestroy_v2
#define cuEventDestroy cuEventDestroy_v2
#define cuDevicePrimaryCtxRelease cuDevicePrimaryCtxRelease_v2
#endif

#define CHECK(call) check((call), #call)

static inline void
check(CUresult result, const char *call)
{
    const char *name = "an unknown error", *text = "";

    if (result == CUDA_SUCCESS)
        return;
    cuGetErrorName(result, &name);
    cuGetErrorString(result, &text);
    fprintf(stderr, "%s: %s (%s)\n", call, name, text);
    exit(1);
}

/* The first device, its primary context current. */
static inline CUdevice
program_begin(void)
{
    CUcontext context;
    CUdevice device;
    char name[128];

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDeviceGetName(name, sizeof(name), device));
    printf("device: %s\n", name);
    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    return device;
}

/* Loads @p file from beside the program, or from the folder of the sources. */
static inline CUmodule
program_load(const char *program, const char *file)
{
    char *copy = strdup(program), path[4096];
    CUmodule module;

    snprintf(path, sizeof(path), "%s/%s", copy ? dirname(copy) : ".", file);
    if (access(path, R_OK) != 0)
        snprintf(path, sizeof(path), "examples/cuda/%s", file);
    free(copy);
    CHECK(cuModuleLoad(&module, path));
    return module;
}

static inline float *
program_floats(size_t count)
{
    float *floats = malloc(count * sizeof(*floats));

    if (!floats) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return floats;
}

/* Values that floats add and multiply exactly. */
static inline void
program_fill(float *values, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)((i * 37 + seed) % 17) - 8.0f;
}

#endif
