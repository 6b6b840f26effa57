/* SPDX-License-Identifier: MIT */
/*
 * A guest whose worker is renewed by somebody else. Usage, with GPUVCHAN_ADDRESS:
 *
 *     renew_guest busy THREADS     posts and calls without pause, on a lane each
 *     renew_guest hold [PROTOCOL]  does something for each line that it reads
 *     renew_guest block            the same, while a thread waits in a call until it reads "release"
 *     renew_guest sleep MS         the same, behind a post that takes so long
 *     renew_guest jam              is hostile: makes doorbells block whoever rings them
 *
 * Says "ready", and ends with its input. Everything that it asked for must have been executed, once and in order:
 * then it says "done: N notes", else "error: ...".
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "subject.h"
#include "transport_local.h"

#define THREADS_MAX 40
#define BUFFER 8192u
#define SHARED 0xffull /* as a thread: numbers that go around among them */
#define VALUE(thread, number) ((uint64_t)(thread) << 48 | (number))

struct worker {
    pthread_t thread;
    unsigned index;
    uint64_t notes; /* sent */
    struct gpuvchan_buffer *buffer;
    uint32_t word;
    int error;
    char text[400];
};

static struct gpuvchan_channel *channel;
static struct gpuvchan_client client;
static struct worker workers[THREADS_MAX + 1]; /* number 0 is the main thread */
static unsigned threads;
static _Atomic bool stop;
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t shared;

static __attribute__((format(printf, 3, 4))) int
fail(struct worker *worker, int error, const char *format, ...)
{
    va_list list;
    size_t used;

    va_start(list, format);
    vsnprintf(worker->text, sizeof(worker->text), format, list);
    va_end(list);
    used = strlen(worker->text);
    if (error < 0)
        snprintf(worker->text + used, sizeof(worker->text) - used, ": %s", gpuvchan_error_text());
    worker->error = error ? error : -EIO;
    return worker->error;
}

/* ---- One of each kind ------------------------------------------------------------------------ */

static int
note(struct worker *worker, bool call)
{
    uint64_t value = VALUE(worker->index, worker->notes);
    int error = call ? subject_call(&client, SUBJECT_NOTE, value) : subject_post(&client, SUBJECT_NOTE, value);

    if (error != 0)
        return fail(worker, error, "note %llu", (unsigned long long)worker->notes);
    worker->notes++;
    return 0;
}

/* What one thread's call completed before another thread's call began is executed in that order. */
static int
note_shared(struct worker *worker)
{
    int error;

    pthread_mutex_lock(&shared_lock);
    error = subject_call(&client, SUBJECT_NOTE, VALUE(SHARED, shared));
    if (error == 0)
        shared++;
    pthread_mutex_unlock(&shared_lock);
    return error == 0 ? 0 : fail(worker, error, "shared note");
}

static int
echo(struct worker *worker, uint64_t round)
{
    size_t bytes = 16 + round * 16 % 4000;
    unsigned char sent[4096];
    const void *reply;
    uint32_t got;
    int error;

    for (size_t i = 0; i < bytes; i++)
        sent[i] = (unsigned char)(round + i * 3);
    error = subject_send(&client, SUBJECT_ECHO, true, sent, bytes, &reply, &got);
    if (error != 0 || got < bytes || memcmp(reply, sent, bytes) != 0)
        return fail(worker, error, "echo of %zu bytes: %u came back", bytes, got);
    return 0;
}

static int
large_reply(struct worker *worker, uint64_t round)
{
    struct subject_request request = {.value = 1000 + round % 7000};
    const unsigned char *bytes;
    const void *reply;
    uint32_t got;
    int error = subject_send(&client, SUBJECT_REPLY, true, &request, sizeof(request), &reply, &got);

    if (error != 0 || got != request.value)
        return fail(worker, error, "a reply of %u bytes", got);
    bytes = reply;
    for (uint32_t i = 0; i < got; i++)
        if (bytes[i] != (unsigned char)(i * 7 + got))
            return fail(worker, 0, "byte %u of a reply", i);
    return 0;
}

/* Memory and completion words are those that the guest sees. */
static int
fill(struct worker *worker, uint64_t round)
{
    struct gpuvchan_reference all = {gpuvchan_buffer_offset(worker->buffer), BUFFER};
    struct subject_request filling = {.value = round & 0xff, .reference = all};
    struct subject_request signalling = {.value = round, .index = worker->word};
    const unsigned char *at = gpuvchan_buffer_data(worker->buffer);
    int error = subject_send(&client, SUBJECT_FILL, false, &filling, sizeof(filling), NULL, NULL);

    if (error == 0)
        error = subject_send(&client, SUBJECT_SIGNAL, false, &signalling, sizeof(signalling), NULL, NULL);
    if (error != 0)
        return fail(worker, error, "fill");
    error = note(worker, true);
    if (error == 0 && gpuvchan_completion_read(channel, worker->word) != round)
        error = fail(worker, 0, "the completion word %u", worker->word);
    if (error != 0)
        return error;
    for (uint32_t i = 0; i < BUFFER; i += 509)
        if (at[i] != (round & 0xff))
            return fail(worker, 0, "byte %u of a buffer", i);
    return 0;
}

static int
lane_number(struct worker *worker, uint32_t *number)
{
    struct subject_request request = {0};
    const struct subject_lane *lane;
    const void *reply;
    uint32_t got;
    int error = subject_send(&client, SUBJECT_LANE, true, &request, sizeof(request), &reply, &got);

    if (error != 0 || got < sizeof(*lane))
        return fail(worker, error, "lane");
    lane = reply;
    *number = lane->number;
    return 0;
}

static int
rounds(struct worker *worker, uint64_t from, uint64_t count)
{
    int error = 0;

    for (uint64_t round = from; round < from + count && error == 0; round++) {
        error = note(worker, round % 5 == 0);
        if (error == 0 && round % 7 == 0)
            error = echo(worker, round);
        if (error == 0 && round % 11 == 0)
            error = note_shared(worker);
        if (error == 0 && round % 29 == 0)
            error = large_reply(worker, round);
        if (error == 0 && round % 17 == 0)
            error = fill(worker, round + 1);
    }
    return error;
}

static int
prepare(struct worker *worker, unsigned index)
{
    int error = gpuvchan_buffer_create(channel, BUFFER, &worker->buffer);

    worker->index = index;
    if (error == 0)
        error = gpuvchan_completion_create(channel, &worker->word);
    return error ? fail(worker, error, "buffer and completion word") : 0;
}

/* ---- What the host has noted ----------------------------------------------------------------- */

static int
check_order(struct worker *main_thread, const uint64_t *notes, uint64_t count)
{
    uint64_t next[THREADS_MAX + 1] = {0}, next_shared = 0;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t thread = notes[i] >> 48, number = notes[i] & ((1ull << 48) - 1);
        uint64_t *expected = thread == SHARED ? &next_shared : thread <= THREADS_MAX ? &next[thread] : NULL;

        if (!expected || number != *expected)
            return fail(main_thread, 0, "note %llu of thread %llu comes where %llu should", (unsigned long long)number,
                        (unsigned long long)thread, expected ? (unsigned long long)*expected : 0);
        (*expected)++;
    }
    return 0;
}

static int
check_all(struct worker *main_thread)
{
    uint64_t *notes = calloc(SUBJECT_NOTES_MAX, sizeof(*notes)), sent = shared;
    int64_t noted;
    int error;

    for (unsigned i = 0; i <= THREADS_MAX; i++)
        sent += workers[i].notes;
    if (!notes)
        return fail(main_thread, -ENOMEM, "memory");
    noted = subject_notes(&client, 0, notes, sent < SUBJECT_NOTES_MAX ? sent : SUBJECT_NOTES_MAX);
    if (noted < 0)
        error = fail(main_thread, (int)noted, "notes");
    else if ((uint64_t)noted != sent)
        error = fail(main_thread, 0, "%lld notes were executed of %llu", (long long)noted, (unsigned long long)sent);
    else
        error = check_order(main_thread, notes, sent < SUBJECT_NOTES_MAX ? sent : SUBJECT_NOTES_MAX);
    free(notes);
    return error;
}

/* ---- Modes ----------------------------------------------------------------------------------- */

static void
say(const char *word)
{
    puts(word);
    fflush(stdout);
}

static void *
busy_thread(void *argument)
{
    struct worker *worker = argument;
    uint32_t before, after;

    if (lane_number(worker, &before) != 0)
        return NULL;
    for (uint64_t round = 0; !stop && rounds(worker, round, 100) == 0; round += 100)
        ;
    if (worker->error == 0 && lane_number(worker, &after) == 0 && after != before)
        fail(worker, 0, "its lane is number %u, and was %u", after, before);
    return NULL;
}

static int
busy(struct worker *main_thread)
{
    char line[64];
    int error = 0;

    for (unsigned i = 1; i <= threads; i++)
        if (prepare(&workers[i], i) != 0 || pthread_create(&workers[i].thread, NULL, busy_thread, &workers[i]) != 0)
            return fail(main_thread, -EAGAIN, "thread %u", i);
    say("ready");
    while (fgets(line, sizeof(line), stdin))
        ;
    stop = true;
    for (unsigned i = 1; i <= threads; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].error != 0)
            error = fail(main_thread, workers[i].error > 0 ? workers[i].error : 0, "thread %u: %s", i, workers[i].text);
    }
    return error;
}

/* The lane's state and the channel serve on, after each line. */
static int
hold(struct worker *main_thread, bool lanes)
{
    uint64_t round = 0;
    uint32_t before = 0, after = 0;
    char line[64];
    int error = lanes ? lane_number(main_thread, &before) : 0;

    if (error == 0)
        error = rounds(main_thread, round, 1000);
    say(error == 0 ? "ready" : "error");
    while (error == 0 && fgets(line, sizeof(line), stdin)) {
        if (strcmp(line, "corrupt\n") == 0)
            return fail(main_thread, subject_call(&client, SUBJECT_CORRUPT, 1), "corrupt");
        error = rounds(main_thread, round += 1000, 1000);
        if (error == 0 && lanes)
            error = lane_number(main_thread, &after);
        if (error == 0 && after != before)
            error = fail(main_thread, 0, "the lane is number %u, and was %u", after, before);
        if (error == 0 && strcmp(line, "release\n") == 0)
            error = subject_call(&client, SUBJECT_RELEASE, 0);
        say(error == 0 ? "good" : "bad");
    }
    return error;
}

static void *
blocked_thread(void *argument)
{
    struct worker *worker = argument;
    int error = note(worker, true);

    if (error == 0)
        error = subject_call(&client, SUBJECT_BLOCK, 1);
    if (error != 0 && worker->error == 0)
        fail(worker, error, "a blocked call");
    return error == 0 ? (note(worker, true), NULL) : NULL;
}

static int
block(struct worker *main_thread)
{
    struct worker *blocked = &workers[1];
    int error;

    blocked->index = 1;
    if (pthread_create(&blocked->thread, NULL, blocked_thread, blocked) != 0)
        return fail(main_thread, -EAGAIN, "thread");
    usleep(200000);
    error = hold(main_thread, true);
    pthread_join(blocked->thread, NULL);
    return error == 0 && blocked->error != 0 ? fail(main_thread, 0, "%s", blocked->text) : error;
}

/* Fills the doorbell as often as somebody empties it. */
static void *
jam_bell(void *argument)
{
    static const uint64_t most = UINT64_MAX - 1;
    int fd = (int)(intptr_t)argument;

    fcntl(fd, F_SETFL, 0); /* blocks from now on, on both sides */
    for (;;)
        if (write(fd, &most, sizeof(most)) < 0)
            return NULL;
}

static int
jam(struct worker *main_thread)
{
    const struct local_link *link = local(channel->link);
    char line[64];

    for (uint32_t i = 0; i < link->lanes; i++) {
        const int bells[] = {link->own[i], link->peer[i]};

        for (int k = 0; k < 2; k++) {
            pthread_t thread;

            if (pthread_create(&thread, NULL, jam_bell, (void *)(intptr_t)bells[k]) != 0)
                return fail(main_thread, -EAGAIN, "thread");
            pthread_detach(thread);
        }
    }
    usleep(200000);
    say("ready");
    while (fgets(line, sizeof(line), stdin))
        ;
    _exit(0);
}

static int
act(struct worker *main_thread, const char *mode, const char *argument)
{
    int error = 0;

    if (strcmp(mode, "busy") == 0) {
        threads = argument ? (unsigned)atoi(argument) : 2;
        threads = threads < THREADS_MAX ? threads : THREADS_MAX;
        return busy(main_thread);
    }
    if (strcmp(mode, "block") == 0)
        return block(main_thread);
    if (strcmp(mode, "jam") == 0)
        return jam(main_thread);
    if (strcmp(mode, "sleep") == 0) {
        say("ready");
        error = subject_post(&client, SUBJECT_SLEEP, argument ? (uint64_t)atoll(argument) : 0);
    }
    return error ? fail(main_thread, error, "sleep") : hold(main_thread, true);
}

int
main(int argc, char **argv)
{
    struct gpuvchan_channel_options options = {.size = sizeof(options), .arena_bytes = 8 << 20, .lanes = 64};
    struct worker *main_thread = &workers[0];
    struct gpuvchan_protocol protocol = subject_protocol;
    const char *mode = argc > 1 ? argv[1] : "hold", *argument = argc > 2 ? argv[2] : NULL;
    int error;

    alarm(300);
    if (strcmp(mode, "hold") == 0 && argument)
        protocol.name = argument;
    error = gpuvchan_channel_connect(NULL, &options, &channel);
    if (error == 0)
        error = gpuvchan_client_open(channel, &protocol, &client);
    if (error != 0)
        fail(main_thread, error, "connect");
    else if (prepare(main_thread, 0) == 0)
        error = act(main_thread, mode, argument);
    if (error == 0)
        error = check_all(main_thread);
    if (error != 0)
        printf("error: %s\n", main_thread->text);
    else
        printf("done: %llu notes, shared %llu\n", (unsigned long long)(main_thread->notes + workers[1].notes),
               (unsigned long long)shared);
    gpuvchan_channel_close(channel);
    return error != 0;
}
