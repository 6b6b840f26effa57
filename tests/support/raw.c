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

int
raw_connect(struct raw *raw, const char *address)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    struct wire_hello *hello = &raw->hello;

    memset(raw, 0, sizeof(*raw));
    raw->memfd = -1;
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
    if (strncmp(address, "local:", 6) == 0)
        address += 6;
    snprintf(where.sun_path, sizeof(where.sun_path), "%s", address);
    raw->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    return connect(raw->socket, (struct sockaddr *)&where, sizeof(where)) == 0 ? 0 : -errno;
}

int
raw_region(struct raw *raw)
{
    raw->memfd = memfd_create("raw", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (raw->memfd < 0 || ftruncate(raw->memfd, (off_t)raw->hello.region_bytes) != 0 ||
        fcntl(raw->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        return -errno;
    raw->base = mmap(NULL, raw->hello.region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, raw->memfd, 0);
    return raw->base == MAP_FAILED ? -errno : 0;
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

    if (poll(&waiting, 1, timeout_ms) <= 0)
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
raw_greet(struct raw *raw, const char *address)
{
    int error = raw_connect(raw, address);

    if (error == 0)
        error = raw_region(raw);
    if (error == 0)
        error = raw_send(raw->socket, &raw->hello, sizeof(raw->hello), &raw->memfd, 1);
    if (error == 0 && raw_receive(raw, 5000) != sizeof(raw->welcome))
        error = -ECONNRESET;
    return error != 0 ? error : raw->welcome.status;
}

void
raw_close(struct raw *raw)
{
    if (raw->base && raw->base != MAP_FAILED)
        munmap(raw->base, raw->hello.region_bytes);
    for (int i = 0; i < raw->bell_count; i++)
        if (raw->bells[i] >= 0)
            close(raw->bells[i]);
    if (raw->memfd >= 0)
        close(raw->memfd);
    close(raw->socket);
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
raw_open_lane(struct raw *raw, uint32_t lane)
{
    atomic_store(&raw_lane(raw, lane)->guest_state, WIRE_LANE_OPEN);
    (void)!send(raw->socket, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
raw_ring_bell(struct raw *raw, uint32_t lane)
{
    static const uint64_t one = 1;

    if ((int)lane * 2 < raw->bell_count)
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
    for (; timeout_ms > 0; timeout_ms--) {
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
    for (; timeout_ms > 0; timeout_ms--) {
        if (atomic_load(&region->fault) != 0) {
            memcpy(text, region->fault_text, WIRE_FAULT_TEXT);
            break;
        }
        test_sleep_ms(1);
    }
    return text;
}

bool
raw_worker_gone(const struct raw *raw, int timeout_ms)
{
    char path[64], line[256];

    snprintf(path, sizeof(path), "/proc/%u/stat", raw->welcome.worker_pid);
    for (; timeout_ms > 0; timeout_ms -= 2) {
        FILE *file = fopen(path, "re");
        bool gone = !file || !fgets(line, sizeof(line), file) || strstr(line, ") Z ");

        if (file)
            fclose(file);
        if (gone)
            return true;
        test_sleep_ms(2);
    }
    return false;
}

bool
raw_closed(const struct raw *raw, int timeout_ms)
{
    struct pollfd waiting = {.fd = raw->socket, .events = POLLRDHUP};

    return poll(&waiting, 1, timeout_ms) > 0;
}
