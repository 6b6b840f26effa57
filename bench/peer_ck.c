/* SPDX-License-Identifier: MIT */
/*
 * peer_ck.c - Concurrency Kit's single-producer single-consumer ring, in
 * shared memory, one each way for each size of element. Bulk data go through
 * it as elements of a page.
 */
#include <errno.h>

#include "mechanism.h"

#ifdef HAVE_CK

#include <ck_ring.h>

struct m16 {
    _Alignas(16) char bytes[16];
};
struct m64 {
    _Alignas(64) char bytes[64];
};
struct m256 {
    _Alignas(64) char bytes[256];
};
struct page {
    _Alignas(64) char bytes[4096];
};

#define RING_OF(type, slots)                    \
    struct {                                    \
        _Alignas(64) ck_ring_t ring;            \
        _Alignas(4096) struct type slot[slots]; \
    }

/* ck_ring has one slot less than it was made with. */
#define SLOTS 1024
#define PAGE_SLOTS 256

struct direction {
    RING_OF(m16, SLOTS) m16;
    RING_OF(m64, SLOTS) m64;
    RING_OF(m256, SLOTS) m256;
    RING_OF(page, PAGE_SLOTS) page;
};

struct rings {
    struct direction to_server;
    struct direction to_client;
};

CK_RING_PROTOTYPE(m16, m16)
CK_RING_PROTOTYPE(m64, m64)
CK_RING_PROTOTYPE(m256, m256)
CK_RING_PROTOTYPE(page, page)

static void
init_direction(struct direction *direction)
{
    ck_ring_init(&direction->m16.ring, SLOTS);
    ck_ring_init(&direction->m64.ring, SLOTS);
    ck_ring_init(&direction->m256.ring, SLOTS);
    ck_ring_init(&direction->page.ring, PAGE_SLOTS);
}

static int
ck_open(void **state_p)
{
    struct rings *rings = bench_share(sizeof(*rings));

    if (!rings)
        return -ENOMEM;
    init_direction(&rings->to_server);
    init_direction(&rings->to_client);
    *state_p = rings;
    return 0;
}

static void
ck_close(void *state)
{
    bench_unshare(state, sizeof(struct rings));
}

/*
 * The element size is a constant of ck_ring's functions, hence a set of ours
 * for each. The buffer is page aligned, so it can be used as elements.
 */
#define CALL_OPS(type)                                                                         \
    static int type##_call(void *state, const struct bench_job *job)                           \
    {                                                                                          \
        struct direction *there = &((struct rings *)state)->to_server;                         \
        struct direction *back = &((struct rings *)state)->to_client;                          \
        struct bench_spin spin = BENCH_SPIN_INIT;                                              \
        struct type *message = job->buffer;                                                    \
        for (uint64_t i = 0; i < job->count; i++) {                                            \
            bench_stamp(message, sizeof(*message), i);                                         \
            while (!ck_ring_enqueue_spsc_##type(&there->type.ring, there->type.slot, message)) \
                if (!bench_spin(&spin))                                                        \
                    return -ETIMEDOUT;                                                         \
            while (!ck_ring_dequeue_spsc_##type(&back->type.ring, back->type.slot, message))   \
                if (!bench_spin(&spin))                                                        \
                    return -ETIMEDOUT;                                                         \
            if (!bench_stamped(message, sizeof(*message), ~i))                                 \
                return -EPROTO;                                                                \
        }                                                                                      \
        return 0;                                                                              \
    }                                                                                          \
    static int type##_echo(void *state, const struct bench_job *job)                           \
    {                                                                                          \
        struct direction *there = &((struct rings *)state)->to_server;                         \
        struct direction *back = &((struct rings *)state)->to_client;                          \
        struct bench_spin spin = BENCH_SPIN_INIT;                                              \
        struct type *message = job->buffer;                                                    \
        for (uint64_t i = 0; i < job->count; i++) {                                            \
            while (!ck_ring_dequeue_spsc_##type(&there->type.ring, there->type.slot, message)) \
                if (!bench_spin(&spin))                                                        \
                    return -ETIMEDOUT;                                                         \
            if (!bench_stamped(message, sizeof(*message), i))                                  \
                return -EPROTO;                                                                \
            bench_stamp(message, sizeof(*message), ~i);                                        \
            while (!ck_ring_enqueue_spsc_##type(&back->type.ring, back->type.slot, message))   \
                if (!bench_spin(&spin))                                                        \
                    return -ETIMEDOUT;                                                         \
        }                                                                                      \
        return 0;                                                                              \
    }

#define POST_OPS(type)                                                                             \
    static int type##_post(void *state, const struct bench_job *job)                               \
    {                                                                                              \
        struct direction *there = &((struct rings *)state)->to_server;                             \
        struct bench_spin spin = BENCH_SPIN_INIT;                                                  \
        size_t elements = job->size / sizeof(struct type);                                         \
        for (uint64_t i = 0; i < job->count; i++) {                                                \
            bench_stamp(job->buffer, job->size, i);                                                \
            for (size_t k = 0; k < elements; k++) {                                                \
                struct type *message = (struct type *)job->buffer + k;                             \
                while (!ck_ring_enqueue_spsc_##type(&there->type.ring, there->type.slot, message)) \
                    if (!bench_backoff(&spin))                                                     \
                        return -ETIMEDOUT;                                                         \
            }                                                                                      \
        }                                                                                          \
        return 0;                                                                                  \
    }                                                                                              \
    static int type##_take(void *state, const struct bench_job *job)                               \
    {                                                                                              \
        struct direction *there = &((struct rings *)state)->to_server;                             \
        struct bench_spin spin = BENCH_SPIN_INIT;                                                  \
        size_t elements = job->size / sizeof(struct type);                                         \
        for (uint64_t i = 0; i < job->count; i++) {                                                \
            for (size_t k = 0; k < elements; k++) {                                                \
                struct type *message = (struct type *)job->buffer + k;                             \
                while (!ck_ring_dequeue_spsc_##type(&there->type.ring, there->type.slot, message)) \
                    if (!bench_backoff(&spin))                                                     \
                        return -ETIMEDOUT;                                                         \
            }                                                                                      \
            if (!bench_stamped(job->buffer, job->size, i))                                         \
                return -EPROTO;                                                                    \
        }                                                                                          \
        return 0;                                                                                  \
    }

CALL_OPS(m16)
CALL_OPS(m64)
CALL_OPS(m256)
POST_OPS(m16)
POST_OPS(m64)
POST_OPS(m256)
POST_OPS(page)

typedef int op_function(void *state, const struct bench_job *job);

static int
by_size(void *state, const struct bench_job *job, op_function *m16, op_function *m64, op_function *m256)
{
    switch (job->size) {
    case 16:
        return m16(state, job);
    case 64:
        return m64(state, job);
    case 256:
        return m256(state, job);
    default:
        return -EINVAL;
    }
}

static int
client_call(void *state, const struct bench_job *job)
{
    return by_size(state, job, m16_call, m64_call, m256_call);
}

static int
server_call(void *state, const struct bench_job *job)
{
    return by_size(state, job, m16_echo, m64_echo, m256_echo);
}

static int
client_post(void *state, const struct bench_job *job)
{
    return by_size(state, job, m16_post, m64_post, m256_post);
}

static int
server_post(void *state, const struct bench_job *job)
{
    return by_size(state, job, m16_take, m64_take, m256_take);
}

static const struct bench_mechanism ck = {
    .name = "ck_ring",
    .mode = "spinning",
    .summary = "Concurrency Kit's SPSC ring in shared memory",
    .open = ck_open,
    .op[BENCH_CALL] = {client_call, server_call},
    .op[BENCH_POST] = {client_post, server_post},
    .op[BENCH_BULK_COPY] = {page_post, page_take},
    .close = ck_close,
};

#else

static const struct bench_mechanism ck = {
    .name = "ck_ring",
    .summary = "Concurrency Kit's SPSC ring in shared memory",
    .missing = "libck-dev was not installed when this was built",
};

#endif

const struct bench_mechanism *const bench_ck_mechanisms[] = {&ck, NULL};
