/* SPDX-License-Identifier: MIT */
#include "inside.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *
host_thread(void *argument)
{
    struct inside *inside = argument;
    struct pollfd waiting = {.fd = gpuvchan_listener_fd(inside->listener), .events = POLLIN};
    struct gpuvchan_session *session;
    struct gpuvchan_peer peer;
    int fd;

    inside->result = -ETIME;
    if (poll(&waiting, 1, 10000) != 1 || gpuvchan_listener_accept(inside->listener, &fd, &peer) != 0)
        return NULL;
    inside->result = gpuvchan_session_accept(fd, &inside->limits, &session);
    if (inside->result != 0)
        return NULL;
    gpuvchan_session_offer(session, &subject_plugin);
    inside->result = gpuvchan_session_run(session);
    gpuvchan_session_destroy(session);
    return NULL;
}

int
inside_start(struct inside *inside, const struct gpuvchan_channel_options *options, int32_t host_spin_us)
{
    int error;

    memset(inside, 0, sizeof(*inside));
    inside->limits.size = sizeof(inside->limits);
    inside->limits.spin_us = host_spin_us;
    snprintf(inside->folder, sizeof(inside->folder), "/tmp/gpuvchan-test.XXXXXX");
    if (!mkdtemp(inside->folder))
        return -errno;
    snprintf(inside->address, sizeof(inside->address), "%s/host", inside->folder);
    error = gpuvchan_listener_create(inside->address, &inside->listener);
    if (error == 0 && pthread_create(&inside->host, NULL, host_thread, inside) != 0)
        error = -EAGAIN;
    if (error == 0)
        error = gpuvchan_channel_connect(inside->address, options, &inside->channel);
    if (error == 0)
        error = gpuvchan_client_open(inside->channel, &subject_protocol, &inside->client);
    if (error != 0)
        printf("# %s\n", gpuvchan_error_text());
    return error;
}

int
inside_stop(struct inside *inside)
{
    gpuvchan_channel_close(inside->channel);
    pthread_join(inside->host, NULL);
    gpuvchan_listener_destroy(inside->listener);
    rmdir(inside->folder);
    return inside->result;
}
