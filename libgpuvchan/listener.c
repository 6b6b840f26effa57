/* SPDX-License-Identifier: MIT */
/* The host's listening side: where guests knock. The transports' doors do the work. */
#include <errno.h>
#include <stdlib.h>

#include <gpuvchan/gpuvchan.h>

#include "error.h"
#include "transport.h"

struct gpuvchan_listener {
    struct gpuvchan__door *door;
};

static int
listener_make(struct gpuvchan_listener **out)
{
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : gpuvchan__error(-ENOMEM, "out of memory");
}

int
gpuvchan_listener_create(const char *address, struct gpuvchan_listener **out)
{
    const struct gpuvchan__transport *transport;
    struct gpuvchan_listener *listener;
    const char *place;
    int error = gpuvchan__transport_find(address, &transport, &place);

    if (error == 0)
        error = listener_make(&listener);
    if (error != 0)
        return error;
    error = transport->listen(place, &listener->door);
    if (error != 0) {
        free(listener);
        return error;
    }
    *out = listener;
    return 0;
}

int
gpuvchan_listener_adopt(int fd, struct gpuvchan_listener **out)
{
    struct gpuvchan_listener *listener;
    int error = listener_make(&listener);

    if (error != 0)
        return error;
    error = gpuvchan__local_adopt(fd, &listener->door);
    if (error != 0) {
        free(listener);
        return error;
    }
    *out = listener;
    return 0;
}

int
gpuvchan_listener_fd(const struct gpuvchan_listener *listener)
{
    return listener->door->ops->fd(listener->door);
}

void
gpuvchan_listener_destroy(struct gpuvchan_listener *listener)
{
    if (!listener)
        return;
    listener->door->ops->close(listener->door);
    free(listener);
}

int
gpuvchan_listener_accept(struct gpuvchan_listener *listener, int *fd, struct gpuvchan_peer *peer)
{
    return listener->door->ops->accept(listener->door, fd, peer);
}

bool
gpuvchan_listener_alive(struct gpuvchan_listener *listener, const struct gpuvchan_peer *peer)
{
    return listener->door->ops->alive(listener->door, peer);
}

void
gpuvchan_listener_claim(struct gpuvchan_listener *listener, const struct gpuvchan_peer *peer)
{
    listener->door->ops->claim(listener->door, peer);
}

void
gpuvchan_listener_release(struct gpuvchan_listener *listener, const struct gpuvchan_peer *peer)
{
    listener->door->ops->release(listener->door, peer);
}
