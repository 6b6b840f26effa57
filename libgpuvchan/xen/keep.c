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
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"

#define STACK_BYTES (64u << 10)
#define KEPT 3 /* first of what keeper.c tells */
#define KEPT_COUNT 4

struct keeper {
    const char *program;
    char *const *arguments;
    int kept[KEPT_COUNT];
};

extern char **environ;

/* Shares the program's memory until it has become another one: nothing here writes any of it. */
static int
become_keeper(void *argument)
{
    const struct keeper *keeper = argument;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), high[KEPT_COUNT];

    for (int i = 0; i < KEPT_COUNT; i++)
        if ((high[i] = fcntl(keeper->kept[i], F_DUPFD, KEPT + KEPT_COUNT)) < 0)
            _exit(127);
    if (null < 0)
        _exit(127);
    /* What the program has open must end with the program: a pipe, for instance. */
    for (int fd = 0; fd < KEPT; fd++)
        dup2(null, fd);
    for (int i = 0; i < KEPT_COUNT; i++)
        dup2(high[i], KEPT + i);
    close_range(KEPT + KEPT_COUNT, ~0u, 0);
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
xen_keep(struct xen_link *l, int region)
{
    char program[4096], pid[16], page[24], port[16];
    char *arguments[] = {"gpuvchan-keeper", l->node, pid, page, port, NULL};
    struct keeper keeper = {.program = program, .arguments = arguments};
    const char *slash;
    int ends[2], error;
    Dl_info info;

    if (!dladdr((void *)(uintptr_t)xen_keep, &info) || !(slash = strrchr(info.dli_fname, '/')) ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    snprintf(program, sizeof(program), "%.*s/gpuvchan-keeper", (int)(slash - info.dli_fname), info.dli_fname);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    snprintf(page, sizeof(page), "%llu", (unsigned long long)l->page_index);
    snprintf(port, sizeof(port), "%u", l->vchan->event_port);
    keeper.kept[0] = l->device;
    keeper.kept[1] = libxenvchan_fd_for_select(l->vchan);
    keeper.kept[2] = ends[1];
    keeper.kept[3] = region;
    error = spawn(&keeper);
    close(ends[1]);
    if (error == 0) {
        l->keeper = ends[0];
        return true;
    }
    close(ends[0]);
    gpuvchan_log(GPUVCHAN_LOG_WARNING,
                 "%s does not start (%s): if this program is killed, the kernel takes long to free what it shares "
                 "(grant_table.free_per_iteration=65536 on the kernel's command line helps)",
                 program, strerror(-error));
    return false;
}

void
xen_keep_too(const struct xen_link *l, int fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.head = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))}};
    struct iovec part = {.iov_base = "", .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

    memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
    if (l->keeper >= 0)
        (void)!sendmsg(l->keeper, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}
