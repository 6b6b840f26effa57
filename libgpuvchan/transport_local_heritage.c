/* SPDX-License-Identifier: MIT */
/*
 * The local transport, from one program to the next in the same process: the socket, the region and the doorbells
 * are descriptors, which pass through exec. The guest notices nothing: they are what they were.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "snapshot.h"
#include "transport_local.h"

/* Descriptors that the program has open; behind it, for the lanes that have doorbells, `own` and then `peer`. */
struct local_heritage {
    int32_t memfd;
    uint32_t lanes, lanes_max;
};

static void
local_rouse(struct gpuvchan__link *link, bool on)
{
    uint64_t count = 1;

    if (on)
        (void)!write(local(link)->rouse, &count, sizeof(count));
    else
        (void)!read(local(link)->rouse, &count, sizeof(count));
}

static int
local_save(struct gpuvchan__link *link, struct gpuvchan_snapshot *snapshot)
{
    const struct local_link *l = local(link);
    struct local_heritage heritage = {.memfd = l->memfd, .lanes = l->lanes, .lanes_max = l->lanes_max};

    gpuvchan_snapshot_write(snapshot, &heritage, sizeof(heritage));
    gpuvchan_snapshot_write(snapshot, l->own, l->lanes * sizeof(l->own[0]));
    return gpuvchan_snapshot_write(snapshot, l->peer, l->lanes * sizeof(l->peer[0]));
}

/* False where there is no such descriptor. */
static bool
set_cloexec(int fd, bool on)
{
    return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) == 0;
}

static int
local_keep(struct gpuvchan__link *link, bool on)
{
    struct local_link *l = local(link);
    bool done = set_cloexec(l->socket, !on) && set_cloexec(l->memfd, !on);

    for (uint32_t i = 0; i < l->lanes; i++)
        done = done && set_cloexec(l->own[i], !on) && set_cloexec(l->peer[i], !on);
    return done ? 0 : gpuvchan__error(-errno, "descriptors cannot be passed on: %s", strerror(errno));
}

static int
local_reopen(int fd, struct gpuvchan_snapshot *snapshot, struct gpuvchan__link **out)
{
    struct local_heritage heritage;
    struct local_link *l;
    int error = gpuvchan__local_create_host(fd, &l);

    if (error != 0)
        return error;
    error = gpuvchan_snapshot_read(snapshot, &heritage, sizeof(heritage));
    if (error == 0 && (heritage.lanes > heritage.lanes_max || heritage.lanes_max > WIRE_LANES_MAX))
        error = gpuvchan__error(-EPROTO, "doorbells of %u lanes were passed on", heritage.lanes);
    if (error == 0) {
        l->memfd = heritage.memfd;
        l->lanes = heritage.lanes;
        l->lanes_max = heritage.lanes_max;
        gpuvchan_snapshot_read(snapshot, l->own, l->lanes * sizeof(l->own[0]));
        error = gpuvchan_snapshot_read(snapshot, l->peer, l->lanes * sizeof(l->peer[0]));
    }
    if (error == 0)
        error = local_keep(&l->link, false);
    if (error != 0)
        gpuvchan__local_close(&l->link);
    else
        *out = &l->link;
    return error;
}

const struct gpuvchan__heritage gpuvchan__local_heritage = {
    .rouse = local_rouse,
    .save = local_save,
    .keep = local_keep,
    .reopen = local_reopen,
};
