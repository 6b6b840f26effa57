/* SPDX-License-Identifier: MIT */
/* One process that measures one CUDA driver library on request. */
#ifndef BENCH_CUDA_SIDE_H
#define BENCH_CUDA_SIDE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct bench_cuda_test {
    const char *name;
    const char *unit;
    bool lower_is_better;
    bool quick; /* part of --quick */
    int kind;   /* of cuda_side.c */
    uint64_t bytes;
    uint32_t count, count_quick; /* repetitions in one round */
};

/* Ends with one without a name. */
extern const struct bench_cuda_test bench_cuda_tests[];

struct bench_cuda_side {
    pid_t pid;
    int fd;
    char device[128];
    char library[256];
};

/*
 * Starts a process that loads @library (a path, or a name for dlopen) with GPUVCHAN_ADDRESS set to
 * @address if that is not NULL. 0, or -errno after it has said why.
 */
int bench_cuda_side_start(struct bench_cuda_side *side, const char *library, const char *address);

/* One round of one test. 0 with its value in the test's unit, or -errno; problem says which call failed. */
int bench_cuda_side_run(struct bench_cuda_side *side, const struct bench_cuda_test *test, bool quick, double *value,
                        char *problem, size_t problem_size);

void bench_cuda_side_stop(struct bench_cuda_side *side);

/*
 * In this process, what a program does up to the end of its first kernel, with @library. 0, or -errno after it
 * has said why.
 */
int bench_cuda_first_kernel(const char *library);

#endif
