/* SPDX-License-Identifier: MIT */
/*
 * The guest's lanes: a thread's command ring and reply ring, and what a call waits for.
 *
 * A lane that its thread gives back stays open on the host; the next thread that needs one takes it over
 * after a RESET record, which drops what plugins kept for the former thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "copy.h"
#include "error.h"
#include "stats.h"

/* The best of a dozen round trips: 100 to 140 ns within one cache, 190 to 250 to another, 5 us on one processor. */
#define DISTANCE_FAR_NS 165u
#define DISTANCE_SHARED_NS 2000u
#define STREAM_BYTES 4096u
#define DISTANCE_KEEP_NS 5000000u /* hypervisors move virtual CPUs several times a second; asking costs 5 us */

/* The lane that this thread used last; ids of channels are never used again, addresses are. */
static _Thread_local struct {
    uint64_t channel_id;
    struct gpuvchan_lane *lane;
} current;

/* ---- Life ------------------------------------------------------------------------------------ */

static void
lane_rings(struct gpuvchan_lane *lane)
{
    struct gpuvchan_channel *channel = lane->channel;
    unsigned char *base = channel->base + wire_lane_offset(&channel->hello, lane->index);
    unsigned char *command = base + sizeof(struct wire_lane);
    struct gpuvchan_lane_front *front = &lane->writer.front;

    lane->shared = (struct wire_lane *)(void *)base;
    gpuvchan__writer_init(&lane->writer, &lane->shared->command, lane->shared->slot, command,
                          channel->hello.command_bytes, channel->link, lane->index, channel->spin_ns);
    front->clock = &channel->clock;
    front->ordered = &channel->ordered;
    front->fence = channel->fence;
    front->special =
        (channel->synchronous ? GPUVCHAN_LANE_SYNCHRONOUS : 0u) | (channel->stats ? GPUVCHAN_LANE_COUNTED : 0u);
    gpuvchan__reader_init(&lane->reader, &lane->shared->reply, lane->shared->slot,
                          command + channel->hello.command_bytes, channel->hello.reply_bytes, channel->link,
                          lane->index, false, channel->fence);
}

static struct gpuvchan_lane *
lane_create(struct gpuvchan_channel *channel, uint32_t index)
{
    struct gpuvchan_lane *lane = aligned_alloc(64, (sizeof(*lane) + 63) & ~(size_t)63);

    if (!lane)
        return NULL;
    memset(lane, 0, sizeof(*lane));
    lane->channel = channel;
    lane->index = index;
    lane_rings(lane);
    lane->reply = malloc(lane->reader.record_max);
    if (!lane->reply) {
        free(lane);
        return NULL;
    }
    return lane;
}

void
gpuvchan__lane_destroy(struct gpuvchan_lane *lane)
{
    if (!lane)
        return;
    free(lane->reply);
    free(lane);
}

void
gpuvchan__lane_retire(void *retired)
{
    struct gpuvchan_lane *lane = retired;

    if (current.lane == lane)
        current.channel_id = 0;
    pthread_mutex_lock(&lane->channel->lock);
    lane->next_idle = lane->channel->idle;
    lane->channel->idle = lane;
    pthread_mutex_unlock(&lane->channel->lock);
}

/* With the channel's lock held. */
static struct gpuvchan_lane *
lane_take(struct gpuvchan_channel *channel, bool *reset)
{
    struct gpuvchan_lane *lane = channel->idle;
    uint32_t doorbell;

    *reset = lane != NULL;
    if (lane) {
        channel->idle = lane->next_idle;
        return lane;
    }
    if (channel->lanes_open == channel->lanes) {
        gpuvchan__error(-EAGAIN, "all %u lanes are taken by other threads: %s", channel->lanes,
                        channel->lanes < channel->hello.lanes
                            ? "raise max-lanes of the host"
                            : "set GPUVCHAN_LANES, or lanes in the channel's options");
        return NULL;
    }
    lane = lane_create(channel, channel->lanes_open);
    if (!lane) {
        gpuvchan__error(-ENOMEM, "out of memory");
        return NULL;
    }
    if (channel->link->transport->lane_open(channel->link, lane->index, &doorbell) != 0) {
        gpuvchan__lane_destroy(lane);
        return NULL;
    }
    atomic_store_explicit(&lane->shared->doorbell, doorbell, memory_order_relaxed);
    channel->lane[channel->lanes_open++] = lane;
    if (channel->lanes_open > 1)
        atomic_store_explicit(&channel->ordered, 1, memory_order_release);
    atomic_store_explicit(&lane->shared->guest_state, WIRE_LANE_OPEN, memory_order_release);
    channel->link->transport->ring_main(channel->link);
    return lane;
}

/* A call, so that errors of the former thread's posts have come and can be dropped, too. */
static void
lane_reset(struct gpuvchan_lane *lane)
{
    const void *reply;
    uint32_t bytes;

    if (!gpuvchan_reserve(lane, 0))
        return;
    gpuvchan_publish(lane, 0, WIRE_CONTROL_RESET, GPUVCHAN_RECORD_CALL, 0);
    if (gpuvchan__lane_wait(lane, &reply, &bytes) == 0)
        gpuvchan_lane_take_error(lane);
}

struct gpuvchan_lane *
gpuvchan_lane_current(struct gpuvchan_channel *channel)
{
    struct gpuvchan_lane *lane;
    bool reset = false;

    if (__builtin_expect(current.channel_id == channel->id, 1))
        return current.lane;
    lane = pthread_getspecific(channel->key);
    if (lane)
        goto out;
    if (atomic_load(&channel->error) != 0) {
        gpuvchan__channel_fail(channel, atomic_load(&channel->error)); /* for its text */
        return NULL;
    }
    pthread_mutex_lock(&channel->lock);
    lane = lane_take(channel, &reset);
    pthread_mutex_unlock(&channel->lock);
    if (!lane)
        return NULL;
    if (pthread_setspecific(channel->key, lane) != 0) {
        gpuvchan__lane_retire(lane);
        gpuvchan__error(-ENOMEM, "out of memory");
        return NULL;
    }
    if (reset)
        lane_reset(lane);
out:
    current.channel_id = channel->id;
    current.lane = lane;
    return lane;
}

/* ---- Slow paths of the inline functions -------------------------------------------------------- */

static int
lane_error(struct gpuvchan_lane *lane, int error)
{
    if (error == -EPIPE)
        return gpuvchan__channel_lost(lane->channel);
    return gpuvchan__channel_fail(lane->channel, error);
}

unsigned char *
gpuvchan_lane_make_room(struct gpuvchan_lane *lane, uint32_t bytes)
{
    unsigned char *payload;
    int error = gpuvchan_channel_error(lane->channel);

    if (error == 0) {
        error = gpuvchan__writer_room(&lane->writer, bytes, &payload);
        if (error == 0)
            return payload;
        if (error != -EMSGSIZE) /* the caller's fault; the channel goes on */
            lane_error(lane, error);
    } else {
        gpuvchan__channel_fail(lane->channel, error); /* for its text */
    }
    return NULL;
}

void
gpuvchan_lane_ring_doorbell(struct gpuvchan_lane *lane)
{
    gpuvchan__writer_wake(&lane->writer);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static int
reply_check(const struct gpuvchan_lane *lane, const struct gpuvchan_record *record, uint32_t bytes)
{
    uint32_t room = (uint32_t)record->units * GPUVCHAN_RECORD_UNIT - (uint32_t)sizeof(*record);

    if (record->sequence != lane->writer.front.sequence)
        return gpuvchan__error(-EPROTO, "lane %u: a reply to record %u, waiting for that to %u", lane->index,
                               record->sequence, lane->writer.front.sequence);
    if (bytes > room)
        return gpuvchan__error(-EPROTO, "lane %u: a reply says %u bytes and has room for %u", lane->index, bytes, room);
    return 0;
}

int
gpuvchan__lane_wait(struct gpuvchan_lane *lane, const void **reply, uint32_t *bytes)
{
    struct gpuvchan_record record;
    int found, error;

    *bytes = 0;
    *reply = lane->reply;
    while ((found = gpuvchan__reader_peek(&lane->reader, &record)) == 0) {
        error = gpuvchan_channel_error(lane->channel);

        if (error == 0)
            error = gpuvchan__reader_wait(&lane->reader, lane->channel->spin_ns, true);
        if (error != 0)
            return lane_error(lane, error);
    }
    if (found < 0)
        return lane_error(lane, found);
    error = reply_check(lane, &record, (uint32_t)(record.ticket >> 32));
    if (error != 0)
        return lane_error(lane, error);
    gpuvchan__reader_copy(&lane->reader, &record, lane->reply);
    gpuvchan__reader_advance(&lane->reader, &record);
    *bytes = (uint32_t)(record.ticket >> 32);
    return (int32_t)(uint32_t)record.ticket;
}

int
gpuvchan_lane_wait_reply(struct gpuvchan_lane *lane, const void **reply, uint32_t *bytes)
{
    int status = gpuvchan__lane_wait(lane, reply, bytes);

    return status != 0 ? status : gpuvchan_lane_take_error(lane);
}

int
gpuvchan_lane_take_error(struct gpuvchan_lane *lane)
{
    /* Pairs with the release in the session's lane: error_seq and the rest are there. */
    uint64_t word = atomic_load_explicit(&lane->shared->error, memory_order_acquire);

    if (word >> 32 == lane->error_seen)
        return 0;
    lane->error_seen = word >> 32;
    atomic_store_explicit(&lane->shared->error_seen, lane->error_seen, memory_order_release);
    return (int32_t)(uint32_t)word;
}

/* ---- Other ways to send ---------------------------------------------------------------------- */

void
gpuvchan_lane_set_synchronous(struct gpuvchan_lane *lane, bool on)
{
    struct gpuvchan_lane_front *front = &lane->writer.front;

    front->special &= ~(uint32_t)GPUVCHAN_LANE_SYNCHRONOUS;
    if (on || lane->channel->synchronous)
        front->special |= GPUVCHAN_LANE_SYNCHRONOUS;
}

int
gpuvchan_lane_call_special(struct gpuvchan_lane *lane, uint8_t slot, uint16_t opcode, size_t payload,
                           const void **reply, uint32_t *reply_bytes)
{
    uint64_t start = gpuvchan__now_ns();
    int status;

    gpuvchan_publish_call(lane, slot, opcode, payload);
    status = gpuvchan_lane_wait_reply(lane, reply, reply_bytes);
    gpuvchan__stats_call(lane->channel->stats, slot, opcode, gpuvchan__now_ns() - start);
    return status;
}

int
gpuvchan_lane_post_special(struct gpuvchan_lane *lane, uint8_t slot, uint16_t opcode, size_t payload)
{
    uint64_t start;
    const void *reply;
    uint32_t bytes;
    int status;

    if (!(lane->writer.front.special & GPUVCHAN_LANE_SYNCHRONOUS)) {
        gpuvchan__stats_post(lane->channel->stats, slot, opcode);
        gpuvchan_publish(lane, slot, opcode, 0, payload);
        return 0;
    }
    start = gpuvchan__now_ns();
    gpuvchan_publish(lane, slot, opcode, GPUVCHAN_RECORD_CALL, payload); /* it was reserved in the ring */
    status = gpuvchan_lane_wait_reply(lane, &reply, &bytes);
    gpuvchan__stats_call(lane->channel->stats, slot, opcode, gpuvchan__now_ns() - start);
    return status;
}

void
gpuvchan_lane_set_unordered(struct gpuvchan_lane *lane)
{
    static const _Atomic uint32_t never;

    lane->writer.front.ordered = &never; /* ticket 0 waits for nobody */
}

/* ---- Distance and copies --------------------------------------------------------------------- */

static int
ping(struct gpuvchan_lane *lane, uint64_t *ns)
{
    const void *reply;
    uint32_t bytes;
    uint64_t start = gpuvchan__now_ns();
    int error;

    if (!gpuvchan_reserve_call(lane, 0))
        return gpuvchan_stub_error(lane->channel);
    gpuvchan_publish_call(lane, 0, WIRE_CONTROL_PING, 0);
    error = gpuvchan__lane_wait(lane, &reply, &bytes);
    *ns = gpuvchan__now_ns() - start;
    return error;
}

int
gpuvchan_lane_distance(struct gpuvchan_lane *lane, uint32_t *nanoseconds)
{
    uint64_t now = gpuvchan__now_ns(), best = UINT32_MAX, ns = 0;

    if (lane->distance_at == 0 || now - lane->distance_at > DISTANCE_KEEP_NS) {
        for (int i = 0; i < 12; i++) {
            int error = ping(lane, &ns);

            if (error < 0)
                return error;
            best = ns < best ? ns : best;
        }
        lane->distance_ns = (uint32_t)best;
        lane->distance_at = gpuvchan__now_ns();
    }
    *nanoseconds = lane->distance_ns;
    return 0;
}

void
gpuvchan_arena_write(struct gpuvchan_lane *lane, void *to, const void *from, size_t bytes)
{
    uint32_t distance = lane->distance_ns;

    if (bytes >= STREAM_BYTES && distance > DISTANCE_FAR_NS && distance < DISTANCE_SHARED_NS)
        gpuvchan__copy_streaming(to, from, bytes);
    else
        gpuvchan__copy_plain(to, from, bytes);
}
