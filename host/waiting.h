/* SPDX-License-Identifier: MIT */
/* Guests that wait for a place: at most a second, since that is what one that is just ending takes to be free. */
#ifndef HOST_WAITING_H
#define HOST_WAITING_H

#include <gpuvchan/gpuvchan.h>

#define WAITING_MAX 64

struct guest {
    int fd;
    size_t listener; /* its number */
    struct gpuvchan_peer peer;
    int64_t deadline;
};

struct waiting {
    struct guest guests[WAITING_MAX]; /* oldest first */
    size_t count;
};

/** Takes in a guest. @return false if there is no place left, for all or for those of its domain. */
bool waiting_add(struct waiting *waiting, const struct guest *guest, int64_t now);

/** Takes out number @p i. */
struct guest waiting_take(struct waiting *waiting, size_t i);

/** When the next one has waited long enough, or NEVER. */
int64_t waiting_next_deadline(const struct waiting *waiting);

#endif
