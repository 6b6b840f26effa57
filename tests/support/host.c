/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "subject.h"

#define WORKERS 64

static int log_fd;
static struct gpuvchan_session *_Atomic serving;
static volatile sig_atomic_t stopped;
static pid_t workers[WORKERS];

void
test_sleep_ms(int ms)
{
    poll(NULL, 0, ms);
}

uint64_t
test_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- In the host's processes ----------------------------------------------------------------- */

static void
write_log(enum gpuvchan_log_level level, const char *text)
{
    char line[1200];
    int n = snprintf(line, sizeof(line), "%d[%d]: %s\n", (int)getpid(), (int)level, text);

    if (n >= (int)sizeof(line))
        n = (int)sizeof(line) - 1;
    (void)!write(log_fd, line, (size_t)n);
}

static void
on_stop(int number)
{
    struct gpuvchan_session *session = serving;

    (void)number;
    stopped = 1;
    if (session)
        gpuvchan_session_stop(session);
}

static int
serve(int fd, const struct test_host_options *options)
{
    struct gpuvchan_session *session;
    int error = gpuvchan_session_accept(fd, &options->limits, &session);

    if (error != 0) {
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "no session: %s", gpuvchan_error_text());
        return 1;
    }
    gpuvchan_session_offer(session, &subject_plugin);
    gpuvchan_session_offer(session, &second_plugin);
    gpuvchan_session_offer(session, &broken_plugin);
    serving = session;
    if (stopped)
        gpuvchan_session_stop(session);
    error = gpuvchan_session_run(session);
    serving = NULL;
    if (error == -ETIMEDOUT)
        _exit(3); /* a thread still runs */
    gpuvchan_session_destroy(session);
    return error == 0 ? 0 : error == -EPROTO ? 2 : 4;
}

static void
reap(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < WORKERS; i++)
            if (workers[i] == pid)
                workers[i] = 0;
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "worker %d ended with %s %d", (int)pid,
                     WIFEXITED(status) ? "status" : "signal",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
}

static void
start_worker(int fd, struct gpuvchan_listener *listener, const struct test_host_options *options)
{
    int slot = 0;
    pid_t pid;

    while (slot < WORKERS && workers[slot] != 0)
        slot++;
    if (options->refuse || slot == WORKERS) {
        gpuvchan_session_refuse(fd, -EACCES, options->refuse ? options->refuse : "no room");
        return;
    }
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(gpuvchan_listener_fd(listener));
        exit(serve(fd, options));
    }
    close(fd);
    workers[slot] = pid;
}

static int
host_main(const struct test_host *host, const struct test_host_options *options, int ready)
{
    struct sigaction action = {.sa_handler = on_stop};
    struct gpuvchan_listener *listener;
    struct gpuvchan_peer peer;
    int fd;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(0);
    sigaction(SIGTERM, &action, NULL);
    log_fd = open(host->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    gpuvchan_log_set(write_log, GPUVCHAN_LOG_WARNING);
    if (gpuvchan_listener_create(host->address, &listener) != 0) {
        fprintf(stderr, "# %s\n", gpuvchan_error_text());
        return 1;
    }
    (void)!write(ready, "", 1);
    close(ready);
    while (!stopped) {
        struct pollfd waiting = {.fd = gpuvchan_listener_fd(listener), .events = POLLIN};

        poll(&waiting, 1, 20);
        reap();
        if (gpuvchan_listener_accept(listener, &fd, &peer) == 0)
            start_worker(fd, listener, options);
    }
    gpuvchan_listener_destroy(listener);
    for (int i = 0; i < WORKERS; i++)
        if (workers[i] != 0)
            kill(workers[i], SIGTERM);
    for (int i = 0; i < WORKERS; i++)
        if (workers[i] != 0)
            waitpid(workers[i], NULL, 0);
    close(log_fd);
    return 0;
}

/* ---- In the test ----------------------------------------------------------------------------- */

int
test_host_start(struct test_host *host, const struct test_host_options *options)
{
    static const struct test_host_options none = {.limits = {.size = sizeof(struct gpuvchan_session_limits)}};
    char byte;
    int ready[2];

    snprintf(host->folder, sizeof(host->folder), "/tmp/gpuvchan-test.XXXXXX");
    if (!mkdtemp(host->folder) || pipe2(ready, O_CLOEXEC) != 0)
        return -errno;
    snprintf(host->address, sizeof(host->address), "local:%s/host", host->folder);
    snprintf(host->log, sizeof(host->log), "%s/log", host->folder);
    fflush(NULL);
    host->pid = fork();
    if (host->pid < 0)
        return -errno;
    if (host->pid == 0) {
        close(ready[0]);
        _exit(host_main(host, options ? options : &none, ready[1]));
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1) {
        close(ready[0]);
        return -ECHILD;
    }
    close(ready[0]);
    return 0;
}

int
test_host_stop(struct test_host *host)
{
    int status = -1;
    pid_t pid = 0;

    if (host->pid <= 0)
        return -1;
    kill(host->pid, SIGTERM);
    for (int i = 0; i < 800 && pid == 0; i++) {
        pid = waitpid(host->pid, &status, WNOHANG);
        if (pid == 0)
            test_sleep_ms(10);
    }
    if (pid == 0) {
        kill(host->pid, SIGKILL);
        waitpid(host->pid, NULL, 0);
    }
    host->pid = 0;
    unlink(host->log);
    unlink(host->address + 6);
    rmdir(host->folder);
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *
test_host_log(const struct test_host *host)
{
    static char text[65536];
    int fd = open(host->log, O_RDONLY | O_CLOEXEC);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    ssize_t n = 0;

    if (fd >= 0) {
        off_t room = (off_t)sizeof(text) - 1;

        n = pread(fd, text, sizeof(text) - 1, size > room ? size - room : 0);
        close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    return text;
}

bool
test_host_said(const struct test_host *host, const char *text, int ms)
{
    for (;;) {
        if (strstr(test_host_log(host), text))
            return true;
        if (ms <= 0)
            return false;
        test_sleep_ms(5);
        ms -= 5;
    }
}

int
test_host_workers(const struct test_host *host, pid_t *pids, int room)
{
    char path[64];
    FILE *file;
    int count = 0, pid;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)host->pid, (int)host->pid);
    file = fopen(path, "re");
    if (!file)
        return -1;
    while (fscanf(file, "%d", &pid) == 1) {
        if (count < room)
            pids[count] = pid;
        count++;
    }
    fclose(file);
    return count;
}

int
test_host_quiet(const struct test_host *host, int ms)
{
    int count = test_host_workers(host, NULL, 0);

    for (; count > 0 && ms > 0; ms -= 5) {
        test_sleep_ms(5);
        count = test_host_workers(host, NULL, 0);
    }
    return count;
}

int
test_descriptors(pid_t pid)
{
    char path[64];
    struct dirent *entry;
    int count = 0;
    DIR *folder;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    folder = opendir(path);
    if (!folder)
        return -1;
    while ((entry = readdir(folder)))
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count - (pid == getpid()); /* the folder's own */
}
