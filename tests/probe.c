/* SPDX-License-Identifier: MIT */
/*
 * A guest and a plugin for the tests of the host: they behave, or misbehave, as they are told. Compiled
 * by the tests, with PROBE_PLUGIN for the plugin. Written without the scanner, which has tests of its own.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gpuvchan/plugin.h>

enum {
    PROBE_ECHO = 1,
    PROBE_CRASH = 2,
    PROBE_HANG = 3,
    PROBE_ENTRIES = 4
};

#define PROBE_PROTOCOL                                                                \
    {                                                                                 \
        .name = "probe", .version = 1, .entries = PROBE_ENTRIES, .hash = 0x70726f6265 \
    }

#ifdef PROBE_PLUGIN

static int hang_at_close;
static char warm = 'p';

static int
echo(struct gpuvchan_request *request)
{
    uint32_t *reply = gpuvchan_request_reply(request, 4);

    if (!reply)
        return -ENOMEM;
    memcpy(reply, request->payload, 4);
    return 0;
}

static int
crash(struct gpuvchan_request *request)
{
    (void)request;
    signal(SIGSEGV, SIG_DFL); /* also under a sanitizer */
    raise(SIGSEGV);
    return 0;
}

static int
hang(struct gpuvchan_request *request)
{
    (void)request;
    for (;;)
        pause();
    return 0;
}

static const struct gpuvchan_entry entries[PROBE_ENTRIES] = {
    [PROBE_ECHO] = {"echo", 4, 16, echo},
    [PROBE_CRASH] = {"crash", 4, 16, crash},
    [PROBE_HANG] = {"hang", 4, 16, hang},
};
static const struct gpuvchan_dispatch dispatch = {.protocol = PROBE_PROTOCOL, .entries = entries};

static int
probe_config(const char *key, const char *value)
{
    if (strcmp(key, "warm") == 0) {
        warm = value[0];
        return strchr("phcv", warm) ? 0 : -EINVAL;
    }
    if (strcmp(key, "close") != 0)
        return -ENOENT;
    if (strcmp(value, "hang") != 0 && strcmp(value, "prompt") != 0)
        return -EINVAL;
    hang_at_close = strcmp(value, "hang") == 0;
    return 0;
}

static int
probe_open(struct gpuvchan_session *session, void **state)
{
    (void)session;
    *state = &hang_at_close;
    return 0;
}

static void
probe_close(void *state)
{
    (void)state;
    while (hang_at_close)
        pause();
}

static void
probe_warm(void)
{
    if (warm == 'v')
        gpuvchan_log(GPUVCHAN_LOG_INFO, "probe: is warm");
    while (warm == 'h')
        pause();
    if (warm == 'c')
        crash(NULL);
}

static void
probe_dump(void)
{
    puts("device=none");
}

static struct gpuvchan_plugin plugin = {
    .name = "probe",
    .version = "1.2",
    .description = "echoes, crashes and hangs",
    .config_help = "close=prompt|hang  what happens when a guest has gone\n"
                   "warm=prompt|verbose|hang|crash  and before it comes",
    .dispatch = &dispatch,
    .config = probe_config,
    .open = probe_open,
    .close = probe_close,
    .dump = probe_dump,
    .warm = probe_warm,
};
GPUVCHAN_PLUGIN_REGISTER(plugin)

#else

static const struct gpuvchan_protocol protocol = PROBE_PROTOCOL;

static int
send(struct gpuvchan_client *client, uint16_t opcode, bool wait)
{
    struct gpuvchan_lane *lane = gpuvchan_lane_current(client->channel);
    const uint32_t value = 42;
    const void *reply;
    uint32_t bytes;
    void *payload = lane ? gpuvchan_reserve(lane, 4) : NULL;
    int error;

    if (!payload)
        return gpuvchan_stub_error(client->channel);
    memcpy(payload, &value, 4);
    if (!wait)
        return gpuvchan_post(lane, client->slot, opcode, 4);
    error = gpuvchan_call(lane, client->slot, opcode, 4, &reply, &bytes);
    return error == 0 && (bytes < 4 || memcmp(reply, &value, 4) != 0) ? -EIO : error;
}

/* Says how it goes; waits for a line, or the end of its input, where the test wants to do something. */
static int
act(const char *what, struct gpuvchan_client *client)
{
    int error = send(client, PROBE_ECHO, true);

    if (error == 0 && strcmp(what, "crash") == 0)
        return send(client, PROBE_CRASH, true);
    if (error == 0 && strcmp(what, "hang") == 0)
        error = send(client, PROBE_HANG, false);
    if (error != 0)
        return error;
    puts("ready");
    fflush(stdout);
    if (strcmp(what, "echo") == 0)
        return 0;
    while (getchar() != '\n')
        if (feof(stdin))
            return 0;
    return strcmp(what, "hold") == 0 ? send(client, PROBE_ECHO, true) : 0;
}

int
main(int argc, char **argv)
{
    struct gpuvchan_channel_options options = {.size = sizeof(options), .arena_bytes = 1 << 20};
    struct gpuvchan_channel *channel = NULL;
    struct gpuvchan_client client;
    int error;

    alarm(60); /* whatever happens to the test */
    error = gpuvchan_channel_connect(NULL, &options, &channel);
    if (error == 0)
        error = gpuvchan_client_open(channel, &protocol, &client);
    if (error == 0)
        error = act(argc > 1 ? argv[1] : "echo", &client);
    if (error != 0)
        printf("error: %s\n", gpuvchan_error_text());
    else
        puts("done");
    gpuvchan_channel_close(channel);
    return error != 0;
}

#endif
