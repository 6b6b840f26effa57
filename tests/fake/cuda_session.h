/* SPDX-License-Identifier: MIT */
/*
 * A real session in this process, with the CUDA plugin over the fake driver, whose records a test executes one by
 * one through the dispatch table. The guest at the other end only holds its memory.
 */
#ifndef FAKE_CUDA_SESSION_H
#define FAKE_CUDA_SESSION_H

#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cuda-guest.h"
#include "cuda-host.h"

#include "libcuda.h"
#include "session.h"

#define FAKE_LANES 2u

const struct gpuvchan_plugin *gpuvchan_plugin_entry(void);

struct fake_session {
    const struct gpuvchan_plugin *plugin;
    struct fake_cuda *driver;
    void (*driver_reset)(void);
    void (*driver_act_as)(unsigned thread);
    struct gpuvchan_channel *channel;
    struct gpuvchan_session *session;
    void *state;
    void *lanes[FAKE_LANES];
    _Alignas(64) unsigned char record[65536];
    _Alignas(64) unsigned char reply[16384 - 16]; /* of the last record */
};

static void *
fake_connect(void *argument)
{
    struct gpuvchan_channel_options options = {.size = sizeof(options), .arena_bytes = 1 << 20, .lanes = FAKE_LANES};
    struct gpuvchan_channel *channel = NULL;

    if (gpuvchan_channel_connect(argument, &options, &channel) != 0)
        fprintf(stderr, "connect: %s\n", gpuvchan_error_text());
    return channel;
}

static struct gpuvchan_session *
fake_accept(struct gpuvchan_listener *listener)
{
    struct pollfd waiting = {.fd = gpuvchan_listener_fd(listener), .events = POLLIN};
    struct gpuvchan_session *session = NULL;
    struct gpuvchan_peer peer;
    int fd;

    if (poll(&waiting, 1, 5000) != 1 || gpuvchan_listener_accept(listener, &fd, &peer) != 0 ||
        gpuvchan_session_accept(fd, NULL, &session) != 0)
        fprintf(stderr, "accept: %s\n", gpuvchan_error_text());
    return session;
}

/* What FAKE_LIBCUDA names, else fake/libcuda.so.1 in the folder of the program's folder or in that itself. For free().
 */
static char *__attribute__((unused)) fake_driver_path(void)
{
    static const char *const places[] = {"/../fake/libcuda.so.1", "/fake/libcuda.so.1"};
    const char *given = getenv("FAKE_LIBCUDA");
    char own[4096], *slash, *found = given ? realpath(given, NULL) : NULL;
    ssize_t bytes = readlink("/proc/self/exe", own, sizeof(own) - 32);

    own[bytes > 0 ? bytes : 0] = '\0';
    slash = strrchr(own, '/');
    for (size_t i = 0; slash && !given && !found && i < 2; i++) {
        strcpy(slash, places[i]);
        found = realpath(own, NULL);
    }
    return found;
}

/* Connects the two ends; the plugin has that driver. Exits if that cannot be done. */
static void
fake_session_connect(struct fake_session *fake, const char *driver)
{
    char folder[] = "/tmp/gpuvchan-fake-XXXXXX", path[64];
    struct gpuvchan_listener *listener;
    pthread_t guest;
    void *channel;

    if (!mkdtemp(folder))
        exit(1);
    fake->plugin = gpuvchan_plugin_entry();
    snprintf(path, sizeof(path), "%s/socket", folder);
    if (fake->plugin->config("driver", driver) != 0 || gpuvchan_listener_create(path, &listener) != 0)
        exit(1);
    pthread_create(&guest, NULL, fake_connect, path);
    fake->session = fake_accept(listener);
    pthread_join(guest, &channel);
    fake->channel = channel;
    gpuvchan_listener_destroy(listener);
    rmdir(folder);
    if (!fake->session || !fake->channel)
        exit(1);
}

/* Loads the fake driver, connects the two ends. */
static void __attribute__((unused)) /* where there is another driver */
fake_session_begin(struct fake_session *fake)
{
    char *full = fake_driver_path();
    void *library = full ? dlopen(full, RTLD_NOW) : NULL, *symbol;

    if (!library) {
        fprintf(stderr, "set FAKE_LIBCUDA to the library built from tests/fake/libcuda.c\n");
        exit(1);
    }
    fake->driver = dlsym(library, "fake_cuda");
    symbol = dlsym(library, "fake_cuda_reset");
    memcpy(&fake->driver_reset, &symbol, sizeof(symbol));
    symbol = dlsym(library, "fake_cuda_act_as");
    memcpy(&fake->driver_act_as, &symbol, sizeof(symbol));
    fake_session_connect(fake, full);
    free(full);
}

static void __attribute__((unused)) /* a fuzzer never ends */
fake_session_end(struct fake_session *fake)
{
    gpuvchan_session_destroy(fake->session);
    gpuvchan_channel_close(fake->channel);
}

static void
fake_allow(struct fake_session *fake)
{
    uint64_t arena_bytes;
    size_t page_bytes;

    if (!fake->driver)
        return;
    fake->driver->host[0].start = gpuvchan_session_arena(fake->session, &arena_bytes);
    fake->driver->host[0].bytes = arena_bytes;
    fake->driver->host[1].start = gpuvchan_session_completions(fake->session, &page_bytes);
    fake->driver->host[1].bytes = page_bytes;
    fake->driver->host[2].start = fake->record;
    fake->driver->host[2].bytes = sizeof(fake->record);
    fake->driver->host[3].start = fake->reply;
    fake->driver->host[3].bytes = sizeof(fake->reply);
}

/* A guest process with two lanes. */
static int
fake_open(struct fake_session *fake)
{
    int error = fake->plugin->open(fake->session, &fake->state);

    fake_allow(fake);
    for (uint32_t i = 0; error == 0 && i < FAKE_LANES; i++)
        error = fake->plugin->lane_open(fake->state, i, &fake->lanes[i]);
    return error;
}

static void
fake_close(struct fake_session *fake)
{
    for (uint32_t i = 0; i < FAKE_LANES; i++)
        fake->plugin->lane_close(fake->state, fake->lanes[i]);
    fake->plugin->close(fake->state);
    atomic_store(&fake->session->fault, 0); /* the next guest process begins without it */
    atomic_store(&fake->session->phase, SESSION_SERVES);
}

/* Executes a record whose payload is in fake->record, as a lane's thread does. */
static int
fake_execute(struct fake_session *fake, uint32_t lane, uint16_t opcode, uint32_t bytes)
{
    const struct gpuvchan_dispatch *dispatch = fake->plugin->dispatch;
    const struct gpuvchan_entry *entry = opcode < dispatch->protocol.entries ? &dispatch->entries[opcode] : NULL;
    struct gpuvchan_request request = {
        .session = fake->session,
        .state = fake->state,
        .lane_state = fake->lanes[lane],
        .payload = fake->record,
        .bytes = (bytes + 15) & ~15u,
        .opcode = opcode,
        .lane = lane,
        .sequence = 1,
        .reply = fake->reply,
        .reply_room = sizeof(fake->reply),
    };

    if (!entry || !entry->execute || request.bytes < entry->bytes_min ||
        request.bytes > gpuvchan_record_bytes(entry->bytes_max) - 16)
        return -EPROTO;
    if (fake->driver)
        fake->driver_act_as(lane); /* each lane has a thread of its own */
    return entry->execute(&request);
}

#endif
