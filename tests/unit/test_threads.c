/* SPDX-License-Identifier: MIT */
/* Guest threads, their lanes and the order among them; guest and worker in one process. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "channel.h"
#include "check.h"
#include "host.h"
#include "inside.h"

#define THREADS 4

static const struct gpuvchan_channel_options small = {
    .size = sizeof(small),
    .arena_bytes = 1 << 20,
    .lanes = 8,
    .command_bytes = 4096,
    .reply_bytes = 4096,
};

static uint64_t notes[SUBJECT_NOTES_MAX];

static void
start(struct inside *inside, const struct gpuvchan_channel_options *options, int32_t spin_us)
{
    struct gpuvchan_channel_options mine = *options;

    mine.spin_us = spin_us;
    assert_int_equal(inside_start(inside, &mine, spin_us), 0);
}

static void
run_thread(void *(*function)(void *), void *argument)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, function, argument), 0);
    pthread_join(thread, NULL);
}

/* ---- Many threads at once -------------------------------------------------------------------- */

struct worker {
    struct inside *inside;
    pthread_t thread;
    uint64_t number;
    unsigned count;
    _Atomic int error;
};

static void *
post_and_call(void *argument)
{
    struct worker *worker = argument;
    const struct gpuvchan_client *client = &worker->inside->client;
    uint64_t seed = worker->number + 1;

    for (unsigned i = 0; i < worker->count && worker->error == 0; i++) {
        unsigned char text[600];
        size_t bytes = 1 + check_random(&seed) % sizeof(text);
        const void *reply;
        uint32_t got;
        int error = subject_post(client, SUBJECT_NOTE, worker->number << 32 | i);

        if (error == 0 && i % 4 == 0) {
            memset(text, (int)(i + worker->number), bytes);
            error = subject_send(client, SUBJECT_ECHO, true, text, bytes, &reply, &got);
            if (error == 0 && (got < bytes || memcmp(reply, text, bytes) != 0))
                error = -EBADMSG;
        }
        if (error != 0)
            worker->error = error;
    }
    return NULL;
}

static void
many(int32_t spin_us)
{
    struct inside inside;
    struct worker workers[THREADS] = {0};
    unsigned next[THREADS] = {0};
    int64_t count;

    start(&inside, &small, spin_us);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].inside = &inside;
        workers[i].number = i;
        workers[i].count = check_rounds(3000);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, post_and_call, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].error, 0);
    count = subject_notes(&inside.client, 0, notes, SUBJECT_NOTES_MAX);
    assert_int_equal(count, THREADS * workers[0].count);
    for (int64_t i = 0; i < count; i++) {
        unsigned who = (unsigned)(notes[i] >> 32);

        assert_true(who < THREADS);
        assert_int_equal((uint32_t)notes[i], next[who]);
        next[who]++;
    }
    assert_int_equal(inside_stop(&inside), 0);
}

static void
many_threads(void **state)
{
    (void)state;
    many(0);
}

static void
many_threads_without_spinning(void **state)
{
    (void)state;
    many(-1);
}

/* ---- Order among lanes ----------------------------------------------------------------------- */

#define RELAY 3

struct relay {
    struct inside *inside;
    _Atomic uint64_t baton; /* number of notes whose posts have returned */
    uint64_t rounds;
    _Atomic int error;
};

struct runner {
    struct relay *relay;
    uint64_t place;
};

/*
 * Runners pass a baton: each posts its note when the one before has posted, that is, when the call that
 * must come first has returned. Now and then it is a call, or a post behind others.
 */
static void *
run_relay(void *argument)
{
    static const unsigned char filler[900];
    struct runner *runner = argument;
    struct relay *relay = runner->relay;
    const struct gpuvchan_client *client = &relay->inside->client;
    uint64_t mine;

    while ((mine = atomic_load_explicit(&relay->baton, memory_order_acquire)) < relay->rounds && !relay->error) {
        int error;

        if (mine % RELAY != runner->place) {
            sched_yield();
            continue;
        }
        /* What keeps this lane's worker busy while the next runner posts already. */
        for (unsigned i = 0; i < mine % 4; i++)
            subject_send(client, SUBJECT_ECHO, false, filler, sizeof(filler), NULL, NULL);
        if (mine % 11 == 0)
            error = subject_call(client, SUBJECT_NOTE, mine);
        else
            error = subject_post(client, SUBJECT_NOTE, mine);
        if (error != 0)
            relay->error = error;
        atomic_store_explicit(&relay->baton, mine + 1, memory_order_release);
    }
    return NULL;
}

static void
relay(const char *sync, int32_t spin_us, unsigned rounds)
{
    struct inside inside;
    struct relay race = {.inside = &inside, .rounds = rounds};
    struct runner runners[RELAY];
    pthread_t threads[RELAY];
    int64_t count;

    setenv("GPUVCHAN_SYNC", sync, 1);
    start(&inside, &small, spin_us);
    for (unsigned i = 0; i < RELAY; i++) {
        runners[i] = (struct runner){.relay = &race, .place = i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_relay, &runners[i]), 0);
    }
    for (unsigned i = 0; i < RELAY; i++)
        pthread_join(threads[i], NULL);
    unsetenv("GPUVCHAN_SYNC");
    assert_int_equal(race.error, 0);
    count = subject_notes(&inside.client, 0, notes, SUBJECT_NOTES_MAX);
    assert_int_equal(count, rounds);
    for (int64_t i = 0; i < count; i++)
        assert_int_equal(notes[i], i);
    assert_int_equal(inside_stop(&inside), 0);
}

static void
order(void **state)
{
    (void)state;
    relay("", 0, check_rounds(20000));
}

static void
order_without_spinning(void **state)
{
    (void)state;
    relay("", -1, check_rounds(4000));
}

static void
order_synchronous(void **state)
{
    (void)state;
    relay("1", 0, check_rounds(4000));
}

/* The first records of a second lane come behind what the first lane posted before, when it knew of no other. */
static void
order_at_the_second_lane(void **state)
{
    (void)state;
    for (unsigned i = 0; i < check_rounds(60); i++)
        relay("", 0, 30);
}

/*
 * A thread may take a ticket and be held up before it publishes. Here with the tickets set by hand: lane 1
 * has executed 10 and 11 when 5 and 6 are published on lane 0; then 12 still comes behind them.
 */
struct late {
    struct inside *inside;
    _Atomic int step;
    _Atomic int error;
};

static void
until(_Atomic int *step, int value)
{
    while (*step < value)
        sched_yield();
}

static void *
second_lane(void *argument)
{
    struct late *late = argument;
    const struct gpuvchan_client *client = &late->inside->client;

    late->error |= subject_call(client, SUBJECT_NOTE, 1);
    late->inside->channel->clock = 10;
    late->error |= subject_post(client, SUBJECT_NOTE, 2);
    late->error |= subject_call(client, SUBJECT_NOTE, 3);
    late->step = 1;
    until(&late->step, 2);
    late->inside->channel->clock = 12;
    late->error |= subject_call(client, SUBJECT_NOTE, 6);
    return NULL;
}

static void
order_of_late_tickets(void **state)
{
    static const uint64_t expected[] = {1, 2, 3, 5, 6};
    struct inside inside;
    struct late late = {.inside = &inside};
    pthread_t thread;

    (void)state;
    start(&inside, &small, 0);
    assert_int_equal(pthread_create(&thread, NULL, second_lane, &late), 0);
    until(&late.step, 1);
    inside.channel->clock = 5;
    assert_int_equal(subject_post(&inside.client, SUBJECT_SLEEP, 100), 0);
    assert_int_equal(subject_post(&inside.client, SUBJECT_NOTE, 5), 0);
    late.step = 2;
    pthread_join(thread, NULL);
    assert_int_equal(late.error, 0);
    assert_int_equal(subject_notes(&inside.client, 0, notes, 100), 5);
    assert_memory_equal(notes, expected, sizeof(expected));
    assert_int_equal(inside_stop(&inside), 0);
}

/* ---- Lanes do not stall each other ------------------------------------------------------------ */

struct other {
    struct inside *inside;
    _Atomic int done, error;
};

static void *
note_and_call(void *argument)
{
    struct other *other = argument;

    other->error |= subject_post(&other->inside->client, SUBJECT_NOTE, 7);
    other->error |= subject_call(&other->inside->client, SUBJECT_NOTE, 8);
    other->done = 1;
    return NULL;
}

static bool
done_within(_Atomic int *done, int ms)
{
    for (; *done == 0 && ms > 0; ms -= 2)
        test_sleep_ms(2);
    return *done != 0;
}

/* A thread that has made room at the end of its ring (there is a skip now), but has not yet posted. */
static void
skip_stalls_nobody(void **state)
{
    struct inside inside;
    struct other other = {.inside = &inside};
    struct gpuvchan_lane *lane;
    struct gpuvchan_lane_front *front;
    pthread_t thread;

    (void)state;
    start(&inside, &small, -1);
    run_thread(note_and_call, &other);
    other.done = 0;
    lane = gpuvchan_lane_current(inside.channel);
    front = (struct gpuvchan_lane_front *)lane;
    while ((front->tail & front->mask) != 4096 - 160)
        assert_int_equal(subject_send(&inside.client, SUBJECT_ECHO, false, NULL, 0, NULL, NULL), 0);
    assert_int_equal(gpuvchan_lane_distance(lane, &(uint32_t){0}), 0); /* all of it is executed */
    assert_non_null(gpuvchan_reserve(lane, 500));
    assert_int_equal(front->tail & front->mask, 0);
    test_sleep_ms(20); /* the worker passes the skip and goes to sleep */
    assert_int_equal(pthread_create(&thread, NULL, note_and_call, &other), 0);
    assert_true(done_within(&other.done, 3000));
    gpuvchan_publish(lane, inside.client.slot, SUBJECT_ECHO, 0, 500);
    pthread_join(thread, NULL);
    assert_int_equal(other.error, 0);
    assert_int_equal(inside_stop(&inside), 0);
}

static void *
call_block(void *argument)
{
    struct other *other = argument;

    other->error = subject_call(&other->inside->client, SUBJECT_BLOCK, 1);
    other->done = 1;
    return NULL;
}

static void
blocked_call_stalls_nobody(void **state)
{
    struct inside inside;
    struct other other = {.inside = &inside};
    pthread_t thread;

    (void)state;
    start(&inside, &small, 0);
    assert_int_equal(pthread_create(&thread, NULL, call_block, &other), 0);
    test_sleep_ms(20);
    for (uint64_t i = 0; i < 500; i++) {
        assert_int_equal(subject_post(&inside.client, SUBJECT_NOTE, i), 0);
        assert_int_equal(subject_call(&inside.client, SUBJECT_NOTE, i), 0);
    }
    assert_int_equal(other.done, 0);
    assert_int_equal(subject_post(&inside.client, SUBJECT_RELEASE, 0), 0);
    pthread_join(thread, NULL);
    assert_int_equal(other.error, 0);
    assert_int_equal(inside_stop(&inside), 0);
}

/* ---- Life of lanes --------------------------------------------------------------------------- */

struct borrower {
    struct inside *inside;
    struct subject_lane lane;
    uint64_t fail; /* post that fails at the end */
    int error;
};

static void *
borrow(void *argument)
{
    struct borrower *borrower = argument;
    struct subject_request request = {0};
    const void *reply;
    uint32_t bytes;

    borrower->error =
        subject_send(&borrower->inside->client, SUBJECT_LANE, true, &request, sizeof(request), &reply, &bytes);
    if (borrower->error == 0)
        memcpy(&borrower->lane, reply, sizeof(borrower->lane));
    if (borrower->fail) {
        subject_post(&borrower->inside->client, SUBJECT_SLEEP, 20);
        subject_post(&borrower->inside->client, SUBJECT_FAIL, borrower->fail);
    }
    return NULL;
}

static void
lanes_are_used_again(void **state)
{
    struct inside inside;
    struct gpuvchan_channel_options two = small;

    (void)state;
    two.lanes = 2;
    start(&inside, &two, 0);
    for (uint32_t i = 1; i <= 40; i++) {
        struct borrower borrower = {.inside = &inside};

        run_thread(borrow, &borrower);
        assert_int_equal(borrower.error, 0);
        assert_int_equal(borrower.lane.lane, 1);   /* 0 is this thread's */
        assert_int_equal(borrower.lane.number, i); /* what the plugin kept for the former thread is gone */
        assert_int_equal(borrower.lane.opened, i);
        assert_int_equal(borrower.lane.closed, i - 1);
    }
    assert_int_equal(inside_stop(&inside), 0);
}

static void
lanes_keep_no_errors(void **state)
{
    struct inside inside;

    (void)state;
    start(&inside, &small, 0);
    for (unsigned i = 0; i < 5; i++) {
        struct borrower borrower = {.inside = &inside, .fail = 1234};

        run_thread(borrow, &borrower);
        assert_int_equal(borrower.error, 0); /* 1234 is the former thread's */
    }
    assert_int_equal(inside_stop(&inside), 0);
}

struct holder {
    struct inside *inside;
    _Atomic int step;
};

static void *
hold(void *argument)
{
    struct holder *holder = argument;

    if (gpuvchan_lane_current(holder->inside->channel))
        holder->step = 1;
    until(&holder->step, 2);
    return NULL;
}

static void *
ask_in_vain(void *argument)
{
    struct borrower *borrower = argument;

    borrower->error = subject_post(&borrower->inside->client, SUBJECT_NOTE, 1);
    assert_non_null(strstr(gpuvchan_error_text(), "all 2 lanes are taken"));
    assert_null(gpuvchan_lane_current(borrower->inside->channel));
    return NULL;
}

static void
lanes_run_out(void **state)
{
    struct inside inside;
    struct gpuvchan_channel_options two = small;
    struct holder holder = {.inside = &inside};
    struct borrower borrower = {.inside = &inside};
    pthread_t thread;

    (void)state;
    two.lanes = 2;
    start(&inside, &two, 0);
    assert_int_equal(pthread_create(&thread, NULL, hold, &holder), 0);
    until(&holder.step, 1);
    run_thread(ask_in_vain, &borrower);
    assert_int_equal(borrower.error, -EAGAIN);
    assert_int_equal(gpuvchan_channel_error(inside.channel), 0);
    holder.step = 2;
    pthread_join(thread, NULL);
    run_thread(borrow, &borrower);
    assert_int_equal(borrower.error, 0);
    assert_int_equal(inside_stop(&inside), 0);
}

/* ---- Two channels, buffers and words from several threads -------------------------------------- */

static void *
use_arena(void *argument)
{
    struct worker *worker = argument;
    struct inside *inside = worker->inside;
    struct subject_request request = {0};
    uint32_t index;

    worker->error |= gpuvchan_completion_create(inside->channel, &index);
    for (unsigned i = 1; i <= worker->count && worker->error == 0; i++) {
        struct gpuvchan_buffer *buffer;
        unsigned char *data;

        worker->error |= gpuvchan_buffer_create(inside->channel, 1 + i * 17 % 9000, &buffer);
        if (worker->error)
            break;
        data = gpuvchan_buffer_data(buffer);
        memset(data, 0, gpuvchan_buffer_size(buffer));
        request.reference = (struct gpuvchan_reference){gpuvchan_buffer_offset(buffer), gpuvchan_buffer_size(buffer)};
        request.value = i & 0xff;
        worker->error |= subject_send(&inside->client, SUBJECT_FILL, false, &request, sizeof(request), NULL, NULL);
        request.value = i;
        request.index = index;
        worker->error |= subject_send(&inside->client, SUBJECT_SIGNAL, false, &request, sizeof(request), NULL, NULL);
        while (gpuvchan_completion_spin(inside->channel, index, i, 1000) == -ETIME)
            sched_yield();
        for (size_t j = 0; j < gpuvchan_buffer_size(buffer); j++)
            if (data[j] != (i & 0xff))
                worker->error = -EBADMSG;
        gpuvchan_buffer_destroy(buffer);
    }
    gpuvchan_completion_destroy(inside->channel, index);
    return NULL;
}

static void
arena_and_words(void **state)
{
    struct inside inside;
    struct worker workers[THREADS] = {0};

    (void)state;
    start(&inside, &small, 0);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].inside = &inside;
        workers[i].count = check_rounds(200);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, use_arena, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].error, 0);
    assert_int_equal(inside_stop(&inside), 0);
}

static void
two_channels(void **state)
{
    struct inside one, two;

    (void)state;
    start(&one, &small, 0);
    start(&two, &small, 0);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(subject_post(i % 3 ? &one.client : &two.client, SUBJECT_NOTE, i), 0);
        assert_int_equal(subject_post(&two.client, SUBJECT_NOTE, i), 0);
    }
    assert_int_equal(subject_notes(&one.client, 0, notes, 10), 666);
    assert_int_equal(subject_notes(&two.client, 0, notes, 10), 1334);
    assert_int_equal(inside_stop(&one), 0);
    assert_int_equal(subject_call(&two.client, SUBJECT_NOTE, 1), 0);
    assert_int_equal(inside_stop(&two), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads),
        cmocka_unit_test(many_threads_without_spinning),
        cmocka_unit_test(order),
        cmocka_unit_test(order_without_spinning),
        cmocka_unit_test(order_synchronous),
        cmocka_unit_test(order_at_the_second_lane),
        cmocka_unit_test(order_of_late_tickets),
        cmocka_unit_test(skip_stalls_nobody),
        cmocka_unit_test(blocked_call_stalls_nobody),
        cmocka_unit_test(lanes_are_used_again),
        cmocka_unit_test(lanes_keep_no_errors),
        cmocka_unit_test(lanes_run_out),
        cmocka_unit_test(arena_and_words),
        cmocka_unit_test(two_channels),
    };

    check_begin();
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
