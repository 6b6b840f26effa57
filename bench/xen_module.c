/* SPDX-License-Identifier: MIT */
#include "xen_module.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xenstore.h>

#include "host.h"
#include "vchan_ops.h"
#include "../libgpuvchan/xen/limits.h"

#define EXPORT __attribute__((visibility("default")))

/* A page of its own, and those of the rings. */
#define VCHAN_PAGES (1 + 2 * BENCH_VCHAN_RING / 4096)
#define ATTACH_NS 5000000000ull
#define DETACH_NS 2000000000ull

struct bench_vchan {
    struct libxenvchan *control;
    void *buffer;
};

struct answer {
    int32_t error;
    uint32_t reserved;
    uint64_t notified;
};

/* ---- Counting notifications ------------------------------------------------------------------ */

static _Atomic uint64_t notifications;

EXPORT int xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port);

int
xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
    static int (*_Atomic cached)(xenevtchn_handle *, evtchn_port_t);
    int (*notify)(xenevtchn_handle *, evtchn_port_t) = cached;

    if (!notify) {
        *(void **)&notify = dlsym(RTLD_NEXT, "xenevtchn_notify");
        cached = notify;
    }
    atomic_fetch_add_explicit(&notifications, 1, memory_order_relaxed);
    return notify(handle, port);
}

static uint64_t
notified(void)
{
    return atomic_load_explicit(&notifications, memory_order_relaxed);
}

/* ---- What mechanism.h asks of a process -------------------------------------------------------- */

bool bench_one_cpu;

bool
bench_spin_check(struct bench_spin *spin)
{
    uint64_t now = bench_now();

    spin->polls = 0;
    if (!spin->deadline)
        spin->deadline = now + BENCH_WAIT_NS;
    return now < spin->deadline;
}

/* ---- Jobs -------------------------------------------------------------------------------------- */

static struct bench_job
job_of(const struct bench_vchan *vchan, const struct bench_vchan_job *job)
{
    return (struct bench_job){.op = job->op, .size = job->size, .count = job->count, .buffer = vchan->buffer};
}

static bool
is_call(const struct bench_vchan_job *job)
{
    return job->op == BENCH_CALL || job->op == BENCH_DOORBELL;
}

static int
receive_answer(struct libxenvchan *control, struct answer *answer)
{
    struct bench_spin spin = BENCH_SPIN_INIT;
    int n;

    while ((n = libxenvchan_recv(control, answer, sizeof(*answer))) == 0)
        if (!bench_backoff(&spin))
            return -ETIMEDOUT;
    return n < 0 ? -EPIPE : answer->error;
}

static int
run_job(struct bench_vchan *vchan, const struct bench_vchan_job *order, struct bench_vchan_sample *sample)
{
    struct bench_job job = job_of(vchan, order);
    struct answer answer;
    uint64_t begun, count;
    int err;

    vchan->control->blocking = 1;
    if (libxenvchan_send(vchan->control, order, sizeof(*order)) != (int)sizeof(*order))
        return -EPIPE;
    err = receive_answer(vchan->control, &answer);
    if (err < 0)
        return err;
    vchan->control->blocking = order->blocking;
    count = notified();
    begun = bench_now();
    err = bench_vchan_client(vchan->control, order->stream, &job);
    sample->wall_ns = bench_now() - begun;
    count = notified() - count;
    if (err == 0)
        err = receive_answer(vchan->control, &answer);
    if (!is_call(order))
        sample->wall_ns = bench_now() - begun;
    sample->notified = count + answer.notified;
    return err;
}

/* The other side of run_job(). */
static int
serve_job(struct bench_vchan *vchan)
{
    struct bench_vchan_job order;
    struct answer answer = {0};
    struct bench_job job;
    uint64_t count;

    vchan->control->blocking = 1;
    if (libxenvchan_recv(vchan->control, &order, sizeof(order)) != (int)sizeof(order))
        return -EPIPE;
    if (order.op >= BENCH_OP_COUNT || order.size < 8 || order.size > BENCH_XEN_SIZE_MAX)
        return -EINVAL;
    job = job_of(vchan, &order);
    if (libxenvchan_send(vchan->control, &answer, sizeof(answer)) != (int)sizeof(answer))
        return -EPIPE;
    vchan->control->blocking = order.blocking;
    count = notified();
    answer.error = bench_vchan_server(vchan->control, order.stream, &job);
    answer.notified = notified() - count;
    vchan->control->blocking = 1;
    /* After a failure the stream is of no use any more, and closing it is what the guest notices. */
    if (answer.error < 0)
        return answer.error;
    return libxenvchan_send(vchan->control, &answer, sizeof(answer)) == (int)sizeof(answer) ? 0 : -EPIPE;
}

/*
 * The host unmaps before the guest takes its pages back: Linux frees those that are still mapped later, ten in a
 * second.
 */
static void
ask_to_detach(struct libxenvchan *control)
{
    static const struct bench_vchan_job end = {.op = BENCH_OP_COUNT};
    uint64_t until = bench_now() + DETACH_NS;

    control->blocking = 0;
    libxenvchan_send(control, &end, sizeof(end));
    while (libxenvchan_is_open(control) == 1 && bench_now() < until)
        bench_sleep(1000000);
}

static void
vchan_close(struct bench_vchan *vchan)
{
    if (!vchan)
        return;
    if (vchan->control && vchan->control->is_server)
        ask_to_detach(vchan->control);
    if (vchan->control)
        libxenvchan_close(vchan->control);
    free(vchan->buffer);
    free(vchan);
}

static struct bench_vchan *
vchan_alloc(void)
{
    struct bench_vchan *vchan = calloc(1, sizeof(*vchan));

    if (!vchan)
        return NULL;
    vchan->buffer = aligned_alloc(4096, BENCH_XEN_SIZE_MAX);
    if (!vchan->buffer) {
        free(vchan);
        return NULL;
    }
    memset(vchan->buffer, 0x5a, BENCH_XEN_SIZE_MAX);
    return vchan;
}

/* ---- Host ---------------------------------------------------------------------------------------- */

static void *
serve_thread(void *argument)
{
    struct bench_vchan *vchan = argument;

    while (serve_job(vchan) == 0)
        ;
    vchan_close(vchan);
    return NULL;
}

static int
serve(uint32_t domain, const char *node)
{
    struct bench_vchan *vchan = vchan_alloc();
    pthread_t thread;

    if (!vchan)
        return -ENOMEM;
    errno = 0;
    vchan->control = libxenvchan_client_init(NULL, (int)domain, node);
    if (!vchan->control) {
        int err = errno ? -errno : -ECONNREFUSED;

        vchan_close(vchan);
        return err;
    }
    vchan->control->server_persist = 0;
    if (pthread_create(&thread, NULL, serve_thread, vchan) != 0) {
        vchan_close(vchan);
        return -EAGAIN;
    }
    pthread_detach(thread);
    return 0;
}

/* ---- Guest --------------------------------------------------------------------------------------- */

static int
number_of(struct xs_handle *store, const char *node, uint32_t *number)
{
    unsigned length;
    char *text = xs_read(store, XBT_NULL, node, &length);

    if (!text)
        return -errno;
    *number = (uint32_t)strtoul(text, NULL, 10);
    free(text);
    return 0;
}

static bool
node_exists(struct xs_handle *store, const char *node)
{
    unsigned length;
    char *text = xs_read(store, XBT_NULL, node, &length);

    free(text);
    return text != NULL;
}

static int
facts(uint32_t peer, uint64_t pages, struct bench_xen_facts *out, char problem[BENCH_XEN_TEXT])
{
    struct xs_handle *store = xs_open(0);
    struct gpuvchan__xen_facts xen;
    char node[128];
    int err;

    if (!store) {
        err = errno ? -errno : -EIO;
        snprintf(problem, BENCH_XEN_TEXT, "cannot reach xenstore: %s (is this user root?)", strerror(-err));
        return err;
    }
    err = number_of(store, "domid", &out->domain);
    snprintf(node, sizeof(node), "/local/domain/%u/data/gpuvchan/" BENCH_XEN_SERVICE, peer);
    out->peer_serves = node_exists(store, node);
    xs_close(store);
    if (err < 0) {
        snprintf(problem, BENCH_XEN_TEXT, "xenstore does not tell this domain's number: %s", strerror(-err));
        return err;
    }
    gpuvchan__xen_facts_read("", &xen);
    snprintf(out->description, sizeof(out->description), "%s%sXen %s", xen.type, xen.type[0] ? ", " : "",
             xen.version[0] ? xen.version : "of unknown version");
    out->why[0] = '\0';
    if (pages > 0 && gpuvchan__xen_judge(&xen, pages, out->why, sizeof(out->why)) >= pages)
        out->why[0] = '\0';
    return 0;
}

/* libxenvchan 4.17 may crash where it cannot have its pages: they are asked for first. */
static int
probe_grants(uint32_t peer, char problem[BENCH_XEN_TEXT])
{
    xengntshr_handle *shares = xengntshr_open(NULL, 0);
    uint32_t *references = calloc(VCHAN_PAGES, sizeof(*references));
    void *pages = NULL;
    int err = shares ? ENOMEM : errno;

    if (shares && references) {
        pages = xengntshr_share_pages(shares, peer, VCHAN_PAGES, references, 1);
        err = errno;
    }
    if (pages)
        xengntshr_unshare(shares, pages, VCHAN_PAGES);
    if (shares)
        xengntshr_close(shares);
    free(references);
    if (pages)
        return 0;
    snprintf(
        problem, BENCH_XEN_TEXT,
        "cannot grant the %zu pages of a vchan to domain %u: %s. Other programs of this domain may hold what there "
        "is; or raise the limit: echo 32768 > /sys/module/xen_gntalloc/parameters/limit",
        VCHAN_PAGES, peer, strerror(err));
    return err ? -err : -EIO;
}

static int
create(uint32_t peer, char *node, size_t bytes, struct bench_vchan **out, char problem[BENCH_XEN_TEXT])
{
    struct xs_handle *store = xs_open(0);
    struct bench_vchan *vchan;
    char path[64];
    uint32_t own = 0;
    int err = store ? number_of(store, "domid", &own) : -errno;

    if (store)
        xs_close(store);
    if (err < 0) {
        snprintf(problem, BENCH_XEN_TEXT, "xenstore does not tell this domain's number: %s", strerror(-err));
        return err;
    }
    err = probe_grants(peer, problem);
    if (err < 0)
        return err;
    vchan = vchan_alloc();
    if (!vchan) {
        snprintf(problem, BENCH_XEN_TEXT, "out of memory");
        return -ENOMEM;
    }
    /* Below this domain's own place, where the other one may read what libxenvchan writes. It cuts names of nodes
     * off at 63 letters, with /event-channel behind this one. */
    snprintf(path, sizeof(path), "data/vchan/%u/b%ld", peer, (long)getpid());
    errno = 0;
    vchan->control = libxenvchan_server_init(NULL, (int)peer, path, BENCH_VCHAN_RING, BENCH_VCHAN_RING);
    if (!vchan->control) {
        err = errno ? -errno : -EIO;
        snprintf(problem, BENCH_XEN_TEXT, "libxenvchan cannot serve domain %u at %s: %s", peer, path, strerror(-err));
        vchan_close(vchan);
        return err;
    }
    vchan->control->server_persist = 0;
    snprintf(node, bytes, "/local/domain/%u/%s", own, path);
    *out = vchan;
    return 0;
}

static void
attached(const struct bench_vchan *vchan)
{
    struct xs_handle *store = xs_open(0);

    if (!store)
        return;
    xs_rm(store, XBT_NULL, vchan->control->xs_path);
    xs_close(store);
}

static int
run(struct bench_vchan *vchan, const struct bench_vchan_job *job, struct bench_vchan_sample *sample)
{
    uint64_t until = bench_now() + ATTACH_NS;

    /* 2: the host's thread is still to come. */
    while (libxenvchan_is_open(vchan->control) == 2 && bench_now() < until)
        bench_sleep(1000000);
    if (libxenvchan_is_open(vchan->control) != 1)
        return -EPIPE;
    return run_job(vchan, job, sample);
}

EXPORT const struct bench_xen bench_xen = {
    .facts = facts,
    .create = create,
    .attached = attached,
    .run = run,
    .close = vchan_close,
    .serve = serve,
    .notified = notified,
};
