/* SPDX-License-Identifier: MIT */
/* A guest and its worker in one process, over the real transport: what ThreadSanitizer can look at as a whole. */
#ifndef TESTS_INSIDE_H
#define TESTS_INSIDE_H

#include <pthread.h>

#include <gpuvchan/gpuvchan.h>

#include "subject.h"

struct inside {
    struct gpuvchan_listener *listener;
    struct gpuvchan_channel *channel;
    struct gpuvchan_client client; /* of the subject */
    struct gpuvchan_session_limits limits;
    char folder[64], address[96];
    pthread_t host;
    int result; /* of the session, once ended */
};

/** @return 0 or what failed; prints it. */
int inside_start(struct inside *inside, const struct gpuvchan_channel_options *options, int32_t host_spin_us);
/** Closes the channel and returns what the session ended with. */
int inside_stop(struct inside *inside);

#endif
