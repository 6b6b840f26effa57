/* SPDX-License-Identifier: MIT */
/*
 * What a guest says first, against the worker's checks: the hello, its length, how many descriptors come
 * with it, and the size and the seals of its region.
 *
 * Input: flags (1 byte), difference of the region's real size in pages (1), the hello as far as it goes.
 * What is missing of the hello is that of a right one.
 *
 * build: ALL:libgpuvchan -l:libnettle.a -lpthread
 */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gpuvchan/plugin.h>

#include "wire.h"

enum {
    UNSEALED = 1,
    NO_DESCRIPTOR = 2,
    MORE_DESCRIPTORS = 4,
    SHORT = 8,      /* only what the input has */
    EXCLUSIVE = 16, /* fields are changed by exclusive or, instead of replaced */
    FITTING = 32,   /* region_bytes and arena_offset follow from the rest */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
silent(enum gpuvchan_log_level level, const char *text)
{
    (void)level;
    (void)text;
}

static void
hello_right(struct wire_hello *hello)
{
    memset(hello, 0, sizeof(*hello));
    hello->magic = WIRE_MAGIC;
    hello->major = WIRE_MAJOR;
    hello->lanes = 2;
    hello->command_bytes = 4096;
    hello->reply_bytes = 4096;
    hello->arena_bytes = 8192;
    hello->arena_offset = wire_lane_offset(hello, 2);
    hello->region_bytes = hello->arena_offset + hello->arena_bytes;
    hello->base = 0x600000000000;
}

static void
say_hello(int fd, const struct wire_hello *hello, size_t bytes, uint8_t flags, int8_t pages)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(3 * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)hello, .iov_len = bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    int memfd = memfd_create("fuzz", MFD_ALLOW_SEALING);
    size_t count = flags & NO_DESCRIPTOR ? 0 : flags & MORE_DESCRIPTORS ? 3 : 1;
    off_t size = (off_t)(hello->region_bytes & ((1ull << 40) - 1)) + pages * 4096ll;

    (void)!ftruncate(memfd, size > 0 ? size : 0);
    if (!(flags & UNSEALED))
        fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
    if (count > 0) {
        int fds[3] = {memfd, memfd, memfd};
        struct cmsghdr *head;

        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    }
    sendmsg(fd, &message, MSG_NOSIGNAL);
    close(memfd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct gpuvchan_session_limits limits = {.size = sizeof(limits), .arena_bytes = 1 << 30, .timeout_ms = 50};
    struct gpuvchan_session *session = NULL;
    struct wire_hello hello;
    uint8_t flags;
    int ends[2];

    if (bytes < 2 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return 0;
    gpuvchan_log_set(silent, GPUVCHAN_LOG_ERROR);
    flags = data[0];
    hello_right(&hello);
    for (size_t i = 0; i < sizeof(hello) && i + 2 < bytes; i++) {
        unsigned char *at = (unsigned char *)&hello + i;

        *at = flags & EXCLUSIVE ? *at ^ data[2 + i] : data[2 + i];
    }
    if (flags & FITTING) {
        hello.lanes = hello.lanes % (WIRE_LANES_MAX + 1);
        hello.arena_offset = wire_lane_offset(&hello, hello.lanes);
        hello.arena_bytes &= (1 << 30) - 4096;
        hello.region_bytes = hello.arena_offset + hello.arena_bytes;
    }
    say_hello(ends[1], &hello, flags & SHORT && bytes - 2 < sizeof(hello) ? bytes - 2 : sizeof(hello), flags,
              (int8_t)data[1]);
    if (gpuvchan_session_accept(ends[0], &limits, &session) == 0) {
        uint64_t arena_bytes;
        volatile unsigned char *arena = gpuvchan_session_arena(session, &arena_bytes);

        /* What it accepted is there, to the last byte. */
        if (arena_bytes > 0)
            arena[arena_bytes - 1] = 1;
        (void)strlen(gpuvchan_session_program(session));
        gpuvchan_session_destroy(session);
    }
    close(ends[1]);
    return 0;
}
