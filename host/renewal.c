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
 * Up to exec all can be given up. Behind it there is no way back, and what can fail there is looked at before.
 */
#include "renewal.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"
#include "renewal_status.h"
#include "worker.h"

#define HANDLERS_MS 3000 /* that those which run may take; all other lanes wait for them */

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1u << 2)
#endif

static const int passed[] = {WORKER_CONNECTION_FD, WORKER_CONFIG_FD, WORKER_FILE_FD, WORKER_STATUS_FD,
                             WORKER_SNAPSHOT_FD};

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

    memory_at(WORKER_STATUS_FD, RENEWAL_STATUS_NAME);
    memory_at(WORKER_SNAPSHOT_FD, "gpuvchan-snapshot");
    return heir;
}

static void
pass(bool on)
{
    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
        fcntl(passed[i], F_SETFD, on ? 0 : FD_CLOEXEC); /* that of the file may be missing */
}

/* ---- The old program ------------------------------------------------------------------------- */

static int
find_unreadable(struct dl_phdr_info *info, size_t size, void *user)
{
    const char **found = user;

    (void)size;
    /* What a package has replaced since is not there, and others take its place. */
    if (info->dlpi_name[0] != '/' || faccessat(AT_FDCWD, info->dlpi_name, R_OK, AT_EACCESS) == 0 || errno != EACCES)
        return 0;
    *found = info->dlpi_name;
    return 1;
}

/* The user that this process has become may not be able to do what the one could that started it. */
static bool
can_start(char *why, size_t bytes)
{
    const char *unreadable = NULL;

    if (faccessat(AT_FDCWD, "/proc/self/exe", X_OK, AT_EACCESS) != 0) {
        snprintf(why, bytes, "the program cannot be started anew by user %u: %s", geteuid(), strerror(errno));
        return false;
    }
    dl_iterate_phdr(find_unreadable, &unreadable);
    if (unreadable) {
        snprintf(why, bytes, "user %u cannot read %s, which this worker has loaded", geteuid(), unreadable);
        return false;
    }
    return true;
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
        gpuvchan_session_keep(session, true) == 0) {
        pass(true);
        execv("/proc/self/exe", arguments);
    }
    snprintf(why, bytes, "the program could not be started anew: %s", strerror(errno));
    pass(false);
    gpuvchan_session_keep(session, false);
    pthread_sigmask(SIG_UNBLOCK, &usr2, NULL);
}

void
renewal_attempt(struct gpuvchan_session *session, const struct host_options *options)
{
    char why[OPTIONS_ERROR] = "there is no memory for a snapshot";
    int error;

    (void)options;
    if (!is_memory(WORKER_SNAPSHOT_FD) || ftruncate(WORKER_SNAPSHOT_FD, 0) != 0 ||
        lseek(WORKER_SNAPSHOT_FD, 0, SEEK_SET) != 0) {
        refuse(why);
        return;
    }
    if (!can_start(why, sizeof(why))) {
        refuse(why);
        return;
    }
    gpuvchan_log(GPUVCHAN_LOG_DEBUG, "is being renewed");
    error = gpuvchan_session_suspend(session, WORKER_SNAPSHOT_FD, HANDLERS_MS);
    if (error != 0)
        snprintf(why, sizeof(why), "%s", gpuvchan_error_text());
    else
        start_anew(session, why, sizeof(why));
    refuse(why);
    if (ftruncate(WORKER_SNAPSHOT_FD, 0) != 0)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "the snapshot keeps its memory: %s", strerror(errno));
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
    if (ftruncate(WORKER_SNAPSHOT_FD, 0) != 0)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "the snapshot keeps its memory: %s", strerror(errno));
}
