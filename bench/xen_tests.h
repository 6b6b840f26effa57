/* SPDX-License-Identifier: MIT */
/*
 * xen_tests.h - what is measured between two domains, and through what.
 */
#ifndef BENCH_XEN_TESTS_H
#define BENCH_XEN_TESTS_H

#include "measure.h"

#define BENCH_PEER_GROUPS 3
#define BENCH_PEER_GROUP_TESTS 3
#define BENCH_PEER_VCHAN_MODES 4
#define BENCH_PEER_SPIN_US 2000000 /* longer than a hypervisor keeps one side from running */

/* Our channels. */
enum bench_channel {
    BENCH_CHANNEL_USUAL,
    BENCH_CHANNEL_ASLEEP,
    BENCH_CHANNEL_SPINNING,
    BENCH_CHANNELS,
};

struct bench_peer_channel {
    const char *service, *mode;
    int32_t spin_us;                     /* 0: as usual */
    uint32_t arena_bytes, command_bytes; /* 0: as usual */
};

/* libxenvchan: two mechanisms of two modes each, which stand together. */
struct bench_vchan_mode {
    const char *name, *mode;
    bool blocking, stream;
};

struct bench_peer_test {
    struct bench_test test;
    enum bench_channel channel;
    bool beside_first; /* libxenvchan's values are those of the group's first test; false: it has its own */
};

struct bench_peer_group {
    enum bench_command command;
    struct bench_peer_test test[BENCH_PEER_GROUP_TESTS]; /* name NULL: none */
};

extern const struct bench_peer_channel bench_peer_channels[BENCH_CHANNELS];
extern const struct bench_vchan_mode bench_vchan_modes[BENCH_PEER_VCHAN_MODES];
extern const struct bench_peer_group bench_peer_groups[BENCH_PEER_GROUPS];

/* Of all the groups, one after the other; behind the last come such without a name. */
const struct bench_test *bench_peer_test(unsigned number);

#endif
