/* SPDX-License-Identifier: MIT */
/*
 * What a supervisor and a worker say to each other, through a socket between them.
 *
 * Design notes
 *
 * A worker may be anybody's once its guest has found a hole in a driver: the supervisor takes messages of one fixed
 * size from it, and at most one descriptor with each, and never waits for it.
 *
 * A spare worker says when its plugins are ready, and gets its guest: the connection, and its file, whose lock goes with
 * the descriptor. When the supervisor dies, a worker without a guest ends; others go on, and find nothing kept any more.
 *
 * Any worker may ask for what its guest's domain or user has had kept, and have more kept; see kept.h.
 */
#ifndef HOST_WORKER_LINK_H
#define HOST_WORKER_LINK_H

#include <stdbool.h>
#include <stdint.h>

enum worker_word {
    WORKER_READY = 1, /* a spare one's plugins are */
    WORKER_FIND,      /* answered: is there something of this size, and with a digest: where? */
    WORKER_KEEP,      /* the descriptor that comes with it */
};

#define WORKER_DIGEST 32

struct worker_message {
    uint32_t word;
    uint32_t any; /* WORKER_FIND: only whether there is one of that size */
    uint64_t bytes;
    uint8_t digest[WORKER_DIGEST];
};

/** Both ends: sockets[0] is the supervisor's. @return 0 or -errno. */
int worker_link_create(int sockets[2]);

/* ---- The supervisor's end: never blocks -------------------------------------------------------- */

/**
 * Receives a message; *@p fd is the caller's, -1: none came. @return 0, -EAGAIN: there is none, or another -errno: there
 * will be no more.
 */
int worker_link_receive(int link, struct worker_message *message, int *fd);

/** Answers WORKER_FIND: 0 with a descriptor or -1, or a negative errno value. */
void worker_link_answer(int link, int result, int fd);

/** Hands over a guest on @p connection, and the worker's file or -1; both stay the caller's, too. @return 0 or -errno. */
int worker_link_hand_over(int link, int connection, int file);

/* ---- The worker's end -------------------------------------------------------------------------- */

/**
 * Says that a spare worker is ready, and waits for its guest, whose connection and file get the numbers @p connection and
 * @p file. False: there will be no guest.
 */
bool worker_link_await(int link, int connection, int file);

/** For struct gpuvchan_keeping: @p link is a pointer to the worker's descriptor. */
int worker_link_find(void *link, uint64_t bytes, const uint8_t *digest);
int worker_link_keep(void *link, uint64_t bytes, const uint8_t *digest, int fd);

#endif
