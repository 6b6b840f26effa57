/* SPDX-License-Identifier: MIT */
/*
 * Both ends of a lane's command ring, reply ring and slot over plain memory, with a link whose doorbells
 * are semaphores. A test may set what a wait does instead.
 */
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H

#include <semaphore.h>

#include "channel.h"

struct pair;

struct pair_end {
    struct gpuvchan__link link; /* first */
    struct pair *pair;
    struct pair_end *peer;
    sem_t bell;
    _Atomic unsigned rung, waited;
    int (*wait)(struct pair *pair); /* instead of sleeping */
};

struct pair {
    struct wire_lane *shared;
    unsigned char *command, *reply;
    uint64_t bytes;
    _Atomic uint64_t clock;
    _Atomic uint32_t ordered;
    struct gpuvchan_lane guest; /* writes commands, reads replies */
    struct gpuvchan__reader host_reader;
    struct gpuvchan__writer host_writer;
    struct pair_end guest_end, host_end;
};

/** Rings of @p bytes whose positions begin at @p start, a multiple of it. @p fence: the writer fences itself. */
struct pair *pair_create(uint64_t bytes, uint64_t start, bool fence, uint64_t spin_ns);
void pair_destroy(struct pair *pair);
/** The host's ends go on as fresh ones that know the old ones' places, as in a process that took the host's place. */
void pair_renew_host(struct pair *pair);

/** The guest's room for a post, as gpuvchan_reserve() gives it. NULL: @p error says why. */
unsigned char *pair_reserve(struct pair *pair, size_t payload, int *error);

/** Peeks; when there is nothing waits once and peeks again. @return as a peek, or what the wait failed with. */
int pair_next(struct gpuvchan__reader *reader, struct gpuvchan_record *record, uint64_t spin_ns, bool eager);

#endif
