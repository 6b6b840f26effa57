/* SPDX-License-Identifier: MIT */
#include "subject.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* ---- Host ------------------------------------------------------------------------------------ */

#define SUBJECT_LANES GPUVCHAN_LANES_MAX

struct subject {
    _Atomic uint64_t noted;
    _Atomic uint64_t released;
    _Atomic uint32_t lanes_opened, lanes_closed;
    _Atomic bool paused;
    _Atomic uint32_t lane_numbers[SUBJECT_LANES]; /* 0: it is not open */
    _Atomic uint64_t notes[SUBJECT_NOTES_MAX];
};

struct subject_lane_state {
    struct subject *subject;
    uint32_t lane, number;
};

static const struct subject_request *
arguments(const struct gpuvchan_request *request)
{
    return request->payload;
}

static int
note(struct gpuvchan_request *request)
{
    struct subject *subject = request->state;

    /* The place is taken with the memory order of nothing: the core alone has to keep the records in order. */
    uint64_t at = atomic_fetch_add_explicit(&subject->noted, 1, memory_order_relaxed);

    if (at < SUBJECT_NOTES_MAX)
        atomic_store_explicit(&subject->notes[at], arguments(request)->value, memory_order_relaxed);
    return 0;
}

static int
fail(struct gpuvchan_request *request)
{
    return (int)arguments(request)->value;
}

static int
echo(struct gpuvchan_request *request)
{
    void *reply = gpuvchan_request_reply(request, request->bytes);

    if (!reply)
        return -EMSGSIZE;
    memcpy(reply, request->payload, request->bytes);
    return 0;
}

static int
notes(struct gpuvchan_request *request)
{
    struct subject *subject = request->state;
    uint64_t from = arguments(request)->value, count = atomic_load(&subject->noted);
    uint64_t n = from < count ? count - from : 0;
    uint64_t *reply;

    n = n < 1000 ? n : 1000;
    reply = gpuvchan_request_reply(request, (uint32_t)(8 + 8 * n));
    while (!reply && n > 0) {
        n /= 2;
        reply = gpuvchan_request_reply(request, (uint32_t)(8 + 8 * n));
    }
    if (!reply)
        return -EMSGSIZE;
    reply[0] = count;
    for (uint64_t i = 0; i < n; i++)
        reply[1 + i] = atomic_load(&subject->notes[from + i]);
    return 0;
}

static void
sleep_ms(uint64_t ms)
{
    struct timespec rest = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        ;
}

static int
rest(struct gpuvchan_request *request)
{
    sleep_ms(arguments(request)->value);
    return 0;
}

static int
block(struct gpuvchan_request *request)
{
    struct subject *subject = request->state;

    for (int i = 0; i < 10000; i++) {
        if (atomic_load(&subject->released) >= arguments(request)->value)
            return 0;
        if (atomic_load(&subject->paused))
            return -ERESTART;
        sleep_ms(1);
    }
    return -ETIMEDOUT;
}

static int
release(struct gpuvchan_request *request)
{
    struct subject *subject = request->state;

    atomic_fetch_add(&subject->released, 1);
    return 0;
}

static int
signal_word(struct gpuvchan_request *request)
{
    const struct subject_request *given = arguments(request);
    _Atomic uint64_t *word = gpuvchan_session_completion(request->session, (uint32_t)given->index);

    if (!word)
        return gpuvchan_request_corrupt(request, "there is no completion word %llu", (unsigned long long)given->index);
    gpuvchan_completion_signal(word, given->value);
    return 0;
}

static int
fill(struct gpuvchan_request *request)
{
    const struct subject_request *given = arguments(request);
    void *at = gpuvchan_session_resolve(request->session, given->reference);

    if (!at)
        return gpuvchan_request_corrupt(request, "%llu bytes at %llu are not in the arena",
                                        (unsigned long long)given->reference.bytes,
                                        (unsigned long long)given->reference.offset);
    memset(at, (int)given->value, given->reference.bytes);
    return 0;
}

static int
reply_bytes(struct gpuvchan_request *request)
{
    uint64_t bytes = arguments(request)->value;
    unsigned char *reply = gpuvchan_request_reply(request, (uint32_t)bytes);

    if (!reply)
        return -EMSGSIZE;
    for (uint64_t i = 0; i < bytes; i++)
        reply[i] = (unsigned char)(i * 7 + bytes);
    return 0;
}

static int
lane_of_request(struct gpuvchan_request *request)
{
    const struct subject_lane_state *state = request->lane_state;
    struct subject_lane *reply = gpuvchan_request_reply(request, sizeof(*reply));

    if (!reply)
        return -EMSGSIZE;
    reply->lane = request->lane;
    reply->number = state->number;
    reply->opened = atomic_load(&state->subject->lanes_opened);
    reply->closed = atomic_load(&state->subject->lanes_closed);
    return 0;
}

static int
corrupt(struct gpuvchan_request *request)
{
    return gpuvchan_request_corrupt(request, "the subject says so, %llu times",
                                    (unsigned long long)arguments(request)->value);
}

static int
die(struct gpuvchan_request *request)
{
    (void)request;
    raise(SIGKILL);
    return 0;
}

#define ARGUMENTS sizeof(struct subject_request)
#define ANY (GPUVCHAN_RECORD_MAX)

static const struct gpuvchan_entry entries[SUBJECT_OPCODES] = {
    [SUBJECT_NOTE] = {"note", ARGUMENTS, ANY, note},
    [SUBJECT_FAIL] = {"fail", ARGUMENTS, ARGUMENTS, fail},
    [SUBJECT_ECHO] = {"echo", 0, ANY, echo},
    [SUBJECT_NOTES] = {"notes", ARGUMENTS, ARGUMENTS, notes},
    [SUBJECT_SLEEP] = {"sleep", ARGUMENTS, ARGUMENTS, rest},
    [SUBJECT_BLOCK] = {"block", ARGUMENTS, ARGUMENTS, block},
    [SUBJECT_RELEASE] = {"release", ARGUMENTS, ARGUMENTS, release},
    [SUBJECT_SIGNAL] = {"signal", ARGUMENTS, ARGUMENTS, signal_word},
    [SUBJECT_FILL] = {"fill", ARGUMENTS, ARGUMENTS, fill},
    [SUBJECT_REPLY] = {"reply", ARGUMENTS, ARGUMENTS, reply_bytes},
    [SUBJECT_LANE] = {"lane", ARGUMENTS, ARGUMENTS, lane_of_request},
    [SUBJECT_CORRUPT] = {"corrupt", ARGUMENTS, ARGUMENTS, corrupt},
    [SUBJECT_DIE] = {"die", ARGUMENTS, ARGUMENTS, die},
};

static int
subject_open(struct gpuvchan_session *session, void **state)
{
    (void)session;
    *state = calloc(1, sizeof(struct subject));
    return *state ? 0 : -ENOMEM;
}

static int
broken_open(struct gpuvchan_session *session, void **state)
{
    (void)session;
    (void)state;
    return -ENODEV;
}

static int
subject_lane_open(void *state, uint32_t lane, void **lane_state)
{
    struct subject *subject = state;
    struct subject_lane_state *mine = calloc(1, sizeof(*mine));

    if (!mine)
        return -ENOMEM;
    mine->subject = subject;
    mine->lane = lane;
    mine->number = atomic_load(&subject->lane_numbers[lane]); /* from before it was resumed */
    if (mine->number == 0)
        mine->number = atomic_fetch_add(&subject->lanes_opened, 1) + 1;
    atomic_store(&subject->lane_numbers[lane], mine->number);
    *lane_state = mine;
    return 0;
}

static void
subject_lane_close(void *state, void *lane_state)
{
    struct subject *subject = state;
    struct subject_lane_state *mine = lane_state;

    atomic_store(&subject->lane_numbers[mine->lane], 0);
    atomic_fetch_add(&subject->lanes_closed, 1);
    free(mine);
}

/* ---- Renewal ---- */

/* "WHAT-WHERE", what goes wrong: fail, die, or more or less than was written; in suspend or resume. */
static char renewal_trouble[32];

static int
make_trouble(const char *where)
{
    char fails[32], dies[32];

    snprintf(fails, sizeof(fails), "fail-%s", where);
    snprintf(dies, sizeof(dies), "die-%s", where);
    if (strcmp(renewal_trouble, dies) == 0)
        raise(SIGKILL);
    return strcmp(renewal_trouble, fails) == 0 ? -EIO : 0;
}

static void
subject_pause(void *state, bool on)
{
    struct subject *subject = state;

    atomic_store(&subject->paused, on);
}

struct subject_image {
    uint64_t noted, released;
    uint32_t lanes_opened, lanes_closed, lane_numbers[SUBJECT_LANES];
};

static int
subject_suspend(void *state, struct gpuvchan_snapshot *snapshot)
{
    struct subject *subject = state;
    struct subject_image image = {
        .noted = atomic_load(&subject->noted),
        .released = atomic_load(&subject->released),
        .lanes_opened = atomic_load(&subject->lanes_opened),
        .lanes_closed = atomic_load(&subject->lanes_closed),
    };
    uint64_t kept = image.noted < SUBJECT_NOTES_MAX ? image.noted : SUBJECT_NOTES_MAX;
    int error = make_trouble("suspend");

    for (uint32_t i = 0; i < SUBJECT_LANES; i++)
        image.lane_numbers[i] = atomic_load(&subject->lane_numbers[i]);
    if (error == 0)
        error = gpuvchan_snapshot_write(snapshot, &image, sizeof(image));
    return error ? error : gpuvchan_snapshot_write(snapshot, (const void *)subject->notes, kept * sizeof(uint64_t));
}

static int
subject_resume(struct gpuvchan_session *session, struct gpuvchan_snapshot *snapshot, void **state)
{
    struct subject *subject = calloc(1, sizeof(*subject));
    struct subject_image image;
    uint64_t kept;
    int error = subject ? make_trouble("resume") : -ENOMEM;

    (void)session;
    if (error == 0)
        error = gpuvchan_snapshot_read(snapshot, &image, sizeof(image));
    if (error != 0) {
        free(subject);
        return error;
    }
    atomic_store(&subject->noted, image.noted);
    atomic_store(&subject->released, image.released);
    atomic_store(&subject->lanes_opened, image.lanes_opened);
    atomic_store(&subject->lanes_closed, image.lanes_closed);
    for (uint32_t i = 0; i < SUBJECT_LANES; i++)
        atomic_store(&subject->lane_numbers[i], image.lane_numbers[i]);
    kept = image.noted < SUBJECT_NOTES_MAX ? image.noted : SUBJECT_NOTES_MAX;
    if (strcmp(renewal_trouble, "less-resume") == 0)
        kept = kept > 0 ? kept - 1 : 0;
    error = gpuvchan_snapshot_read(snapshot, (void *)subject->notes, kept * sizeof(uint64_t));
    if (error == 0 && strcmp(renewal_trouble, "more-resume") == 0)
        error = gpuvchan_snapshot_read(snapshot, &image, 1);
    if (error != 0)
        free(subject);
    else
        *state = subject;
    return error;
}

#ifndef SUBJECT_HASH
#define SUBJECT_HASH 0x7375626a656374
#endif

#define PROTOCOL(protocol_name)                                                                \
    {                                                                                          \
        .name = protocol_name, .version = 3, .entries = SUBJECT_OPCODES, .hash = SUBJECT_HASH, \
    }

const struct gpuvchan_protocol subject_protocol = PROTOCOL("subject");
const struct gpuvchan_protocol second_protocol = PROTOCOL("second");
const struct gpuvchan_protocol broken_protocol = PROTOCOL("broken");

static const struct gpuvchan_dispatch subject_dispatch = {.protocol = PROTOCOL("subject"), .entries = entries};
static const struct gpuvchan_dispatch second_dispatch = {.protocol = PROTOCOL("second"), .entries = entries};
static const struct gpuvchan_dispatch broken_dispatch = {.protocol = PROTOCOL("broken"), .entries = entries};

#define PLUGIN(plugin_name, plugin_dispatch, plugin_open, ...)                                                     \
    {                                                                                                              \
        .size = sizeof(struct gpuvchan_plugin), .api = GPUVCHAN_PLUGIN_API, .name = plugin_name, .version = "1",   \
        .description = "what the tests talk to", .dispatch = &plugin_dispatch, .open = plugin_open, .close = free, \
        .lane_open = subject_lane_open, .lane_close = subject_lane_close, __VA_ARGS__                              \
    }

#define RENEWABLE .suspend = subject_suspend, .resume = subject_resume, .pause = subject_pause

const struct gpuvchan_plugin subject_plugin = PLUGIN("subject", subject_dispatch, subject_open, RENEWABLE);
const struct gpuvchan_plugin second_plugin = PLUGIN("second", second_dispatch, subject_open);
const struct gpuvchan_plugin broken_plugin = PLUGIN("broken", broken_dispatch, broken_open);

#ifdef SUBJECT_PLUGIN
#ifdef SECOND_PLUGIN /* cannot be renewed */
static struct gpuvchan_plugin registered = PLUGIN("second", second_dispatch, subject_open);
#else
static int
subject_config(const char *key, const char *value)
{
    if (strcmp(key, "trouble") != 0 || strlen(value) >= sizeof(renewal_trouble))
        return -ENOENT;
    strcpy(renewal_trouble, value);
    return 0;
}

static struct gpuvchan_plugin registered =
    PLUGIN("subject", subject_dispatch, subject_open, RENEWABLE, .config = subject_config);
#endif
GPUVCHAN_PLUGIN_REGISTER(registered)
#endif

/* ---- Guest ----------------------------------------------------------------------------------- */

int
subject_send(const struct gpuvchan_client *client, uint16_t opcode, bool call, const void *payload, size_t bytes,
             const void **reply, uint32_t *reply_size)
{
    struct gpuvchan_lane *lane = gpuvchan_lane_current(client->channel);
    void *room;

    if (!lane)
        return gpuvchan_stub_error(client->channel);
    room = call ? gpuvchan_reserve_call(lane, bytes) : gpuvchan_reserve(lane, bytes);
    if (!room)
        return gpuvchan_stub_error(client->channel);
    if (bytes > 0)
        memcpy(room, payload, bytes);
    if (call)
        return gpuvchan_call(lane, client->slot, opcode, bytes, reply, reply_size);
    return gpuvchan_post(lane, client->slot, opcode, bytes);
}

int
subject_post(const struct gpuvchan_client *client, uint16_t opcode, uint64_t value)
{
    struct subject_request request = {.value = value};

    return subject_send(client, opcode, false, &request, sizeof(request), NULL, NULL);
}

int
subject_call(const struct gpuvchan_client *client, uint16_t opcode, uint64_t value)
{
    struct subject_request request = {.value = value};
    const void *reply;
    uint32_t bytes;

    return subject_send(client, opcode, true, &request, sizeof(request), &reply, &bytes);
}

int64_t
subject_notes(const struct gpuvchan_client *client, uint64_t from, uint64_t *to, size_t room)
{
    uint64_t count = 0;
    size_t have = 0;

    do {
        struct subject_request request = {.value = from + have};
        const void *reply;
        uint32_t bytes;
        size_t n;
        int error = subject_send(client, SUBJECT_NOTES, true, &request, sizeof(request), &reply, &bytes);

        if (error != 0)
            return error < 0 ? error : -EIO;
        memcpy(&count, reply, 8);
        n = bytes / 8 - 1;
        n = n < room - have ? n : room - have;
        if (n > 0)
            memcpy(to + have, (const char *)reply + 8, n * 8);
        have += n;
    } while (have < room && from + have < count);
    return (int64_t)count;
}
