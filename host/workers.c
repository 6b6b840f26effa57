/* SPDX-License-Identifier: MIT */
/*
 * Workers, as the supervisor sees them.
 *
 * Design notes
 *
 * A process descriptor stands for each, whoever started it: it says when the process has ended, and a signal
 * through it reaches no other. Only the exit status is for the parent alone.
 */
#include "workers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy.h"
#include "worker.h"

static struct worker *
add(struct workers *workers)
{
    struct worker *grown = realloc(workers->items, (workers->count + 1) * sizeof(*grown));

    if (!grown)
        abort();
    workers->items = grown;
    grown[workers->count] = (struct worker){.pidfd = -1, .kill_at = NEVER};
    return &grown[workers->count++];
}

static void
forget(struct workers *workers, struct worker *worker)
{
    close(worker->pidfd);
    worker_file_remove(workers->folder, worker->pid);
    *worker = workers->items[--workers->count];
}

void
workers_init(struct workers *workers, const char *folder_name)
{
    *workers = (struct workers){.folder_name = folder_name, .folder = worker_files_open(folder_name)};
}

void
workers_finish(struct workers *workers)
{
    for (size_t i = 0; i < workers->count; i++)
        close(workers->items[i].pidfd);
    free(workers->items);
    if (workers->folder >= 0) {
        close(workers->folder);
        rmdir(workers->folder_name); /* fails if there are files */
    }
    *workers = (struct workers){.folder = -1};
}

/* Another host that uses the same folder may have removed it at its end. */
static void
renew_folder(struct workers *workers)
{
    struct stat status;

    if (workers->folder < 0 || fstat(workers->folder, &status) != 0 || status.st_nlink > 0)
        return;
    close(workers->folder);
    workers->folder = worker_files_open(workers->folder_name);
}

void
worker_describe(const struct worker *worker, char *text, size_t bytes)
{
    if (worker->peer.domain >= 0)
        policy_describe(&worker->peer, text, bytes);
    else
        snprintf(text, bytes, "%s, uid %u", worker->program, worker->peer.uid);
}

/* ---- Starting -------------------------------------------------------------------------------- */

/* Words for a guest process, from the kernel, not from the guest. */
static void
name_of_process(pid_t pid, char *name, size_t bytes)
{
    char path[48];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    snprintf(name, bytes, "unknown program");
    file = pid > 0 ? fopen(path, "re") : NULL;
    if (!file)
        return;
    if (fgets(name, (int)bytes, file))
        name[strcspn(name, "\n")] = '\0';
    fclose(file);
}

/* In the child: only the descriptors of a worker pass, at their numbers. */
static _Noreturn void
become_worker(int connection, int config, int folder, struct worker_record *record)
{
    char *arguments[] = {"gpuvchan-host", WORKER_ARGUMENT, NULL};
    const int wanted[] = {WORKER_CONNECTION_FD, WORKER_CONFIG_FD, WORKER_FILE_FD};
    int given[] = {connection, config, -1};
    sigset_t none;

    record->pid = getpid();
    record->started = worker_file_started(record->pid);
    if (folder >= 0)
        given[2] = worker_file_write(folder, record);
    for (size_t i = 0; i < 3; i++)
        given[i] = given[i] < 0 ? -1 : fcntl(given[i], F_DUPFD, WORKER_FILE_FD + 1);
    for (size_t i = 0; i < 3; i++)
        if (given[i] < 0)
            close(wanted[i]);
        else if (dup2(given[i], wanted[i]) < 0)
            _exit(WORKER_NO_EXEC);
    close_range(WORKER_FILE_FD + 1, ~0u, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv("/proc/self/exe", arguments);
    _exit(WORKER_NO_EXEC);
}

int
workers_start(struct workers *workers, int connection, int config, const char *address, size_t listener,
              const struct gpuvchan_peer *peer, struct worker **out)
{
    struct worker_record record = {.peer = *peer};
    struct worker *worker;
    int pidfd, error;
    pid_t pid;

    snprintf(record.address, sizeof(record.address), "%s", address);
    if (peer->domain < 0)
        name_of_process(peer->pid, record.program, sizeof(record.program));
    renew_folder(workers);
    pid = fork();
    if (pid == 0)
        become_worker(connection, config, workers->folder, &record);
    if (pid < 0)
        return -errno;
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        error = -errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        worker_file_remove(workers->folder, pid);
        return error;
    }
    worker = add(workers);
    worker->pid = pid;
    worker->pidfd = pidfd;
    worker->listener = listener;
    worker->peer = *peer;
    memcpy(worker->program, record.program, sizeof(worker->program));
    *out = worker;
    return 0;
}

int
workers_adopt(struct workers *workers, const struct worker_record *record, size_t listener, struct worker **out)
{
    int pidfd = (int)syscall(SYS_pidfd_open, record->pid, 0);
    struct worker *worker;

    /* A process that a plugin left behind may hold the lock, too: it is not the worker. */
    if (pidfd < 0 || (record->started != 0 && worker_file_started(record->pid) != record->started)) {
        if (pidfd >= 0)
            close(pidfd);
        return -ESRCH;
    }
    worker = add(workers);
    worker->pid = record->pid;
    worker->pidfd = pidfd;
    worker->adopted = true;
    worker->listener = listener;
    worker->peer = record->peer;
    memcpy(worker->program, record->program, sizeof(worker->program));
    *out = worker;
    return 0;
}

/* ---- Looking --------------------------------------------------------------------------------- */

struct worker *
workers_find(const struct workers *workers, pid_t pid)
{
    for (size_t i = 0; i < workers->count; i++)
        if (workers->items[i].pid == pid)
            return &workers->items[i];
    return NULL;
}

size_t
workers_of_domain(const struct workers *workers, int32_t domain)
{
    size_t count = 0;

    for (size_t i = 0; i < workers->count; i++)
        count += workers->items[i].peer.domain == domain;
    return count;
}

/* ---- Ending ---------------------------------------------------------------------------------- */

static void
send_signal(const struct worker *worker, int number)
{
    syscall(SYS_pidfd_send_signal, worker->pidfd, number, NULL, 0);
}

void
worker_end(struct worker *worker, int64_t kill_at)
{
    if (worker->told)
        return;
    worker->told = true;
    worker->kill_at = kill_at;
    send_signal(worker, SIGTERM);
}

void
workers_kill_late(struct workers *workers, int64_t now)
{
    for (size_t i = 0; i < workers->count; i++)
        if (workers->items[i].kill_at <= now) {
            workers->items[i].kill_at = NEVER;
            send_signal(&workers->items[i], SIGKILL);
        }
}

int64_t
workers_next_kill(const struct workers *workers)
{
    int64_t next = NEVER;

    for (size_t i = 0; i < workers->count; i++)
        if (workers->items[i].kill_at < next)
            next = workers->items[i].kill_at;
    return next;
}

/* @return whether it crashed. */
static bool
log_end(const struct worker *worker, int status)
{
    static const char *const words[] = {
        [WORKER_DONE] = "ended",
        [WORKER_FAILED] = "could not serve its guest",
        [WORKER_CORRUPT] = "ended its guest, which broke the protocol",
        [WORKER_STUCK] = "was stuck in a plugin",
        [WORKER_NO_EXEC] = "could not be started from /proc/self/exe",
    };
    enum gpuvchan_log_level level = GPUVCHAN_LOG_WARNING;
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    unsigned code = WIFEXITED(status) ? (unsigned)WEXITSTATUS(status) : 0;
    bool known = number == 0 && code < sizeof(words) / sizeof(words[0]);
    bool ours = worker->told && (number == SIGKILL || number == SIGTERM);
    char who[96], how[96];

    if (number != 0)
        snprintf(how, sizeof(how), "killed by signal %d (%s)", number, strsignal(number));
    else if (known)
        snprintf(how, sizeof(how), "%s", words[code]);
    else
        snprintf(how, sizeof(how), "ended with status %u", code);
    if (ours || (known && code == WORKER_DONE))
        level = GPUVCHAN_LOG_INFO;
    else if (number != 0)
        level = GPUVCHAN_LOG_ERROR;
    worker_describe(worker, who, sizeof(who));
    gpuvchan_log(level, "%sworker %d (%s) %s", worker->adopted ? "adopted " : "", (int)worker->pid, who, how);
    return !known && !ours;
}

bool
workers_bury(struct workers *workers, struct worker *worker, bool *crashed)
{
    int status = 0;

    if (!worker->adopted && waitpid(worker->pid, &status, WNOHANG) != worker->pid)
        return false;
    *crashed = log_end(worker, status);
    forget(workers, worker);
    return true;
}
