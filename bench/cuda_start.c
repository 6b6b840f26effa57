/* SPDX-License-Identifier: MIT */
/*
 * cuda_start.c - a program's start, measured from outside.
 *
 * Design notes: this program is started anew for each measurement, so that nothing is warm in the process itself. It
 * tells the time at which its first kernel has ended by the clock that both processes have in common; what it does at
 * its end does not count.
 */
#include "cuda_start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cuda_side.h"

#define LIMIT_SECONDS 60

static uint64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int
bench_cuda_start_program(const char *library)
{
    int error = bench_cuda_first_kernel(library);
    uint64_t end = now_ns();

    if (error != 0)
        return 1;
    return write(STDOUT_FILENO, &end, sizeof(end)) == (ssize_t)sizeof(end) ? 0 : 1;
}

static _Noreturn void
become_program(int out, const char *library, const char *address)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (address)
        setenv("GPUVCHAN_ADDRESS", address, 1);
    alarm(LIMIT_SECONDS);
    if (dup2(out, STDOUT_FILENO) >= 0)
        execl("/proc/self/exe", "gpuvchan-bench", BENCH_CUDA_START, library, (char *)NULL);
    _exit(127);
}

int
bench_cuda_start(const char *library, const char *address, double *ms)
{
    uint64_t begin, end;
    int ends[2], status = 0;
    ssize_t got;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    begin = now_ns();
    pid = fork();
    if (pid == 0)
        become_program(ends[1], library, address);
    close(ends[1]);
    got = pid < 0 ? -1 : read(ends[0], &end, sizeof(end));
    close(ends[0]);
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (got != (ssize_t)sizeof(end) || status != 0) {
        fprintf(stderr, "gpuvchan-bench: a program with %s did not get to the end of its first kernel\n", library);
        return -EIO;
    }
    *ms = (double)(end - begin) / 1e6;
    return 0;
}
