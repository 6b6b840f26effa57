/* SPDX-License-Identifier: MIT */
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host.h"

void
raw_hello(struct wire_hello *hello)
{
    memset(hello, 0, sizeof(*hello));
    hello->magic = WIRE_MAGIC;
    hello->major = WIRE_MAJOR;
    hello->minor = WIRE_MINOR;
    hello->lanes = 2;
    hello->command_bytes = 4096;
    hello->reply_bytes = 4096;
    hello->arena_offset = wire_lane_offset(hello, 2);
    hello->arena_bytes = 65536;
    hello->region_bytes = hello->arena_offset + hello->arena_bytes;
    hello->pid = (uint32_t)getpid();
    memcpy(hello->program, "raw", 4);
}

int
raw_connect(struct raw *raw, const char *address)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    const struct gpuvchan__transport *transport;
    const char *place;
    int error;

    memset(raw, 0, sizeof(*raw));
    raw->memfd = raw->socket = -1;
    raw_hello(&raw->hello);
    error = gpuvchan__transport_find(address, &transport, &place);
    if (error != 0)
        return error;
    if (transport != &gpuvchan__transport_local)
        return transport->connect(place, (uint32_t)test_ms(5000), &raw->link);
    snprintf(where.sun_path, sizeof(where.sun_path), "%s", place);
    raw->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    return connect(raw->socket, (struct sockaddr *)&where, sizeof(where)) == 0 ? 0 : -errno;
}

int
raw_region(struct raw *raw)
{
    void *base;
    int error;

    if (raw->link) {
        error = raw->link->transport->allocate(raw->link, raw->hello.region_bytes, &base);
        if (error == 0)
            raw->base = base;
        return error;
    }
    raw->memfd = memfd_create("raw", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (raw->memfd < 0 || ftruncate(raw->memfd, (off_t)raw->hello.region_bytes) != 0 ||
        fcntl(raw->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        return -errno;
    base = mmap(NULL, raw->hello.region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, raw->memfd, 0);
    if (base == MAP_FAILED)
        return -errno;
    raw->base = base;
    raw->mapped = raw->hello.region_bytes;
    return 0;
}

int
raw_send(int fd, const void *data, size_t bytes, const int *fds, size_t count)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(253 * sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (count > 0) {
        struct cmsghdr *head;

        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ? 0 : -errno;
}

int
raw_receive(struct raw *raw, int timeout_ms)
{
    struct iovec part = {.iov_base = &raw->welcome, .iov_len = sizeof(raw->welcome)};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(2 * WIRE_LANES_MAX * sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct pollfd waiting = {.fd = raw->socket, .events = POLLIN};
    ssize_t n;

    if (poll(&waiting, 1, test_ms(timeout_ms)) <= 0)
        return -ETIME;
    n = recvmsg(raw->socket, &message, MSG_CMSG_CLOEXEC);
    if (n <= 0)
        return 0;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head))
        if (head->cmsg_type == SCM_RIGHTS) {
            raw->bell_count = (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(raw->bells, CMSG_DATA(head), (size_t)raw->bell_count * sizeof(int));
        }
    return (int)n;
}

int
raw_offer(struct raw *raw, int timeout_ms)
{
    int error;

    if (raw->link) {
        error = raw->link->transport->greet(raw->link, &raw->hello, &raw->welcome, (uint32_t)test_ms(timeout_ms));
        return error != 0 ? error : (int)sizeof(raw->welcome);
    }
    error = raw_send(raw->socket, &raw->hello, sizeof(raw->hello), &raw->memfd, raw->memfd >= 0);
    return error != 0 ? error : raw_receive(raw, timeout_ms);
}

int
raw_greet(struct raw *raw, const char *address)
{
    int error = raw_connect(raw, address);

    if (error == 0)
        error = raw_region(raw);
    if (error == 0 && raw_offer(raw, 5000) != (int)sizeof(raw->welcome))
        error = -ECONNRESET;
    return error != 0 ? error : raw->welcome.status;
}

void
raw_close(struct raw *raw)
{
    if (raw->link)
        raw->link->transport->close(raw->link); /* which has mapped the region */
    if (raw->mapped > 0)
        munmap(raw->base, raw->mapped);
    for (int i = 0; i < raw->bell_count; i++)
        if (raw->bells[i] >= 0)
            close(raw->bells[i]);
    if (raw->memfd >= 0)
        close(raw->memfd);
    if (raw->socket >= 0)
        close(raw->socket);
    raw->link = NULL;
    raw->base = NULL;
    raw->mapped = 0;
    raw->bell_count = 0;
    raw->memfd = raw->socket = -1;
}

struct wire_lane *
raw_lane(const struct raw *raw, uint32_t lane)
{
    return (struct wire_lane *)(void *)(raw->base + wire_lane_offset(&raw->hello, lane));
}

unsigned char *
raw_ring(const struct raw *raw, uint32_t lane)
{
    return (unsigned char *)raw_lane(raw, lane) + WIRE_PAGE;
}

void
raw_ring_main(struct raw *raw)
{
    if (raw->link)
        raw->link->transport->ring_main(raw->link);
    else
        (void)!send(raw->socket, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
raw_prepare_lane(struct raw *raw, uint32_t lane)
{
    uint32_t doorbell = 0;

    if (raw->link && !raw->opened[lane]) {
        if (raw->link->transport->lane_open(raw->link, lane, &doorbell) != 0) {
            printf("# lane %u: %s\n", lane, gpuvchan_error_text());
            return;
        }
        atomic_store(&raw_lane(raw, lane)->doorbell, doorbell);
    }
    raw->opened[lane] = true;
}

void
raw_open_lane(struct raw *raw, uint32_t lane)
{
    raw_prepare_lane(raw, lane);
    atomic_store(&raw_lane(raw, lane)->guest_state, WIRE_LANE_OPEN);
    raw_ring_main(raw);
}

void
raw_ring_bell(struct raw *raw, uint32_t lane)
{
    static const uint64_t one = 1;

    if (raw->link && raw->opened[lane])
        raw->link->transport->ring(raw->link, lane);
    else if ((int)lane * 2 < raw->bell_count)
        (void)!write(raw->bells[2 * lane], &one, sizeof(one));
}

void
raw_record(struct raw *raw, uint32_t lane, struct gpuvchan_record record, const void *payload, size_t bytes)
{
    uint64_t mask = raw->hello.command_bytes - 1;
    unsigned char *ring = raw_ring(raw, lane), *at = ring + (raw->tail[lane] & mask);
    uint64_t word;

    memcpy(&word, &record, 8);
    if (bytes > 0)
        memcpy(at + 16, payload, bytes);
    memcpy(at + 8, &record.ticket, 8);
    raw->tail[lane] += (uint64_t)record.units * 16;
    /* The word behind it is the host's next; at the lap's end that is the ring's first. */
    memset(ring + (raw->tail[lane] & mask), 0, 8);
    atomic_store((_Atomic uint64_t *)(void *)at, word);
    raw_ring_bell(raw, lane);
}

uint16_t
raw_post(struct raw *raw, uint32_t lane, uint8_t slot, uint16_t opcode, uint8_t flags, const void *payload,
         size_t bytes)
{
    struct gpuvchan_record record = {
        .units = (uint16_t)(gpuvchan_record_bytes(bytes) / 16),
        .opcode = opcode,
        .slot = slot,
        .flags = flags,
        .sequence = ++raw->sequence[lane],
    };

    raw_record(raw, lane, record, payload, bytes);
    return record.sequence;
}

bool
raw_reply(const struct raw *raw, uint32_t lane, uint8_t flip, int timeout_ms)
{
    for (timeout_ms = test_ms(timeout_ms); timeout_ms > 0; timeout_ms--) {
        uint64_t word = atomic_load((_Atomic uint64_t *)(void *)raw_lane(raw, lane)->slot);

        if (word != 0 && (word >> 40 & 0xff) == flip)
            return true;
        test_sleep_ms(1);
    }
    return false;
}

const char *
raw_fault(const struct raw *raw, int timeout_ms)
{
    static char text[WIRE_FAULT_TEXT + 1];
    struct wire_region *region = (struct wire_region *)(void *)raw->base;

    text[0] = '\0';
    for (timeout_ms = test_ms(timeout_ms); timeout_ms > 0; timeout_ms--) {
        if (atomic_load(&region->fault) != 0) {
            memcpy(text, region->fault_text, WIRE_FAULT_TEXT);
            break;
        }
        test_sleep_ms(1);
    }
    return text;
}

bool
raw_worker_gone(const struct raw *raw, const struct test_host *host, int timeout_ms)
{
    return test_host_gone(host, (pid_t)raw->welcome.worker_pid, timeout_ms);
}

bool
raw_closed(const struct raw *raw, int timeout_ms)
{
    struct pollfd waiting = {.fd = raw->socket, .events = POLLRDHUP};
    uint64_t give_up;

    timeout_ms = test_ms(timeout_ms);
    if (!raw->link)
        return poll(&waiting, 1, timeout_ms) > 0;
    /* Events that say something else may come before. */
    give_up = test_now_ms() + (uint64_t)timeout_ms;
    do {
        uint64_t now = test_now_ms();
        int left = now < give_up ? (int)(give_up - now) : 0;

        if (raw->link->transport->wait_main(raw->link, left) == -EPIPE)
            return true;
    } while (test_now_ms() < give_up);
    return false;
}
