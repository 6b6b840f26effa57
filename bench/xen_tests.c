/* SPDX-License-Identifier: MIT */
#include "xen_tests.h"

#include "xen_module.h"

#define ARENA_BYTES (33u << 20) /* two messages of bulk data, and some */
#define ARENA_LEAST (1u << 20)
#define COMMAND_BYTES (1u << 20) /* as large as libxenvchan's ring, for posts */

const struct bench_peer_channel bench_peer_channels[BENCH_CHANNELS] = {
    [BENCH_CHANNEL_USUAL] = {BENCH_XEN_SERVICE, "spinning 50 us, then asleep", 0, ARENA_BYTES, COMMAND_BYTES},
    [BENCH_CHANNEL_ASLEEP] = {BENCH_XEN_SERVICE_ASLEEP, "asleep", -1, ARENA_LEAST, 0},
    [BENCH_CHANNEL_SPINNING] = {BENCH_XEN_SERVICE, "spinning", BENCH_PEER_SPIN_US, ARENA_LEAST, 0},
};

const struct bench_vchan_mode bench_vchan_modes[BENCH_PEER_VCHAN_MODES] = {
    {"libxenvchan", "blocking, send/recv", true, false},
    {"libxenvchan", "blocking, write/read", true, true},
    {"libxenvchan-poll", "polling, send/recv", false, false},
    {"libxenvchan-poll", "polling, write/read", false, true},
};

#define REFERENCES .reference = {"libxenvchan", "libxenvchan-poll"}
#define CALL .op = BENCH_CALL, .size = 64, .unit = "us", .lower_is_better = true, REFERENCES
#define BULK .size = BENCH_XEN_SIZE_MAX, .unit = "GB/s", REFERENCES

const struct bench_peer_group bench_peer_groups[BENCH_PEER_GROUPS] = {
    {
        .command = BENCH_RING,
        .test =
            {
                {{.name = "call-64", .summary = "a message of 64 bytes there and one back", CALL},
                 BENCH_CHANNEL_USUAL,
                 false},
                {{.name = "call-64-spinning", .summary = "the same, both sides spin", CALL},
                 BENCH_CHANNEL_SPINNING,
                 true},
                {{.name = "doorbell", .summary = "the same, both sides sleep while they wait", CALL},
                 BENCH_CHANNEL_ASLEEP,
                 true},
            },
    },
    {
        .command = BENCH_RING,
        .test = {{{.name = "post-64",
                   .summary = "messages of 64 bytes, one way",
                   .op = BENCH_POST,
                   .size = 64,
                   .unit = "M/s",
                   REFERENCES},
                  BENCH_CHANNEL_USUAL,
                  false}},
    },
    {
        .command = BENCH_BULK,
        .test =
            {
                {{.name = "bulk-zerocopy-16M",
                  .summary = "16 MiB a time, handed over; the guest writes and the host reads a word of each page",
                  .op = BENCH_BULK_PAGES,
                  BULK},
                 BENCH_CHANNEL_USUAL,
                 false},
                {{.name = "bulk-touched-16M",
                  .summary = "16 MiB a time, of which the guest writes and the host reads every byte",
                  .op = BENCH_BULK_TOUCHED,
                  BULK},
                 BENCH_CHANNEL_USUAL,
                 false},
                {{.name = "bulk-copy-16M",
                  .summary = "16 MiB a time, copied in from a buffer and out into one",
                  .op = BENCH_BULK_COPY,
                  BULK},
                 BENCH_CHANNEL_USUAL,
                 false},
            },
    },
};

const struct bench_test *
bench_peer_test(unsigned number)
{
    static const struct bench_test none;

    for (unsigned i = 0; i < BENCH_PEER_GROUPS; i++)
        for (unsigned k = 0; k < BENCH_PEER_GROUP_TESTS && bench_peer_groups[i].test[k].test.name; k++)
            if (number-- == 0)
                return &bench_peer_groups[i].test[k].test;
    return &none;
}
