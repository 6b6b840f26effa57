/* SPDX-License-Identifier: MIT */
/*
 * Records of every kind and content through the NVML plugin, over the fake library, which ends the process when it is
 * handed a device or a struct's version that cannot be.
 *
 * An input is a list of records: opcode (1 byte), payload bytes (2, little endian), payload.
 *
 * prepare: mkdir -p OUT/fake && cc -D_GNU_SOURCE -shared -fPIC -g -Ilibgpuvchan/include -Ilibgpuvchan/protocol/nvml -Itests/fake -Iguest/nvml tests/fake/libnvidia_ml.c -o OUT/fake/libnvidia-ml.so.1
 * build: ALL:host/nvml host/cuda/sim_path.c GEN/nvml-host.c ALL:libgpuvchan -Ihost/nvml -Ilibgpuvchan/protocol/nvml
 * build: -Ilibgpuvchan/protocol/cuda -l:libnettle.a -lpthread
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nvml-guest.h"
#include "nvml-host.h"

#include "session.h"

#define RECORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
const struct gpuvchan_plugin *gpuvchan_plugin_entry(void);

static struct gpuvchan_session *session;
static const struct gpuvchan_plugin *plugin;
static _Alignas(64) unsigned char record[65536];
static _Alignas(64) unsigned char reply[16384 - 16];

static void
silent(enum gpuvchan_log_level level, const char *text)
{
    (void)level;
    (void)text;
}

static void *
connect_guest(void *path)
{
    struct gpuvchan_channel_options options = {.size = sizeof(options), .arena_bytes = 1 << 20, .lanes = 1};
    struct gpuvchan_channel *channel;

    if (gpuvchan_channel_connect(path, &options, &channel) != 0)
        abort();
    return channel;
}

/* What FAKE_NVML names, else fake/libnvidia-ml.so.1 in the program's folder. */
static const char *
fake_path(char path[4096])
{
    ssize_t bytes = readlink("/proc/self/exe", path, 4000);

    path[bytes > 0 ? bytes : 0] = '\0';
    strcpy(strrchr(path, '/'), "/fake/libnvidia-ml.so.1");
    return getenv("FAKE_NVML") ? getenv("FAKE_NVML") : path;
}

static void
begin(void)
{
    char folder[] = "/tmp/gpuvchan-fuzz-XXXXXX", address[64], path[4096];
    struct gpuvchan_listener *listener;
    struct pollfd waiting = {.events = POLLIN};
    struct gpuvchan_peer peer;
    pthread_t guest;
    int fd;

    gpuvchan_log_set(silent, GPUVCHAN_LOG_ERROR);
    plugin = gpuvchan_plugin_entry();
    if (!mkdtemp(folder) || plugin->config("driver", fake_path(path)) != 0)
        abort();
    snprintf(address, sizeof(address), "%s/socket", folder);
    if (gpuvchan_listener_create(address, &listener) != 0)
        abort();
    pthread_create(&guest, NULL, connect_guest, address);
    waiting.fd = gpuvchan_listener_fd(listener);
    if (poll(&waiting, 1, 5000) != 1 || gpuvchan_listener_accept(listener, &fd, &peer) != 0 ||
        gpuvchan_session_accept(fd, NULL, &session) != 0)
        abort();
    pthread_join(guest, NULL);
    gpuvchan_listener_destroy(listener);
    rmdir(folder);
}

static void
execute(void *state, uint16_t opcode, uint32_t bytes)
{
    const struct gpuvchan_entry *entry =
        opcode < nvml_dispatch.protocol.entries ? &nvml_dispatch.entries[opcode] : NULL;
    struct gpuvchan_request request = {
        .session = session,
        .state = state,
        .payload = record,
        .bytes = (bytes + 15) & ~15u,
        .opcode = opcode,
        .sequence = 1,
        .reply = reply,
        .reply_room = sizeof(reply),
    };

    if (entry && entry->execute && request.bytes >= entry->bytes_min &&
        request.bytes <= gpuvchan_record_bytes(entry->bytes_max) - 16)
        entry->execute(&request);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    void *state;

    if (!session)
        begin();
    if (plugin->open(session, &state) != 0)
        abort();
    for (int i = 0; i < RECORDS_MAX && bytes >= 3 && atomic_load(&session->fault) == 0; i++) {
        uint8_t opcode = data[0];
        size_t payload = data[1] | (size_t)data[2] << 8;

        data += 3;
        bytes -= 3;
        payload = payload < bytes ? payload : bytes;
        memset(record, 0, (payload + 15) & ~(size_t)15);
        memcpy(record, data, payload);
        execute(state, opcode, (uint32_t)payload);
        data += payload;
        bytes -= payload;
    }
    plugin->close(state);
    atomic_store(&session->fault, 0);
    atomic_store(&session->phase, SESSION_SERVES);
    return 0;
}
