/* SPDX-License-Identifier: MIT */
#include "worker_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define DESCRIPTORS 2    /* the connection; the worker's file, if there is one */
#define ANSWER_SECONDS 2 /* for the supervisor, which does nothing that takes long */

union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
};

int
worker_link_create(int sockets[2])
{
    const struct timeval limit = {.tv_sec = ANSWER_SECONDS};

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
        return -errno;
    setsockopt(sockets[1], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    setsockopt(sockets[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return 0;
}

/* ---- Messages with descriptors ----------------------------------------------------------------- */

static int
send_with(int link, const void *data, size_t bytes, const int *descriptors, size_t count, int flags)
{
    union control control = {0};
    struct iovec text = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    ssize_t sent;

    if (count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.header = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(count * sizeof(int))};
        memcpy(CMSG_DATA(&control.header), descriptors, count * sizeof(int));
    }
    do
        sent = sendmsg(link, &message, flags | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)bytes ? 0 : -errno;
}

/* A message of exactly @p bytes. @p count: room for descriptors, and how many have come. @return 0 or -errno. */
static int
receive_with(int link, void *data, size_t bytes, int *descriptors, size_t *count, int flags)
{
    union control control;
    struct iovec text = {.iov_base = data, .iov_len = bytes};
    struct msghdr message = {
        .msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int got[DESCRIPTORS];
    size_t come = 0;
    ssize_t length;

    do
        length = recvmsg(link, &message, flags | MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return -errno;
    if (CMSG_FIRSTHDR(&message) && control.header.cmsg_type == SCM_RIGHTS)
        come = (control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(got, CMSG_DATA(&control.header), come * sizeof(int));
    if (length == (ssize_t)bytes && come <= *count && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        memcpy(descriptors, got, come * sizeof(int));
        *count = come;
        return 0;
    }
    for (size_t i = 0; i < come; i++)
        close(got[i]);
    return length == 0 ? -EPIPE : -EPROTO;
}

/* ---- The supervisor's end ---------------------------------------------------------------------- */

int
worker_link_receive(int link, struct worker_message *message, int *fd)
{
    size_t count = 1;
    int error;

    *fd = -1;
    error = receive_with(link, message, sizeof(*message), fd, &count, MSG_DONTWAIT);
    return error;
}

void
worker_link_answer(int link, int result, int fd)
{
    send_with(link, &result, sizeof(result), &fd, fd >= 0 ? 1 : 0, MSG_DONTWAIT);
}

int
worker_link_hand_over(int link, int connection, int file)
{
    const int descriptors[DESCRIPTORS] = {connection, file};

    return send_with(link, "", 1, descriptors, file < 0 ? 1 : 2, MSG_DONTWAIT);
}

/* ---- The worker's end -------------------------------------------------------------------------- */

static bool
move_to(int fd, int number)
{
    bool moved = dup3(fd, number, O_CLOEXEC) >= 0;

    close(fd);
    return moved;
}

bool
worker_link_await(int link, int connection, int file)
{
    const struct worker_message ready = {.word = WORKER_READY};
    struct pollfd guest = {.fd = link, .events = POLLIN};
    int descriptors[DESCRIPTORS]; /* the file's stays open as long as the worker lives */
    size_t count = DESCRIPTORS;
    char word;

    if (send_with(link, &ready, sizeof(ready), NULL, 0, 0) != 0)
        return false;
    while (poll(&guest, 1, -1) < 0 && errno == EINTR)
        continue;
    if (receive_with(link, &word, sizeof(word), descriptors, &count, 0) != 0 || count == 0)
        return false;
    return move_to(descriptors[0], connection) && (count < 2 || move_to(descriptors[1], file));
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* a question and its answer */

/* An answer that comes too late would be taken for the next one's: nothing is asked any more. */
static void
give_up(int *link)
{
    close(*link);
    *link = -1;
}

int
worker_link_find(void *user, uint64_t bytes, const uint8_t *digest)
{
    struct worker_message message = {.word = WORKER_FIND, .any = digest == NULL, .bytes = bytes};
    int *link = user, fd = -1, answer = -ENOENT, error;
    size_t count = 1;

    if (digest)
        memcpy(message.digest, digest, sizeof(message.digest));
    pthread_mutex_lock(&lock);
    error = *link < 0 ? -ENOENT : send_with(*link, &message, sizeof(message), NULL, 0, 0);
    if (error == 0)
        error = receive_with(*link, &answer, sizeof(answer), &fd, &count, 0);
    if (error != 0 && *link >= 0)
        give_up(link);
    pthread_mutex_unlock(&lock);
    return error != 0 || answer != 0 ? -ENOENT : digest ? fd : 0;
}

int
worker_link_keep(void *user, uint64_t bytes, const uint8_t *digest, int fd)
{
    struct worker_message message = {.word = WORKER_KEEP, .bytes = bytes};
    int *link = user, error;

    memcpy(message.digest, digest, sizeof(message.digest));
    pthread_mutex_lock(&lock);
    error = *link < 0 ? -ENOENT : send_with(*link, &message, sizeof(message), &fd, 1, 0);
    pthread_mutex_unlock(&lock);
    return error;
}
