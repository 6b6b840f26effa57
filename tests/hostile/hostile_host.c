/* SPDX-License-Identifier: MIT */
/*
 * A host that lies, against the library's guest side: the guest gets a named error within a second. Usage:
 * hostile_host [xen:DOMAIN]. On the local transport the host is a thread of the test, and speaks by hand; elsewhere
 * it is this program, too, started there as "hostile_host --lie xen:". Which lie is to be told the guest says
 * in its program's name: "lie KIND NUMBER".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <gpuvchan/protocol.h>

#include "channel.h"
#include "check.h"
#include "host.h"
#include "raw.h"
#include "subject.h"
#include "transport.h"

#define LANES 2

struct liar {
    /* Handshake */
    bool close_at_once, close_after_hello, silent;
    size_t welcome_bytes; /* 0: all */
    size_t welcome_more;  /* bytes too many */
    int bells;            /* -1: as many as are due */
    struct wire_welcome welcome;
    /* Then: called with the region mapped, in the host's thread. */
    void (*act)(struct liar *liar);

    int number; /* which of several lies */
    char folder[64], address[96];
    int listener, connection;
    struct gpuvchan__link *link; /* not the local transport */
    struct raw raw;              /* hello and region as the host sees them */
    int fds[2 * WIRE_LANES_MAX + 2];
    _Atomic int done;
    pthread_t thread;
};

/* What can be wrong with a host. */
struct lie {
    const char *kind;
    void (*prepare)(struct liar *liar);
    void (*act)(struct liar *liar);
};

static const struct lie *lie_find(const char *kind);

static const char *elsewhere; /* the address of a liar in another domain */

static void
liar_prepare(struct liar *liar, const char *kind, int number)
{
    const struct lie *lie = lie_find(kind);

    memset(liar, 0, sizeof(*liar));
    liar->bells = -1;
    liar->welcome =
        (struct wire_welcome){.magic = WIRE_MAGIC, .major = WIRE_MAJOR, .minor = WIRE_MINOR, .lanes = LANES};
    liar->listener = liar->connection = liar->raw.memfd = -1;
    liar->number = number;
    if (lie) {
        liar->act = lie->act;
        if (lie->prepare)
            lie->prepare(liar);
    }
}

/* ---- The host, by hand ----------------------------------------------------------------------- */

static int
receive_hello(struct liar *liar)
{
    struct iovec part = {.iov_base = &liar->raw.hello, .iov_len = sizeof(liar->raw.hello)};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

    if (recvmsg(liar->connection, &message, MSG_CMSG_CLOEXEC) != sizeof(liar->raw.hello) || !CMSG_FIRSTHDR(&message))
        return -EPROTO;
    memcpy(&liar->raw.memfd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    liar->raw.base = mmap(NULL, liar->raw.hello.region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, liar->raw.memfd, 0);
    return liar->raw.base == MAP_FAILED ? -errno : 0;
}

static void
welcome(struct liar *liar)
{
    static unsigned char data[sizeof(struct wire_welcome) + 4096];
    int count = liar->bells < 0 ? 2 * LANES : liar->bells;
    size_t bytes = liar->welcome_bytes ? liar->welcome_bytes : sizeof(liar->welcome) + liar->welcome_more;

    memcpy(data, &liar->welcome, sizeof(liar->welcome));
    for (int i = 0; i < count; i++)
        liar->fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    raw_send(liar->connection, data, bytes, liar->fds, (size_t)count);
    for (int i = 0; i < count; i++)
        liar->raw.bells[i] = liar->fds[i];
    liar->raw.bell_count = count;
}

static void *
host_main(void *argument)
{
    struct liar *liar = argument;
    struct pollfd waiting;

    liar->connection = accept4(liar->listener, NULL, NULL, SOCK_CLOEXEC);
    if (liar->connection < 0 || liar->close_at_once)
        goto close;
    if (receive_hello(liar) != 0 || liar->close_after_hello)
        goto close;
    if (!liar->silent)
        welcome(liar);
    if (liar->act)
        liar->act(liar);
    /* Until the guest has gone. */
    waiting = (struct pollfd){.fd = liar->connection, .events = POLLRDHUP};
    while (!liar->done && poll(&waiting, 1, 10) == 0)
        ;
close:
    if (liar->connection >= 0)
        close(liar->connection);
    for (int i = 0; i < liar->raw.bell_count; i++)
        close(liar->raw.bells[i]);
    if (liar->raw.memfd >= 0)
        close(liar->raw.memfd);
    if (liar->raw.base && liar->raw.base != MAP_FAILED)
        munmap(liar->raw.base, liar->raw.hello.region_bytes);
    return NULL;
}

/* ---- The host, elsewhere --------------------------------------------------------------------- */

static _Atomic int stopped;

static void
on_stop(int number)
{
    (void)number;
    stopped = 1;
}

static void
lie_over(struct liar *liar)
{
    const struct gpuvchan__transport *transport = liar->link->transport;
    void *base = NULL;

    if (liar->close_after_hello || transport->map(liar->link, &liar->raw.hello, &base) != 0)
        return;
    liar->raw.base = base;
    if (!liar->silent && transport->welcome(liar->link, &liar->raw.hello, &liar->welcome) != 0)
        return;
    if (liar->act)
        liar->act(liar);
    while (!liar->done && transport->wait_main(liar->link, 1000) != -EPIPE)
        ;
}

static int
lie_to(int fd)
{
    const struct gpuvchan__transport *transport = gpuvchan__transport_of(fd);
    struct gpuvchan__link *link;
    struct wire_hello hello;
    struct liar liar;
    char kind[32];
    int number;

    if (!transport || transport->receive(fd, &hello, (uint32_t)test_ms(5000), &link) != 0)
        return 1;
    hello.program[sizeof(hello.program) - 1] = '\0';
    if (sscanf(hello.program, "lie %31s %d", kind, &number) == 2) {
        liar_prepare(&liar, kind, number);
        liar.link = link;
        liar.raw.hello = hello;
        lie_over(&liar);
    }
    transport->close(link);
    return 0;
}

/* A process for each guest, until SIGTERM. */
static int
lie_elsewhere(const char *prefix)
{
    struct sigaction action = {.sa_handler = on_stop};
    struct gpuvchan_listener *listener;
    struct gpuvchan_peer peer;
    char address[96];
    int fd, status = 0;

    alarm(0);
    sigaction(SIGTERM, &action, NULL);
    snprintf(address, sizeof(address), "%.80s/liar", prefix);
    if (gpuvchan_listener_create(address, &listener) != 0) {
        fprintf(stderr, "%s\n", gpuvchan_error_text());
        return 1;
    }
    (void)!write(STDOUT_FILENO, "READY\n", 6);
    while (!stopped) {
        struct pollfd waiting = {.fd = gpuvchan_listener_fd(listener), .events = POLLIN};

        poll(&waiting, 1, 100);
        while (gpuvchan_listener_accept(listener, &fd, &peer) == 0) {
            pid_t pid = fork();
            int end = -1;

            if (pid == 0)
                _exit(lie_to(fd));
            close(fd);
            waitpid(pid, &end, 0); /* one after another */
            status |= end;
            gpuvchan_listener_release(listener, &peer);
        }
    }
    gpuvchan_listener_destroy(listener);
    return status != 0;
}

/* ---- Starting one ---------------------------------------------------------------------------- */

static void
liar_start(struct liar *liar, const char *kind, int number)
{
    static char program[sizeof(((struct wire_hello *)0)->program)];
    struct sockaddr_un where = {.sun_family = AF_UNIX};

    liar_prepare(liar, kind, number);
    if (elsewhere) {
        snprintf(program, sizeof(program), "lie %s %d", kind, number);
        program_invocation_short_name = program;
        snprintf(liar->address, sizeof(liar->address), "%.80s/liar", elsewhere);
        return;
    }
    snprintf(liar->folder, sizeof(liar->folder), "/tmp/gpuvchan-test.XXXXXX");
    assert_non_null(mkdtemp(liar->folder));
    snprintf(liar->address, sizeof(liar->address), "%s/host", liar->folder);
    snprintf(where.sun_path, sizeof(where.sun_path), "%s", liar->address);
    liar->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(liar->listener, (struct sockaddr *)&where, sizeof(where)), 0);
    assert_int_equal(listen(liar->listener, 4), 0);
    assert_int_equal(pthread_create(&liar->thread, NULL, host_main, liar), 0);
}

static void
liar_stop(struct liar *liar)
{
    if (elsewhere)
        return; /* it goes with its guest */
    liar->done = 1;
    pthread_join(liar->thread, NULL);
    close(liar->listener);
    unlink(liar->address);
    rmdir(liar->folder);
}

/* ---- The guest ------------------------------------------------------------------------------- */

static const struct gpuvchan_channel_options options = {
    .size = sizeof(options),
    .arena_bytes = 65536,
    .lanes = LANES,
    .command_bytes = 4096,
    .reply_bytes = 4096,
    .timeout_ms = 400,
};

static int
connect_to(const struct liar *liar, struct gpuvchan_channel **channel)
{
    struct gpuvchan_channel_options patient = options;

    if (elsewhere && !liar->silent)
        patient.timeout_ms = (uint32_t)test_ms(2000);
    return gpuvchan_channel_connect(liar->address, &patient, channel);
}

static bool
in_time(uint64_t started)
{
    return test_now_ms() - started < (uint64_t)test_ms(1000);
}

static void
said(const char *words)
{
    if (!strstr(gpuvchan_error_text(), words))
        print_message("# error text: %s\n", gpuvchan_error_text());
    assert_non_null(strstr(gpuvchan_error_text(), words));
}

static void
connect_fails(const char *kind, int number, int error, const char *words)
{
    struct gpuvchan_channel *channel = NULL;
    struct liar liar;
    uint64_t started = test_now_ms();
    int descriptors, got;

    liar_start(&liar, kind, number);
    descriptors = test_descriptors(getpid());
    got = connect_to(&liar, &channel);
    if (got != error)
        print_message("# %s %d: %d: %s\n", kind, number, got, gpuvchan_error_text());
    assert_int_equal(got, error);
    said(words);
    assert_null(channel);
    assert_true(in_time(started));
    liar_stop(&liar);
    assert_int_equal(test_descriptors(getpid()), descriptors - !elsewhere); /* its listener, closed since */
}

static void
prepare_close_at_once(struct liar *liar)
{
    liar->close_at_once = true;
}

static void
prepare_close(struct liar *liar)
{
    liar->close_after_hello = true;
}

static void
prepare_silent(struct liar *liar)
{
    liar->silent = true;
}

static void
prepare_short(struct liar *liar)
{
    liar->welcome_bytes = (size_t)liar->number;
}

static void
prepare_long(struct liar *liar)
{
    liar->welcome_more = (size_t)liar->number;
}

static void
handshakes(void **state)
{
    (void)state;
    connect_fails("close", 0, -ECONNRESET, "closed the connection without an answer");
    connect_fails("silent", 0, -ETIMEDOUT, "answer within 400 ms");
    if (elsewhere)
        return; /* where messages have no ends, and a host that does not attach is no host */
    connect_fails("close-at-once", 0, -ECONNRESET, "closed the connection without an answer");
    for (int bytes = 1; bytes < (int)sizeof(struct wire_welcome); bytes += 51)
        connect_fails("short", bytes, -EPROTO, "");
    connect_fails("long", 1, -EPROTO, "");
    connect_fails("long", 4096, -EPROTO, "");
}

static void
prepare_welcome(struct liar *liar)
{
    struct wire_welcome *wrong = &liar->welcome;

    switch (liar->number) {
    case 0:
        wrong->magic++;
        break;
    case 1:
        wrong->major++;
        break;
    case 2:
        wrong->features = 1ull << 63;
        break;
    case 3:
        wrong->status = 5;
        break;
    case 4:
        wrong->status = INT32_MIN;
        break;
    default:
        wrong->status = -EACCES;
        liar->bells = 0;
        memset(wrong->text, 'n', sizeof(wrong->text)); /* without an end */
        memcpy(wrong->text, "\x1b[2J%n%s\n", 9);
        memset(wrong->reserved, 'X', sizeof(wrong->reserved));
    }
}

static void
welcomes(void **state)
{
    (void)state;
    connect_fails("welcome", 0, -EPROTO, "no gpuvchan-host");
    connect_fails("welcome", 1, -EPROTO, "speaks version 2");
    connect_fails("welcome", 2, -EPROTO, "0x8000000000000000 that were not asked for");
    connect_fails("welcome", 3, -EPROTO, "the host refuses");
    connect_fails("welcome", 4, -EPROTO, "the host refuses");
    connect_fails("welcome", 5, -EACCES, "the host refuses: ?[2J%n%s?nnn");
    assert_null(strchr(gpuvchan_error_text(), 'X'));
}

static void
prepare_bells(struct liar *liar)
{
    liar->bells = liar->number;
}

static void
bells(void **state)
{
    static const int counts[] = {0, 1, 2, 3, 5, 6, 128};

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        connect_fails("bells", counts[i], -EPROTO, counts[i] == 0 ? "brings no doorbells" : "");
}

/* ---- Replies --------------------------------------------------------------------------------- */

/* Waits for the call of lane @p lane in its slot; returns its header. */
static struct gpuvchan_record
wait_call(struct liar *liar, uint32_t lane)
{
    struct gpuvchan_record record = {0};

    for (int i = 0; i < test_ms(3000) && !liar->done; i++) {
        uint64_t word = atomic_load((_Atomic uint64_t *)(void *)raw_lane(&liar->raw, lane)->slot);

        memcpy(&record, &word, 8);
        if (word != 0 && record.flags & GPUVCHAN_RECORD_CALL)
            break;
        test_sleep_ms(1);
    }
    return record;
}

static void
ring(struct liar *liar, uint32_t lane)
{
    static const uint64_t one = 1;
    const struct gpuvchan__transport *transport = liar->link ? liar->link->transport : NULL;

    /* The guest's own bell is the host's peer: the first of each pair rings the host. */
    if (!transport) {
        (void)!write(liar->raw.bells[2 * lane + 1], &one, sizeof(one));
        return;
    }
    if (!liar->raw.opened[lane] &&
        transport->lane_join(liar->link, lane, atomic_load(&raw_lane(&liar->raw, lane)->doorbell)) != 0)
        return;
    liar->raw.opened[lane] = true;
    transport->ring(liar->link, lane);
}

static void
put(struct liar *liar, unsigned char *at, uint32_t lane, struct gpuvchan_record record)
{
    uint64_t word;

    memcpy(&word, &record, 8);
    memcpy(at + 8, &record.ticket, 8);
    atomic_store((_Atomic uint64_t *)(void *)at, word);
    ring(liar, lane);
}

static void
put_slot(struct liar *liar, uint32_t lane, struct gpuvchan_record record)
{
    put(liar, raw_lane(&liar->raw, lane)->slot, lane, record);
}

static const struct wrong_reply {
    struct gpuvchan_record record; /* .sequence is added to the right one */
    bool in_ring;
    const char *words;
} lies[] = {
    {{.units = 12, .flags = 4, .sequence = 1, .ticket = 168ull << 32},
     false,
     "a reply to record 2, waiting for that to 1"},
    {{.units = 12, .flags = 4, .sequence = 65535, .ticket = 168ull << 32}, false, "a reply to record 0"},
    {{.units = 12, .flags = 4, .ticket = 177ull << 32}, false, "a reply says 177 bytes and has room for 176"},
    {{.units = 12, .flags = 4, .ticket = 0xffffffffull << 32}, false, "a reply says 4294967295 bytes"},
    {{.units = 1, .flags = 4, .ticket = 1ull << 32}, false, "a reply says 1 bytes and has room for 0"},
    {{.units = 0, .flags = 4}, false, "record of 0 bytes"},
    {{.units = 17, .flags = 4}, false, "record of 272 bytes"},
    {{.units = 65535, .flags = 4}, false, "record of 1048560 bytes"},
    {{.units = 12, .flags = 6}, false, "flags 0x6"},
    {{.units = 12, .flags = 0x84}, false, "flags 0x84"},
    {{.units = 0, .opcode = 1}, true, "record of 0 bytes"},
    {{.units = 65}, true, "record of 1040 bytes"},
    {{.units = 1, .flags = 4}, true, "flags 0x4"},
    {{.units = 3, .flags = GPUVCHAN_RECORD_SKIP}, true, "does not end the lap"},
    {{.units = 256, .flags = GPUVCHAN_RECORD_SKIP}, true, "record of 4096 bytes"},
    {{.units = 12, .sequence = 7, .ticket = 168ull << 32}, true, "a reply to record 8"},
    {{.units = 12, .ticket = 177ull << 32}, true, "a reply says 177 bytes"},
    {{.units = 2, .flags = 4, .ticket = 16ull << 32}, false, "a reply of 16 bytes is impossible"},
    {{.units = 2, .flags = 4, .ticket = 16ull << 32 | 0xfffffffe}, false, "a reply of 16 bytes is impossible"},
    {{.units = 12, .flags = 4, .ticket = 168ull << 32}, false, "a reply of 0 bytes is impossible"}, /* slot 0 */
};

static void
act_lie(struct liar *liar)
{
    const struct wrong_reply *lie = &lies[liar->number];
    struct gpuvchan_record call = wait_call(liar, 0), record = lie->record;
    struct wire_lane *lane = raw_lane(&liar->raw, 0);

    record.sequence = (uint16_t)(record.sequence + call.sequence);
    memset(lane->slot + 16, 0, sizeof(lane->slot) - 16);
    if (lie->in_ring)
        put(liar, raw_ring(&liar->raw, 0) + 4096, 0, record);
    else
        put_slot(liar, 0, record);
}

static void
replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct gpuvchan_channel *channel;
        struct gpuvchan_client client;
        struct liar liar;
        uint64_t started = test_now_ms();

        liar_start(&liar, "reply", (int)i);
        assert_int_equal(connect_to(&liar, &channel), 0);
        assert_int_equal(gpuvchan_client_open(channel, &subject_protocol, &client), -EPROTO);
        said(lies[i].words);
        assert_true(in_time(started));
        assert_int_equal(gpuvchan_channel_error(channel), -EPROTO);
        assert_int_equal(gpuvchan_client_open(channel, &subject_protocol, &client), -EPROTO);
        gpuvchan_channel_close(channel);
        liar_stop(&liar);
    }
}

/* An answer to an open whose slot cannot be, or whose text has no end. */
static void
act_open(struct liar *liar)
{
    static const uint32_t slots[] = {0, 16, 17, UINT32_MAX, 0x10000001};
    struct gpuvchan_record call = wait_call(liar, 0);
    struct wire_opened opened = {.slot = liar->number < 5 ? slots[liar->number] : 1};

    memset(opened.text, 'e', sizeof(opened.text));
    memcpy(raw_lane(&liar->raw, 0)->slot + 16, &opened, sizeof(opened));
    put_slot(liar, 0,
             (struct gpuvchan_record){
                 .units = 12,
                 .flags = GPUVCHAN_RECORD_FLIP,
                 .sequence = call.sequence,
                 .ticket = 168ull << 32 | (liar->number < 5 ? 0 : (uint32_t)-EACCES),
             });
}

static void
opens(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct gpuvchan_channel *channel;
        struct gpuvchan_client client = {.slot = 77};
        struct liar liar;

        liar_start(&liar, "open", i);
        assert_int_equal(connect_to(&liar, &channel), 0);
        assert_int_equal(gpuvchan_client_open(channel, &subject_protocol, &client), i < 5 ? -EPROTO : -EACCES);
        said(i < 5 ? "is impossible" : "subject: eeeeee");
        assert_int_equal(client.slot, 77);
        assert_true(strlen(gpuvchan_error_text()) < 200);
        gpuvchan_channel_close(channel);
        liar_stop(&liar);
    }
}

/* ---- Positions, faults, deaths --------------------------------------------------------------- */

static void
act_head(struct liar *liar)
{
    static const uint64_t heads[] = {UINT64_MAX, 1ull << 63, 1 << 20, 8};

    atomic_store(&raw_lane(&liar->raw, 0)->command.head, heads[liar->number]);
}

static void
heads(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct gpuvchan_channel *channel;
        struct gpuvchan_client client = {.slot = 1};
        struct liar liar;
        uint64_t started = test_now_ms();
        int error = 0;

        liar_start(&liar, "head", i);
        assert_int_equal(connect_to(&liar, &channel), 0);
        client.channel = channel;
        while (((struct wire_lane *)(void *)(channel->base + wire_lane_offset(&channel->hello, 0)))->command.head == 0)
            test_sleep_ms(1);
        for (uint64_t j = 0; error == 0; j++)
            error = subject_post(&client, SUBJECT_NOTE, j);
        assert_int_equal(error, -EPROTO);
        said("is impossible");
        assert_true(in_time(started));
        gpuvchan_channel_close(channel);
        liar_stop(&liar);
    }
}

static void
act_fault(struct liar *liar)
{
    struct wire_region *region = (struct wire_region *)(void *)liar->raw.base;

    wait_call(liar, 0);
    memset(region->fault_text, 'f', WIRE_FAULT_TEXT);
    memset(region->pad1, 'g', sizeof(region->pad1)); /* what follows it */
    region->fault_text[3] = '\n';
    atomic_store(&region->fault, liar->number ? UINT32_MAX : EPROTO);
    liar->done = 1; /* closes */
}

static void
fault_texts(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct gpuvchan_channel *channel;
        struct gpuvchan_client client;
        struct liar liar;

        liar_start(&liar, "fault", i);
        assert_int_equal(connect_to(&liar, &channel), 0);
        assert_int_equal(gpuvchan_client_open(channel, &subject_protocol, &client), -EPROTO);
        said("the host ended the channel: fff?ffff");
        assert_null(strstr(gpuvchan_error_text(), "gg"));
        gpuvchan_channel_close(channel);
        liar_stop(&liar);
    }
}

static void
act_die(struct liar *liar)
{
    wait_call(liar, 0);
    test_sleep_ms(30);
    liar->done = 1;
}

static void
dies_in_a_call(void **state)
{
    struct gpuvchan_channel *channel;
    struct gpuvchan_client client;
    struct liar liar;
    uint64_t started = test_now_ms();

    (void)state;
    liar_start(&liar, "die", 0);
    assert_int_equal(connect_to(&liar, &channel), 0);
    assert_int_equal(gpuvchan_client_open(channel, &subject_protocol, &client), -EPIPE);
    said("the worker on the host has ended");
    assert_true(in_time(started));
    gpuvchan_channel_close(channel);
    liar_stop(&liar);
}

static void
act_lie_to_one(struct liar *liar)
{
    struct gpuvchan_record call = wait_call(liar, 0);

    wait_call(liar, 1);
    test_sleep_ms(20); /* both sleep */
    call.flags = GPUVCHAN_RECORD_FLIP;
    call.sequence++;
    put_slot(liar, 0, call);
}

static void *
open_in_vain(void *argument)
{
    struct gpuvchan_client client;
    intptr_t error = gpuvchan_client_open(argument, &subject_protocol, &client);

    assert_non_null(strstr(gpuvchan_error_text(), "a reply to record"));
    return (void *)error;
}

/* One lane sees a corrupt reply; a thread that waits in another does not wait for ever. */
static void
all_threads_learn(void **state)
{
    struct gpuvchan_channel *channel;
    struct gpuvchan_client client;
    struct liar liar;
    uint64_t started = test_now_ms();
    pthread_t thread;
    void *result;

    (void)state;
    liar_start(&liar, "one", 0);
    assert_int_equal(connect_to(&liar, &channel), 0);
    assert_non_null(gpuvchan_lane_current(channel)); /* 0 */
    assert_int_equal(pthread_create(&thread, NULL, open_in_vain, channel), 0);
    assert_int_equal(gpuvchan_client_open(channel, &subject_protocol, &client), -EPROTO);
    said("a reply to record");
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, -EPROTO);
    assert_true(in_time(started));
    gpuvchan_channel_close(channel);
    liar_stop(&liar);
}

static const struct lie *
lie_find(const char *kind)
{
    static const struct lie known[] = {
        {"close-at-once", prepare_close_at_once, NULL},
        {"close", prepare_close, NULL},
        {"silent", prepare_silent, NULL},
        {"short", prepare_short, NULL},
        {"long", prepare_long, NULL},
        {"welcome", prepare_welcome, NULL},
        {"bells", prepare_bells, NULL},
        {"reply", NULL, act_lie},
        {"open", NULL, act_open},
        {"head", NULL, act_head},
        {"fault", NULL, act_fault},
        {"die", NULL, act_die},
        {"one", NULL, act_lie_to_one},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].kind, kind) == 0)
            return &known[i];
    return NULL;
}

/* The place is no socket, or a socket of another sort; files there are left alone by a host, too. */
static void
other_files(void **state)
{
    struct gpuvchan_channel *channel = NULL;
    struct gpuvchan_listener *listener = NULL;
    struct sockaddr_un where = {.sun_family = AF_UNIX, .sun_path = "/tmp/gpuvchan-test.XXXXXX"};
    char path[200];
    int fd;

    (void)state;
    fd = mkstemp(where.sun_path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "precious", 8), 8);
    close(fd);
    assert_int_equal(gpuvchan_channel_connect(where.sun_path, &options, &channel), -ECONNREFUSED);
    assert_true(gpuvchan_listener_create(where.sun_path, &listener) < 0);
    assert_null(listener);
    assert_int_equal(access(where.sun_path, F_OK), 0);
    unlink(where.sun_path);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(gpuvchan_channel_connect(where.sun_path, &options, &channel), -EPROTO);
    said("is not a socket of gpuvchan-host");
    assert_int_equal(gpuvchan_listener_create(where.sun_path, &listener), -EADDRINUSE);
    close(fd);
    unlink(where.sun_path);
    memset(path, 'p', sizeof(path));
    memcpy(path, "/tmp/", 5);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(gpuvchan_channel_connect(path, &options, &channel), -ENAMETOOLONG);
    assert_int_equal(gpuvchan_listener_create(path, &listener), -ENAMETOOLONG);
    assert_null(channel);
}

/* A stale socket is replaced, a living host's is not; an adopted socket does not block its host. */
static void
listeners(void **state)
{
    struct gpuvchan_listener *listener, *second;
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/gpuvchan-test.XXXXXX";
    struct gpuvchan_peer peer;
    int fd, accepted;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(where.sun_path, sizeof(where.sun_path), "%s/host", folder);
    assert_int_equal(gpuvchan_listener_create(where.sun_path, &listener), 0);
    assert_int_equal(gpuvchan_listener_create(where.sun_path, &second), -EADDRINUSE);
    said("another gpuvchan-host listens");
    assert_int_equal(gpuvchan_listener_accept(listener, &accepted, &peer), 0); /* it looked whether one lives */
    close(accepted);
    assert_int_equal(gpuvchan_listener_accept(listener, &accepted, &peer), -EAGAIN);
    fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    assert_int_equal(gpuvchan_listener_accept(listener, &accepted, &peer), 0);
    assert_int_equal(peer.pid, getpid());
    assert_int_equal(peer.uid, getuid());
    assert_int_equal(peer.domain, -1);
    close(fd);
    close(accepted);
    gpuvchan_listener_destroy(listener);
    assert_int_equal(access(where.sun_path, F_OK), -1);

    fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    assert_int_equal(gpuvchan_listener_adopt(fd, &listener), -EINVAL); /* does not listen */
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(gpuvchan_listener_adopt(fd, &listener), 0);
    assert_int_equal(gpuvchan_listener_accept(listener, &accepted, &peer), -EAGAIN);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    gpuvchan_listener_destroy(listener); /* closes it, and leaves the file to its owner */
    assert_int_equal(access(where.sun_path, F_OK), 0);
    assert_int_equal(gpuvchan_listener_create(where.sun_path, &listener), 0); /* nobody listens there */
    gpuvchan_listener_destroy(listener);
    gpuvchan_listener_destroy(NULL);
    rmdir(folder);
    assert_int_equal(access(folder, F_OK), -1);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes),
        cmocka_unit_test(welcomes),
        cmocka_unit_test(replies),
        cmocka_unit_test(opens),
        cmocka_unit_test(heads),
        cmocka_unit_test(fault_texts),
        cmocka_unit_test(dies_in_a_call),
        cmocka_unit_test(all_threads_learn),
        /* Sockets and descriptors, which no other transport has. */
        cmocka_unit_test(bells),
        cmocka_unit_test(other_files),
        cmocka_unit_test(listeners),
    };
    const size_t everywhere = 8, all = sizeof(tests) / sizeof(tests[0]);

    check_begin();
    if (argc == 3 && strcmp(argv[1], "--lie") == 0)
        return lie_elsewhere(argv[2]);
    elsewhere = argc == 2 ? argv[1] : NULL;
    return _cmocka_run_group_tests("hostile host", tests, elsewhere ? everywhere : all, NULL, NULL);
}
