/* SPDX-License-Identifier: MIT */
/*
 * The local transport: rendezvous over a Unix socket, the region in a memfd, doorbells by eventfd.
 *
 * Design notes
 *
 * The guest creates the memfd, since its memory pays, and seals its size: a region that could shrink
 * would kill the worker with SIGBUS. The host creates the eventfds, so that it knows what they are. Both
 * travel with the handshake's two messages. Later the socket only says that the peer lives; a byte on it
 * is the host's channel-wide doorbell. Nothing the guest may do to a shared file description (clearing
 * O_NONBLOCK, draining an eventfd) can block the host's main thread: it only uses the socket, with
 * MSG_DONTWAIT. A lane's thread that it blocks is the guest's own.
 */
#include "transport_local.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "error.h"
#include "ring.h"

/* Regions lie in this window, so that guest and worker find the same place free. */
#define WINDOW_START 0x600000000000ull
#define WINDOW_BYTES 0x0f0000000000ull
#define WINDOW_STEP 0x40000000ull
#ifdef __has_feature
#define TSAN_CLANG __has_feature(thread_sanitizer)
#else
#define TSAN_CLANG 0
#endif
#if defined(__SANITIZE_THREAD__) || TSAN_CLANG
#define WINDOW_USABLE false /* ThreadSanitizer has its own memory there */
#else
#define WINDOW_USABLE true
#endif

struct local_link {
    struct gpuvchan__link link;
    int socket;
    int memfd;
    int shut; /* eventfd, readable for good once this end is shut */
    void *base;
    uint64_t bytes;
    uint32_t lanes;
    int own[WIRE_LANES_MAX];
    int peer[WIRE_LANES_MAX];
};

static struct local_link *
local(struct gpuvchan__link *link)
{
    return (struct local_link *)link;
}

static int
membarrier(int command)
{
    return (int)syscall(__NR_membarrier, command, 0, 0);
}

static bool
membarrier_ready(void)
{
    int commands = membarrier(MEMBARRIER_CMD_QUERY);

    return commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED) &&
           membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0;
}

static void
local_close(struct gpuvchan__link *link)
{
    struct local_link *l = local(link);

    if (l->base)
        munmap(l->base, l->bytes);
    for (uint32_t i = 0; i < l->lanes; i++) {
        if (l->own[i] >= 0)
            close(l->own[i]);
        if (l->peer[i] >= 0)
            close(l->peer[i]);
    }
    if (l->memfd >= 0)
        close(l->memfd);
    if (l->shut >= 0)
        close(l->shut);
    if (l->socket >= 0)
        close(l->socket);
    free(l);
}

static int
local_create(int fd, struct local_link **out)
{
    struct local_link *l = calloc(1, sizeof(*l));

    if (!l) {
        close(fd);
        return gpuvchan__error(-ENOMEM, "out of memory");
    }
    l->link.transport = &gpuvchan__transport_local;
    l->socket = fd;
    l->memfd = -1;
    for (uint32_t i = 0; i < WIRE_LANES_MAX; i++)
        l->own[i] = l->peer[i] = -1;
    l->shut = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->shut < 0) {
        int error = -errno;

        local_close(&l->link);
        return gpuvchan__error(error, "cannot create an eventfd: %s", strerror(-error));
    }
    *out = l;
    return 0;
}

/* ---- Messages with file descriptors ---------------------------------------------------------- */

#define FDS_MAX (2 * WIRE_LANES_MAX)

static int
send_message(int fd, const void *data, size_t bytes, const int *fds, size_t count)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t n;

    if (count > 0) {
        struct cmsghdr *head;

        memset(&control, 0, sizeof(control));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    }
    do
        n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == bytes ? 0 : -EMSGSIZE;
}

static void
close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

/* One whole message of exactly @p bytes with exactly @p count descriptors (count 0: at most none). */
static int
receive_message(int fd, void *data, size_t bytes, int *fds, size_t count, uint32_t timeout_ms)
{
    struct iovec part = {.iov_base = data, .iov_len = bytes};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    size_t got = 0, excess = 0;
    ssize_t n;
    int ready;

    do
        ready = poll(&waiting, 1, (int)timeout_ms);
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return -ETIMEDOUT;
    n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return -errno;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
        size_t here = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        int received[FDS_MAX];

        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS || here > FDS_MAX)
            continue;
        memcpy(received, CMSG_DATA(head), here * sizeof(int));
        for (size_t i = 0; i < here; i++) {
            if (got < count)
                fds[got++] = received[i];
            else
                close(received[i]), excess++;
        }
    }
    if (n == 0)
        return close_all(fds, got), -ECONNRESET;
    if ((size_t)n != bytes || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || (got != count && got != 0) ||
        excess != 0)
        return close_all(fds, got), -EPROTO;
    return (int)got;
}

/* ---- Guest ----------------------------------------------------------------------------------- */

static int
address_of(const char *path, struct sockaddr_un *address)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(address->sun_path))
        return gpuvchan__error(-ENAMETOOLONG, "the socket's path %s is too long: at most %zu bytes", path,
                               sizeof(address->sun_path) - 1);
    memcpy(address->sun_path, path, strlen(path));
    return 0;
}

static int
connect_error(const char *path, int error)
{
    switch (error) {
    case ENOENT:
        return gpuvchan__error(-ENOENT,
                               "no host answers at %s: the socket does not exist. Start gpuvchan-host there, or name "
                               "another address with GPUVCHAN_ADDRESS",
                               path);
    case ECONNREFUSED:
        return gpuvchan__error(-ECONNREFUSED,
                               "no host answers at %s: nobody listens on the socket. Has gpuvchan-host ended? Start "
                               "it again",
                               path);
    case EACCES:
        return gpuvchan__error(-EACCES,
                               "no access to %s: this user may not open the socket (see --socket-mode and "
                               "--socket-group of gpuvchan-host)",
                               path);
    case EPROTOTYPE:
        return gpuvchan__error(-EPROTO, "%s is not a socket of gpuvchan-host", path);
    default:
        return gpuvchan__error(-error, "cannot connect to %s: %s", path, strerror(error));
    }
}

static int
local_connect(const char *path, uint32_t timeout_ms, struct gpuvchan__link **out)
{
    uint64_t give_up = gpuvchan__now_ns() + timeout_ms * 1000000ull;
    struct sockaddr_un address;
    struct local_link *l;
    int error = address_of(path, &address);
    int fd;

    if (error != 0)
        return error;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return gpuvchan__error(-errno, "cannot create a socket: %s", strerror(errno));
    while (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        error = errno;
        /* EAGAIN: the host's backlog is full for the moment. */
        if ((error == EAGAIN || error == EINTR) && gpuvchan__now_ns() < give_up) {
            poll(NULL, 0, 2);
            continue;
        }
        close(fd);
        return connect_error(path, error == EAGAIN ? ETIMEDOUT : error);
    }
    error = local_create(fd, &l);
    if (error == 0)
        *out = &l->link;
    return error;
}

static void *
map_at(uint64_t base, uint64_t bytes, int memfd)
{
    void *at;

    if (!WINDOW_USABLE)
        return MAP_FAILED;
    at = mmap((void *)(uintptr_t)base, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, memfd, 0);
    if (at != MAP_FAILED && (uintptr_t)at != base) { /* a kernel before 4.17 takes it as a hint */
        munmap(at, bytes);
        at = MAP_FAILED;
    }
    return at;
}

static int
local_allocate(struct gpuvchan__link *link, uint64_t bytes, void **base)
{
    struct local_link *l = local(link);
    void *at = MAP_FAILED;

    l->memfd = memfd_create("gpuvchan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (l->memfd < 0 || ftruncate(l->memfd, (off_t)bytes) != 0 ||
        fcntl(l->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return gpuvchan__error(-errno, "cannot create %llu bytes of shared memory: %s", (unsigned long long)bytes,
                               strerror(errno));
    for (int tries = 0; tries < 16 && at == MAP_FAILED; tries++) {
        uint64_t random;

        if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
            break;
        at = map_at(WINDOW_START + random % (WINDOW_BYTES / WINDOW_STEP) * WINDOW_STEP, bytes, l->memfd);
    }
    if (at == MAP_FAILED)
        at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, l->memfd, 0);
    if (at == MAP_FAILED)
        return gpuvchan__error(-ENOMEM, "cannot map %llu bytes of shared memory: %s", (unsigned long long)bytes,
                               strerror(errno));
    l->base = at;
    l->bytes = bytes;
    *base = at;
    return 0;
}

static int
local_greet(struct gpuvchan__link *link, const struct wire_hello *hello, struct wire_welcome *welcome,
            uint32_t timeout_ms)
{
    struct local_link *l = local(link);
    int fds[FDS_MAX];
    int got, error = send_message(l->socket, hello, sizeof(*hello), &l->memfd, 1);

    /* EPIPE: refused before it read anything; its reason is still to be read. */
    if (error != 0 && error != -EPIPE)
        return gpuvchan__error(error, "cannot greet the host: %s", strerror(-error));
    got = receive_message(l->socket, welcome, sizeof(*welcome), fds, 2 * (size_t)hello->lanes, timeout_ms);
    if (got == -ETIMEDOUT)
        return gpuvchan__error(got, "the host does not answer within %u ms", timeout_ms);
    if (got < 0)
        return gpuvchan__error(got == -EPROTO ? got : -ECONNRESET,
                               "the host closed the connection without an answer: see its log");
    if (got == 0) /* a refusal brings none; the caller reads the status */
        return welcome->status != 0 ? 0 : gpuvchan__error(-EPROTO, "the host's welcome brings no doorbells");
    l->lanes = hello->lanes;
    for (uint32_t i = 0; i < l->lanes; i++) {
        l->peer[i] = fds[2 * i];
        l->own[i] = fds[2 * i + 1];
    }
    close(l->memfd);
    l->memfd = -1;
    return 0;
}

/* ---- Host ------------------------------------------------------------------------------------ */

int
gpuvchan__local_listen(const char *path)
{
    struct sockaddr_un address;
    struct stat info;
    int error = address_of(path, &address);
    int fd, probe;

    if (error != 0)
        return error;
    probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return gpuvchan__error(-errno, "cannot create a socket: %s", strerror(errno));
    if (connect(probe, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN) {
        close(probe);
        return gpuvchan__error(-EADDRINUSE, "another gpuvchan-host listens at %s: stop it, or choose another --address",
                               path);
    }
    /* A socket whose host has died. Files that are no sockets refuse in the same words, and stay. */
    if (errno == ECONNREFUSED && lstat(path, &info) == 0 && S_ISSOCK(info.st_mode))
        unlink(path);
    close(probe);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return gpuvchan__error(-errno, "cannot create a socket: %s", strerror(errno));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 64) != 0) {
        error = errno;
        close(fd);
        return gpuvchan__error(-error, "cannot listen at %s: %s", path, strerror(error));
    }
    return fd;
}

void
gpuvchan__local_refuse(int fd, const struct wire_welcome *welcome)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    char nothing;

    send_message(fd, welcome, sizeof(*welcome), NULL, 0);
    shutdown(fd, SHUT_WR);
    /* Closing with unread data would throw the answer away before the guest has read it. */
    if (poll(&waiting, 1, 100) > 0)
        (void)!recv(fd, &nothing, 1, MSG_DONTWAIT);
    close(fd);
}

static int
check_memfd(int memfd, uint64_t bytes)
{
    int seals = fcntl(memfd, F_GET_SEALS);
    struct stat info;

    if (seals < 0 || (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW))
        return gpuvchan__error(-EPROTO, "the guest's region is not a memfd with its size sealed");
    if (fstat(memfd, &info) != 0 || info.st_size < 0 || (uint64_t)info.st_size != bytes)
        return gpuvchan__error(-EPROTO, "the guest's region has %lld bytes, its hello says %llu",
                               (long long)info.st_size, (unsigned long long)bytes);
    return 0;
}

static const struct wire_welcome not_a_hello = {
    .magic = WIRE_MAGIC,
    .major = WIRE_MAJOR,
    .minor = WIRE_MINOR,
    .status = -EPROTO,
    .text = "what the guest sent is not a hello with a region",
};

static int
local_receive(int fd, struct wire_hello *hello, uint32_t timeout_ms, struct gpuvchan__link **out)
{
    struct local_link *l;
    int error = local_create(fd, &l);
    int got;

    if (error != 0)
        return error;
    got = receive_message(fd, hello, sizeof(*hello), &l->memfd, 1, timeout_ms);
    if (got == 1) {
        *out = &l->link;
        return 0;
    }
    if (got == 0 || got == -EPROTO)
        send_message(fd, &not_a_hello, sizeof(not_a_hello), NULL, 0);
    local_close(&l->link);
    if (got == -ETIMEDOUT)
        return gpuvchan__error(got, "the guest did not say hello within %u ms", timeout_ms);
    if (got == -ECONNRESET)
        return gpuvchan__error(got, "the guest closed the connection before its hello");
    return gpuvchan__error(-EPROTO, "what the guest sent is not a hello with a region");
}

static int
local_map(struct gpuvchan__link *link, const struct wire_hello *hello, void **base)
{
    struct local_link *l = local(link);
    void *at = MAP_FAILED;
    int error = check_memfd(l->memfd, hello->region_bytes);

    if (error != 0)
        return error;
    /* The guest chooses the place, within the window only, and never over something of ours. */
    if (hello->base % WIRE_PAGE == 0 && hello->base >= WINDOW_START && hello->region_bytes <= WINDOW_STEP * 1024 &&
        hello->base < WINDOW_START + WINDOW_BYTES)
        at = map_at(hello->base, hello->region_bytes, l->memfd);
    if (at == MAP_FAILED)
        at = mmap(NULL, hello->region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, l->memfd, 0);
    if (at == MAP_FAILED)
        return gpuvchan__error(-errno, "cannot map the guest's region of %llu bytes: %s",
                               (unsigned long long)hello->region_bytes, strerror(errno));
    l->base = at;
    l->bytes = hello->region_bytes;
    close(l->memfd);
    l->memfd = -1;
    *base = at;
    return 0;
}

static int
local_welcome(struct gpuvchan__link *link, const struct wire_hello *hello, const struct wire_welcome *welcome)
{
    struct local_link *l = local(link);
    int fds[FDS_MAX];
    int error;

    if (welcome->status != 0)
        return send_message(l->socket, welcome, sizeof(*welcome), NULL, 0);
    for (l->lanes = 0; l->lanes < hello->lanes; l->lanes++) {
        uint32_t i = l->lanes;

        l->own[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        l->peer[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (l->own[i] < 0 || l->peer[i] < 0) {
            error = -errno;
            l->lanes++;
            return gpuvchan__error(error, "cannot create the doorbells of %u lanes: %s", hello->lanes,
                                   strerror(-error));
        }
        fds[2 * i] = l->own[i];
        fds[2 * i + 1] = l->peer[i];
    }
    error = send_message(l->socket, welcome, sizeof(*welcome), fds, 2 * (size_t)hello->lanes);
    if (error != 0)
        return gpuvchan__error(error, "cannot welcome the guest: %s", strerror(-error));
    return 0;
}

/* ---- Both ------------------------------------------------------------------------------------ */

static uint64_t
local_features(const struct gpuvchan__link *link)
{
    (void)link;
    return membarrier_ready() ? WIRE_FEATURE_ASYMMETRIC_FENCE : 0;
}

static void
local_ring(struct gpuvchan__link *link, uint32_t lane)
{
    static const uint64_t one = 1;

    (void)!write(local(link)->peer[lane], &one, sizeof(one));
}

static int
local_wait(struct gpuvchan__link *link, uint32_t lane, int timeout_ms)
{
    struct local_link *l = local(link);
    struct pollfd waiting[] = {
        {.fd = l->own[lane], .events = POLLIN},
        {.fd = l->socket, .events = POLLRDHUP},
        {.fd = l->shut, .events = POLLIN},
    };
    uint64_t count;
    int ready = poll(waiting, 3, timeout_ms);

    if (ready == 0)
        return -ETIME;
    if (ready > 0 && waiting[0].revents)
        (void)!read(l->own[lane], &count, sizeof(count));
    if (ready > 0 && (waiting[1].revents || waiting[2].revents))
        return -EPIPE;
    return 0;
}

static void
local_ring_main(struct gpuvchan__link *link)
{
    /* If the socket's buffer is full the host has enough bells to answer. */
    (void)!send(local(link)->socket, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int
local_wait_main(struct gpuvchan__link *link, int timeout_ms)
{
    struct local_link *l = local(link);
    struct pollfd waiting[] = {
        {.fd = l->socket, .events = POLLIN | POLLRDHUP},
        {.fd = l->shut, .events = POLLIN},
    };
    char bells[64];
    int ready = poll(waiting, 2, timeout_ms);

    if (ready == 0)
        return -ETIME;
    if (ready < 0)
        return 0;
    if (waiting[1].revents)
        return -EPIPE;
    if ((waiting[0].revents & POLLIN) && recv(l->socket, bells, sizeof(bells), MSG_DONTWAIT) > 0)
        return 0;
    return waiting[0].revents & (POLLRDHUP | POLLHUP | POLLERR) ? -EPIPE : 0;
}

static void
local_shut(struct gpuvchan__link *link)
{
    static const uint64_t one = 1;

    (void)!write(local(link)->shut, &one, sizeof(one));
}

static void
local_abandon(struct gpuvchan__link *link)
{
    struct local_link *l = local(link);

    for (uint32_t i = 0; i < l->lanes; i++) {
        close(l->own[i]);
        close(l->peer[i]);
        l->own[i] = l->peer[i] = -1;
    }
    close(l->socket);
    close(l->shut);
    l->socket = l->shut = -1;
}

static void
local_fence_peer(struct gpuvchan__link *link)
{
    (void)link;
    membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}

const struct gpuvchan__transport gpuvchan__transport_local = {
    .name = "local",
    .connect = local_connect,
    .allocate = local_allocate,
    .greet = local_greet,
    .receive = local_receive,
    .map = local_map,
    .welcome = local_welcome,
    .features = local_features,
    .ring = local_ring,
    .wait = local_wait,
    .ring_main = local_ring_main,
    .wait_main = local_wait_main,
    .shut = local_shut,
    .abandon = local_abandon,
    .fence_peer = local_fence_peer,
    .close = local_close,
};
