/* SPDX-License-Identifier: MIT */
#include "spare.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS 2 /* the connection; the folder, if there is one */

int
spare_sockets(int sockets[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0 ? 0 : -errno;
}

bool
spare_is_ready(int socket)
{
    char nothing;

    return recv(socket, &nothing, 1, MSG_DONTWAIT) == 0;
}

int
spare_hand_over(int socket, int connection, int folder, const struct worker_record *record)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
    } control = {0};
    const int descriptors[DESCRIPTORS] = {connection, folder};
    size_t bytes = (folder < 0 ? 1 : 2) * sizeof(int);
    struct iovec text = {.iov_base = (void *)(uintptr_t)record, .iov_len = sizeof(*record)};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &control};

    message.msg_controllen = CMSG_SPACE(bytes);
    control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(bytes)};
    memcpy(CMSG_DATA(&control.header), descriptors, bytes);
    return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(*record) ? 0 : -errno;
}

/* @return how many descriptors came with the record; 0: the supervisor has gone. */
static size_t
receive(int socket, struct worker_record *record, int descriptors[DESCRIPTORS])
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
    } control;
    struct iovec text = {.iov_base = record, .iov_len = sizeof(*record)};
    struct msghdr message = {
        .msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t bytes;
    size_t count;

    do
        bytes = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (bytes < 0 && errno == EINTR);
    if (bytes != (ssize_t)sizeof(*record) || !CMSG_FIRSTHDR(&message) || control.header.cmsg_type != SCM_RIGHTS)
        return 0;
    count = (control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(descriptors, CMSG_DATA(&control.header), count * sizeof(int));
    return count;
}

int
spare_await(int socket)
{
    struct worker_record record;
    int descriptors[DESCRIPTORS];
    size_t count;

    shutdown(socket, SHUT_WR);
    count = receive(socket, &record, descriptors);
    if (count == 0)
        return -1;
    record.pid = getpid();
    record.started = worker_file_started(record.pid);
    if (count > 1) {
        worker_file_write(descriptors[1], &record); /* the lock goes with the process; what fails is logged */
        close(descriptors[1]);
    }
    return descriptors[0];
}
