/* SPDX-License-Identifier: MIT */
/*
 * The supervisor.
 *
 * Design notes
 *
 * It never reads what guests send: it knows of a guest what the kernel or Xen says, and passes the
 * connection on to a worker, which is this program started anew. Whatever happens to a worker, or to the
 * supervisor, the others go on: a worker ends with its guest, and a new supervisor at the same address
 * takes over those of one that died.
 *
 * Drivers take long to start: some workers are started before their guests come. Such a spare worker has read the
 * configuration of all; a domain with settings of its own gets a new one.
 *
 * One thread, one epoll; the only times are deadlines, which next_timeout() collects.
 */
#include "supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <gpuvchan/gpuvchan.h>

#include "config.h"
#include "kept.h"
#include "listen.h"
#include "log.h"
#include "notify.h"
#include "policy.h"
#include "privileges.h"
#include "waiting.h"
#include "worker_link.h"
#include "workers.h"

#define ACCEPTS_AT_ONCE 16
#define EVENTS_AT_ONCE 32
#define STOP_MS 2000     /* from SIGTERM to SIGKILL */
#define GIVE_UP_MS 4000  /* from SIGTERM to leaving behind what even SIGKILL does not end */
#define COMPLAIN_MS 1000 /* between two lines about refused guests */
#define SPARE_MS 200     /* from a guest's coming to the next spare worker: the guest's own start comes first */

/* What an event is about: the number of a listener, or one of these. */
#define ABOUT_SIGNALS LISTENERS_MAX
#define ABOUT_WORKER (1ull << 32) /* plus its process number */
#define ABOUT_LINK (1ull << 33)   /* the same */

struct supervisor {
    struct host_options *options;
    int argc;
    char **argv;
    struct host_listeners listeners;
    int epoll, signals, config;
    struct captive *captive;
    struct workers workers;
    struct kept kept;
    struct waiting waiting;
    int64_t complain_at; /* not before this time */
    unsigned refused_silently;
    int64_t spare_at;            /* when to see whether spare workers are wanted, or NEVER */
    int64_t kill_at, give_up_at; /* NEVER: is not stopping, or that is done */
    bool stopping;
    unsigned long served, refused, crashed;
};

static int64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
tell_status(const struct supervisor *supervisor)
{
    notify_send("STATUS=%zu guests served now, %lu in all; %lu refused, %lu workers crashed",
                workers_serving(&supervisor->workers), supervisor->served, supervisor->refused, supervisor->crashed);
}

static int
watch(const struct supervisor *supervisor, int fd, uint64_t about)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = about};

    return epoll_ctl(supervisor->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

/* Its guest is served no more: nothing of it is to stay where it knocked. */
static void
release(const struct supervisor *supervisor, size_t listener, const struct gpuvchan_peer *peer)
{
    if (supervisor->listeners.items[listener].door)
        gpuvchan_listener_release(supervisor->listeners.items[listener].door, peer);
}

/* ---- Refusing -------------------------------------------------------------------------------- */

/* Takes the guest. The log gets a line a second at most: a guest may try as often as it likes. */
static void
refuse(struct supervisor *supervisor, const struct guest *guest, int error, const char *why)
{
    int64_t now = now_ms();
    char who[96];

    gpuvchan_session_refuse(guest->fd, error, why);
    release(supervisor, guest->listener, &guest->peer);
    supervisor->refused++;
    if (now < supervisor->complain_at) {
        supervisor->refused_silently++;
        return;
    }
    policy_describe(&guest->peer, who, sizeof(who));
    gpuvchan_log(GPUVCHAN_LOG_WARNING, "%s refused: %s", who, why);
    if (supervisor->refused_silently > 0)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "%u more were refused meanwhile", supervisor->refused_silently);
    supervisor->refused_silently = 0;
    supervisor->complain_at = now + COMPLAIN_MS;
    tell_status(supervisor);
}

static bool
domain_is_full(const struct supervisor *supervisor, const struct gpuvchan_peer *peer)
{
    size_t limit = policy_domain_limit(supervisor->options, peer);

    return limit > 0 && workers_of_domain(&supervisor->workers, peer->domain) >= limit;
}

static bool
has_room(const struct supervisor *supervisor, const struct gpuvchan_peer *peer)
{
    return workers_serving(&supervisor->workers) < (size_t)supervisor->options->max_processes &&
           !domain_is_full(supervisor, peer);
}

static void
refuse_one_too_many(struct supervisor *supervisor, const struct guest *guest)
{
    const struct gpuvchan_peer *peer = &guest->peer;
    char why[POLICY_REASON];

    if (domain_is_full(supervisor, peer))
        snprintf(why, sizeof(why),
                 "the host serves its limit of %zu processes of domain %d: end one, or have its administrator raise "
                 "max-processes-per-domain, or max-processes of this domain",
                 policy_domain_limit(supervisor->options, peer), peer->domain);
    else
        snprintf(why, sizeof(why),
                 "the host serves its limit of %lld guest processes: end one, or have its administrator raise "
                 "max-processes",
                 (long long)supervisor->options->max_processes);
    refuse(supervisor, guest, -EBUSY, why);
}

/* ---- Serving --------------------------------------------------------------------------------- */

static void
watch_worker(const struct supervisor *supervisor, const struct worker *worker)
{
    int error = watch(supervisor, worker->pidfd, ABOUT_WORKER | (uint64_t)worker->pid);

    if (worker->link >= 0)
        watch(supervisor, worker->link, ABOUT_LINK | (uint64_t)worker->pid);
    if (error != 0)
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "will not learn of the end of worker %d: %s", (int)worker->pid,
                     strerror(-error));
}

/* The configuration for a worker of this guest: that of all, or one of its own, which the caller closes. */
static int
config_for(const struct supervisor *supervisor, const struct gpuvchan_peer *peer)
{
    struct host_options view;

    return policy_view(supervisor->options, peer, &view) ? config_hand_over(&view) : supervisor->config;
}

static void
log_start(const struct worker *worker)
{
    char who[96];

    worker_describe(worker, who, sizeof(who));
    if (worker->peer.domain >= 0)
        gpuvchan_log(GPUVCHAN_LOG_INFO, "worker %d serves %s", (int)worker->pid, who);
    else
        gpuvchan_log(GPUVCHAN_LOG_INFO, "worker %d serves %s (process %d, uid %u)", (int)worker->pid, worker->program,
                     worker->peer.pid, worker->peer.uid);
}

/* @return 0, or -errno, not logged. */
static int
find_worker(struct supervisor *supervisor, const struct guest *guest, struct worker **worker)
{
    const char *address = supervisor->listeners.items[guest->listener].address;
    struct workers *workers = &supervisor->workers;
    int config = config_for(supervisor, &guest->peer), result;

    if (config < 0)
        return config;
    *worker = config != supervisor->config
                  ? NULL
                  : workers_take_spare(workers, guest->fd, address, guest->listener, &guest->peer, now_ms());
    if (*worker)
        return 0;
    result = workers_start(workers, guest->fd, config, address, guest->listener, &guest->peer, worker);
    if (config != supervisor->config)
        close(config);
    if (result == 0)
        watch_worker(supervisor, *worker);
    return result;
}

/* No new ones for those that end by themselves, before another guest comes: they may do so at once. */
static void
start_spares(struct supervisor *supervisor)
{
    struct worker *worker;

    supervisor->spare_at = NEVER;
    while (!supervisor->stopping && workers_spare(&supervisor->workers) < (size_t)supervisor->options->spare_workers) {
        int error = workers_start_spare(&supervisor->workers, supervisor->config,
                                        listeners_are_local(&supervisor->listeners), now_ms(), &worker);

        if (error != 0) {
            gpuvchan_log(GPUVCHAN_LOG_WARNING, "cannot start a spare worker: %s", strerror(-error));
            return;
        }
        watch_worker(supervisor, worker);
        gpuvchan_log(GPUVCHAN_LOG_DEBUG, "worker %d waits for a guest", (int)worker->pid);
    }
}

/* Takes the guest. */
static void
start_worker(struct supervisor *supervisor, const struct guest *guest)
{
    struct worker *worker;
    int result = find_worker(supervisor, guest, &worker);

    if (supervisor->spare_at == NEVER)
        supervisor->spare_at = now_ms() + SPARE_MS;
    if (result < 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "cannot start a worker: %s", strerror(-result));
        gpuvchan_session_refuse(guest->fd, -EAGAIN, "the host cannot start a process for this guest; try again later");
        release(supervisor, guest->listener, &guest->peer);
        return;
    }
    close(guest->fd);
    supervisor->served++;
    log_start(worker);
    tell_status(supervisor);
}

/* Those that wait get the places that became free; those that have waited too long are refused. */
static void
serve_waiting(struct supervisor *supervisor)
{
    struct waiting *waiting = &supervisor->waiting;
    int64_t now = now_ms();

    for (size_t i = 0; i < waiting->count;) {
        struct guest guest = waiting->guests[i];

        if (has_room(supervisor, &guest.peer)) {
            waiting_take(waiting, i);
            start_worker(supervisor, &guest);
        } else if (guest.deadline <= now) {
            waiting_take(waiting, i);
            refuse_one_too_many(supervisor, &guest);
        } else {
            i++; /* one of another domain may have room */
        }
    }
}

/*
 * Takes the guest. A program that follows another one at once finds the other's worker still closing: so at
 * the limit a guest is not refused before it has waited a little. Whoever waits comes before: a place that
 * becomes free is given to those by serve_waiting() at once.
 */
static void
receive_guest(struct supervisor *supervisor, const struct guest *guest)
{
    char why[POLICY_REASON];

    if (!policy_allows(supervisor->options, &guest->peer, why))
        refuse(supervisor, guest, -EACCES, why);
    else if (has_room(supervisor, &guest->peer))
        start_worker(supervisor, guest);
    else if (!waiting_add(&supervisor->waiting, guest, now_ms()))
        refuse_one_too_many(supervisor, guest);
}

static void
bury(struct supervisor *supervisor, pid_t pid)
{
    struct worker *worker = workers_find(&supervisor->workers, pid);
    struct worker gone;
    bool crashed;

    if (!worker)
        return;
    gone = *worker;
    if (!workers_bury(&supervisor->workers, worker, &crashed))
        return;
    supervisor->crashed += crashed;
    if (!gone.spare)
        release(supervisor, gone.listener, &gone.peer);
    if (gone.peer.domain >= 0 && workers_of_domain(&supervisor->workers, gone.peer.domain) == 0)
        kept_forget(&supervisor->kept, &gone.peer);
    tell_status(supervisor);
    if (!supervisor->stopping)
        serve_waiting(supervisor);
}

/* ---- What workers say ------------------------------------------------------------------------ */

/* What it says may be its guest's words: whose it is, is known here. */
static void
take_word(struct supervisor *supervisor, struct worker *worker, const struct worker_message *message, int fd)
{
    int found;

    if (message->word == WORKER_READY) {
        worker->ready = true;
    } else if (worker->spare) {
        worker_close_link(worker);
    } else if (message->word == WORKER_FIND) {
        found = kept_find(&supervisor->kept, &worker->peer, message->bytes, message->any ? NULL : message->digest);
        worker_link_answer(worker->link, found < 0 ? -ENOENT : 0, message->any ? -1 : found);
    } else if (message->word == WORKER_KEEP) {
        kept_add(&supervisor->kept, &worker->peer, message->bytes, message->digest, fd);
        return;
    }
    if (fd >= 0)
        close(fd);
}

/* One message at a time: no worker keeps others, or guests that come, from their turn. */
static void
hear(struct supervisor *supervisor, pid_t pid)
{
    struct worker *worker = workers_find(&supervisor->workers, pid);
    struct worker_message message;
    int fd, error;

    if (!worker || worker->link < 0)
        return;
    error = worker_link_receive(worker->link, &message, &fd);
    if (error == 0)
        take_word(supervisor, worker, &message, fd);
    else if (error != -EAGAIN)
        worker_close_link(worker);
}

/* Domains end without a word to whoever maps their memory. */
static void
end_for_gone_domains(struct supervisor *supervisor, size_t listener)
{
    struct gpuvchan_listener *door = supervisor->listeners.items[listener].door;
    char who[96];

    for (size_t i = 0; i < supervisor->workers.count; i++) {
        struct worker *worker = &supervisor->workers.items[i];

        if (worker->listener != listener || worker->told || gpuvchan_listener_alive(door, &worker->peer))
            continue;
        policy_describe(&worker->peer, who, sizeof(who));
        gpuvchan_log(GPUVCHAN_LOG_INFO, "%s is gone: its worker %d ends", who, (int)worker->pid);
        worker_end(worker, now_ms() + STOP_MS);
    }
}

/* ---- Adopting -------------------------------------------------------------------------------- */

static void
meet_worker(const struct worker_record *record, bool lives, void *user)
{
    struct supervisor *supervisor = user;
    size_t listener = listeners_find(&supervisor->listeners, record->address);
    struct worker *worker;
    char who[96];

    if (listener == supervisor->listeners.count) {
        if (lives)
            gpuvchan_log(GPUVCHAN_LOG_INFO, "worker %d belongs to a host at %s, not to this one", (int)record->pid,
                         record->address);
        return;
    }
    if (!lives || workers_adopt(&supervisor->workers, record, listener, &worker) != 0) {
        gpuvchan_log(GPUVCHAN_LOG_DEBUG, "worker %d has ended while there was no host", (int)record->pid);
        release(supervisor, listener, &record->peer);
        worker_file_remove(supervisor->workers.folder, record->pid);
        return;
    }
    gpuvchan_listener_claim(supervisor->listeners.items[listener].door, &record->peer);
    watch_worker(supervisor, worker);
    worker_describe(worker, who, sizeof(who));
    gpuvchan_log(GPUVCHAN_LOG_INFO, "adopted worker %d (%s)", (int)worker->pid, who);
}

/* Before the first guest is accepted: those that are served already must not be taken for new ones. */
static void
adopt_workers(struct supervisor *supervisor, const char *state_dir)
{
    workers_init(&supervisor->workers, state_dir);
    if (supervisor->workers.folder < 0)
        return;
    worker_files_visit(supervisor->workers.folder, meet_worker, supervisor);
    for (size_t i = 0; i < supervisor->listeners.count; i++)
        end_for_gone_domains(supervisor, i);
}

/* ---- Listening ------------------------------------------------------------------------------- */

static void
accept_guests(struct supervisor *supervisor, size_t number)
{
    struct host_listener *listener = &supervisor->listeners.items[number];
    struct guest guest = {.listener = number};
    int result = 0;

    for (int i = 0; i < ACCEPTS_AT_ONCE && result == 0; i++) {
        result = gpuvchan_listener_accept(listener->door, &guest.fd, &guest.peer);
        if (result == 0)
            receive_guest(supervisor, &guest);
    }
    if (result != 0 && result != -EAGAIN && result != -EINTR && result != -ECONNABORTED)
        listener_pause(listener, supervisor->epoll, now_ms());
    end_for_gone_domains(supervisor, number);
}

static int
listen_all(struct supervisor *supervisor, const struct text_list *addresses)
{
    bool tolerant = options_source(supervisor->options, "address") == SOURCE_DEFAULT;
    int result = listeners_open(&supervisor->listeners, addresses, tolerant, supervisor->options);

    if (result == 0)
        result = listeners_watch(&supervisor->listeners, supervisor->epoll);
    return result;
}

/* Those of Xen stay open until the workers have ended, which may leave something to clear away. */
static void
stop_listening(struct supervisor *supervisor)
{
    listeners_unwatch(&supervisor->listeners, supervisor->epoll);
    listeners_close_local(&supervisor->listeners);
}

/* ---- Signals --------------------------------------------------------------------------------- */

static void
stop(struct supervisor *supervisor)
{
    if (supervisor->stopping)
        return;
    supervisor->stopping = true;
    supervisor->kill_at = now_ms() + STOP_MS;
    supervisor->give_up_at = now_ms() + GIVE_UP_MS;
    gpuvchan_log(GPUVCHAN_LOG_INFO, "stops");
    notify_send("STOPPING=1");
    stop_listening(supervisor);
    while (supervisor->waiting.count > 0) {
        struct guest guest = waiting_take(&supervisor->waiting, 0);

        refuse(supervisor, &guest, -ECONNREFUSED, "the host is stopping");
    }
    for (size_t i = 0; i < supervisor->workers.count; i++)
        worker_end(&supervisor->workers.items[i], supervisor->kill_at);
    if (supervisor->captive && supervisor->captive->pid > 0)
        kill(supervisor->captive->pid, SIGTERM);
}

static void
kill_captive(struct supervisor *supervisor)
{
    supervisor->kill_at = NEVER;
    if (supervisor->captive && supervisor->captive->pid > 0)
        kill(supervisor->captive->pid, SIGKILL);
}

/* Workers have descriptors that tell of their end. */
static void
reap_captive(struct captive *captive)
{
    int status;

    if (captive && captive->pid > 0 && waitpid(captive->pid, &status, WNOHANG) == captive->pid) {
        captive->pid = 0;
        captive->status = status;
    }
}

static void
warn_fixed(const char *name)
{
    gpuvchan_log(GPUVCHAN_LOG_WARNING, "the new %s takes effect when the host is started anew", name);
}

/* New sessions get the new configuration; those that run keep theirs. A wrong one changes nothing. */
static void
reload(struct supervisor *supervisor)
{
    struct host_options *fresh = malloc(sizeof(*fresh));
    char error[OPTIONS_ERROR];
    int config;

    if (!fresh)
        abort();
    notify_reloading();
    if (config_read(fresh, supervisor->argc, supervisor->argv, error) != 0 || privileges_check(fresh, error) != 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "%s; the old configuration stays", error);
    } else if ((config = config_hand_over(fresh)) < 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "cannot store the configuration: %s", strerror(-config));
    } else {
        struct host_options *old = supervisor->options;

        options_compare_fixed(old, fresh, warn_fixed);
        close(supervisor->config);
        supervisor->config = config;
        supervisor->options = fresh;
        fresh = old;
        log_open(supervisor->options, "", false);
        kept_limit(&supervisor->kept, (uint64_t)supervisor->options->keep);
        workers_end_spares(&supervisor->workers, now_ms() + STOP_MS);
        supervisor->spare_at = now_ms();
        serve_waiting(supervisor);
        gpuvchan_log(GPUVCHAN_LOG_INFO, "has read its configuration anew");
    }
    options_finish(fresh);
    free(fresh);
    notify_send("READY=1");
}

static void
take_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;

    while (read(supervisor->signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            reap_captive(supervisor->captive);
        else if (info.ssi_signo == SIGHUP)
            reload(supervisor);
        else
            stop(supervisor);
    }
}

static int
watch_signals(struct supervisor *supervisor)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR2, SIG_IGN); /* for workers; one that has just been started inherits this */
    supervisor->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return supervisor->signals < 0 ? -errno : watch(supervisor, supervisor->signals, ABOUT_SIGNALS);
}

/* ---- Life ------------------------------------------------------------------------------------ */

int
supervisor_create(struct host_options *options, const struct text_list *addresses, const char *state_dir, int argc,
                  char **argv, struct supervisor **out)
{
    struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
    int result;

    if (!supervisor)
        abort();
    supervisor->options = options;
    supervisor->argc = argc;
    supervisor->argv = argv;
    supervisor->spare_at = supervisor->kill_at = supervisor->give_up_at = NEVER;
    supervisor->signals = supervisor->workers.folder = -1;
    kept_limit(&supervisor->kept, (uint64_t)options->keep);
    supervisor->epoll = epoll_create1(EPOLL_CLOEXEC);
    supervisor->config = config_hand_over(options);
    result = supervisor->epoll < 0 ? -errno : supervisor->config < 0 ? supervisor->config : watch_signals(supervisor);
    if (result != 0)
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "cannot start: %s", strerror(-result));
    else
        result = listen_all(supervisor, addresses);
    if (result != 0) {
        supervisor_destroy(supervisor);
        return result;
    }
    adopt_workers(supervisor, state_dir);
    *out = supervisor;
    return 0;
}

void
supervisor_destroy(struct supervisor *supervisor)
{
    if (!supervisor)
        return;
    listeners_close(&supervisor->listeners);
    workers_finish(&supervisor->workers);
    kept_finish(&supervisor->kept);
    if (supervisor->signals >= 0)
        close(supervisor->signals);
    if (supervisor->config >= 0)
        close(supervisor->config);
    if (supervisor->epoll >= 0)
        close(supervisor->epoll);
    options_finish(supervisor->options);
    free(supervisor->options);
    free(supervisor);
}

static int
next_timeout(const struct supervisor *supervisor)
{
    const int64_t times[] = {
        workers_next_kill(&supervisor->workers),
        listeners_next_resume(&supervisor->listeners),
        waiting_next_deadline(&supervisor->waiting),
        supervisor->spare_at,
        supervisor->kill_at,
        supervisor->give_up_at,
    };
    int64_t next = NEVER, wait;

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        if (times[i] < next)
            next = times[i];
    if (next == NEVER)
        return -1;
    wait = next - now_ms();
    return wait < 0 ? 0 : wait > 60000 ? 60000 : (int)wait;
}

static void
expire(struct supervisor *supervisor)
{
    int64_t now = now_ms();

    listeners_resume(&supervisor->listeners, supervisor->epoll, now);
    workers_kill_late(&supervisor->workers, now);
    if (supervisor->kill_at <= now)
        kill_captive(supervisor);
    if (supervisor->spare_at <= now)
        start_spares(supervisor);
    serve_waiting(supervisor);
}

static bool
is_done(const struct supervisor *supervisor)
{
    bool captive_runs = supervisor->captive && supervisor->captive->pid > 0;

    if (!supervisor->stopping || (supervisor->workers.count == 0 && !captive_runs))
        return supervisor->stopping;
    if (now_ms() < supervisor->give_up_at)
        return false;
    gpuvchan_log(GPUVCHAN_LOG_ERROR, "leaves %zu workers behind that SIGKILL does not end", supervisor->workers.count);
    return true;
}

static void
take_event(struct supervisor *supervisor, uint64_t about)
{
    if (about == ABOUT_SIGNALS)
        take_signals(supervisor);
    else if (about & ABOUT_WORKER)
        bury(supervisor, (pid_t)(about & ~ABOUT_WORKER));
    else if (about & ABOUT_LINK)
        hear(supervisor, (pid_t)(about & ~ABOUT_LINK));
    else if (!supervisor->stopping)
        accept_guests(supervisor, (size_t)about);
}

int
supervisor_run(struct supervisor *supervisor, struct captive *captive)
{
    struct epoll_event events[EVENTS_AT_ONCE];

    supervisor->captive = captive;
    if (supervisor->workers.count > 0)
        tell_status(supervisor);
    start_spares(supervisor);
    while (!is_done(supervisor)) {
        int count = epoll_wait(supervisor->epoll, events, EVENTS_AT_ONCE, next_timeout(supervisor));

        for (int i = 0; i < count; i++)
            take_event(supervisor, events[i].data.u64);
        expire(supervisor);
        if (captive && captive->pid == 0)
            stop(supervisor);
    }
    return captive ? captive_exit_status(captive->status) : 0;
}
