/* SPDX-License-Identifier: MIT */
#include "pair.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static struct pair_end *
end_of(struct gpuvchan__link *link)
{
    return (struct pair_end *)link;
}

static void
pair_ring(struct gpuvchan__link *link, uint32_t lane)
{
    (void)lane;
    end_of(link)->peer->rung++;
    sem_post(&end_of(link)->peer->bell);
}

static int
pair_wait(struct gpuvchan__link *link, uint32_t lane, int timeout_ms)
{
    struct pair_end *end = end_of(link);
    struct timespec until;

    (void)lane;
    end->waited++;
    if (end->wait)
        return end->wait(end->pair);
    if (timeout_ms < 0) {
        while (sem_wait(&end->bell) != 0 && errno == EINTR)
            ;
        return 0;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    return sem_timedwait(&end->bell, &until) == 0 ? 0 : -ETIME;
}

static void
pair_fence_peer(struct gpuvchan__link *link)
{
    gpuvchan__transport_local.fence_peer(link);
}

static const struct gpuvchan__transport transport = {
    .name = "pair",
    .ring = pair_ring,
    .wait = pair_wait,
    .fence_peer = pair_fence_peer,
};

static void
end_init(struct pair_end *end, struct pair *pair, struct pair_end *peer)
{
    end->link.transport = &transport;
    end->pair = pair;
    end->peer = peer;
    sem_init(&end->bell, 0, 0);
}

static void
writer_start(struct gpuvchan__writer *writer, uint64_t start)
{
    writer->front.tail += start;
    writer->front.limit += start;
    writer->head += start;
    writer->cleared += start;
}

static void
reader_start(struct gpuvchan__reader *reader, uint64_t start)
{
    reader->head += start;
    reader->tell_at += start;
    reader->belled += start;
}

static void
host_init(struct pair *pair, bool fence, uint64_t spin_ns)
{
    gpuvchan__reader_init(&pair->host_reader, &pair->shared->command, pair->shared->slot, pair->command, pair->bytes,
                          &pair->host_end.link, 0, true, fence);
    gpuvchan__writer_init(&pair->host_writer, &pair->shared->reply, pair->shared->slot, pair->reply, pair->bytes,
                          &pair->host_end.link, 0, spin_ns);
    pair->host_writer.front.fence = fence;
}

struct pair *
pair_create(uint64_t bytes, uint64_t start, bool fence, uint64_t spin_ns)
{
    struct pair *pair = aligned_alloc(64, (sizeof(*pair) + 63) & ~(size_t)63);
    unsigned char *memory = aligned_alloc(4096, WIRE_PAGE + 2 * bytes);

    if (!pair || !memory)
        abort();
    memset(pair, 0, sizeof(*pair));
    memset(memory, 0, WIRE_PAGE + 2 * bytes);
    pair->shared = (struct wire_lane *)(void *)memory;
    pair->command = memory + WIRE_PAGE;
    pair->reply = pair->command + bytes;
    pair->bytes = bytes;
    end_init(&pair->guest_end, pair, &pair->host_end);
    end_init(&pair->host_end, pair, &pair->guest_end);
    if (!fence && gpuvchan__transport_local.features(&pair->guest_end.link) == 0)
        fence = true; /* this kernel has no membarrier() */
    gpuvchan__writer_init(&pair->guest.writer, &pair->shared->command, pair->shared->slot, pair->command, bytes,
                          &pair->guest_end.link, 0, spin_ns);
    pair->guest.writer.front.clock = &pair->clock;
    pair->guest.writer.front.ordered = &pair->ordered;
    pair->guest.writer.front.fence = fence;
    pair->guest.shared = pair->shared;
    gpuvchan__reader_init(&pair->guest.reader, &pair->shared->reply, pair->shared->slot, pair->reply, bytes,
                          &pair->guest_end.link, 0, false, fence);
    host_init(pair, fence, spin_ns);
    writer_start(&pair->guest.writer, start);
    writer_start(&pair->host_writer, start);
    reader_start(&pair->guest.reader, start);
    reader_start(&pair->host_reader, start);
    atomic_store(&pair->shared->command.head, start);
    atomic_store(&pair->shared->reply.head, start);
    return pair;
}

void
pair_destroy(struct pair *pair)
{
    sem_destroy(&pair->guest_end.bell);
    sem_destroy(&pair->host_end.bell);
    free(pair->shared);
    free(pair);
}

void
pair_renew_host(struct pair *pair)
{
    bool fence = pair->host_writer.front.fence;
    uint64_t spin_ns = pair->host_writer.spin_ns;
    struct gpuvchan__reader_place read;
    struct gpuvchan__writer_place written;

    gpuvchan__reader_leave(&pair->host_reader, &read);
    gpuvchan__writer_leave(&pair->host_writer, &written);
    memset(&pair->host_reader, 0xaa, sizeof(pair->host_reader));
    memset(&pair->host_writer, 0xaa, sizeof(pair->host_writer));
    host_init(pair, fence, spin_ns);
    if (gpuvchan__reader_return(&pair->host_reader, &read) != 0 ||
        gpuvchan__writer_return(&pair->host_writer, &written) != 0)
        abort();
}

unsigned char *
pair_reserve(struct pair *pair, size_t payload, int *error)
{
    struct gpuvchan_lane_front *front = &pair->guest.writer.front;
    uint32_t bytes = gpuvchan_record_bytes(payload);
    unsigned char *room;

    *error = 0;
    if (front->tail + bytes <= front->limit)
        return front->ring + (front->tail & front->mask) + sizeof(struct gpuvchan_record);
    *error = gpuvchan__writer_room(&pair->guest.writer, bytes, &room);
    return *error == 0 ? room : NULL;
}

int
pair_next(struct gpuvchan__reader *reader, struct gpuvchan_record *record, uint64_t spin_ns, bool eager)
{
    int found = gpuvchan__reader_peek(reader, record), error;

    if (found != 0)
        return found;
    error = gpuvchan__reader_wait(reader, spin_ns, eager);
    return error != 0 ? error : gpuvchan__reader_peek(reader, record);
}
