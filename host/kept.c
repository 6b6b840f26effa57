/* SPDX-License-Identifier: MIT */
#include "kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ITEMS_MAX 256 /* each takes a descriptor */
#define OWNER_BYTES 56
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct kept_item {
    char owner[OWNER_BYTES];
    uint8_t digest[WORKER_DIGEST];
    uint64_t bytes, used;
    int fd;
};

static void
owner_of(const struct gpuvchan_peer *peer, char owner[OWNER_BYTES])
{
    if (peer->domain < 0)
        snprintf(owner, OWNER_BYTES, "user %u", peer->uid);
    else if (peer->uuid[0])
        snprintf(owner, OWNER_BYTES, "domain %.39s", peer->uuid);
    else
        snprintf(owner, OWNER_BYTES, "number %d", peer->domain);
}

static void
drop(struct kept *kept, size_t index)
{
    kept->bytes -= kept->items[index].bytes;
    close(kept->items[index].fd);
    kept->items[index] = kept->items[--kept->count];
}

static size_t
least_used(const struct kept *kept)
{
    size_t least = 0;

    for (size_t i = 1; i < kept->count; i++)
        if (kept->items[i].used < kept->items[least].used)
            least = i;
    return least;
}

void
kept_limit(struct kept *kept, uint64_t most)
{
    kept->most = most;
    while (kept->bytes > most)
        drop(kept, least_used(kept));
}

void
kept_finish(struct kept *kept)
{
    while (kept->count > 0)
        drop(kept, kept->count - 1);
    free(kept->items);
    *kept = (struct kept){0};
}

int
kept_find(struct kept *kept, const struct gpuvchan_peer *peer, uint64_t bytes, const uint8_t *digest)
{
    char owner[OWNER_BYTES];

    owner_of(peer, owner);
    for (size_t i = 0; i < kept->count; i++) {
        struct kept_item *item = &kept->items[i];

        if (item->bytes != bytes || strcmp(item->owner, owner) != 0 ||
            (digest && memcmp(item->digest, digest, sizeof(item->digest)) != 0))
            continue;
        item->used = ++kept->clock;
        return item->fd;
    }
    return -1;
}

/* Sealed memory of just that size: what another worker maps must neither change nor end. */
static int
check(const struct kept *kept, uint64_t bytes, int fd)
{
    struct stat status;

    if (bytes == 0 || bytes > kept->most)
        return -E2BIG;
    if ((fcntl(fd, F_GET_SEALS) & SEALS) != SEALS || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        (uint64_t)status.st_size != bytes)
        return -EINVAL;
    return 0;
}

int
kept_add(struct kept *kept, const struct gpuvchan_peer *peer, uint64_t bytes, const uint8_t *digest, int fd)
{
    int error = fd < 0 ? -EINVAL : kept_find(kept, peer, bytes, digest) >= 0 ? -EEXIST : check(kept, bytes, fd);
    struct kept_item *item;

    if (error == 0 && !kept->items && !(kept->items = calloc(ITEMS_MAX, sizeof(*kept->items))))
        error = -ENOMEM;
    if (error != 0) {
        if (fd >= 0)
            close(fd);
        return error;
    }
    while (kept->count == ITEMS_MAX || kept->bytes > kept->most - bytes)
        drop(kept, least_used(kept));
    item = &kept->items[kept->count++];
    *item = (struct kept_item){.bytes = bytes, .used = ++kept->clock, .fd = fd};
    owner_of(peer, item->owner);
    memcpy(item->digest, digest, sizeof(item->digest));
    kept->bytes += bytes;
    return 0;
}

void
kept_forget(struct kept *kept, const struct gpuvchan_peer *peer)
{
    char owner[OWNER_BYTES];

    if (peer->domain < 0 || peer->uuid[0])
        return;
    owner_of(peer, owner);
    for (size_t i = kept->count; i-- > 0;)
        if (strcmp(kept->items[i].owner, owner) == 0)
            drop(kept, i);
}
