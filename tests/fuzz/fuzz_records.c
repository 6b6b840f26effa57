/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a command ring and a slot, through a real lane of a worker and generated checks (those of
 * examples/hello). The guest has gone, so that the lane ends where there is nothing more.
 *
 * Input: flags (1 byte), the reply ring's position (1), then the slot's 256 bytes and the ring's. With the
 * first flag the records in it are numbered as they should be, so that inputs get further than the first.
 *
 * build: ALL:libgpuvchan examples/hello/plugin.c GEN/hello-host.c -lpthread
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hello-host.h"

#include "session.h"

#define RING 4096u

enum {
    NUMBERED = 1,
    OPENED = 2,   /* the protocol is open already */
    SLOT = 4,     /* there is something in the slot */
    POSITION = 8, /* the reply ring's head is what the input says */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
const struct gpuvchan_plugin *gpuvchan_plugin_entry(void);

static void
silent(enum gpuvchan_log_level level, const char *text)
{
    (void)level;
    (void)text;
}

static struct gpuvchan_session *
session_create(int *guest)
{
    struct gpuvchan_session_limits limits = {.size = sizeof(limits), .spin_us = -1};
    struct gpuvchan_session *session = NULL;
    struct wire_hello hello = {
        .magic = WIRE_MAGIC,
        .major = WIRE_MAJOR,
        .lanes = 1,
        .command_bytes = RING,
        .reply_bytes = RING,
        .arena_bytes = 8192,
    };
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = &hello, .iov_len = sizeof(hello)};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    int ends[2], memfd = memfd_create("fuzz", MFD_ALLOW_SEALING);

    hello.arena_offset = wire_lane_offset(&hello, 1);
    hello.region_bytes = hello.arena_offset + hello.arena_bytes;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0 ||
        ftruncate(memfd, (off_t)hello.region_bytes) != 0 || fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        abort();
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &memfd, sizeof(int));
    if (sendmsg(ends[1], &message, 0) < 0 || gpuvchan_session_accept(ends[0], &limits, &session) != 0)
        abort();
    close(memfd);
    *guest = ends[1];
    return session;
}

/* Numbers the records from the ring's start on, for as long as they make sense. */
static void
number(unsigned char *ring)
{
    uint16_t sequence = 0;

    for (size_t at = 0; at + 16 <= RING;) {
        struct gpuvchan_record record;
        size_t left = RING - at;

        memcpy(&record, ring + at, sizeof(record));
        if (record.units == 0)
            break;
        record.units = (uint16_t)(1 + (record.units - 1) % (left / 16 < RING / 64 ? left / 16 : RING / 64));
        record.flags &= GPUVCHAN_RECORD_CALL;
        record.slot %= 3;
        record.sequence = ++sequence;
        memcpy(ring + at, &record, sizeof(record));
        at += record.units * 16u;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct gpuvchan_session *session;
    struct session_lane *lane;
    unsigned char *ring;
    uint8_t flags, position;
    int guest;

    if (bytes < 2)
        return 0;
    gpuvchan_log_set(silent, GPUVCHAN_LOG_ERROR);
    session = session_create(&guest);
    lane = session->lanes[0];
    ring = (unsigned char *)lane->shared + sizeof(struct wire_lane);
    gpuvchan_session_offer(session, gpuvchan_plugin_entry());
    flags = data[0];
    position = data[1];
    data += 2;
    bytes -= 2;
    if (flags & OPENED) {
        struct wire_open open = {
            .name = "hello",
            .version = hello_dispatch.protocol.version,
            .entries = hello_dispatch.protocol.entries,
            .hash = hello_dispatch.protocol.hash,
        };
        struct wire_opened opened = {0};

        if (gpuvchan__session_open(session, &open, &opened) != 0)
            abort();
    }
    if (flags & SLOT && bytes >= GPUVCHAN_SLOT_BYTES) {
        memcpy(lane->shared->slot, data, GPUVCHAN_SLOT_BYTES);
        data += GPUVCHAN_SLOT_BYTES;
        bytes -= GPUVCHAN_SLOT_BYTES;
    }
    memcpy(ring, data, bytes < RING ? bytes : RING);
    if (flags & NUMBERED)
        number(ring);
    if (flags & POSITION)
        atomic_store(&lane->shared->reply.head, position * 8ull);
    close(guest);
    if (gpuvchan__session_lane_begin(lane) != 0)
        abort();
    gpuvchan__session_lane_serve(lane);
    gpuvchan_session_destroy(session);
    return 0;
}
