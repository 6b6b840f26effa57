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
 * Told by SIGUSR2, it goes on as a program started anew: renewal.c. The rights that it has given up by then stay so.
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
#include "renewal.h"
#include "worker_link.h"

#define CLOSE_SECONDS 3

static struct gpuvchan_session *_Atomic running; /* for the signal handlers */
static _Atomic bool renewal_asked;

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
on_renewal(int number)
{
    struct gpuvchan_session *session = running;

    (void)number;
    renewal_asked = true;
    if (session)
        gpuvchan_session_interrupt(session);
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
    sigset_t usr2;

    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = on_renewal;
    sigaction(SIGUSR2, &action, NULL);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    /* A terminal sends these to all its processes; the supervisor decides for its workers. */
    action.sa_handler = SIG_IGN;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGPIPE, &action, NULL);
    /* A renewed worker begins with it blocked. */
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    sigprocmask(SIG_UNBLOCK, &usr2, NULL);
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

static void
offer_plugins(struct gpuvchan_session *session, const struct host_plugins *plugins)
{
    for (size_t i = 0; i < plugins->count; i++)
        if (gpuvchan_session_offer(session, &plugins->items[i].api) != 0)
            gpuvchan_log(GPUVCHAN_LOG_ERROR, "plugin %s is not offered: %s", plugins->items[i].api.name,
                         gpuvchan_error_text());
}

static int
serve(struct gpuvchan_session *session)
{
    int result;

    gpuvchan_log(GPUVCHAN_LOG_DEBUG, "serves %s", gpuvchan_session_program(session));
    running = session;
    do {
        if (atomic_exchange(&renewal_asked, false))
            renewal_attempt(session);
        result = gpuvchan_session_run(session);
    } while (result == -EINTR);
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

static void
set_limits(const struct host_options *options, struct gpuvchan_session_limits *limits)
{
    static int link = WORKER_LINK_FD;
    static const struct gpuvchan_keeping keeping = {
        .size = sizeof(keeping), .user = &link, .find = worker_link_find, .keep = worker_link_keep};

    *limits = (struct gpuvchan_session_limits){
        .size = sizeof(*limits),
        .arena_bytes = (uint64_t)options->max_arena,
        .lanes = (uint32_t)options->max_lanes,
        .spin_us = options->spin_us == 0 ? -1 : (int32_t)options->spin_us, /* there, 0 is the default */
        .trace = options->trace,
        .keeping = options->keep > 0 ? &keeping : NULL,
        .keep_bytes = (uint64_t)options->keep,
    };
}

/* @return 0 or -errno, logged. */
static int
accept_session(const struct host_options *options, const struct gpuvchan_session_limits *limits, bool dropped,
               struct gpuvchan_session **out)
{
    int result = gpuvchan_session_accept(WORKER_CONNECTION_FD, limits, out);

    if (result != 0) {
        /* A connection that ends at once: somebody only looked whether a host is there. */
        gpuvchan_log(result == -ECONNRESET ? GPUVCHAN_LOG_DEBUG : GPUVCHAN_LOG_WARNING, "no session: %s",
                     gpuvchan_error_text());
        return result;
    }
    result = give_up_rights(options, *out, dropped);
    if (result != 0)
        gpuvchan_session_destroy(*out);
    return result == 0 ? 0 : -EPERM;
}

/* @p heir: in the place of a program that has given up its rights already. @p dropped: those of the host alone. */
static int
begin_and_serve(const struct host_options *options, const struct host_plugins *plugins, bool heir, bool dropped)
{
    struct gpuvchan_session_limits limits;
    struct gpuvchan_session *session;
    int result;

    set_limits(options, &limits);
    result = heir ? renewal_take_over(&limits, &session) : accept_session(options, &limits, dropped, &session);
    if (result == -ECONNRESET)
        return WORKER_DONE;
    if (result != 0)
        return result == -EPROTO && !heir ? WORKER_CORRUPT : WORKER_FAILED;
    offer_plugins(session, plugins);
    if (heir)
        renewal_done(gpuvchan_session_resume(session)); /* if it failed, serve() ends the session with that */
    result = serve(session);
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

/* What comes later has its number now: a driver would take it. */
static void
hold_numbers(void)
{
    static const int later[] = {WORKER_CONNECTION_FD, WORKER_FILE_FD};

    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
        if (fcntl(later[i], F_GETFD) < 0)
            dup3(WORKER_CONFIG_FD, later[i], O_CLOEXEC);
}

/* @return whether a guest has come. */
static bool
await_guest(const struct host_options *options, const struct host_plugins *plugins, bool local, bool *dropped)
{
    bool changes = options->user[0] || options->group[0];
    char error[OPTIONS_ERROR];

    *dropped = changes && local;
    if (*dropped && privileges_drop(options, error) != 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "%s; the worker ends", error);
        return false;
    }
    if (!changes || local)
        plugins_warm(plugins);
    return worker_link_await(WORKER_LINK_FD, WORKER_CONNECTION_FD, WORKER_FILE_FD);
}

int
worker_main(enum worker_kind kind)
{
    struct host_options options;
    struct host_plugins plugins;
    char error[OPTIONS_ERROR], who[32];
    bool spare = kind != WORKER_WITH_GUEST, dropped = false, heir;
    int result;

    if (!is_handed_over(spare)) {
        fprintf(stderr, "gpuvchan-host: %s is for the host itself: a worker is started with a guest's connection\n",
                WORKER_ARGUMENT);
        return WORKER_FAILED;
    }
    if (spare)
        hold_numbers();
    fcntl(WORKER_CONNECTION_FD, F_SETFD, FD_CLOEXEC);
    fcntl(WORKER_CONFIG_FD, F_SETFD, FD_CLOEXEC);
    fcntl(WORKER_LINK_FD, F_SETFD, FD_CLOEXEC);
    fcntl(WORKER_FILE_FD, F_SETFD, FD_CLOEXEC); /* stays open: its lock says that this process lives */
    handle_signals();
    heir = renewal_prepare();
    prctl(PR_SET_NAME, "gpuvchan-worker");
    result = config_take_over(&options, WORKER_CONFIG_FD, error);
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
    result = WORKER_DONE;
    if (!spare || await_guest(&options, &plugins, kind == WORKER_LOCAL_SPARE, &dropped))
        result = begin_and_serve(&options, &plugins, heir, dropped);
    plugins_unload(&plugins);
    options_finish(&options);
    return result;
}
