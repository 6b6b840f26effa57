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

#include "monitor.h"
#include "subject.h"

#define WORKERS 64

struct worker {
    pid_t pid;
    struct gpuvchan_listener *listener;
    struct gpuvchan_peer peer;
};

static int log_fd;
static struct gpuvchan_session *_Atomic serving;
static volatile sig_atomic_t stopped;
static struct worker workers[WORKERS];

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

int
test_ms(int ms)
{
    const char *slow = getenv("TEST_SLOW");
    int times = slow ? atoi(slow) : 1;

    return times > 1 ? ms * times : ms;
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
    error = gpuvchan_session_restrict(session);
    if (error != 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "no session: %s", gpuvchan_error_text());
        gpuvchan_session_destroy(session);
        return 5;
    }
    if (options->monitor) {
        gpuvchan_session_offer(session, &monitor_plugin);
    } else {
        gpuvchan_session_offer(session, &subject_plugin);
        gpuvchan_session_offer(session, &second_plugin);
        gpuvchan_session_offer(session, &broken_plugin);
    }
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
            if (workers[i].pid == pid) {
                gpuvchan_listener_release(workers[i].listener, &workers[i].peer);
                workers[i].pid = 0;
            }
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "worker %d ended with %s %d", (int)pid,
                     WIFEXITED(status) ? "status" : "signal",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
}

static void
start_worker(int fd, struct gpuvchan_listener *listener, const struct gpuvchan_peer *peer,
             const struct test_service *service)
{
    const struct test_host_options *options = &service->options;
    int slot = 0;
    pid_t pid;

    while (slot < WORKERS && workers[slot].pid != 0)
        slot++;
    if (options->refuse || slot == WORKERS) {
        gpuvchan_session_refuse(fd, -EACCES, options->refuse ? options->refuse : "no room");
        gpuvchan_listener_release(listener, peer);
        return;
    }
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (service->become) {
            service->become(service, fd);
            _exit(127);
        }
        close(gpuvchan_listener_fd(listener));
        exit(serve(fd, options));
    }
    close(fd);
    workers[slot] = (struct worker){.pid = pid, .listener = listener, .peer = *peer};
}

/* What the readable descriptor of a listener means: guests wait, or a domain may have ended. */
static void
look_at(struct gpuvchan_listener *listener, const struct test_service *service)
{
    struct gpuvchan_peer peer;
    int fd, error;

    while ((error = gpuvchan_listener_accept(listener, &fd, &peer)) == 0)
        start_worker(fd, listener, &peer, service);
    if (error != -EAGAIN)
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "accept: %d: %s", error, gpuvchan_error_text());
    for (int i = 0; i < WORKERS; i++)
        if (workers[i].pid != 0 && workers[i].listener == listener &&
            !gpuvchan_listener_alive(listener, &workers[i].peer)) {
            gpuvchan_log(GPUVCHAN_LOG_ERROR, "domain %d has ended: worker %d is killed", workers[i].peer.domain,
                         (int)workers[i].pid);
            kill(workers[i].pid, SIGKILL);
        }
}

static void
end_workers(void)
{
    for (int i = 0; i < WORKERS; i++)
        if (workers[i].pid != 0)
            kill(workers[i].pid, SIGTERM);
    for (int i = 0; i < WORKERS; i++)
        if (workers[i].pid != 0) {
            waitpid(workers[i].pid, NULL, 0);
            gpuvchan_listener_release(workers[i].listener, &workers[i].peer);
        }
}

static void
prepare(const char *log)
{
    struct sigaction action = {.sa_handler = on_stop};

    sigaction(SIGTERM, &action, NULL);
    log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    gpuvchan_log_set(write_log, GPUVCHAN_LOG_WARNING);
}

int
test_host_work(const struct test_service *service, int fd, const char *log)
{
    prepare(log);
    return serve(fd, &service->options);
}

int
test_host_serve(const struct test_service *services, size_t count, const char *log, int ready)
{
    struct gpuvchan_listener *listeners[TEST_SERVICES] = {NULL};
    struct pollfd waiting[TEST_SERVICES];
    int status = 0;

    alarm(0);
    prepare(log);
    for (size_t i = 0; i < count && status == 0; i++)
        if (gpuvchan_listener_create(services[i].address, &listeners[i]) != 0) {
            fprintf(stderr, "# %s\n", gpuvchan_error_text());
            stopped = status = 1;
        }
    if (status == 0) {
        (void)!write(ready, "", 1);
        close(ready);
    }
    while (!stopped) {
        for (size_t i = 0; i < count; i++)
            waiting[i] = (struct pollfd){.fd = gpuvchan_listener_fd(listeners[i]), .events = POLLIN};
        poll(waiting, count, 20);
        reap();
        for (size_t i = 0; i < count; i++)
            if (waiting[i].revents != 0)
                look_at(listeners[i], &services[i]);
    }
    end_workers();
    for (size_t i = 0; i < count; i++)
        gpuvchan_listener_destroy(listeners[i]);
    close(log_fd);
    return status;
}

/* ---- In the test ----------------------------------------------------------------------------- */

int
test_host_start(struct test_host *host, const struct test_host_options *options)
{
    struct test_service service = {.options.limits.size = sizeof(struct gpuvchan_session_limits)};
    char byte;
    int ready[2];

    host->elsewhere = false;
    snprintf(host->folder, sizeof(host->folder), "/tmp/gpuvchan-test.XXXXXX");
    if (!mkdtemp(host->folder) || pipe2(ready, O_CLOEXEC) != 0)
        return -errno;
    snprintf(host->address, sizeof(host->address), "local:%s/host", host->folder);
    snprintf(host->log, sizeof(host->log), "%s/log", host->folder);
    service.address = host->address;
    if (options)
        service.options = *options;
    fflush(NULL);
    host->pid = fork();
    if (host->pid < 0)
        return -errno;
    if (host->pid == 0) {
        close(ready[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(test_host_serve(&service, 1, host->log, ready[1]));
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
test_host_find(struct test_host *host, const char *prefix, const char *service)
{
    char address[sizeof(host->address)];
    int error;

    memset(host, 0, sizeof(*host));
    host->elsewhere = true;
    snprintf(host->address, sizeof(host->address), "%.80s/%s", prefix, service);
    snprintf(address, sizeof(address), "%.80s/monitor", prefix);
    error = monitor_open(address);
    if (error != 0)
        printf("# no monitor at %s: %s\n", address, gpuvchan_error_text());
    return error;
}

int
test_host_stop(struct test_host *host)
{
    int status = -1;
    pid_t pid = 0;

    if (host->elsewhere)
        return monitor_close(), 0;
    if (host->pid <= 0)
        return -1;
    kill(host->pid, SIGTERM);
    for (int i = 0; i < test_ms(800) && pid == 0; i++) {
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
    int fd = host->elsewhere ? -1 : open(host->log, O_RDONLY | O_CLOEXEC);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    ssize_t n = 0;

    if (host->elsewhere)
        return monitor_log();
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
    if (host->elsewhere)
        return monitor_said(text, ms);
    for (ms = test_ms(ms);; ms -= 5) {
        if (strstr(test_host_log(host), text))
            return true;
        if (ms <= 0)
            return false;
        test_sleep_ms(5);
    }
}

int
test_host_workers(const struct test_host *host, pid_t *pids, int room)
{
    char path[64];
    FILE *file;
    int count = 0, pid;

    if (host->elsewhere)
        return monitor_workers(pids, room);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)host->pid, (int)host->pid);
    file = fopen(path, "re");
    if (!file)
        return -1;
    while (fscanf(file, "%d", &pid) == 1) {
        if (pid == getpid())
            continue; /* the monitor's own worker asks */
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
    int count;

    if (host->elsewhere)
        return monitor_quiet(ms);
    count = test_host_workers(host, NULL, 0);
    for (ms = test_ms(ms); count > 0 && ms > 0; ms -= 5) {
        test_sleep_ms(5);
        count = test_host_workers(host, NULL, 0);
    }
    return count;
}

int
test_host_kill(const struct test_host *host, pid_t worker, int number)
{
    if (host->elsewhere)
        return monitor_kill(worker, number);
    if (worker <= 1)
        return -ESRCH;
    return kill(worker, number) == 0 ? 0 : -errno;
}

uint64_t
test_host_ticks(const struct test_host *host, pid_t worker)
{
    char path[64];
    unsigned long user = 0, kernel = 0;
    FILE *file;

    if (host->elsewhere)
        return monitor_ticks(worker);
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)worker);
    file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        user = kernel = 0;
    fclose(file);
    return user + kernel;
}

int
test_host_descriptors(const struct test_host *host, pid_t pid)
{
    if (host->elsewhere)
        return monitor_descriptors(pid);
    return test_descriptors(pid ? pid : host->pid);
}

bool
test_host_gone(const struct test_host *host, pid_t worker, int ms)
{
    char path[64], line[256];

    if (host->elsewhere)
        return monitor_gone(worker, ms);
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)worker);
    for (ms = test_ms(ms); ms > 0; ms -= 2) {
        FILE *file = fopen(path, "re");
        bool gone = !file || !fgets(line, sizeof(line), file) || strstr(line, ") Z ");

        if (file)
            fclose(file);
        if (gone)
            return true;
        test_sleep_ms(2);
    }
    return false;
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
