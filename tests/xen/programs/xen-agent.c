/* SPDX-License-Identifier: MIT
 *
 * xen-agent: runs in a guest and executes what xen-call in Dom0 asks for; rig.h tells how they speak.
 */
#include "rig.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenstore.h>

#define FOLDER "/run/rig"

struct job {
    struct job *next;
    pid_t pid; /* 0 once it has ended */
    int status;
    char name[RIG_JOB];
};

static struct xs_handle *store;
static struct job *jobs;
static unsigned long events;

static struct job *
job_find(const char *name)
{
    for (struct job *job = jobs; job; job = job->next)
        if (!strcmp(job->name, name))
            return job;
    return NULL;
}

static int
job_open(const char *name, const char *kind, int flags)
{
    char path[128];

    snprintf(path, sizeof(path), FOLDER "/%s.%s", name, kind);
    return open(path, flags | O_CLOEXEC, 0600);
}

static int
job_write(const char *name, off_t offset, const char *data, size_t bytes)
{
    int fd = job_open(name, "sh", O_WRONLY | O_CREAT);
    ssize_t written = -1;

    if (fd >= 0) {
        written = pwrite(fd, data, bytes, offset);
        close(fd);
    }
    return written == (ssize_t)bytes ? 0 : -1;
}

static void
job_execute(const char *name)
{
    char script[128];
    sigset_t none;
    int in = open("/dev/null", O_RDONLY), out = job_open(name, "out", O_RDWR | O_CREAT | O_TRUNC | O_APPEND);

    snprintf(script, sizeof(script), FOLDER "/%s.sh", name);
    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(126);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    execl("/bin/sh", "sh", script, NULL);
    _exit(127);
}

static int
job_start(const char *name)
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job)
        return -1;
    snprintf(job->name, sizeof(job->name), "%s", name);
    job->pid = fork();
    if (job->pid < 0) {
        free(job);
        return -1;
    }
    if (job->pid == 0)
        job_execute(name);
    job->next = jobs;
    jobs = job;
    return 0;
}

static void
job_forget(const char *name)
{
    char path[128];

    for (struct job **at = &jobs, *job; (job = *at); at = &job->next) {
        if (strcmp(job->name, name))
            continue;
        if (job->pid)
            kill(-job->pid, SIGKILL);
        *at = job->next;
        free(job);
        break;
    }
    snprintf(path, sizeof(path), FOLDER "/%s.sh", name);
    unlink(path);
    snprintf(path, sizeof(path), FOLDER "/%s.out", name);
    unlink(path);
}

static long
job_output(const char *name)
{
    struct stat about = {0};
    int fd = job_open(name, "out", O_RDONLY);

    if (fd >= 0) {
        fstat(fd, &about);
        close(fd);
    }
    return about.st_size;
}

/* Puts output into the data nodes: how many bytes. */
static long
job_read(const char *name, off_t offset)
{
    int fd = job_open(name, "out", O_RDONLY);
    char piece[RIG_PIECE], path[32];
    long bytes = 0;

    for (int i = 0; fd >= 0 && i < RIG_PIECES; i++) {
        ssize_t got = pread(fd, piece, sizeof(piece), offset + bytes);

        if (got <= 0)
            break;
        snprintf(path, sizeof(path), "rig/data/%d", i);
        if (!xs_write(store, XBT_NULL, path, piece, got)) {
            bytes = -1;
            break;
        }
        bytes += got;
    }
    if (fd >= 0)
        close(fd);
    return bytes;
}

static void
reap(void)
{
    int status, ended = 0;
    pid_t pid;
    char text[24];

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (struct job *job = jobs; job; job = job->next)
            if (job->pid == pid) {
                job->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
                job->pid = 0;
                ended = 1;
            }
    if (ended) {
        snprintf(text, sizeof(text), "%lu", ++events);
        xs_write(store, XBT_NULL, "rig/event", text, strlen(text)); /* without it, Dom0 sees it a little later */
    }
}

/* Executes a request: the reply's words behind the number. */
static void
execute(const char *operation, const char *name, long number, const char *data, size_t bytes, char *reply, size_t size)
{
    struct job *job = job_find(name);

    snprintf(reply, size, "ok 0 0");
    if (!strcmp(operation, "ping")) {
        snprintf(reply, size, "up 0 0");
    } else if (!strcmp(operation, "write")) {
        if (job_write(name, number, data, bytes))
            snprintf(reply, size, "error %d 0", errno);
    } else if (!strcmp(operation, "start")) {
        if (job || job_start(name))
            snprintf(reply, size, "error %d 0", job ? EEXIST : errno);
    } else if (!strcmp(operation, "state")) {
        reap();
        if (!job)
            snprintf(reply, size, "none 0 0");
        else if (job->pid)
            snprintf(reply, size, "running %ld 0", job_output(name));
        else
            snprintf(reply, size, "exited %ld %d", job_output(name), job->status);
    } else if (!strcmp(operation, "read")) {
        snprintf(reply, size, "data %ld 0", job_read(name, number));
    } else if (!strcmp(operation, "kill")) {
        if (!job || !job->pid || kill(-job->pid, (int)number))
            snprintf(reply, size, "error %d 0", job && job->pid ? errno : ESRCH);
    } else if (!strcmp(operation, "forget")) {
        job_forget(name);
    } else {
        snprintf(reply, size, "error %d 0", ENOSYS);
    }
}

static void
look(void)
{
    static char last[40], reply[96];
    unsigned bytes = 0;
    char *request = xs_read(store, XBT_NULL, "rig/request", &bytes), *data;
    char number[40], operation[16], name[RIG_JOB], words[48];
    long value;

    data = request ? memchr(request, '\n', bytes) : NULL;
    if (data) {
        *data++ = 0;
        if (sscanf(request, "%39s %15s %47s %ld", number, operation, name, &value) == 4 && !strchr(name, '/')) {
            if (strcmp(number, last)) {
                execute(operation, name, value, data, bytes - (data - request), words, sizeof(words));
                snprintf(last, sizeof(last), "%s", number);
                snprintf(reply, sizeof(reply), "%s %s", number, words);
            }
            xs_write(store, XBT_NULL, "rig/reply", reply, strlen(reply));
        }
    }
    free(request);
}

int
main(void)
{
    struct pollfd wait[2] = {{.events = POLLIN}, {.events = POLLIN}};
    struct signalfd_siginfo info;
    sigset_t child;
    char **what;

    mkdir(FOLDER, 0700);
    store = xs_open(0);
    /* Relative, so that it is the watch of the new home after a restore: the kernel sets it again there. */
    if (!store || !xs_watch(store, "rig/request", "request")) {
        perror("xen-agent: xenstore");
        return 1;
    }
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    wait[0].fd = xs_fileno(store);
    wait[1].fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    for (;;) {
        poll(wait, 2, 5000);
        while ((what = xs_check_watch(store)))
            free(what);
        while (read(wait[1].fd, &info, sizeof(info)) > 0)
            ;
        reap();
        look();
    }
}
