/* SPDX-License-Identifier: MIT */
/*
 * Renewing a worker.
 *
 * Design notes
 *
 * A process cannot get rid of a driver's memory and threads, nor of a plugin's old code, but exec does. It keeps the
 * process's number, parent and locked file, so that no supervisor needs to know; and the guest's
 * connection and memory, whose descriptors pass. Everything else is closed, whoever opened it: a driver's
 * descriptors hold the GPU's memory.
 *
 * Up to exec all can be given up. Behind it there is no way back: what can fail there is tried before, by another
 * process, while the guest is served.
 */
#include "renewal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "plugin.h"
#include "renewal_status.h"
#include "worker.h"

#define HANDLERS_MS 3000   /* that those which run may take; all other lanes wait for them */
#define REHEARSAL_MS 30000 /* nobody waits for that but who asked */

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1u << 2)
#endif

static bool has_file; /* or its number is anybody's */

/* ---- Status ---------------------------------------------------------------------------------- */

static void
answer(const char *words)
{
    char text[RENEWAL_STATUS_BYTES - RENEWAL_STATUS_DIGITS] = " ";
    char digits[RENEWAL_STATUS_BYTES] = "";
    unsigned count = 0;

    if (pread(WORKER_STATUS_FD, digits, RENEWAL_STATUS_DIGITS, 0) == RENEWAL_STATUS_DIGITS)
        count = (unsigned)strtoul(digits, NULL, 10);
    snprintf(text, sizeof(text), " %s", words);
    snprintf(digits, sizeof(digits), "%0*u", RENEWAL_STATUS_DIGITS, (count + 1) % 100000000);
    if (pwrite(WORKER_STATUS_FD, text, sizeof(text), RENEWAL_STATUS_DIGITS) != (ssize_t)sizeof(text) ||
        pwrite(WORKER_STATUS_FD, digits, RENEWAL_STATUS_DIGITS, 0) != RENEWAL_STATUS_DIGITS)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "who asked for the renewal cannot be told: %s", strerror(errno));
}

static void
refuse(const char *why)
{
    gpuvchan_log(GPUVCHAN_LOG_WARNING, "is not renewed, and serves on: %s", why);
    answer(why);
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

static bool
is_memory(int fd)
{
    return fcntl(fd, F_GET_SEALS) >= 0;
}

static int
empty_snapshot(void)
{
    if (ftruncate(WORKER_SNAPSHOT_FD, 0) == 0 && lseek(WORKER_SNAPSHOT_FD, 0, SEEK_SET) == 0)
        return 0;
    gpuvchan_log(GPUVCHAN_LOG_WARNING, "there is no memory for a snapshot: %s", strerror(errno));
    return -EIO;
}

/* A file in memory at a fixed number, unless there is one. */
static void
memory_at(int wanted, const char *name)
{
    int fd = is_memory(wanted) ? wanted : memfd_create(name, MFD_CLOEXEC);

    if (fd != wanted && (fd < 0 || dup3(fd, wanted, O_CLOEXEC) < 0))
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "cannot be renewed: %s", strerror(errno));
    if (fd >= 0 && fd != wanted)
        close(fd);
    fcntl(wanted, F_SETFD, FD_CLOEXEC);
}

bool
renewal_prepare(void)
{
    bool heir = is_memory(WORKER_SNAPSHOT_FD);

    has_file = fcntl(WORKER_FILE_FD, F_GETFD) >= 0;
    memory_at(WORKER_STATUS_FD, RENEWAL_STATUS_NAME);
    memory_at(WORKER_SNAPSHOT_FD, "gpuvchan-snapshot");
    return heir;
}

/* What a fresh program gets beside the session's own. */
static void
pass(bool on)
{
    static const int passed[] = {WORKER_CONFIG_FD, WORKER_LINK_FD, WORKER_STATUS_FD, WORKER_SNAPSHOT_FD,
                                 WORKER_FILE_FD};

    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
        if (passed[i] != WORKER_FILE_FD || has_file)
            fcntl(passed[i], F_SETFD, on ? 0 : FD_CLOEXEC);
}

/* ---- The old program ------------------------------------------------------------------------- */

/* With all that a fresh program gets of this one, and a pipe where the connection would be. */
static pid_t
start_rehearsal(int report)
{
    static char *const arguments[] = {"gpuvchan-host", WORKER_REHEARSAL_ARGUMENT, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    pid_t pid = -1;
    int error;

    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, report, WORKER_CONNECTION_FD);
    posix_spawn_file_actions_adddup2(&actions, WORKER_CONFIG_FD, WORKER_CONFIG_FD); /* passes exec by that */
    posix_spawn_file_actions_adddup2(&actions, WORKER_SNAPSHOT_FD, WORKER_SNAPSHOT_FD);
    error = posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    errno = error;
    return error == 0 ? pid : -1;
}

/* @return whether it reported nothing but success within the time. */
static bool
await_rehearsal(pid_t pid, int report, char *why, size_t bytes)
{
    struct pollfd waiting = {.fd = report, .events = POLLIN};
    ssize_t got = 0;
    int status = 0;
    bool in_time;
    int ready;

    do
        ready = poll(&waiting, 1, REHEARSAL_MS);
    while (ready < 0 && errno == EINTR);
    in_time = ready > 0;
    if (in_time)
        got = read(report, why, bytes - 1);
    else
        kill(pid, SIGKILL);
    why[got > 0 ? got : 0] = '\0';
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (in_time && got <= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (!in_time)
        snprintf(why, bytes, "a fresh worker, started to try it, did not load its plugins within %d s",
                 REHEARSAL_MS / 1000);
    else if (got <= 0)
        snprintf(why, bytes, "a fresh worker, started to try it, ended with status 0x%x: see the log", status);
    return false;
}

/*
 * Another process goes the steps that this one will, up to where the session is taken over: the program, as the
 * user that this process has become, its libraries and plugins may not be what they were.
 */
static bool
rehearse(struct gpuvchan_session *session, char *why, size_t bytes)
{
    int ends[2], error = empty_snapshot();
    pid_t pid;
    bool good;

    if (error == 0)
        error = gpuvchan_session_announce(session, WORKER_SNAPSHOT_FD);
    if (error != 0 || lseek(WORKER_SNAPSHOT_FD, 0, SEEK_SET) != 0 || pipe2(ends, O_CLOEXEC) != 0) {
        snprintf(why, bytes, "%s", error ? gpuvchan_error_text() : strerror(errno));
        return false;
    }
    pid = start_rehearsal(ends[1]);
    close(ends[1]);
    good = pid > 0 && await_rehearsal(pid, ends[0], why, bytes);
    if (pid < 0)
        snprintf(why, bytes, "the program cannot be started anew by user %u: %s", geteuid(), strerror(errno));
    close(ends[0]);
    return good;
}

/* Returns if there is no exec. */
static void
start_anew(struct gpuvchan_session *session, char *why, size_t bytes)
{
    char *arguments[] = {"gpuvchan-host", WORKER_ARGUMENT, NULL};
    sigset_t usr2;

    /* Until the fresh program has its handler, another request waits. */
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &usr2, NULL);
    log_give_back();
    if (lseek(WORKER_SNAPSHOT_FD, 0, SEEK_SET) == 0 && close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0 &&
        gpuvchan_session_pass(session, true) == 0) {
        pass(true);
        execv("/proc/self/exe", arguments);
    }
    snprintf(why, bytes, "the program could not be started anew: %s", strerror(errno));
    pass(false);
    gpuvchan_session_pass(session, false);
    pthread_sigmask(SIG_UNBLOCK, &usr2, NULL);
}

void
renewal_attempt(struct gpuvchan_session *session)
{
    char why[OPTIONS_ERROR];
    bool ready = rehearse(session, why, sizeof(why)) && empty_snapshot() == 0;

    if (ready && gpuvchan_session_suspend(session, WORKER_SNAPSHOT_FD, HANDLERS_MS) != 0)
        snprintf(why, sizeof(why), "%s", gpuvchan_error_text());
    else if (ready)
        start_anew(session, why, sizeof(why));
    refuse(why);
    empty_snapshot();
}

/* ---- Another one, which only tries ------------------------------------------------------------ */

static char said[OPTIONS_ERROR]; /* the last line of the log, which the worker's own has had already */

static void
remember(enum gpuvchan_log_level level, const char *text)
{
    if (level <= GPUVCHAN_LOG_WARNING)
        snprintf(said, sizeof(said), "%s", text);
}

/* And the end: a driver that was only loaded need not be unloaded. */
static _Noreturn void
report(const char *text)
{
    bool more = said[0] && strcmp(said, text) != 0;

    dprintf(WORKER_CONNECTION_FD, "%s%s%s (tried by a fresh worker, as user %u)", text, more ? "; " : "",
            more ? said : "", geteuid());
    _exit(1);
}

int
renewal_rehearsal_main(void)
{
    struct host_options options;
    struct host_plugins plugins;
    char error[OPTIONS_ERROR];
    const struct gpuvchan_plugin **offers;

    if (!is_memory(WORKER_CONFIG_FD) || !is_memory(WORKER_SNAPSHOT_FD)) {
        fprintf(stderr, "gpuvchan-host: %s is for the host itself\n", WORKER_REHEARSAL_ARGUMENT);
        return 1;
    }
    close_range(WORKER_SNAPSHOT_FD + 1, ~0u, 0);
    if (config_take_over(&options, WORKER_CONFIG_FD, error) != 0)
        report(error);
    gpuvchan_log_set(remember, GPUVCHAN_LOG_WARNING);
    plugins_load(&plugins, &options, true);
    offers = calloc(plugins.count + 1, sizeof(*offers));
    for (size_t i = 0; offers && i < plugins.count; i++)
        offers[i] = &plugins.items[i].api;
    if (!offers || gpuvchan_session_foresee(WORKER_SNAPSHOT_FD, offers, plugins.count) != 0)
        report(gpuvchan_error_text());
    _exit(0);
}

/* ---- The fresh one --------------------------------------------------------------------------- */

int
renewal_take_over(const struct gpuvchan_session_limits *limits, struct gpuvchan_session **out)
{
    int error = gpuvchan_session_reopen(WORKER_CONNECTION_FD, WORKER_SNAPSHOT_FD, limits, out);

    if (error != 0)
        renewal_done(error);
    return error;
}

void
renewal_done(int error)
{
    char why[OPTIONS_ERROR];

    if (error == 0) {
        gpuvchan_log(GPUVCHAN_LOG_INFO, "has been renewed");
        answer(RENEWAL_STATUS_DONE);
    } else {
        snprintf(why, sizeof(why), "the guest has lost its worker, which could not go on: %s", gpuvchan_error_text());
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "%s", why);
        answer(why);
    }
    empty_snapshot();
}
