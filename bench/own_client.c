/* SPDX-License-Identifier: MIT */
#include "own_client.h"

#include <errno.h>
#include <string.h>

#include "bulk.h"
#include "own_server.h"

#include "bench-guest.h"

#define SLOTS 64u

/*
 * What is read in place goes in larger pieces through a larger window: a reader that follows closely would
 * fetch each line from the writer's own cache, at a third of the rate of the cache that both share.
 */
#define PIECES 4u
#define WHOLES 2u
#define SPIN_US 2000000

int
bench_own_client_open(struct bench_own_client *own, const char *address, const struct gpuvchan_channel_options *options)
{
    int error = gpuvchan_channel_connect(address, options, &own->channel);

    if (error == 0)
        error = gpuvchan_client_open(own->channel, &bench_protocol, &own->client);
    if (error != 0)
        return error;
    own->lane = gpuvchan_lane_current(own->channel);
    return own->lane ? 0 : -EIO;
}

static int
window_create(struct bench_own_client *own, struct bench_window *window, uint32_t slots, size_t slot_bytes)
{
    int error = 0;

    window->bytes = slots * slot_bytes;
    window->slot_bytes = slot_bytes;
    window->buffer = own->wholes.buffer;
    if (!window->buffer)
        error = gpuvchan_buffer_create(own->channel, window->bytes, &window->buffer);
    if (error == 0)
        error = gpuvchan_completion_create(own->channel, &window->index);
    if (error == 0)
        memset(gpuvchan_buffer_data(window->buffer), 0, window->bytes);
    return error;
}

int
bench_own_client_windows(struct bench_own_client *own, bool wholes)
{
    int error = wholes ? window_create(own, &own->wholes, WHOLES, BENCH_WHOLE_BYTES) : 0;

    if (error == 0)
        error = window_create(own, &own->slots, SLOTS, BENCH_SLOT_BYTES);
    if (error == 0)
        error = window_create(own, &own->pieces, PIECES, BENCH_PIECE_BYTES);
    return error;
}

int
bench_own_client_finish(struct bench_own_client *own, uint64_t expected)
{
    uint64_t total = 0;
    int error = bench_finish(&own->client, &total);

    if (error != 0)
        return error < 0 ? error : -EPROTO;
    return total == expected ? 0 : -EPROTO;
}

int
bench_own_client_calls(struct bench_own_client *own, const struct bench_job *job)
{
    bench_message_64 small = {{0}}, small_back;
    bench_message_256 large = {{0}}, large_back;
    int error = 0;

    for (uint64_t i = 0; i < job->count && error == 0; i++) {
        switch (job->size) {
        case 16: /* nothing but the header: the library checks that replies belong to calls */
            error = bench_call_16_on(&own->client, own->lane);
            break;
        case 64:
            bench_stamp(&small, sizeof(small), i);
            error = bench_call_64_on(&own->client, own->lane, &small, &small_back);
            if (error == 0 && !bench_stamped(&small_back, sizeof(small_back), i))
                error = -EPROTO;
            break;
        case 256:
            bench_stamp(&large, sizeof(large), i);
            error = bench_call_256_on(&own->client, own->lane, &large, &large_back);
            if (error == 0 && !bench_stamped(&large_back, sizeof(large_back), i))
                error = -EPROTO;
            break;
        default:
            return -EINVAL;
        }
    }
    return error;
}

static int
posts(struct bench_own_client *own, const struct bench_job *job)
{
    bench_message_64 small = {{0}};
    bench_message_256 large = {{0}};
    int error = 0;

    for (uint64_t i = 0; i < job->count && error == 0; i++) {
        switch (job->size) {
        case 16:
            error = bench_post_16_on(&own->client, own->lane);
            break;
        case 64:
            bench_stamp(&small, sizeof(small), i);
            error = bench_post_64_on(&own->client, own->lane, &small);
            break;
        case 256:
            bench_stamp(&large, sizeof(large), i);
            error = bench_post_256_on(&own->client, own->lane, &large);
            break;
        default:
            return -EINVAL;
        }
    }
    return error ? error : bench_own_client_finish(own, job->count);
}

/* Where slot @number of this op lies, once the server is done with what was in it. */
static unsigned char *
next_slot(struct bench_own_client *own, struct bench_window *window, uint64_t number, size_t bytes, uint64_t *offset)
{
    uint64_t slots = window->bytes / bytes, at = number % slots * bytes;

    if (number >= slots &&
        gpuvchan_completion_spin(own->channel, window->index, window->filled - slots + 1, SPIN_US) != 0)
        return NULL;
    *offset = gpuvchan_buffer_offset(window->buffer) + at;
    return (unsigned char *)gpuvchan_buffer_data(window->buffer) + at;
}

static struct bench_window *
window_of(struct bench_own_client *own, uint32_t op)
{
    switch (op) {
    case BENCH_BULK_COPY:
        return &own->slots;
    case BENCH_BULK_PAGES:
        return &own->wholes;
    default:
        return &own->pieces;
    }
}

static void
slot_fill(struct bench_own_client *own, uint32_t op, unsigned char *slot, unsigned char *from, size_t bytes,
          uint64_t number)
{
    switch (op) {
    case BENCH_BULK_PAGES:
        bench_pages_stamp(slot, bytes, number);
        break;
    case BENCH_BULK_TOUCHED:
        bench_fill(slot, bytes, number);
        break;
    default:
        bench_stamp(from, bytes, number);
        gpuvchan_arena_write(own->lane, slot, from, bytes);
    }
}

static int
slot_send(struct bench_own_client *own, uint32_t op, struct gpuvchan_reference data, const struct bench_window *window)
{
    switch (op) {
    case BENCH_BULK_COPY:
        return bench_bulk_copy_on(&own->client, own->lane, data, window->filled, window->index);
    case BENCH_BULK_PAGES:
        return bench_bulk_pages_on(&own->client, own->lane, data, window->filled, window->index);
    default:
        return bench_bulk_read_on(&own->client, own->lane, data, window->filled, window->index);
    }
}

static int
bulk(struct bench_own_client *own, const struct bench_job *job)
{
    struct bench_window *window = window_of(own, job->op);
    size_t bytes = job->size < window->slot_bytes ? job->size : window->slot_bytes;
    uint64_t pieces = (job->size + bytes - 1) / bytes, sent = 0;
    uint32_t distance;
    int error = 0;

    /* Tells gpuvchan_arena_write() how to copy. */
    if (job->op == BENCH_BULK_COPY || job->op == BENCH_BULK_ZEROCOPY)
        error = gpuvchan_lane_distance(own->lane, &distance);
    for (; sent < job->count * pieces && error == 0; sent++) {
        struct gpuvchan_reference data = {.bytes = bytes};
        unsigned char *slot = next_slot(own, window, sent, bytes, &data.offset);

        if (!slot)
            return -ETIMEDOUT;
        slot_fill(own, job->op, slot, (unsigned char *)job->buffer + sent % pieces * bytes, bytes, window->filled);
        error = slot_send(own, job->op, data, window);
        window->filled++;
    }
    return error ? error : bench_own_client_finish(own, sent);
}

int
bench_own_client_send(struct bench_own_client *own, const struct bench_job *job)
{
    return job->op == BENCH_POST ? posts(own, job) : bulk(own, job);
}

void
bench_own_client_close(struct bench_own_client *own)
{
    if (own->slots.buffer != own->wholes.buffer)
        gpuvchan_buffer_destroy(own->slots.buffer);
    if (own->pieces.buffer != own->wholes.buffer)
        gpuvchan_buffer_destroy(own->pieces.buffer);
    gpuvchan_buffer_destroy(own->wholes.buffer);
    gpuvchan_channel_close(own->channel);
}
