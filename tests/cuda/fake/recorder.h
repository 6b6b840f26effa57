/* SPDX-License-Identifier: MIT */
/*
 * What the generated functions of the recording libcuda.so.1 use. A call is a line: its name, and its arguments in
 * order, as far as they mean the same in every run.
 */
#ifndef RECORDER_H
#define RECORDER_H

#include <stdint.h>

#include "cuda_api.h"

#define RECORDER_EXPORT __attribute__((visibility("default")))

/** Begins a line; calls of other threads wait until its end. */
void recorder_begin(const char *function);
CUresult recorder_end(void);

void recorder_number(long long value);
void recorder_text(const char *text);
/** A handle as its kind and number, a null, or a special one. */
void recorder_handle(uint64_t handle);
/** The same of one that comes back; 0: the caller wants none. */
void recorder_made(uint64_t handle);
/** Memory of the device as its allocation's number and an offset; host memory without. */
void recorder_address(CUdeviceptr address);

uint64_t recorder_make(const char *kind);
CUdeviceptr recorder_allocate(void);

#endif
