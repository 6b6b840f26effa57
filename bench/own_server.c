/* SPDX-License-Identifier: MIT */
#include "own_server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulk.h"
#include "mechanism.h"

#include "bench-host.h"

struct bench_server bench_server;

int
bench_server_init(void)
{
    bench_server.private = aligned_alloc(4096, BENCH_SLOT_BYTES);
    if (!bench_server.private || sem_init(&bench_server.wake, 0, 0) != 0)
        return -ENOMEM;
    memset(bench_server.private, 0, BENCH_SLOT_BYTES);
    return 0;
}

static int
count(bool right)
{
    bench_server.good += right;
    return right ? 0 : -EPROTO;
}

int
bench_host_call_16(struct gpuvchan_request *request)
{
    gpuvchan_request_linger(request, bench_server.linger_us);
    return count(true);
}

int
bench_host_call_64(struct gpuvchan_request *request, const bench_message_64 *sent, bench_message_64 *returned)
{
    *returned = *sent;
    gpuvchan_request_linger(request, bench_server.linger_us);
    return count(true);
}

int
bench_host_call_256(struct gpuvchan_request *request, const bench_message_256 *sent, bench_message_256 *returned)
{
    *returned = *sent;
    gpuvchan_request_linger(request, bench_server.linger_us);
    return count(true);
}

int
bench_host_post_16(struct gpuvchan_request *request)
{
    (void)request;
    return count(true);
}

int
bench_host_post_64(struct gpuvchan_request *request, const bench_message_64 *sent)
{
    (void)request;
    return count(bench_stamped(sent, sizeof(*sent), bench_server.good));
}

int
bench_host_post_256(struct gpuvchan_request *request, const bench_message_256 *sent)
{
    (void)request;
    return count(bench_stamped(sent, sizeof(*sent), bench_server.good));
}

static int
consumed(struct gpuvchan_request *request, bool right, uint64_t number, uint32_t index)
{
    _Atomic uint64_t *word = gpuvchan_session_completion(request->session, index);

    if (!word)
        return gpuvchan_request_corrupt(request, "completion word %u", index);
    gpuvchan_completion_signal(word, number + 1);
    return count(right);
}

int
bench_host_bulk_copy(struct gpuvchan_request *request, void *data, size_t data_bytes, uint64_t number, uint32_t index)
{
    if (data_bytes < 16 || data_bytes > BENCH_SLOT_BYTES)
        return -EINVAL;
    gpuvchan_arena_read(bench_server.private, data, data_bytes);
    return consumed(request, bench_stamped(bench_server.private, data_bytes, number), number, index);
}

int
bench_host_bulk_read(struct gpuvchan_request *request, void *data, size_t data_bytes, uint64_t number, uint32_t index)
{
    if (data_bytes % 64 != 0 || data_bytes == 0 || data_bytes > BENCH_PIECE_BYTES)
        return -EINVAL;
    bench_read(data, data_bytes);
    return consumed(request, bench_stamped(data, data_bytes, number), number, index);
}

int
bench_host_bulk_pages(struct gpuvchan_request *request, void *data, size_t data_bytes, uint64_t number, uint32_t index)
{
    if (data_bytes % BENCH_PAGE != 0 || data_bytes == 0 || data_bytes > BENCH_WHOLE_BYTES)
        return -EINVAL;
    return consumed(request, bench_pages_stamped(data, data_bytes, number), number, index);
}

int
bench_host_finish(struct gpuvchan_request *request, uint64_t *total)
{
    (void)request;
    *total = bench_server.good;
    bench_server.good = 0;
    sem_post(&bench_server.wake);
    return 0;
}

int
bench_host_machine(struct gpuvchan_request *request, uint32_t *processors)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);

    (void)request;
    *processors = online > 0 ? (uint32_t)online : 0;
    return 0;
}

int
bench_host_linger(struct gpuvchan_request *request, uint32_t microseconds)
{
    bench_server.linger_us = microseconds;
    gpuvchan_request_linger(request, microseconds);
    return 0;
}

int
bench_host_notified(struct gpuvchan_request *request, uint64_t *total)
{
    gpuvchan_request_linger(request, bench_server.linger_us);
    if (!bench_server.notified)
        return -ENOSYS;
    *total = bench_server.notified();
    return 0;
}

int
bench_host_attach(struct gpuvchan_request *request, const char *node)
{
    (void)request;
    return bench_server.attach ? bench_server.attach(node) : -ENOSYS;
}

static int
plugin_open(struct gpuvchan_session *session, void **state)
{
    (void)session;
    *state = &bench_server;
    return 0;
}

static void
plugin_close(void *state)
{
    (void)state;
}

const struct gpuvchan_plugin bench_server_plugin = {
    .size = sizeof(bench_server_plugin),
    .api = GPUVCHAN_PLUGIN_API,
    .name = "bench",
    .version = GPUVCHAN_VERSION,
    .description = "counts what the benchmark sends",
    .dispatch = &bench_dispatch,
    .open = plugin_open,
    .close = plugin_close,
};
