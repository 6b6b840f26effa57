/* SPDX-License-Identifier: MIT */
/* Starting the keeper, see keeper.c. */
#include "xen_transport.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"

#define STACK_BYTES (64u << 10)
#define KEPT 3

struct keeper {
    const char *program;
    char *const *arguments;
    int file;
};

extern char **environ;

/* Shares the program's memory until it has become another one: nothing here writes any of it. */
static int
become_keeper(void *argument)
{
    const struct keeper *keeper = argument;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), high = fcntl(keeper->file, F_DUPFD, KEPT + 1);

    if (null < 0 || high < 0)
        _exit(127);
    /* What the program has open must end with the program: a pipe, for instance. */
    for (int fd = 0; fd < KEPT; fd++)
        dup2(null, fd);
    dup2(high, KEPT);
    close_range(KEPT + 1, ~0u, 0);
    setsid();
    (void)!chdir("/");
    execve(keeper->program, keeper->arguments, environ);
    _exit(127);
}

/* Without a signal at its end, so that a program that waits for its children does not meet this one. */
static int
spawn(struct keeper *keeper)
{
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    sigset_t all, before;
    int status = -1;
    pid_t pid;

    if (stack == MAP_FAILED)
        return -ENOMEM;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a handler would run in the shared memory */
    pid = clone(become_keeper, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK, keeper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    munmap(stack, STACK_BYTES);
    if (pid < 0)
        return -errno;
    while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
        ;
    return status == 0 ? 0 : -ENOEXEC;
}

bool
xen_keep(const char *node, int file)
{
    char program[4096], pid[16], *arguments[] = {"gpuvchan-keeper", (char *)(uintptr_t)node, pid, NULL};
    struct keeper keeper = {.program = program, .arguments = arguments, .file = file};
    const char *slash;
    Dl_info info;
    int error;

    if (!dladdr((void *)(uintptr_t)xen_keep, &info) || !(slash = strrchr(info.dli_fname, '/')))
        return false;
    snprintf(program, sizeof(program), "%.*s/gpuvchan-keeper", (int)(slash - info.dli_fname), info.dli_fname);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    error = spawn(&keeper);
    if (error != 0)
        gpuvchan_log(GPUVCHAN_LOG_WARNING,
                     "%s does not start (%s): if this program is killed, the kernel takes long to free what it shares "
                     "(grant_table.free_per_iteration=65536 on the kernel's command line helps)",
                     program, strerror(-error));
    return error == 0;
}
