/* SPDX-License-Identifier: MIT */
/* What the files of the local transport share. */
#ifndef GPUVCHAN_TRANSPORT_LOCAL_H
#define GPUVCHAN_TRANSPORT_LOCAL_H

#include "transport.h"

struct local_link {
    struct gpuvchan__link link;
    int socket;
    int memfd;
    int shut;  /* eventfd, readable for good once this end is shut */
    int wake;  /* host: eventfd that wakes the main thread, once */
    int rouse; /* host: eventfd, readable while no lane is to sleep */
    void *base;
    uint64_t bytes;
    uint32_t lanes; /* of them have doorbells */
    uint32_t lanes_max;
    int own[WIRE_LANES_MAX];
    int peer[WIRE_LANES_MAX];
};

static inline struct local_link *
local(struct gpuvchan__link *link)
{
    return (struct local_link *)link;
}

/** A host's end over the connection @p fd, which it takes in any case; nothing is received yet. */
int gpuvchan__local_create_host(int fd, struct local_link **out);
void gpuvchan__local_close(struct gpuvchan__link *link);

extern const struct gpuvchan__heritage gpuvchan__local_heritage;

#endif
