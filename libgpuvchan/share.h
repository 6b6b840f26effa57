/* SPDX-License-Identifier: MIT */
/*
 * What sessions of one guest share: bytes and descriptors, from worker to worker.
 *
 * Design notes
 *
 * A worker that offers something listens at an abstract Unix socket, whose random name is the first half of the token;
 * the second half is the offer's own. Who asks says which guest it serves, and gets nothing that another guest has
 * offered. Workers trust each other, not other processes: both ends look whether the peer is of their own user. A guest
 * knows tokens alone, and cannot guess one.
 *
 * Offers end with the worker. What has been taken before stays with who took it.
 */
#ifndef GPUVCHAN_SHARE_H
#define GPUVCHAN_SHARE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <gpuvchan/plugin.h>

#define SHARE_GUEST 64u
#define SHARE_HALF (sizeof(struct gpuvchan_session_token) / 2)

struct share_offer;

struct gpuvchan__share {
    char guest[SHARE_GUEST]; /* who it is; equal for all sessions of a guest; "": nobody knows */
    pthread_mutex_t lock;    /* for what follows */
    bool listening;
    int listener;
    unsigned char name[SHARE_HALF];
    pthread_t thread;
    struct share_offer *newest;
    uint32_t count;
};

void gpuvchan__share_init(struct gpuvchan__share *share, const char *guest);
void gpuvchan__share_finish(struct gpuvchan__share *share);
/** Is anything on offer? */
bool gpuvchan__share_in_use(struct gpuvchan__share *share);

/* As the functions of plugin.h for sessions. */
int gpuvchan__share_offer(struct gpuvchan__share *share, const void *data, size_t bytes, int fd,
                          struct gpuvchan_session_token *token);
void gpuvchan__share_end(struct gpuvchan__share *share, const struct gpuvchan_session_token *token);
int gpuvchan__share_take(const struct gpuvchan__share *share, const struct gpuvchan_session_token *token, void *data,
                         size_t *bytes, int *fd);

#endif
