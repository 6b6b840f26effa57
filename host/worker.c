/* SPDX-License-Identifier: MIT */
/*
 * The worker.
 *
 * Design notes
 *
 * It begins with a fresh address space, the guest's connection and a sealed configuration, and nothing
 * else of the supervisor. Plugins load first, since drivers want their freedom then (some start a setuid
 * helper); then it can gain no rights any more, and reads the guest's hello, whose memory it maps: on Xen
 * that needs root. Then it gives up other domains and becomes another user, if it is told to, and only then
 * does it look into that memory.
 *
 * A spare worker is started before there is a guest for it. Then its plugins do what takes long, and it waits for the
 * connection, which comes through a socket; from there on it is like any other. Without a supervisor it ends. A driver
 * may remember as whom it was started: a worker that is to become another user does so before, and where it cannot yet,
 * since its guest may come through Xen, nothing is started beforehand.
 *
 * It lives as long as its guest, not as long as the supervisor. Whatever a plugin does, the process ends
 * soon after the guest: gpuvchan_session_run() gives up lanes that are stuck, and an alarm what closes.
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "plugin.h"
#include "privileges.h"
#include "worker_link.h"

#define CLOSE_SECONDS 3

static struct gpuvchan_session *_Atomic running; /* for the signal handler */

static void
on_terminate(int number)
{
    struct gpuvchan_session *session = running;

    (void)number;
    if (!session)
        _exit(WORKER_DONE); /* nothing has been built up yet, or nearly all is taken down */
    gpuvchan_session_stop(session);
}

static void
on_alarm(int number)
{
    (void)number;
    log_from_signal("error: a plugin did not close in time; the worker ends without it");
    _exit(WORKER_STUCK);
}

static void
handle_signals(void)
{
    struct sigaction action = {.sa_handler = on_terminate, .sa_flags = SA_RESTART};

    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    /* A terminal sends these to all its processes; the supervisor decides for its workers. */
    action.sa_handler = SIG_IGN;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGPIPE, &action, NULL);
}

/* With the guest's memory mapped, neither other domains nor the host's own rights are needed any more. */
static int
give_up_rights(const struct host_options *options, struct gpuvchan_session *session, bool dropped)
{
    char error[OPTIONS_ERROR];
    int result = gpuvchan_session_restrict(session);

    if (result != 0)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "keeps its access to other domains: %s", strerror(-result));
    result = dropped ? 0 : privileges_drop(options, error);
    if (result != 0)
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "%s; the worker ends", error);
    return result;
}

static int
serve(struct gpuvchan_session *session, const struct host_plugins *plugins)
{
    int result;

    for (size_t i = 0; i < plugins->count; i++)
        if (gpuvchan_session_offer(session, &plugins->items[i].api) != 0)
            gpuvchan_log(GPUVCHAN_LOG_ERROR, "plugin %s is not offered: %s", plugins->items[i].api.name,
                         gpuvchan_error_text());
    gpuvchan_log(GPUVCHAN_LOG_DEBUG, "serves %s", gpuvchan_session_program(session));
    running = session;
    result = gpuvchan_session_run(session);
    switch (result) {
    case 0:
        return WORKER_DONE;
    case -EPROTO:
        return WORKER_CORRUPT;
    case -ETIMEDOUT:
        return WORKER_STUCK;
    default:
        return WORKER_FAILED;
    }
}

static int
accept_and_serve(const struct host_options *options, const struct host_plugins *plugins, int connection, bool dropped)
{
    static int link = WORKER_LINK_FD;
    static const struct gpuvchan_keeping keeping = {
        .size = sizeof(keeping), .user = &link, .find = worker_link_find, .keep = worker_link_keep};
    struct gpuvchan_session_limits limits = {
        .size = sizeof(limits),
        .arena_bytes = (uint64_t)options->max_arena,
        .lanes = (uint32_t)options->max_lanes,
        .spin_us = options->spin_us == 0 ? -1 : (int32_t)options->spin_us, /* there, 0 is the default */
        .trace = options->trace,
        .keeping = options->keep > 0 ? &keeping : NULL,
        .keep_bytes = (uint64_t)options->keep,
    };
    struct gpuvchan_session *session;
    int result = gpuvchan_session_accept(connection, &limits, &session);

    if (result == -ECONNRESET) {
        gpuvchan_log(GPUVCHAN_LOG_DEBUG, "no session: %s", gpuvchan_error_text());
        return WORKER_DONE; /* somebody only looked whether a host is there */
    }
    if (result != 0) {
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "no session: %s", gpuvchan_error_text());
        return result == -EPROTO ? WORKER_CORRUPT : WORKER_FAILED;
    }
    result = give_up_rights(options, session, dropped) == 0 ? serve(session, plugins) : WORKER_FAILED;
    if (result == WORKER_STUCK) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "a plugin's handler does not return; the worker ends without it");
        _exit(WORKER_STUCK);
    }
    alarm(CLOSE_SECONDS); /* stays set to the end: also unloading a driver may hang */
    running = NULL;
    gpuvchan_session_destroy(session);
    return result;
}

static bool
is_handed_over(bool spare)
{
    return (spare || fcntl(WORKER_CONNECTION_FD, F_GETFD) >= 0) && fcntl(WORKER_CONFIG_FD, F_GET_SEALS) >= 0 &&
           fcntl(WORKER_LINK_FD, F_GETFD) >= 0;
}

/* @return the guest's connection, or -1: there will be none. */
static int
await_guest(const struct host_options *options, const struct host_plugins *plugins, bool local, bool *dropped)
{
    bool changes = options->user[0] || options->group[0];
    char error[OPTIONS_ERROR];

    *dropped = changes && local;
    if (*dropped && privileges_drop(options, error) != 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "%s; the worker ends", error);
        return -1;
    }
    if (!changes || local)
        plugins_warm(plugins);
    return worker_link_await(WORKER_LINK_FD);
}

int
worker_main(enum worker_kind kind)
{
    struct host_options options;
    struct host_plugins plugins;
    char error[OPTIONS_ERROR], who[32];
    int result, connection = WORKER_CONNECTION_FD;
    bool spare = kind != WORKER_WITH_GUEST, dropped = false;

    if (!is_handed_over(spare)) {
        fprintf(stderr, "gpuvchan-host: %s is for the host itself: a worker is started with a guest's connection\n",
                WORKER_ARGUMENT);
        return WORKER_FAILED;
    }
    fcntl(WORKER_CONNECTION_FD, F_SETFD, FD_CLOEXEC);
    fcntl(WORKER_LINK_FD, F_SETFD, FD_CLOEXEC);
    fcntl(WORKER_FILE_FD, F_SETFD, FD_CLOEXEC); /* stays open: its lock says that this process lives */
    handle_signals();
    prctl(PR_SET_NAME, "gpuvchan-worker");
    result = config_take_over(&options, WORKER_CONFIG_FD, error);
    close(WORKER_CONFIG_FD);
    snprintf(who, sizeof(who), "worker %d", (int)getpid());
    log_open(&options, who, false);
    log_keep();
    if (result != 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "%s", error);
        if (!spare)
            gpuvchan_session_refuse(WORKER_CONNECTION_FD, -EINVAL, "the host's configuration cannot be read");
        options_finish(&options);
        return WORKER_FAILED;
    }
    plugins_load(&plugins, &options, true);
    privileges_restrict();
    if (spare)
        connection = await_guest(&options, &plugins, kind == WORKER_LOCAL_SPARE, &dropped);
    result = connection < 0 ? WORKER_DONE : accept_and_serve(&options, &plugins, connection, dropped);
    plugins_unload(&plugins);
    options_finish(&options);
    return result;
}
