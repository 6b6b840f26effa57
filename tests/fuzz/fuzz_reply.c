/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as replies, into the guest's side: its checks of the reply ring and the slot, and those of
 * generated stubs (examples/hello).
 *
 * Input: flags (1 byte), records in the reply ring from the start (1: how many 16 bytes), then these bytes,
 * then what the host puts into the slot for each call, in pieces of 1 + n bytes: n (1), the record's first
 * n bytes. With the first flag pieces are given the number and the flags that are due.
 *
 * build: ALL:libgpuvchan -lpthread
 */
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hello-guest.h"

#include "channel.h"

#define RING 4096u

enum {
    NUMBERED = 1,
    STATUS_ZERO = 2, /* pieces say success */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct gpuvchan_listener *listener;
static char address[64];

struct input {
    const uint8_t *data;
    size_t bytes;
    uint8_t flags;
    unsigned unseen; /* pieces that the guest did not take for a reply */
};

static void
silent(enum gpuvchan_log_level level, const char *text)
{
    (void)level;
    (void)text;
}

static void
remove_address(void)
{
    gpuvchan_listener_destroy(listener);
    *strrchr(address, '/') = '\0';
    rmdir(address);
}

static void
begin_once(void)
{
    if (listener)
        return;
    gpuvchan_log_set(silent, GPUVCHAN_LOG_ERROR);
    strcpy(address, "/tmp/gpuvchan-fuzz.XXXXXX");
    if (!mkdtemp(address))
        abort();
    strcat(address, "/host");
    if (gpuvchan_listener_create(address, &listener) != 0)
        abort();
    atexit(remove_address);
}

/* ---- The host -------------------------------------------------------------------------------- */

static int
receive_region(int fd, struct wire_hello *hello, unsigned char **base)
{
    struct iovec part = {.iov_base = hello, .iov_len = sizeof(*hello)};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int memfd;

    if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) != sizeof(*hello))
        return -1;
    memcpy(&memfd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    *base = mmap(NULL, hello->region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    close(memfd);
    return 0;
}

static void
send_welcome(int fd, int bells[2])
{
    struct wire_welcome welcome = {.magic = WIRE_MAGIC, .major = WIRE_MAJOR, .lanes = 1};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = &welcome, .iov_len = sizeof(welcome)};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(head), bells, 2 * sizeof(int));
    sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* The next piece of the input over the call in the slot. False: there is none, or the guest has gone. */
static bool
answer(struct input *input, int fd, unsigned char *slot, int bell, uint8_t *flip)
{
    static const uint64_t one = 1;
    struct pollfd waiting = {.fd = fd, .events = POLLRDHUP};
    struct gpuvchan_record record = {0};
    uint64_t word, give_up = gpuvchan__now_ns() + 500000;
    size_t n;

    if (input->bytes < 1 || (n = input->data[0]) + 1 > input->bytes)
        return false;
    while (word = atomic_load((_Atomic uint64_t *)(void *)slot), !(word >> 40 & GPUVCHAN_RECORD_CALL))
        if (poll(&waiting, 1, 0) != 0)
            return false;
        else if (gpuvchan__now_ns() > give_up && input->unseen++ < 2)
            break;
        else if (input->unseen > 2)
            return false;
    memcpy(&record, input->data + 1, n < sizeof(record) ? n : sizeof(record));
    if (n > sizeof(record))
        memcpy(slot + sizeof(record), input->data + 1 + sizeof(record), n - sizeof(record));
    if (input->flags & NUMBERED) {
        record.units = (uint16_t)(1 + record.units % 16);
        record.sequence = (uint16_t)(word >> 48);
        record.flags = *flip ^= GPUVCHAN_RECORD_FLIP;
        record.ticket = (record.ticket & 0xffffffff) | (uint64_t)(record.units * 16u - 16 - record.opcode % 16) << 32;
    }
    if (input->flags & STATUS_ZERO)
        record.ticket &= ~0xffffffffull;
    memcpy(slot + 8, &record.ticket, 8);
    memcpy(&word, &record, 8);
    atomic_store((_Atomic uint64_t *)(void *)slot, word);
    (void)!write(bell, &one, sizeof(one));
    input->data += n + 1;
    input->bytes -= n + 1;
    return true;
}

static void *
host(void *argument)
{
    struct pollfd waiting = {.fd = gpuvchan_listener_fd(listener), .events = POLLIN};
    struct input *input = argument;
    struct gpuvchan_peer peer;
    struct wire_hello hello;
    unsigned char *base = NULL, *lane;
    uint8_t flip = 0;
    int fd, bells[2] = {eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK)};

    if (poll(&waiting, 1, 5000) != 1 || gpuvchan_listener_accept(listener, &fd, &peer) != 0)
        abort();
    waiting.fd = fd;
    if (poll(&waiting, 1, 5000) != 1 || receive_region(fd, &hello, &base) != 0)
        abort();
    lane = base + wire_lane_offset(&hello, 0);
    if (input->bytes > 0) {
        size_t n = input->data[0] * 16u;

        n = n < input->bytes - 1 ? n : input->bytes - 1;
        memcpy(lane + WIRE_PAGE + RING, input->data + 1, n);
        input->data += n + 1;
        input->bytes -= n + 1;
    }
    send_welcome(fd, bells);
    while (answer(input, fd, lane + offsetof(struct wire_lane, slot), bells[1], &flip))
        ;
    close(fd);
    close(bells[0]);
    close(bells[1]);
    munmap(base, hello.region_bytes);
    return NULL;
}

/* ---- The guest ------------------------------------------------------------------------------- */

static void
use(struct gpuvchan_channel *channel)
{
    static const uint32_t values[] = {1, 2, 3};
    struct gpuvchan_client client = {.channel = channel, .slot = 1};
    char greeting[100];
    uint64_t total;

    gpuvchan_client_open(channel, &hello_protocol, &client);
    for (int i = 0; i < 8 && gpuvchan_channel_error(channel) == 0; i++) {
        if (hello_greet(&client, "fuzzer", greeting, sizeof(greeting)) == 0 && strlen(greeting) >= sizeof(greeting))
            abort();
        hello_counter(&client, &total);
        hello_sum(&client, values, 3, &total);
        hello_count(&client, 1);
        gpuvchan_lane_distance(gpuvchan_lane_current(channel), &(uint32_t){0});
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct gpuvchan_channel_options options = {
        .size = sizeof(options),
        .arena_bytes = 4096,
        .lanes = 1,
        .command_bytes = RING,
        .reply_bytes = RING,
    };
    struct input input = {.data = data + 1, .bytes = bytes - 1, .flags = bytes ? data[0] : 0};
    struct gpuvchan_channel *channel;
    pthread_t thread;

    if (bytes < 2)
        return 0;
    begin_once();
    if (pthread_create(&thread, NULL, host, &input) != 0)
        abort();
    if (gpuvchan_channel_connect(address, &options, &channel) != 0)
        abort();
    use(channel);
    gpuvchan_channel_close(channel);
    pthread_join(thread, NULL);
    return 0;
}
