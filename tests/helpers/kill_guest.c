/* SPDX-License-Identifier: MIT */
/*
 * A guest that stops itself at a step of its life, for somebody to kill it or its worker there. Usage:
 * kill_guest STEP, with GPUVCHAN_ADDRESS. Goes on when it is continued; ends with 0, or 1 and a line
 * "error: ..." that tells how long the failing step took.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "raw.h"
#include "subject.h"

static const char *wanted;
static uint64_t continued;

static void
at(const char *step)
{
    if (strcmp(step, wanted) != 0)
        return;
    printf("at %s\n", step);
    fflush(stdout);
    raise(SIGSTOP);
    continued = test_now_ms();
}

static int
fail(const char *what, const char *text)
{
    printf("error: %s: %s (after %llu ms)\n", what, text, (unsigned long long)(test_now_ms() - continued));
    fflush(stdout);
    return 1;
}

/* The steps inside of connecting, by hand. */
static int
shake_hands(void)
{
    struct raw raw;

    if (raw_connect(&raw, getenv("GPUVCHAN_ADDRESS")) != 0 || raw_region(&raw) != 0)
        return fail("connect", strerror(errno));
    at("socket");
    if (raw_send(raw.socket, &raw.hello, sizeof(raw.hello), &raw.memfd, 1) != 0)
        return fail("hello", "cannot be sent");
    test_sleep_ms(50);
    at("hello");
    if (raw_receive(&raw, 3000) != (int)sizeof(raw.welcome))
        return fail("hello", "no welcome");
    if (raw.welcome.status != 0)
        return fail("hello", raw.welcome.text);
    if (raw_closed(&raw, 100))
        return fail("welcome", "closed behind it");
    raw_close(&raw);
    return 0;
}

static void *
long_call(void *argument)
{
    intptr_t error = subject_call(argument, SUBJECT_SLEEP, 400);

    return (void *)error;
}

/* A second thread waits in a call while this one stops the process. */
static int
call_and_stop(struct gpuvchan_client *client)
{
    pthread_t thread;
    void *result;

    if (pthread_create(&thread, NULL, long_call, client) != 0)
        return -EAGAIN;
    test_sleep_ms(50);
    at("called");
    pthread_join(thread, &result);
    return (int)(intptr_t)result;
}

static int
bulk(struct gpuvchan_client *client)
{
    struct subject_request request = {.value = 1};
    struct gpuvchan_buffer *buffer;
    int error = gpuvchan_buffer_create(client->channel, 64 << 20, &buffer);

    if (error != 0)
        return error;
    request.reference = (struct gpuvchan_reference){gpuvchan_buffer_offset(buffer), gpuvchan_buffer_size(buffer)};
    for (int i = 0; i < 8 && error == 0; i++)
        error = subject_send(client, SUBJECT_FILL, false, &request, sizeof(request), NULL, NULL);
    at("bulk");
    if (error == 0)
        error = subject_call(client, SUBJECT_NOTE, 1);
    gpuvchan_buffer_destroy(buffer);
    return error;
}

static int
use(struct gpuvchan_channel *channel)
{
    struct gpuvchan_client client;
    int error = gpuvchan_client_open(channel, &subject_protocol, &client);

    if (error != 0)
        return error;
    at("opened");
    for (uint64_t i = 0; i < 1000 && error == 0; i++)
        error = subject_post(&client, SUBJECT_NOTE, i);
    at("posted");
    if (error == 0)
        error = subject_call(&client, SUBJECT_NOTE, 1000);
    if (error == 0)
        error = call_and_stop(&client);
    if (error == 0)
        error = bulk(&client);
    return error;
}

int
main(int argc, char **argv)
{
    struct gpuvchan_channel_options options = {.size = sizeof(options), .arena_bytes = 64 << 20, .lanes = 4};
    struct gpuvchan_channel *channel;
    int error;

    alarm(30);
    wanted = argc > 1 ? argv[1] : "";
    if (strcmp(wanted, "socket") == 0 || strcmp(wanted, "hello") == 0)
        return shake_hands();
    at("started");
    if (gpuvchan_channel_connect(NULL, &options, &channel) != 0)
        return fail("connect", gpuvchan_error_text());
    at("connected");
    error = use(channel);
    if (error != 0)
        error = fail("use", gpuvchan_error_text());
    gpuvchan_channel_close(channel);
    if (error == 0)
        at("closed");
    return error;
}
