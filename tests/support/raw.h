/* SPDX-License-Identifier: MIT */
/*
 * A guest that speaks the wire format by hand, and may say anything. On the local transport it is wholly by
 * hand; on others the transport's own functions share the region and carry hello and welcome.
 */
#ifndef TESTS_RAW_H
#define TESTS_RAW_H

#include <stdbool.h>
#include <sys/types.h>

#include "transport.h"
#include "wire.h"

struct test_host;

struct raw {
    struct gpuvchan__link *link; /* NULL: local, by hand */
    int socket, memfd;           /* local */
    struct wire_hello hello;
    struct wire_welcome welcome;
    unsigned char *base;
    size_t mapped;
    int bells[2 * WIRE_LANES_MAX]; /* local; of lane i: 2i rings the host, 2i + 1 rings here */
    int bell_count;
    bool opened[WIRE_LANES_MAX];
    uint64_t tail[WIRE_LANES_MAX]; /* of the command rings */
    uint16_t sequence[WIRE_LANES_MAX];
};

/** One that is right. */
void raw_hello(struct wire_hello *hello);
/** A connection with a hello that is right; nothing is sent. @return 0 or -errno. */
int raw_connect(struct raw *raw, const char *address);
/** A region of hello.region_bytes, mapped, and sealed where the transport has seals. */
int raw_region(struct raw *raw);
/** Says hello, and waits for the welcome. @return its bytes, 0: closed without one, -errno. */
int raw_offer(struct raw *raw, int timeout_ms);
/** All of that. @return the welcome's status, or -errno. */
int raw_greet(struct raw *raw, const char *address);
void raw_close(struct raw *raw);

/** Local: the two halves of raw_offer(). */
int raw_send(int fd, const void *data, size_t bytes, const int *fds, size_t count);
int raw_receive(struct raw *raw, int timeout_ms);

struct wire_lane *raw_lane(const struct raw *raw, uint32_t lane);
unsigned char *raw_ring(const struct raw *raw, uint32_t lane);
/** Its doorbell, where the transport needs one before the lane is open. */
void raw_prepare_lane(struct raw *raw, uint32_t lane);
/** Tells the host that a lane is open. */
void raw_open_lane(struct raw *raw, uint32_t lane);
/** Writes a record where the host reads next, as it is, and rings. */
void raw_record(struct raw *raw, uint32_t lane, struct gpuvchan_record record, const void *payload, size_t bytes);
/** A right record of that kind. @return its sequence. */
uint16_t raw_post(struct raw *raw, uint32_t lane, uint8_t slot, uint16_t opcode, uint8_t flags, const void *payload,
                  size_t bytes);
/** Nothing where the lane was never opened. */
void raw_ring_bell(struct raw *raw, uint32_t lane);
/** Waits for a reply in the slot. */
bool raw_reply(const struct raw *raw, uint32_t lane, uint8_t flip, int timeout_ms);
/** Waits for the host's fault; "" if there is none. */
const char *raw_fault(const struct raw *raw, int timeout_ms);
/** Waits for the worker to be gone. */
bool raw_worker_gone(const struct raw *raw, const struct test_host *host, int timeout_ms);
/** Wakes the host's main thread. */
void raw_ring_main(struct raw *raw);
/** Has the host closed the connection? */
bool raw_closed(const struct raw *raw, int timeout_ms);

#endif
