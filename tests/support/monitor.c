/* SPDX-License-Identifier: MIT */
#include "monitor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host.h"

#define TEXT 256
#define PIDS 500

enum monitor_opcode {
    MONITOR_WORKERS = 1, /* replies int32_t count, then as many process numbers as fit */
    MONITOR_SAID,
    MONITOR_LOG, /* replies the log's end */
    MONITOR_QUIET,
    MONITOR_KILL,
    MONITOR_TICKS,
    MONITOR_DESCRIPTORS,
    MONITOR_GONE,
    MONITOR_OPCODES
};

/* Of all but the first and the log the reply is an int64_t. */
struct monitor_request {
    int32_t pid, number; /* number: milliseconds, or a signal */
    char text[TEXT];
};

/* ---- Host ------------------------------------------------------------------------------------ */

static const struct test_host *watched;

void
monitor_watch(const struct test_host *host)
{
    watched = host;
}

static const struct monitor_request *
arguments(const struct gpuvchan_request *request)
{
    return request->payload;
}

static int
answer(struct gpuvchan_request *request, int64_t value)
{
    int64_t *reply = gpuvchan_request_reply(request, sizeof(*reply));

    if (!reply)
        return -EMSGSIZE;
    *reply = value;
    return 0;
}

static int
workers(struct gpuvchan_request *request)
{
    pid_t pids[PIDS];
    int count = test_host_workers(watched, pids, PIDS);
    size_t known = count < 0 ? 0 : count < PIDS ? (size_t)count : PIDS;
    int32_t *reply = gpuvchan_request_reply(request, (uint32_t)(4 + 4 * known));

    if (!reply)
        return -EMSGSIZE;
    reply[0] = count;
    for (size_t i = 0; i < known; i++)
        reply[1 + i] = pids[i];
    return 0;
}

static int
said(struct gpuvchan_request *request)
{
    return answer(request, test_host_said(watched, arguments(request)->text, arguments(request)->number));
}

static int
log_end(struct gpuvchan_request *request)
{
    const char *text = test_host_log(watched);
    size_t bytes = strlen(text) + 1, room = 60000;
    char *reply = gpuvchan_request_reply(request, (uint32_t)(bytes < room ? bytes : room));

    if (!reply)
        return -EMSGSIZE;
    memcpy(reply, bytes < room ? text : text + bytes - room, bytes < room ? bytes : room);
    return 0;
}

static int
quiet(struct gpuvchan_request *request)
{
    return answer(request, test_host_quiet(watched, arguments(request)->number));
}

static int
send_signal(struct gpuvchan_request *request)
{
    return answer(request, test_host_kill(watched, arguments(request)->pid, arguments(request)->number));
}

static int
ticks(struct gpuvchan_request *request)
{
    return answer(request, (int64_t)test_host_ticks(watched, arguments(request)->pid));
}

static int
descriptors(struct gpuvchan_request *request)
{
    return answer(request, test_host_descriptors(watched, arguments(request)->pid));
}

static int
gone(struct gpuvchan_request *request)
{
    return answer(request, test_host_gone(watched, arguments(request)->pid, arguments(request)->number));
}

#define ARGUMENTS sizeof(struct monitor_request)
#define ENTRY(name, function)                \
    {                                        \
        name, ARGUMENTS, ARGUMENTS, function \
    }

static const struct gpuvchan_entry entries[MONITOR_OPCODES] = {
    [MONITOR_WORKERS] = ENTRY("workers", workers),
    [MONITOR_SAID] = ENTRY("said", said),
    [MONITOR_LOG] = ENTRY("log", log_end),
    [MONITOR_QUIET] = ENTRY("quiet", quiet),
    [MONITOR_KILL] = ENTRY("kill", send_signal),
    [MONITOR_TICKS] = ENTRY("ticks", ticks),
    [MONITOR_DESCRIPTORS] = ENTRY("descriptors", descriptors),
    [MONITOR_GONE] = ENTRY("gone", gone),
};

#define PROTOCOL                                                                              \
    {                                                                                         \
        .name = "monitor", .version = 1, .entries = MONITOR_OPCODES, .hash = 0x6d6f6e69746f72 \
    }

static const struct gpuvchan_protocol protocol = PROTOCOL;
static const struct gpuvchan_dispatch dispatch = {.protocol = PROTOCOL, .entries = entries};

static int
monitor_plugin_open(struct gpuvchan_session *session, void **state)
{
    (void)session;
    *state = NULL;
    return watched ? 0 : -ENODEV;
}

static void
monitor_plugin_close(void *state)
{
    (void)state;
}

const struct gpuvchan_plugin monitor_plugin = {
    .size = sizeof(struct gpuvchan_plugin),
    .api = GPUVCHAN_PLUGIN_API,
    .name = "monitor",
    .version = "1",
    .description = "tells tests about their host",
    .dispatch = &dispatch,
    .open = monitor_plugin_open,
    .close = monitor_plugin_close,
};

/* ---- Guest ----------------------------------------------------------------------------------- */

static struct gpuvchan_client client;
static int users;

int
monitor_open(const char *address)
{
    static const struct gpuvchan_channel_options options = {
        .size = sizeof(options),
        .arena_bytes = 4096,
        .lanes = 2,
        .command_bytes = 8192,
        .reply_bytes = 262144,
        .timeout_ms = 60000,
    };
    struct gpuvchan_channel *channel;
    int error;

    if (users > 0) {
        users++;
        return 0;
    }
    error = gpuvchan_channel_connect(address, &options, &channel);
    if (error != 0)
        return error;
    error = gpuvchan_client_open(channel, &protocol, &client);
    if (error != 0)
        gpuvchan_channel_close(channel);
    else
        users = 1;
    return error;
}

void
monitor_close(void)
{
    if (users > 0 && --users == 0)
        gpuvchan_channel_close(client.channel);
}

/* NULL: the monitor does not answer, which it says. */
static const void *
ask(uint16_t opcode, pid_t pid, int number, const char *text, uint32_t *bytes)
{
    struct gpuvchan_lane *lane = gpuvchan_lane_current(client.channel);
    struct monitor_request *request = lane ? gpuvchan_reserve_call(lane, sizeof(*request)) : NULL;
    const void *reply;
    int error;

    if (!request) {
        printf("# the monitor: %s\n", gpuvchan_error_text());
        return NULL;
    }
    memset(request, 0, sizeof(*request));
    request->pid = pid;
    request->number = number;
    if (text)
        snprintf(request->text, sizeof(request->text), "%s", text);
    error = gpuvchan_call(lane, client.slot, opcode, sizeof(*request), &reply, bytes);
    if (error == 0)
        return reply;
    printf("# the monitor: %d: %s\n", error, gpuvchan_error_text());
    return NULL;
}

static int64_t
ask_number(uint16_t opcode, pid_t pid, int number, const char *text)
{
    uint32_t bytes;
    const int64_t *reply = ask(opcode, pid, number, text, &bytes);

    return reply && bytes == sizeof(*reply) ? *reply : -EIO;
}

int
monitor_workers(pid_t *pids, int room)
{
    uint32_t bytes;
    const int32_t *reply = ask(MONITOR_WORKERS, 0, 0, NULL, &bytes);

    if (!reply || bytes < 4)
        return -1;
    for (int i = 0; i < room && i < (int)(bytes / 4) - 1; i++)
        pids[i] = reply[1 + i];
    return reply[0];
}

bool
monitor_said(const char *text, int ms)
{
    return ask_number(MONITOR_SAID, 0, ms, text) == 1;
}

const char *
monitor_log(void)
{
    static char text[65536];
    uint32_t bytes;
    const char *reply = ask(MONITOR_LOG, 0, 0, NULL, &bytes);

    if (!reply)
        bytes = 0;
    else
        memcpy(text, reply, bytes);
    text[bytes] = '\0';
    return text;
}

int
monitor_quiet(int ms)
{
    return (int)ask_number(MONITOR_QUIET, 0, ms, NULL);
}

int
monitor_kill(pid_t pid, int number)
{
    return (int)ask_number(MONITOR_KILL, pid, number, NULL);
}

uint64_t
monitor_ticks(pid_t pid)
{
    return (uint64_t)ask_number(MONITOR_TICKS, pid, 0, NULL);
}

int
monitor_descriptors(pid_t pid)
{
    return (int)ask_number(MONITOR_DESCRIPTORS, pid, 0, NULL);
}

bool
monitor_gone(pid_t pid, int ms)
{
    return ask_number(MONITOR_GONE, pid, ms, NULL) == 1;
}
