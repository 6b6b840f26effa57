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
#include "worker_link.h"

#define WARM_MS 3000 /* a spare worker that is not ready by then has a driver that hangs */
#define SPARE_STOP_MS 2000

static struct worker *
add(struct workers *workers)
{
    struct worker *grown = realloc(workers->items, (workers->count + 1) * sizeof(*grown));

    if (!grown)
        abort();
    workers->items = grown;
    grown[workers->count] = (struct worker){.pidfd = -1, .link = -1, .listener = SIZE_MAX, .kill_at = NEVER};
    return &grown[workers->count++];
}

void
worker_close_link(struct worker *worker)
{
    if (worker->link >= 0)
        close(worker->link);
    worker->link = -1;
}

static void
forget(struct workers *workers, struct worker *worker)
{
    close(worker->pidfd);
    worker_close_link(worker);
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
    for (size_t i = 0; i < workers->count; i++) {
        close(workers->items[i].pidfd);
        worker_close_link(&workers->items[i]);
    }
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
    if (worker->spare)
        snprintf(text, bytes, "spare");
    else if (worker->peer.domain >= 0)
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

/* In the child: only the descriptors of a worker pass, at their numbers. @p record is NULL for a spare one. */
static _Noreturn void
become_worker(const char *kind, int connection, int config, int link, int folder, struct worker_record *record)
{
    char *arguments[] = {"gpuvchan-host", (char *)(uintptr_t)kind, NULL};
    const int wanted[] = {WORKER_CONNECTION_FD, WORKER_CONFIG_FD, WORKER_LINK_FD, WORKER_FILE_FD};
    int given[] = {connection, config, link, -1};
    sigset_t none;

    if (record) {
        record->pid = getpid();
        record->started = worker_file_started(record->pid);
    }
    if (record && folder >= 0)
        given[3] = worker_file_write(folder, record);
    for (size_t i = 0; i < 4; i++)
        given[i] = given[i] < 0 ? -1 : fcntl(given[i], F_DUPFD, WORKER_FILE_FD + 1);
    for (size_t i = 0; i < 4; i++)
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

/* Starts the process; @p record is NULL for a spare one. @return 0 or -errno. */
static int
spawn(struct workers *workers, const char *kind, int connection, int config, struct worker_record *record,
      struct worker **out)
{
    int links[2], pidfd = -1, error = worker_link_create(links);
    pid_t pid;

    if (error != 0)
        return error;
    pid = fork();
    if (pid == 0)
        become_worker(kind, connection, config, links[1], workers->folder, record);
    error = pid < 0 || (pidfd = (int)syscall(SYS_pidfd_open, pid, 0)) < 0 ? -errno : 0;
    close(links[1]);
    if (error == 0) {
        *out = add(workers);
        (*out)->pid = pid;
        (*out)->pidfd = pidfd;
        (*out)->link = links[0];
        return 0;
    }
    close(links[0]);
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        worker_file_remove(workers->folder, pid);
    }
    return error;
}

static void
describe_guest(struct worker_record *record, const char *address, const struct gpuvchan_peer *peer)
{
    *record = (struct worker_record){.peer = *peer};
    snprintf(record->address, sizeof(record->address), "%s", address);
    if (peer->domain < 0)
        name_of_process(peer->pid, record->program, sizeof(record->program));
}

static void
begin_serving(struct worker *worker, size_t listener, const struct worker_record *record)
{
    worker->listener = listener;
    worker->peer = record->peer;
    memcpy(worker->program, record->program, sizeof(worker->program));
}

int
workers_start(struct workers *workers, int connection, int config, const char *address, size_t listener,
              const struct gpuvchan_peer *peer, struct worker **out)
{
    struct worker_record record;
    int error;

    describe_guest(&record, address, peer);
    renew_folder(workers);
    error = spawn(workers, WORKER_ARGUMENT, connection, config, &record, out);
    if (error == 0)
        begin_serving(*out, listener, &record);
    return error;
}

/* ---- Spare ones ------------------------------------------------------------------------------ */

int
workers_start_spare(struct workers *workers, int config, bool local, int64_t now, struct worker **out)
{
    const char *kind = local ? WORKER_LOCAL_SPARE_ARGUMENT : WORKER_SPARE_ARGUMENT;
    int error = spawn(workers, kind, -1, config, NULL, out);

    if (error != 0)
        return error;
    (*out)->spare = true;
    (*out)->born = now;
    return 0;
}

static bool
waits(const struct worker *worker)
{
    return worker->spare && !worker->told;
}

/*
 * One that is not ready yet has a start over a new one, and gets its guest all the same; but one whose driver hangs
 * does not keep a guest waiting that may want another plugin.
 */
static struct worker *
find_spare(struct workers *workers, int64_t now)
{
    struct worker *oldest = NULL;

    for (size_t i = 0; i < workers->count; i++) {
        struct worker *worker = &workers->items[i];

        if (!waits(worker))
            continue;
        if (now - worker->born > WARM_MS && !worker->ready) {
            gpuvchan_log(GPUVCHAN_LOG_WARNING, "spare worker %d does not get ready: it is ended", (int)worker->pid);
            worker_end(worker, now + SPARE_STOP_MS);
        } else if (!oldest || worker->born < oldest->born) {
            oldest = worker;
        }
    }
    return oldest;
}

/*
 * gpuvchan-run connects only to see whether somebody answers, and then becomes the program: that comes next, and shall
 * have the spare worker. Who takes that name deceives itself.
 */
static bool
only_looks(const struct worker_record *record)
{
    return strcmp(record->program, "gpuvchan-run") == 0;
}

struct worker *
workers_take_spare(struct workers *workers, int connection, const char *address, size_t listener,
                   const struct gpuvchan_peer *peer, int64_t now)
{
    struct worker_record record;
    struct worker *worker;
    int file, error;

    describe_guest(&record, address, peer);
    worker = only_looks(&record) ? NULL : find_spare(workers, now);
    if (!worker)
        return NULL;
    renew_folder(workers);
    record.pid = worker->pid;
    record.started = worker_file_started(record.pid);
    file = workers->folder < 0 ? -1 : worker_file_write(workers->folder, &record);
    error = worker_link_hand_over(worker->link, connection, file);
    if (file >= 0)
        close(file);
    if (error != 0)
        return NULL; /* it has just died, of which its descriptor will tell */
    worker->spare = false;
    begin_serving(worker, listener, &record);
    return worker;
}

void
workers_end_spares(struct workers *workers, int64_t kill_at)
{
    for (size_t i = 0; i < workers->count; i++)
        if (waits(&workers->items[i]))
            worker_end(&workers->items[i], kill_at);
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
        count += !workers->items[i].spare && workers->items[i].peer.domain == domain;
    return count;
}

size_t
workers_spare(const struct workers *workers)
{
    size_t count = 0;

    for (size_t i = 0; i < workers->count; i++)
        count += waits(&workers->items[i]);
    return count;
}

size_t
workers_serving(const struct workers *workers)
{
    size_t count = 0;

    for (size_t i = 0; i < workers->count; i++)
        count += !workers->items[i].spare;
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
        level = worker->spare ? GPUVCHAN_LOG_DEBUG : GPUVCHAN_LOG_INFO;
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
