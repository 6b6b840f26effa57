/* SPDX-License-Identifier: MIT */
/* Payloads of the benchmark's own protocol: what is left of a message behind the record's header. */
#ifndef BENCH_OWN_MESSAGES_H
#define BENCH_OWN_MESSAGES_H

#include <stdint.h>

typedef struct bench_message_64 {
    uint64_t words[6];
} bench_message_64;

typedef struct bench_message_256 {
    uint64_t words[30];
} bench_message_256;

#endif
