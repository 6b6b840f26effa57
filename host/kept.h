/* SPDX-License-Identifier: MIT */
/*
 * What workers have had kept for later ones: bytes, by their digest.
 *
 * Design notes
 *
 * It lies in sealed memory, which nobody can change or shrink: there is no file to be damaged, and nothing stays behind
 * when the supervisor ends. Whose it is the supervisor knows and no worker says: a domain of Xen, by its UUID, or a
 * user of this system gets what it has brought itself and nothing else, so that nobody can learn, or load, what another
 * has. Of a domain that has a number alone, which another will get, nothing outlives its last worker.
 *
 * A worker has digested what it brings. One that lies deceives its own domain or user, which its guest could before.
 */
#ifndef HOST_KEPT_H
#define HOST_KEPT_H

#include <gpuvchan/gpuvchan.h>

#include "worker_link.h"

struct kept_item;

struct kept {
    struct kept_item *items;
    size_t count;
    uint64_t bytes, most; /* in all, and how many may be */
    uint64_t clock;
};

/** At most @p most bytes from now on; 0: none. What does not fit any more goes. */
void kept_limit(struct kept *kept, uint64_t most);
void kept_finish(struct kept *kept);

/**
 * What @p peer has of @p bytes with @p digest, or any of that size for NULL. @return a descriptor, which is not the
 * caller's, or -1.
 */
int kept_find(struct kept *kept, const struct gpuvchan_peer *peer, uint64_t bytes, const uint8_t *digest);

/** Takes @p fd in any case. What is used least goes for it. @return 0 or -errno: it is not kept. */
int kept_add(struct kept *kept, const struct gpuvchan_peer *peer, uint64_t bytes, const uint8_t *digest, int fd);

/** The last worker of @p peer's domain has ended. */
void kept_forget(struct kept *kept, const struct gpuvchan_peer *peer);

#endif
