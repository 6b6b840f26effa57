/* SPDX-License-Identifier: MIT */
/* How long a CUDA program takes from its start to the end of its first kernel. */
#ifndef BENCH_CUDA_START_H
#define BENCH_CUDA_START_H

/* The tool's first argument in the processes that are measured; the second one is the library. */
#define BENCH_CUDA_START "cuda-first-kernel"

/* Such a process. @return its exit status. */
int bench_cuda_start_program(const char *library);

/*
 * Starts one with @library, and GPUVCHAN_ADDRESS set to @address if that is not NULL, and waits for its end. 0 with
 * the milliseconds, or -errno after it has said why.
 */
int bench_cuda_start(const char *library, const char *address, double *ms);

#endif
