/* SPDX-License-Identifier: MIT */
/*
 * xen_module.h - what needs Xen's own libraries, in a module of its own: the real
 * libxenvchan between two domains, beside which libgpuvchan is measured.
 *
 * Design notes
 *
 * The tool links libxenvchan's code over stand-ins, so the real one must come
 * from elsewhere: bench_xen.so, in the folder of libgpuvchan's transports. It is
 * loaded for --peer and serve alone.
 *
 * The guest's domain is the vchan's server, that is, it grants the memory, as it
 * does for libgpuvchan. The vchan carries its own orders: the guest sends a job,
 * the host says that it is ready, both do it, and the host says how it went,
 * which ends the time of jobs that go one way. Between jobs both sides sleep.
 *
 * The module is loaded with global symbols, and before the transport: its
 * xenevtchn_notify() stands before that of Xen's library, and counts. So every
 * notification of an event channel in the process is counted, whoever makes it;
 * libgpuvchan and libxenvchan alike know no other way to make one.
 */
#ifndef BENCH_XEN_MODULE_H
#define BENCH_XEN_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_XEN_TEXT 1024u
#define BENCH_XEN_SERVICE "bench"               /* a session with the usual options */
#define BENCH_XEN_SERVICE_ASLEEP "bench-asleep" /* one that never spins */
#define BENCH_XEN_SIZE_MAX ((size_t)16 << 20)   /* of a job's messages */

struct bench_vchan;

/* A job of mechanism.h. */
struct bench_vchan_job {
    uint32_t op, blocking, stream, reserved;
    uint64_t size, count;
};

struct bench_vchan_sample {
    uint64_t wall_ns;
    uint64_t notified; /* notifications by both sides in it */
};

struct bench_xen_facts {
    uint32_t domain;      /* this one */
    char description[64]; /* "PV, Xen 4.17.7" */
    bool peer_serves;
    char why[BENCH_XEN_TEXT]; /* not "": why so many pages cannot be granted, and what to do */
};

/* Functions return 0 or -errno, and say in problem what went wrong. */
struct bench_xen {
    /* Also: whether a host serves measurements in domain peer, and whether so many pages can be granted. */
    int (*facts)(uint32_t peer, uint64_t pages, struct bench_xen_facts *facts, char problem[BENCH_XEN_TEXT]);

    /* Guest: a vchan with the largest rings for the domain peer; node is where it will find it. */
    int (*create)(uint32_t peer, char *node, size_t bytes, struct bench_vchan **out, char problem[BENCH_XEN_TEXT]);
    /* The peer has it: takes back what is in xenstore, where a process that is killed would leave it. */
    void (*attached)(const struct bench_vchan *vchan);
    int (*run)(struct bench_vchan *vchan, const struct bench_vchan_job *job, struct bench_vchan_sample *sample);
    void (*close)(struct bench_vchan *vchan);

    /* Host: attaches to a guest's vchan, and does its jobs in a thread until the guest closes it. */
    int (*serve)(uint32_t domain, const char *node);

    /* Notifications by this process so far. */
    uint64_t (*notified)(void);
};

/* The module's symbol. */
extern const struct bench_xen bench_xen;

/* Loads it. NULL after problem says why: no Xen here, or the module is missing. */
const struct bench_xen *bench_xen_load(char problem[BENCH_XEN_TEXT]);

#endif
