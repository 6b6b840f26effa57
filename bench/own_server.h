/* SPDX-License-Identifier: MIT */
/*
 * own_server.h - the host's side of what measures libgpuvchan: a plugin that
 * counts. A process has one session.
 */
#ifndef BENCH_OWN_SERVER_H
#define BENCH_OWN_SERVER_H

#include <semaphore.h>
#include <stdint.h>

#include <gpuvchan/plugin.h>

/* Of messages in the arena. */
#define BENCH_SLOT_BYTES (64u << 10)
#define BENCH_PIECE_BYTES (1u << 20)
#define BENCH_WHOLE_BYTES (16u << 20)

struct bench_server {
    uint64_t good;      /* messages that were what they should be, since the last finish */
    uint32_t linger_us; /* behind each call */
    sem_t wake;         /* posted by each finish */
    unsigned char *private;

    /* On Xen; NULL elsewhere. */
    int (*attach)(const char *node);
    uint64_t (*notified)(void);
};

extern struct bench_server bench_server;
extern const struct gpuvchan_plugin bench_server_plugin;

/* 0 or -errno. */
int bench_server_init(void);

#endif
