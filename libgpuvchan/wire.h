/* SPDX-License-Identifier: MIT */
/*
 * What is in shared memory and what the handshake says. Everything that crosses from one side to the
 * other is laid out here and in <gpuvchan/protocol.h> (the record header, which generated stubs need),
 * in fixed-width fields, with every offset asserted.
 *
 * Design notes
 *
 * The region is allocated and shared by the guest:
 *
 *      0            region header: version, the host's fault report
 *      COMPLETION   completion words, written by the host or the GPU
 *      LANES        per lane: control page, command ring, reply ring
 *      arena        bulk data
 *
 * Each side takes sizes and offsets from the handshake, checked and kept in private memory; nothing in
 * the region is ever trusted twice. Every word has one writer, but for the slot of a lane.
 *
 * A ring is bytes; positions count bytes since the start and never wrap (64 bits), the place of a
 * position is its value modulo the ring's size. A record is 16-byte aligned, contiguous, and begins with
 * a header whose first 8 bytes are published last. A reader polls those 8 bytes at its own position:
 * zero means nothing yet. So a record of up to 64 bytes costs one cache line transfer, not two (an index
 * and then the data). It requires that the 8 bytes behind the newest record are zero before that record
 * is published: the producer clears consumed memory ahead of itself, in steps of RING_CLEAR bytes.
 *
 * A lane's slot holds one record, a call or, in its place, a reply. A new one differs from the last of
 * its sort in GPUVCHAN_RECORD_FLIP; the first has it set. Commands of ring and slot are numbered together,
 * which orders them. The slot has two writers, who take turns: the guest while no call of its own is
 * under way, the host while one is.
 */
#ifndef GPUVCHAN_WIRE_H
#define GPUVCHAN_WIRE_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <gpuvchan/gpuvchan.h>
#include <gpuvchan/protocol.h>

#define WIRE_PAGE 4096u
#define WIRE_LINE 64u

#define WIRE_MAGIC 0x314e414843565047ull /* "GPVCHAN1" */
#define WIRE_MAJOR 1u                    /* differs: refuse */
#define WIRE_MINOR 0u                    /* higher: speak the lower one */

/* Feature bits, offered in the hello and granted in the welcome. */
#define WIRE_FEATURE_ASYMMETRIC_FENCE (1ull << 0) /* both processes run on one kernel and answer membarrier() */
#define WIRE_FEATURES_KNOWN WIRE_FEATURE_ASYMMETRIC_FENCE

#define WIRE_LANES_MAX GPUVCHAN_LANES_MAX
#define WIRE_RING_MIN 4096u
#define WIRE_RING_MAX (16u << 20)
#define WIRE_ARENA_MAX (1ull << 40)
#define WIRE_COMPLETION_BYTES 65536u
#define WIRE_COMPLETIONS (WIRE_COMPLETION_BYTES / 8u)
#define WIRE_PROTOCOLS 16u

/* One direction of a lane: who writes which line. */
struct wire_ring {
    _Atomic uint64_t head; /* consumer: consumed up to here */
    uint8_t pad0[56];
    _Atomic uint32_t consumer_asleep; /* consumer: odd = ring my doorbell, once, when you publish; counts its sleeps */
    uint8_t pad1[60];
    _Atomic uint32_t producer_asleep; /* producer: 1 = ring my doorbell when you advance head */
    uint8_t pad2[60];
    uint8_t pad3[64];
};
static_assert(sizeof(struct wire_ring) == 256, "four lines");
static_assert(offsetof(struct wire_ring, consumer_asleep) == 64, "own line");
static_assert(offsetof(struct wire_ring, producer_asleep) == 128, "own line");

enum wire_lane_state {
    WIRE_LANE_FREE = 0,
    WIRE_LANE_OPEN = 1, /* guest: a thread owns it; host: a thread serves it */
};

struct wire_lane {
    _Atomic uint32_t guest_state; /* guest; lanes are opened in the order of their numbers, and stay open */
    _Atomic uint32_t doorbell;   /* guest, before guest_state: what the transport has to tell; Xen: its event channel */
    _Atomic uint64_t error_seen; /* guest: the count of the last deferred error that it took */
    uint8_t pad0[48];
    _Atomic uint32_t host_state; /* host */
    uint32_t reserved1;
    _Atomic uint64_t error;     /* host: count << 32 | status of a failed post; first one until seen */
    _Atomic uint64_t error_seq; /* host: which record that was */
    uint64_t reserved2;
    uint8_t pad1[32];
    uint8_t pad2[128];
    struct wire_ring command;
    struct wire_ring reply;
    uint8_t slot[GPUVCHAN_SLOT_BYTES]; /* in turns: guest a call, host its reply */
    uint8_t pad3[WIRE_PAGE - 1024];
};
static_assert(sizeof(struct wire_lane) == WIRE_PAGE, "a page");
static_assert(offsetof(struct wire_lane, host_state) == 64, "own line");
static_assert(offsetof(struct wire_lane, error) == 72, "layout");
static_assert(offsetof(struct wire_lane, command) == 256, "layout");
static_assert(offsetof(struct wire_lane, reply) == 512, "layout");
static_assert(offsetof(struct wire_lane, slot) == 768, "layout");

#define WIRE_FAULT_TEXT 240u

struct wire_region {
    uint64_t magic; /* guest; information only */
    uint32_t major, minor;
    uint8_t pad0[48];
    _Atomic uint32_t fault; /* host: 0, or the errno value that ended the channel; its text is below */
    uint32_t reserved;
    char fault_text[WIRE_FAULT_TEXT]; /* host: written before fault; not trusted to end in 0 */
    uint8_t pad1[WIRE_PAGE - 64 - 8 - WIRE_FAULT_TEXT];
};
static_assert(sizeof(struct wire_region) == WIRE_PAGE, "a page");
static_assert(offsetof(struct wire_region, fault) == 64, "own line");

/* Guest to host: the first and only message of the guest on the rendezvous connection. */
struct wire_hello {
    uint64_t magic;
    uint32_t major, minor;
    uint64_t features;
    uint8_t session[16]; /* who I am, over reconnections */
    uint8_t secret[16];  /* proof of it */
    uint64_t region_bytes;
    uint64_t base; /* where the guest has mapped the region */
    uint64_t arena_offset, arena_bytes;
    uint32_t lanes;
    uint32_t command_bytes, reply_bytes;
    uint32_t pid;
    char program[64];
    uint32_t directory; /* Xen: grant of the page that names the region's directory pages */
    uint8_t reserved[256 - 172];
};
static_assert(sizeof(struct wire_hello) == 256, "fixed size");
static_assert(offsetof(struct wire_hello, session) == 24, "layout");
static_assert(offsetof(struct wire_hello, region_bytes) == 56, "layout");
static_assert(offsetof(struct wire_hello, lanes) == 88, "layout");
static_assert(offsetof(struct wire_hello, program) == 104, "layout");
static_assert(offsetof(struct wire_hello, directory) == 168, "layout");

#define WIRE_WELCOME_SAME_ADDRESS 1u

/* Host to guest: the only message of the host on the rendezvous connection. */
struct wire_welcome {
    uint64_t magic;
    uint32_t major, minor;
    uint64_t features;
    int32_t status; /* 0, or -errno with the reason in text */
    uint32_t flags;
    uint32_t worker_pid;
    uint32_t lanes; /* of those in the region the guest may open the first so many */
    char text[192];
    uint8_t reserved[256 - 232];
};
static_assert(sizeof(struct wire_welcome) == 256, "fixed size");
static_assert(offsetof(struct wire_welcome, text) == 40, "layout");

/* The region's layout follows from the numbers in the hello alone. */
static inline uint64_t
wire_lane_bytes(const struct wire_hello *hello)
{
    return sizeof(struct wire_lane) + (uint64_t)hello->command_bytes + hello->reply_bytes;
}

static inline uint64_t
wire_lane_offset(const struct wire_hello *hello, uint32_t lane)
{
    return WIRE_PAGE + WIRE_COMPLETION_BYTES + lane * wire_lane_bytes(hello);
}

/* Control records: protocol slot 0, spoken by the core itself. */
enum wire_control {
    WIRE_CONTROL_PING = 1,  /* call without payload */
    WIRE_CONTROL_OPEN = 2,  /* call: struct wire_open; reply: struct wire_opened */
    WIRE_CONTROL_RESET = 3, /* call: another guest thread has this lane now */
};

struct wire_open {
    char name[32];
    uint32_t version;
    uint32_t entries;
    uint64_t hash; /* of the protocol file's text as far as it shapes records */
};
static_assert(sizeof(struct wire_open) == 48, "layout");

struct wire_opened {
    uint32_t slot;
    uint32_t version;
    char text[160]; /* why not */
};
static_assert(sizeof(struct wire_opened) == 168, "layout");

#endif
