/* SPDX-License-Identifier: MIT */
/*
 * serve.c - waits for guests that measure, one at a time.
 *
 * Design notes
 *
 * A client opens several channels, and each is served by a process of its own,
 * as gpuvchan-host does it. Two services stand for two kinds of session: one
 * that spins before it sleeps, as sessions usually do, and one that never does.
 * The supervisor reads nothing of what guests send; it ends the processes of a
 * domain that is no more, which nobody tells to them.
 */
#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gpuvchan/gpuvchan.h>

#include "own_server.h"
#include "xen_module.h"

#define DOORS 2
#define WORKERS 3 /* channels of a client */
#define LOOK_MS 1000

struct worker {
    pid_t pid; /* 0: none */
    struct gpuvchan_listener *door;
    struct gpuvchan_peer peer;
};

struct serve {
    const struct bench_xen *xen;
    struct gpuvchan_listener *door[DOORS];
    struct worker workers[WORKERS];
    unsigned active;
    int signals;
    bool once, failed, ending;
};

static const struct {
    const char *address;
    int32_t spin_us; /* 0: as usual */
} doors[DOORS] = {
    {"xen:/" BENCH_XEN_SERVICE_ASLEEP, -1}, {"xen:/" BENCH_XEN_SERVICE, 0}, /* last: who finds it finds all */
};

/* ---- A worker ---------------------------------------------------------------------------------- */

static const struct bench_xen *worker_xen;
static uint32_t worker_domain;

static int
attach(const char *node)
{
    return worker_xen->serve(worker_domain, node);
}

static int
work(const struct serve *serve, int fd, const struct gpuvchan_peer *peer, int32_t spin_us)
{
    struct gpuvchan_session_limits limits = {.size = sizeof(limits), .spin_us = spin_us};
    struct gpuvchan_session *session;
    int error = bench_server_init();

    worker_xen = serve->xen;
    worker_domain = (uint32_t)peer->domain;
    bench_server.attach = attach;
    bench_server.notified = serve->xen->notified;
    if (error == 0)
        error = gpuvchan_session_accept(fd, &limits, &session);
    if (error == 0)
        error = gpuvchan_session_offer(session, &bench_server_plugin);
    if (error == 0)
        error = gpuvchan_session_run(session);
    if (error == 0)
        gpuvchan_session_destroy(session);
    else
        fprintf(stderr, "gpuvchan-bench: domain %d: %s\n", peer->domain, gpuvchan_error_text());
    return error;
}

static pid_t
start_worker(const struct serve *serve, int fd, const struct gpuvchan_peer *peer, int32_t spin_us)
{
    pid_t parent = getpid(), pid = fork();
    sigset_t none;

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* _exit: what the supervisor has in xenstore stays. */
    _exit(work(serve, fd, peer, spin_us) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ---- Clients ----------------------------------------------------------------------------------- */

static struct worker *
free_worker(struct serve *serve)
{
    for (unsigned i = 0; i < WORKERS; i++)
        if (serve->workers[i].pid == 0)
            return &serve->workers[i];
    return NULL;
}

static int32_t
domain_served(const struct serve *serve)
{
    for (unsigned i = 0; i < WORKERS; i++)
        if (serve->workers[i].pid != 0)
            return serve->workers[i].peer.domain;
    return -1;
}

static void
refuse(struct gpuvchan_listener *door, int fd, const struct gpuvchan_peer *peer, const char *reason)
{
    gpuvchan_session_refuse(fd, -EBUSY, reason);
    gpuvchan_listener_release(door, peer);
}

static void
admit(struct serve *serve, unsigned number, int fd, const struct gpuvchan_peer *peer)
{
    struct worker *worker = free_worker(serve);
    int32_t served = domain_served(serve);

    if (!worker || (served != -1 && served != peer->domain)) {
        refuse(serve->door[number], fd, peer, "gpuvchan-bench serves one client at a time, and has one: try later");
        return;
    }
    if (served == -1) {
        printf("measuring with domain %d%s%s\n", peer->domain, peer->name[0] ? ", " : "", peer->name);
        fflush(stdout);
    }
    *worker = (struct worker){.door = serve->door[number], .peer = *peer};
    worker->pid = start_worker(serve, fd, peer, doors[number].spin_us);
    if (worker->pid < 0) {
        worker->pid = 0;
        refuse(serve->door[number], fd, peer, "gpuvchan-bench cannot start a process");
        return;
    }
    close(fd);
    serve->active++;
}

static void
accept_all(struct serve *serve, unsigned number)
{
    struct gpuvchan_peer peer;
    int fd;

    while (gpuvchan_listener_accept(serve->door[number], &fd, &peer) == 0)
        admit(serve, number, fd, &peer);
}

static void
reap(struct serve *serve)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (unsigned i = 0; i < WORKERS; i++) {
            struct worker *worker = &serve->workers[i];

            if (worker->pid != pid)
                continue;
            if (status != 0)
                serve->failed = true;
            gpuvchan_listener_release(worker->door, &worker->peer);
            worker->pid = 0;
            serve->active--;
        }
        if (serve->active > 0)
            continue;
        printf("done\n");
        fflush(stdout);
        if (serve->once)
            serve->ending = true;
    }
}

/* Kernels tell each other when a process dies, but nobody tells when a domain does. */
static void
end_orphans(const struct serve *serve)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        const struct worker *worker = &serve->workers[i];

        if (worker->pid != 0 && !gpuvchan_listener_alive(worker->door, &worker->peer))
            kill(worker->pid, SIGKILL);
    }
}

static void
take_signals(struct serve *serve)
{
    struct signalfd_siginfo info;

    while (read(serve->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            serve->ending = true;
    reap(serve);
}

/* ---- The whole ----------------------------------------------------------------------------------- */

static int
block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
serve_until_end(struct serve *serve)
{
    struct pollfd ready[DOORS + 1] = {{.fd = serve->signals, .events = POLLIN}};

    for (unsigned i = 0; i < DOORS; i++)
        ready[i + 1] = (struct pollfd){.fd = gpuvchan_listener_fd(serve->door[i]), .events = POLLIN};
    while (!serve->ending) {
        /* Woken only while somebody measures, and then seldom: it shares the processor with what is measured. */
        poll(ready, DOORS + 1, serve->active > 0 ? LOOK_MS : -1);
        if (ready[0].revents)
            take_signals(serve);
        for (unsigned i = 0; i < DOORS && !serve->ending; i++)
            if (ready[i + 1].revents)
                accept_all(serve, i);
        end_orphans(serve);
    }
}

static void
end_workers(struct serve *serve)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        struct worker *worker = &serve->workers[i];

        if (worker->pid == 0)
            continue;
        kill(worker->pid, SIGKILL);
        waitpid(worker->pid, NULL, 0);
        gpuvchan_listener_release(worker->door, &worker->peer);
    }
}

int
bench_serve(const struct bench_options *options)
{
    struct serve serve = {.once = options->once};
    char problem[BENCH_XEN_TEXT];
    int error = 0;

    /* Before the transport is loaded: see xen_module.h. */
    serve.xen = bench_xen_load(problem);
    if (!serve.xen) {
        fprintf(stderr, "gpuvchan-bench: serve: %s\n", problem);
        return BENCH_EXIT_FAILED;
    }
    serve.signals = block_signals();
    for (unsigned i = 0; i < DOORS && error == 0; i++)
        error = gpuvchan_listener_create(doors[i].address, &serve.door[i]);
    if (error == 0) {
        printf("gpuvchan-bench waits for clients: gpuvchan-bench ring|bulk --peer, in another domain\n");
        fflush(stdout);
        serve_until_end(&serve);
        end_workers(&serve);
    } else {
        fprintf(stderr, "gpuvchan-bench: serve: %s\n", gpuvchan_error_text());
    }
    for (unsigned i = 0; i < DOORS; i++)
        gpuvchan_listener_destroy(serve.door[i]);
    return error != 0 || (serve.once && serve.failed) ? BENCH_EXIT_FAILED : EXIT_SUCCESS;
}
