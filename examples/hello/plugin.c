/* SPDX-License-Identifier: MIT */
/* The host's side of hello: handlers for the entries of hello.gpv, whose arguments the generated code has checked. */
#include <ctype.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "hello-host.h"

/* What a guest process has here. Several of its lanes may count at once. */
struct hello {
    _Atomic uint64_t total;
};

int
hello_host_greet(struct gpuvchan_request *request, const char *name, char *greeting, size_t greeting_size)
{
    snprintf(greeting, greeting_size, "Hello, %s, on lane %u", name, request->lane);
    return 0;
}

int
hello_host_count(struct gpuvchan_request *request, uint32_t by)
{
    struct hello *hello = request->state;

    atomic_fetch_add(&hello->total, by);
    return 0;
}

int
hello_host_counter(struct gpuvchan_request *request, uint64_t *total)
{
    struct hello *hello = request->state;

    *total = atomic_load(&hello->total);
    return 0;
}

int
hello_host_sum(struct gpuvchan_request *request, const uint32_t *values, size_t values_count, uint64_t *total)
{
    (void)request;
    for (size_t i = 0; i < values_count; i++)
        *total += values[i]; /* replies begin as zeros */
    return 0;
}

int
hello_host_upper(struct gpuvchan_request *request, void *text, size_t text_bytes)
{
    unsigned char *at = text; /* in the arena: the guest sees the same bytes */

    (void)request;
    for (size_t i = 0; i < text_bytes; i++)
        at[i] = (unsigned char)toupper(at[i]);
    return 0;
}

static int
hello_open(struct gpuvchan_session *session, void **state)
{
    (void)session;
    *state = calloc(1, sizeof(struct hello));
    return *state ? 0 : -ENOMEM;
}

/* The worker is renewed under its guest: what the guest has here moves along. */
static int
hello_suspend(void *state, struct gpuvchan_snapshot *snapshot)
{
    struct hello *hello = state;
    uint64_t total = atomic_load(&hello->total);

    return gpuvchan_snapshot_write(snapshot, &total, sizeof(total));
}

static int
hello_resume(struct gpuvchan_session *session, struct gpuvchan_snapshot *snapshot, void **state)
{
    struct hello *hello;
    uint64_t total;
    int error = gpuvchan_snapshot_read(snapshot, &total, sizeof(total));

    if (error == 0)
        error = hello_open(session, state);
    if (error != 0)
        return error;
    hello = *state;
    atomic_store(&hello->total, total);
    return 0;
}

static struct gpuvchan_plugin hello_plugin = {
    .name = "hello",
    .version = "1",
    .description = "the smallest backend: greets, counts, adds and shouts",
    .dispatch = &hello_dispatch,
    .open = hello_open,
    .suspend = hello_suspend,
    .resume = hello_resume,
    .close = free,
};

GPUVCHAN_PLUGIN_REGISTER(hello_plugin)
