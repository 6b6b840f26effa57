/* SPDX-License-Identifier: MIT */
/* A process that exits while the device has much to do, from several threads at once: it ends, and soon. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "test.h"

static CUcontext context;

static void *
go_on(void *argument)
{
    CUdeviceptr memory;
    unsigned rounds = 1000;
    void *parameters[] = {&memory, &rounds};
    CUfunction busy = argument;

    if (cuCtxSetCurrent(context) == CUDA_SUCCESS && cuMemAlloc_v2(&memory, 4096) == CUDA_SUCCESS)
        while (test_launch(busy, 1, 1, CU_STREAM_PER_THREAD, parameters) == CUDA_SUCCESS)
            cuMemsetD8Async(memory, 1, 4096, CU_STREAM_PER_THREAD);
    return NULL;
}

static void
late(void)
{
    CUdeviceptr memory;

    /* Whatever it answers, it must answer. */
    (void)cuMemAlloc_v2(&memory, 64);
    (void)cuCtxDestroy_v2(context);
}

static int
child(const char *how)
{
    const struct timespec moment = {.tv_nsec = 50000000};
    CUfunction busy;
    pthread_t thread;

    atexit(late);
    context = test_begin();
    busy = test_kernel("busy");
    for (int i = 0; i < 3; i++)
        pthread_create(&thread, NULL, go_on, busy);
    nanosleep(&moment, NULL);
    if (strcmp(how, "exit") == 0)
        exit(3);
    if (strcmp(how, "_exit") == 0)
        _exit(3);
    raise(SIGKILL);
    return 0;
}

static void
try(const char *program, const char *how, int wanted)
{
    struct timespec begin, end;
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        execl(program, program, how, (char *)NULL);
        _exit(127);
    }
    clock_gettime(CLOCK_MONOTONIC, &begin);
    waitpid(pid, &status, 0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    ok(status == wanted && end.tv_sec - begin.tv_sec < 60, "it ends by %s", how);
    if (status != wanted)
        printf("# status %#x\n", (unsigned)status);
}

int
main(int argc, char **argv)
{
    if (argc > 1)
        return child(argv[1]);
    alarm(240);
    try(argv[0], "exit", 3 << 8);
    try(argv[0], "_exit", 3 << 8);
    try(argv[0], "a signal", SIGKILL);
    return test_end();
}
