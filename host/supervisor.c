/* SPDX-License-Identifier: MIT */
/*
 * The supervisor.
 *
 * Design notes
 *
 * It never reads what guests send: it knows of a guest what the kernel says, and passes the connection
 * on to a worker, which is this program started anew. Whatever happens to a worker, or to the supervisor,
 * the others go on: a worker ends with its guest, and a new supervisor may take the address over.
 *
 * One thread, one epoll; the only times are deadlines, which next_timeout() collects.
 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
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
#include "listen.h"
#include "log.h"
#include "notify.h"
#include "worker.h"

#define LISTENERS_MAX 8
#define PARKED_MAX 64
#define ACCEPTS_AT_ONCE 16
#define PARK_MS 1000     /* how long a guest waits for one that is just ending */
#define STOP_MS 2000     /* from SIGTERM to SIGKILL */
#define GIVE_UP_MS 4000  /* from SIGTERM to leaving behind what even SIGKILL does not end */
#define PAUSE_MS 200     /* without descriptors or processes, until the next try */
#define COMPLAIN_MS 1000 /* between two lines about refused guests */
#define NEVER INT64_MAX

struct worker {
    pid_t pid;
    uint32_t uid;
    char program[32];
};

struct parked {
    int fd;
    struct gpuvchan_peer peer;
    int64_t deadline;
};

struct supervisor {
    struct host_options *options;
    int argc;
    char **argv;
    struct gpuvchan_listener *listeners[LISTENERS_MAX];
    size_t listener_count;
    int epoll, signals, config;
    struct captive *captive;
    struct worker *workers;
    size_t worker_count;
    struct parked parked[PARKED_MAX]; /* oldest first */
    size_t parked_count;
    int64_t resume_at;   /* when to accept again; NEVER: is accepting */
    int64_t complain_at; /* not before this time */
    unsigned refused_silently;
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
    notify_send("STATUS=%zu guests served now, %lu in all; %lu refused, %lu workers crashed", supervisor->worker_count,
                supervisor->served, supervisor->refused, supervisor->crashed);
}

/* ---- Workers --------------------------------------------------------------------------------- */

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

/* In the child: only the two descriptors of a worker pass, at their numbers. */
static _Noreturn void
become_worker(int connection, int config)
{
    char *arguments[] = {"gpuvchan-host", WORKER_ARGUMENT, NULL};
    sigset_t none;
    int high_connection = fcntl(connection, F_DUPFD, WORKER_CONFIG_FD + 1);
    int high_config = fcntl(config, F_DUPFD, WORKER_CONFIG_FD + 1);

    if (dup2(high_connection, WORKER_CONNECTION_FD) < 0 || dup2(high_config, WORKER_CONFIG_FD) < 0)
        _exit(WORKER_NO_EXEC);
    close_range(WORKER_CONFIG_FD + 1, ~0u, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv("/proc/self/exe", arguments);
    _exit(WORKER_NO_EXEC);
}

/* Takes fd. */
static void
start_worker(struct supervisor *supervisor, int fd, const struct gpuvchan_peer *peer)
{
    struct worker *workers = realloc(supervisor->workers, (supervisor->worker_count + 1) * sizeof(*workers));
    struct worker *worker;
    pid_t pid;

    if (!workers)
        abort();
    supervisor->workers = workers;
    pid = fork();
    if (pid == 0)
        become_worker(fd, supervisor->config);
    if (pid < 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "cannot start a worker: %s", strerror(errno));
        gpuvchan_session_refuse(fd, -EAGAIN, "the host cannot start a process for this guest; try again later");
        return;
    }
    close(fd);
    worker = &workers[supervisor->worker_count++];
    worker->pid = pid;
    worker->uid = peer->uid;
    name_of_process(peer->pid, worker->program, sizeof(worker->program));
    supervisor->served++;
    gpuvchan_log(GPUVCHAN_LOG_INFO, "worker %d serves %s (process %d, uid %u)", (int)pid, worker->program, peer->pid,
                 peer->uid);
    tell_status(supervisor);
}

static void
log_end(struct supervisor *supervisor, const struct worker *worker, int status)
{
    static const char *const words[] = {
        [WORKER_DONE] = "ended",
        [WORKER_FAILED] = "could not serve its guest",
        [WORKER_CORRUPT] = "ended its guest, which broke the protocol",
        [WORKER_STUCK] = "was stuck in a plugin",
        [WORKER_NO_EXEC] = "could not be started from /proc/self/exe",
    };
    enum gpuvchan_log_level level = GPUVCHAN_LOG_WARNING;
    char how[96];
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    unsigned code = WIFEXITED(status) ? (unsigned)WEXITSTATUS(status) : 0;

    if (number != 0) {
        snprintf(how, sizeof(how), "killed by signal %d (%s)", number, strsignal(number));
        if (supervisor->stopping && (number == SIGKILL || number == SIGTERM)) {
            level = GPUVCHAN_LOG_INFO;
        } else {
            level = GPUVCHAN_LOG_ERROR;
            supervisor->crashed++;
        }
    } else if (code < sizeof(words) / sizeof(words[0])) {
        snprintf(how, sizeof(how), "%s", words[code]);
        if (code == WORKER_DONE)
            level = GPUVCHAN_LOG_INFO;
    } else {
        snprintf(how, sizeof(how), "ended with status %u", code);
        supervisor->crashed++;
    }
    gpuvchan_log(level, "worker %d (%s, uid %u) %s", (int)worker->pid, worker->program, worker->uid, how);
}

static void
reap(struct supervisor *supervisor)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (supervisor->captive && supervisor->captive->pid == pid) {
            supervisor->captive->pid = 0;
            supervisor->captive->status = status;
        }
        for (size_t i = 0; i < supervisor->worker_count; i++) {
            struct worker *worker = &supervisor->workers[i];

            if (worker->pid != pid)
                continue;
            log_end(supervisor, worker, status);
            *worker = supervisor->workers[--supervisor->worker_count];
            tell_status(supervisor);
            break;
        }
    }
}

/* ---- Policy ---------------------------------------------------------------------------------- */

static bool
list_has(const struct text_list *list, uint32_t id)
{
    for (size_t i = 0; i < list->count; i++)
        if (strtoul(list->items[i], NULL, 10) == id)
            return true;
    return false;
}

static bool
is_allowed(const struct host_options *options, const struct gpuvchan_peer *peer)
{
    if (options->allow_uids.count == 0 && options->allow_gids.count == 0)
        return true;
    return list_has(&options->allow_uids, peer->uid) || list_has(&options->allow_gids, peer->gid);
}

/* Takes fd. The log gets a line a second at most: a guest may try as often as it likes. */
static void
refuse(struct supervisor *supervisor, int fd, const struct gpuvchan_peer *peer, int error, const char *why)
{
    int64_t now = now_ms();

    gpuvchan_session_refuse(fd, error, why);
    supervisor->refused++;
    if (now < supervisor->complain_at) {
        supervisor->refused_silently++;
        return;
    }
    gpuvchan_log(GPUVCHAN_LOG_WARNING, "process %d, uid %u refused: %s", peer->pid, peer->uid, why);
    if (supervisor->refused_silently > 0)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "%u more were refused meanwhile", supervisor->refused_silently);
    supervisor->refused_silently = 0;
    supervisor->complain_at = now + COMPLAIN_MS;
    tell_status(supervisor);
}

static void
refuse_one_too_many(struct supervisor *supervisor, int fd, const struct gpuvchan_peer *peer)
{
    char why[160];

    snprintf(why, sizeof(why),
             "the host serves its limit of %lld guest processes: end one, or have its administrator raise "
             "max-processes",
             (long long)supervisor->options->max_processes);
    refuse(supervisor, fd, peer, -EBUSY, why);
}

static bool
has_room(const struct supervisor *supervisor)
{
    return supervisor->worker_count < (size_t)supervisor->options->max_processes;
}

static void
unpark(struct supervisor *supervisor)
{
    supervisor->parked_count--;
    memmove(&supervisor->parked[0], &supervisor->parked[1], supervisor->parked_count * sizeof(struct parked));
}

/* Those that wait get the places that became free; those that have waited too long are refused. */
static void
serve_parked(struct supervisor *supervisor, int64_t now)
{
    while (supervisor->parked_count > 0) {
        struct parked oldest = supervisor->parked[0];

        if (has_room(supervisor)) {
            unpark(supervisor);
            start_worker(supervisor, oldest.fd, &oldest.peer);
        } else if (oldest.deadline <= now) {
            unpark(supervisor);
            refuse_one_too_many(supervisor, oldest.fd, &oldest.peer);
        } else {
            return;
        }
    }
}

/*
 * Takes fd. A program that follows another one at once finds the other's worker still closing: so at the
 * limit a guest is not refused before it has waited a little.
 */
static void
receive_guest(struct supervisor *supervisor, int fd, const struct gpuvchan_peer *peer)
{
    char why[160];

    if (!is_allowed(supervisor->options, peer)) {
        snprintf(why, sizeof(why),
                 "uid %u may not use this host: its administrator has to add it to allow-uids or allow-gids",
                 peer->uid);
        refuse(supervisor, fd, peer, -EACCES, why);
    } else if (has_room(supervisor) && supervisor->parked_count == 0) {
        start_worker(supervisor, fd, peer);
    } else if (supervisor->parked_count < PARKED_MAX) {
        supervisor->parked[supervisor->parked_count++] = (struct parked){fd, *peer, now_ms() + PARK_MS};
    } else {
        refuse_one_too_many(supervisor, fd, peer);
    }
}

/* ---- Listening ------------------------------------------------------------------------------- */

static void
watch_listeners(struct supervisor *supervisor, bool watch)
{
    for (size_t i = 0; i < supervisor->listener_count; i++) {
        struct epoll_event event = {.events = watch ? EPOLLIN : 0, .data.u64 = i};

        epoll_ctl(supervisor->epoll, EPOLL_CTL_MOD, gpuvchan_listener_fd(supervisor->listeners[i]), &event);
    }
}

static void
accept_guests(struct supervisor *supervisor, struct gpuvchan_listener *listener)
{
    struct gpuvchan_peer peer;
    int fd, result = 0;

    for (int i = 0; i < ACCEPTS_AT_ONCE && result == 0; i++) {
        result = gpuvchan_listener_accept(listener, &fd, &peer);
        if (result == 0)
            receive_guest(supervisor, fd, &peer);
    }
    if (result == 0 || result == -EAGAIN || result == -EINTR || result == -ECONNABORTED)
        return;
    gpuvchan_log(GPUVCHAN_LOG_ERROR, "cannot accept guests for the moment: %s", gpuvchan_error_text());
    watch_listeners(supervisor, false);
    supervisor->resume_at = now_ms() + PAUSE_MS;
}

static int
listen_all(struct supervisor *supervisor, const char *address)
{
    int first, result = 0, count = notify_listen_fds(&first);

    if (count == 0) {
        result = host_listen(address, supervisor->options, &supervisor->listeners[0]);
        supervisor->listener_count = result == 0;
    }
    for (int i = 0; result == 0 && i < count && i < LISTENERS_MAX; i++) {
        result = gpuvchan_listener_adopt(first + i, &supervisor->listeners[i]);
        if (result != 0)
            gpuvchan_log(GPUVCHAN_LOG_ERROR, "cannot use the service manager's socket %d: %s", i,
                         gpuvchan_error_text());
        else
            supervisor->listener_count++;
    }
    for (size_t i = 0; result == 0 && i < supervisor->listener_count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = i};

        if (epoll_ctl(supervisor->epoll, EPOLL_CTL_ADD, gpuvchan_listener_fd(supervisor->listeners[i]), &event) != 0)
            result = -errno;
    }
    return result;
}

static void
stop_listening(struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->listener_count; i++) {
        epoll_ctl(supervisor->epoll, EPOLL_CTL_DEL, gpuvchan_listener_fd(supervisor->listeners[i]), NULL);
        gpuvchan_listener_destroy(supervisor->listeners[i]);
    }
    supervisor->listener_count = 0;
    supervisor->resume_at = NEVER;
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
    for (; supervisor->parked_count > 0; unpark(supervisor))
        refuse(supervisor, supervisor->parked[0].fd, &supervisor->parked[0].peer, -ECONNREFUSED,
               "the host is stopping");
    for (size_t i = 0; i < supervisor->worker_count; i++)
        kill(supervisor->workers[i].pid, SIGTERM);
    if (supervisor->captive && supervisor->captive->pid > 0)
        kill(supervisor->captive->pid, SIGTERM);
}

static void
kill_all(struct supervisor *supervisor)
{
    supervisor->kill_at = NEVER;
    for (size_t i = 0; i < supervisor->worker_count; i++)
        kill(supervisor->workers[i].pid, SIGKILL);
    if (supervisor->captive && supervisor->captive->pid > 0)
        kill(supervisor->captive->pid, SIGKILL);
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
    if (config_read(fresh, supervisor->argc, supervisor->argv, error) != 0) {
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
            reap(supervisor);
        else if (info.ssi_signo == SIGHUP)
            reload(supervisor);
        else
            stop(supervisor);
    }
}

static int
watch_signals(struct supervisor *supervisor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = LISTENERS_MAX};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    supervisor->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (supervisor->signals < 0 || epoll_ctl(supervisor->epoll, EPOLL_CTL_ADD, supervisor->signals, &event) != 0)
        return -errno;
    return 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

int
supervisor_create(struct host_options *options, const char *address, int argc, char **argv, struct supervisor **out)
{
    struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
    int result;

    if (!supervisor)
        abort();
    supervisor->options = options;
    supervisor->argc = argc;
    supervisor->argv = argv;
    supervisor->resume_at = supervisor->kill_at = supervisor->give_up_at = NEVER;
    supervisor->signals = -1;
    supervisor->epoll = epoll_create1(EPOLL_CLOEXEC);
    supervisor->config = config_hand_over(options);
    result = supervisor->epoll < 0 ? -errno : supervisor->config < 0 ? supervisor->config : watch_signals(supervisor);
    if (result != 0)
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "cannot start: %s", strerror(-result));
    else
        result = listen_all(supervisor, address);
    if (result != 0) {
        supervisor_destroy(supervisor);
        return result;
    }
    *out = supervisor;
    return 0;
}

void
supervisor_destroy(struct supervisor *supervisor)
{
    if (!supervisor)
        return;
    stop_listening(supervisor);
    if (supervisor->signals >= 0)
        close(supervisor->signals);
    if (supervisor->config >= 0)
        close(supervisor->config);
    if (supervisor->epoll >= 0)
        close(supervisor->epoll);
    options_finish(supervisor->options);
    free(supervisor->options);
    free(supervisor->workers);
    free(supervisor);
}

static int
next_timeout(const struct supervisor *supervisor)
{
    int64_t next = supervisor->resume_at, wait;

    if (supervisor->kill_at < next)
        next = supervisor->kill_at;
    if (supervisor->give_up_at < next)
        next = supervisor->give_up_at;
    if (supervisor->parked_count > 0 && supervisor->parked[0].deadline < next)
        next = supervisor->parked[0].deadline;
    if (next == NEVER)
        return -1;
    wait = next - now_ms();
    return wait < 0 ? 0 : wait > 60000 ? 60000 : (int)wait;
}

static void
expire(struct supervisor *supervisor)
{
    int64_t now = now_ms();

    if (supervisor->resume_at <= now) {
        supervisor->resume_at = NEVER;
        watch_listeners(supervisor, true);
    }
    if (supervisor->kill_at <= now)
        kill_all(supervisor);
    serve_parked(supervisor, now);
}

static bool
is_done(const struct supervisor *supervisor)
{
    bool captive_runs = supervisor->captive && supervisor->captive->pid > 0;

    if (!supervisor->stopping || (supervisor->worker_count == 0 && !captive_runs))
        return supervisor->stopping;
    if (now_ms() < supervisor->give_up_at)
        return false;
    gpuvchan_log(GPUVCHAN_LOG_ERROR, "leaves %zu workers behind that SIGKILL does not end", supervisor->worker_count);
    return true;
}

int
supervisor_run(struct supervisor *supervisor, struct captive *captive)
{
    struct epoll_event events[LISTENERS_MAX + 1];

    supervisor->captive = captive;
    while (!is_done(supervisor)) {
        int count = epoll_wait(supervisor->epoll, events, LISTENERS_MAX + 1, next_timeout(supervisor));

        for (int i = 0; i < count; i++)
            if (events[i].data.u64 == LISTENERS_MAX)
                take_signals(supervisor);
            else if (events[i].data.u64 < supervisor->listener_count)
                accept_guests(supervisor, supervisor->listeners[events[i].data.u64]);
        expire(supervisor);
        if (captive && captive->pid == 0)
            stop(supervisor);
    }
    return captive ? captive_exit_status(captive->status) : 0;
}
