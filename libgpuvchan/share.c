/* SPDX-License-Identifier: MIT */
/* Offering, and the two ends of taking; share.h tells how. */
#include "share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "error.h"

#define MAGIC 0x6572616873767067ull /* "gpvshare" */
#define OFFERS_MAX 65536u           /* the oldest goes when there are more */
#define BACKLOG 64
#define SECONDS 2 /* that one end waits for the other */

struct share_offer {
    struct share_offer *older;
    unsigned char secret[SHARE_HALF];
    size_t bytes;
    int fd; /* or -1 */
    unsigned char data[GPUVCHAN_SHARE_BYTES];
};

struct request {
    uint64_t magic;
    unsigned char secret[SHARE_HALF];
    char guest[SHARE_GUEST];
};

struct answer {
    uint64_t magic;
    int32_t status; /* 0 or -errno */
    uint32_t bytes;
    unsigned char data[GPUVCHAN_SHARE_BYTES];
};

/* ---- Sockets --------------------------------------------------------------------------------- */

static socklen_t
address_of(const unsigned char name[SHARE_HALF], struct sockaddr_un *address)
{
    static const char digits[] = "0123456789abcdef";
    int length;

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    length = snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "gpuvchan-share-");
    for (size_t i = 0; i < SHARE_HALF; i++) {
        address->sun_path[1 + length++] = digits[name[i] >> 4];
        address->sun_path[1 + length++] = digits[name[i] & 15];
    }
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static int
open_socket(void)
{
    const struct timeval limit = {.tv_sec = SECONDS};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    return fd;
}

static bool
is_own_user(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

static int
random_bytes(void *to, size_t bytes)
{
    return getrandom(to, bytes, 0) == (ssize_t)bytes ? 0 : -EIO;
}

/* ---- The end that offers --------------------------------------------------------------------- */

static void
send_answer(int fd, struct answer *answer, int passed)
{
    struct iovec part = {.iov_base = answer, .iov_len = sizeof(*answer)};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (passed >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
        CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
        CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &passed, sizeof(int));
    }
    sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* With the lock: the place in the list that points at the offer, or at its end. */
static struct share_offer **
find(struct gpuvchan__share *share, const unsigned char secret[SHARE_HALF])
{
    struct share_offer **at = &share->newest;

    while (*at && memcmp((*at)->secret, secret, SHARE_HALF) != 0)
        at = &(*at)->older;
    return at;
}

/* Fills the answer. @return a descriptor that is the caller's, or -1. */
static int
look_up(struct gpuvchan__share *share, const struct request *request, struct answer *answer)
{
    const struct share_offer *offer;
    int passed = -1;

    *answer = (struct answer){.magic = MAGIC, .status = -ENOENT};
    if (request->magic != MAGIC || memcmp(request->guest, share->guest, SHARE_GUEST) != 0)
        return -1; /* another guest's, which need not know that there is something */
    pthread_mutex_lock(&share->lock);
    offer = *find(share, request->secret);
    if (offer) {
        passed = offer->fd >= 0 ? fcntl(offer->fd, F_DUPFD_CLOEXEC, 0) : -1;
        answer->status = offer->fd >= 0 && passed < 0 ? -errno : 0;
        answer->bytes = (uint32_t)offer->bytes;
        memcpy(answer->data, offer->data, offer->bytes);
    }
    pthread_mutex_unlock(&share->lock);
    return passed;
}

static void
serve(struct gpuvchan__share *share, int fd)
{
    const struct timeval limit = {.tv_sec = SECONDS};
    struct request request;
    struct answer answer;
    int passed;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (!is_own_user(fd) || recv(fd, &request, sizeof(request), 0) != (ssize_t)sizeof(request))
        return;
    passed = look_up(share, &request, &answer);
    send_answer(fd, &answer, passed);
    if (passed >= 0)
        close(passed);
}

/* Ends when the listener is shut down. */
static void *
serve_all(void *argument)
{
    struct gpuvchan__share *share = argument;
    int fd;

    for (;;) {
        fd = accept4(share->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            serve(share, fd);
            close(fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            usleep(100000); /* others may give some back */
        } else if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN) {
            return NULL;
        }
    }
}

/* With the lock. */
static int
listen_once(struct gpuvchan__share *share)
{
    struct sockaddr_un address;
    socklen_t length;
    int fd, error;

    if (share->listening)
        return 0;
    error = random_bytes(share->name, sizeof(share->name));
    fd = error ? error : open_socket();
    if (fd < 0)
        return fd;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0}, sizeof(struct timeval)); /* accept() waits for ever */
    length = address_of(share->name, &address);
    share->listener = fd;
    if (bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, BACKLOG) != 0)
        error = -errno;
    else
        error = -pthread_create(&share->thread, NULL, serve_all, share);
    if (error != 0)
        close(fd);
    share->listening = error == 0;
    return error;
}

/* With the lock. */
static void
drop(struct gpuvchan__share *share, struct share_offer **at)
{
    struct share_offer *offer = *at;

    *at = offer->older;
    share->count--;
    if (offer->fd >= 0)
        close(offer->fd);
    free(offer);
}

/* The same bytes without a descriptor are the same offer. With the lock. */
static struct share_offer *
find_equal(struct gpuvchan__share *share, const void *data, size_t bytes)
{
    struct share_offer *offer = share->newest;

    while (offer && (offer->fd >= 0 || offer->bytes != bytes || memcmp(offer->data, data, bytes) != 0))
        offer = offer->older;
    return offer;
}

/* With the lock. */
static int
add(struct gpuvchan__share *share, const void *data, size_t bytes, int fd, struct share_offer **out)
{
    struct share_offer *offer = calloc(1, sizeof(*offer)), **at;
    int error = offer ? random_bytes(offer->secret, sizeof(offer->secret)) : -ENOMEM;

    if (error == 0) {
        offer->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
        error = fd >= 0 && offer->fd < 0 ? -errno : 0;
    }
    if (error != 0) {
        free(offer);
        return error;
    }
    memcpy(offer->data, data, bytes);
    offer->bytes = bytes;
    offer->older = share->newest;
    share->newest = offer;
    if (++share->count > OFFERS_MAX) {
        for (at = &share->newest; (*at)->older; at = &(*at)->older)
            continue;
        drop(share, at);
    }
    *out = offer;
    return 0;
}

int
gpuvchan__share_offer(struct gpuvchan__share *share, const void *data, size_t bytes, int fd,
                      struct gpuvchan_session_token *token)
{
    struct share_offer *offer = NULL;
    int error;

    if (bytes > GPUVCHAN_SHARE_BYTES)
        return gpuvchan__error(-E2BIG, "%zu bytes to share, at most %u are possible", bytes, GPUVCHAN_SHARE_BYTES);
    if (share->guest[0] == '\0')
        return gpuvchan__error(-EACCES, "nobody knows who this guest is: nothing can be shared");
    pthread_mutex_lock(&share->lock);
    error = listen_once(share);
    if (error == 0 && fd < 0)
        offer = find_equal(share, data, bytes);
    if (error == 0 && !offer)
        error = add(share, data, bytes, fd, &offer);
    if (error == 0) {
        memcpy(token->bytes, share->name, SHARE_HALF);
        memcpy(token->bytes + SHARE_HALF, offer->secret, SHARE_HALF);
    }
    pthread_mutex_unlock(&share->lock);
    return error ? gpuvchan__error(error, "cannot share with other processes of the guest: %s", strerror(-error)) : 0;
}

void
gpuvchan__share_end(struct gpuvchan__share *share, const struct gpuvchan_session_token *token)
{
    struct share_offer **at;

    pthread_mutex_lock(&share->lock);
    at = find(share, token->bytes + SHARE_HALF);
    if (share->listening && *at && memcmp(token->bytes, share->name, SHARE_HALF) == 0)
        drop(share, at);
    pthread_mutex_unlock(&share->lock);
}

void
gpuvchan__share_init(struct gpuvchan__share *share, const char *guest)
{
    *share = (struct gpuvchan__share){.listener = -1};
    snprintf(share->guest, sizeof(share->guest), "%s", guest);
    pthread_mutex_init(&share->lock, NULL);
}

void
gpuvchan__share_finish(struct gpuvchan__share *share)
{
    if (share->listening) {
        shutdown(share->listener, SHUT_RDWR);
        pthread_join(share->thread, NULL);
        close(share->listener);
    }
    while (share->newest)
        drop(share, &share->newest);
    pthread_mutex_destroy(&share->lock);
}

bool
gpuvchan__share_in_use(struct gpuvchan__share *share)
{
    bool in_use;

    pthread_mutex_lock(&share->lock);
    in_use = share->count > 0;
    pthread_mutex_unlock(&share->lock);
    return in_use;
}

/* ---- The end that takes ---------------------------------------------------------------------- */

/* The first descriptor that came, or -1; others are closed. */
static int
passed_descriptor(struct msghdr *message)
{
    int first = -1, fd;

    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof(fd) <= head->cmsg_len - CMSG_LEN(0); at += sizeof(fd)) {
            memcpy(&fd, CMSG_DATA(head) + at, sizeof(fd));
            if (first < 0)
                first = fd;
            else
                close(fd);
        }
    }
    return first;
}

/* @return -errno; 0, with a descriptor or -1 in *@p passed. */
static int
receive_answer(int fd, struct answer *answer, int *passed)
{
    struct iovec part = {.iov_base = answer, .iov_len = sizeof(*answer)};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);

    if (got < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    *passed = passed_descriptor(&message);
    if (got == (ssize_t)sizeof(*answer) && answer->magic == MAGIC && answer->bytes <= GPUVCHAN_SHARE_BYTES &&
        answer->status <= 0)
        return 0;
    if (*passed >= 0)
        close(*passed);
    return got == 0 ? -ENOENT : -EPROTO;
}

static int
ask(int fd, const struct gpuvchan__share *share, const struct gpuvchan_session_token *token, struct answer *answer,
    int *passed)
{
    struct request request = {.magic = MAGIC};
    struct sockaddr_un address;
    socklen_t length = address_of(token->bytes, &address);

    if (connect(fd, (struct sockaddr *)&address, length) != 0)
        return errno == ECONNREFUSED ? -ENOENT : -errno;
    if (!is_own_user(fd)) /* somebody else has the name of a worker that has ended */
        return -ENOENT;
    memcpy(request.secret, token->bytes + SHARE_HALF, SHARE_HALF);
    memcpy(request.guest, share->guest, SHARE_GUEST);
    if (send(fd, &request, sizeof(request), MSG_NOSIGNAL) != (ssize_t)sizeof(request))
        return -errno;
    return receive_answer(fd, answer, passed);
}

int
gpuvchan__share_take(const struct gpuvchan__share *share, const struct gpuvchan_session_token *token, void *data,
                     size_t *bytes, int *out)
{
    int fd = share->guest[0] != '\0' ? open_socket() : -EACCES, passed = -1, error;
    struct answer answer;

    if (fd < 0)
        return gpuvchan__error(fd, "cannot ask another worker: %s", strerror(-fd));
    error = ask(fd, share, token, &answer, &passed);
    close(fd);
    if (error == 0)
        error = answer.status;
    if (error == 0 && answer.bytes > *bytes)
        error = -EMSGSIZE;
    if (error != 0) {
        if (passed >= 0)
            close(passed);
        return gpuvchan__error(error, "no process of this guest offers what is asked for: %s", strerror(-error));
    }
    memcpy(data, answer.data, answer.bytes);
    *bytes = answer.bytes;
    *out = passed;
    return 0;
}
