/* SPDX-License-Identifier: MIT */
/* The module's entry, and the functions of the library that its sources call. */
#include "xen_transport.h"

#include <stdio.h>
#include <string.h>

#include "error.h"

static const struct gpuvchan__core *core;

int
gpuvchan__error(int error, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    error = core->error(error, format, list);
    va_end(list);
    return error;
}

void
gpuvchan_log(enum gpuvchan_log_level level, const char *format, ...)
{
    char text[1024];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    core->log(level, text);
}

/* Two kernels: no membarrier() reaches the other. */
static uint64_t
xen_features(const struct gpuvchan__link *link)
{
    (void)link;
    return 0;
}

static void
xen_fence_peer(struct gpuvchan__link *link)
{
    (void)link;
}

const struct gpuvchan__transport gpuvchan__transport_xen = {
    .name = "xen",
    .arena_bytes = 64ull << 20,
    .lanes = 16,
    .command_bytes = 256u << 10, /* each page of a ring is a grant of a domain's limited number */
    .reply_bytes = 64u << 10,
    .arena_grain = XEN_PAGE,
    .remote = true,
    .connect = xen_connect,
    .shareable = xen_shareable,
    .allocate = xen_allocate,
    .greet = xen_greet,
    .lane_open = xen_lane_open,
    .listen = xen_listen,
    .is_mine = xen_is_mine,
    .refuse = xen_refuse,
    .receive = xen_receive,
    .identify = xen_identify,
    .map = xen_map,
    .welcome = xen_welcome,
    .restrict_self = xen_restrict_self,
    .lane_join = xen_lane_join,
    .features = xen_features,
    .ring = xen_ring,
    .wait = xen_wait,
    .ring_main = xen_ring_main,
    .wait_main = xen_wait_main,
    .shut = xen_shut,
    .wake_main = xen_wake_main,
    .abandon = xen_abandon,
    .fence_peer = xen_fence_peer,
    .close = xen_close,
};

GPUVCHAN_EXPORT const struct gpuvchan__transport *
gpuvchan_transport_module(const char *version, const struct gpuvchan__core *offered)
{
    if (strcmp(version, GPUVCHAN_VERSION) != 0)
        return NULL;
    core = offered;
    return &gpuvchan__transport_xen;
}
