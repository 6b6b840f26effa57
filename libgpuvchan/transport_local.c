/* SPDX-License-Identifier: MIT */
/*
 * The local transport: rendezvous over a Unix socket, the region in a memfd, doorbells by eventfd.
 *
 * Design notes
 *
 * The guest creates the memfd, since its memory pays, and seals its size: a region that could shrink
 * would kill the worker with SIGBUS. The host creates the eventfds, so that it knows what they are. Both
 * travel with the handshake's two messages, but the eventfds of later lanes, which the guest asks for when it has
 * so many threads. Else the socket only says that the peer lives; a byte on it is the host's channel-wide
 * doorbell. Nothing the guest may do to a shared file description (clearing O_NONBLOCK, draining an eventfd) can
 * block the host's main thread: of these it only uses the socket, with MSG_DONTWAIT. A lane's thread that it blocks is
 * the guest's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "error.h"
#include "ring.h"
#include "transport_local.h"
#include "window.h"

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

void
gpuvchan__local_close(struct gpuvchan__link *link)
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
    if (l->wake >= 0)
        close(l->wake);
    if (l->rouse >= 0)
        close(l->rouse);
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
    l->memfd = l->wake = l->rouse = -1;
    for (uint32_t i = 0; i < WIRE_LANES_MAX; i++)
        l->own[i] = l->peer[i] = -1;
    l->shut = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->shut < 0) {
        int error = -errno;

        gpuvchan__local_close(&l->link);
        return gpuvchan__error(error, "cannot create an eventfd: %s", strerror(-error));
    }
    *out = l;
    return 0;
}

/* ---- Messages with file descriptors ---------------------------------------------------------- */

#define BATCH 16u /* lanes get their doorbells so many at a time: at once, and when the guest asks for more */
#define FDS_MAX (2 * BATCH)
#define MORE_TIMEOUT_MS 60000u /* a worker that is being renewed answers afterwards */

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

/* Guest: doorbells for more than so many lanes, please; and the host's answer, which brings them. */
struct local_more {
    uint32_t lanes;
};

/* How many lanes get their doorbells with the next message. */
static uint32_t
batch(const struct local_link *l)
{
    return l->lanes_max - l->lanes < BATCH ? l->lanes_max - l->lanes : BATCH;
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

/* Over the reserved place; gives it back when that fails. */
static void *
map_over(void *at, uint64_t bytes, int memfd)
{
    if (!at || mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memfd, 0) != at) {
        int error = at ? errno : ENOMEM;

        if (at)
            munmap(at, bytes);
        errno = error;
        return NULL;
    }
    return at;
}

static int
local_allocate(struct gpuvchan__link *link, uint64_t bytes, void **base)
{
    struct local_link *l = local(link);
    void *at;

    l->memfd = memfd_create("gpuvchan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (l->memfd < 0 || ftruncate(l->memfd, (off_t)bytes) != 0 ||
        fcntl(l->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return gpuvchan__error(-errno, "cannot create %llu bytes of shared memory: %s", (unsigned long long)bytes,
                               strerror(errno));
    at = map_over(gpuvchan__window_reserve(0, bytes), bytes, l->memfd);
    if (!at)
        return gpuvchan__error(-ENOMEM, "cannot map %llu bytes of shared memory: %s", (unsigned long long)bytes,
                               strerror(errno));
    l->base = at;
    l->bytes = bytes;
    *base = at;
    return 0;
}

static uint64_t
local_shareable(struct gpuvchan__link *link, uint64_t wanted, char *why, size_t bytes)
{
    (void)link;
    (void)why;
    (void)bytes;
    return wanted;
}

static void
take_doorbells(struct local_link *l, const int *fds)
{
    uint32_t end = l->lanes + batch(l);

    for (; l->lanes < end; l->lanes++) {
        l->peer[l->lanes] = *fds++;
        l->own[l->lanes] = *fds++;
    }
}

static int
local_greet(struct gpuvchan__link *link, struct wire_hello *hello, struct wire_welcome *welcome, uint32_t timeout_ms)
{
    struct local_link *l = local(link);
    int fds[FDS_MAX];
    int got, error = send_message(l->socket, hello, sizeof(*hello), &l->memfd, 1);

    /* EPIPE: refused before it read anything; its reason is still to be read. */
    if (error != 0 && error != -EPIPE)
        return gpuvchan__error(error, "cannot greet the host: %s", strerror(-error));
    l->lanes_max = hello->lanes;
    got = receive_message(l->socket, welcome, sizeof(*welcome), fds, 2 * (size_t)batch(l), timeout_ms);
    if (got == -ETIMEDOUT)
        return gpuvchan__error(got, "the host does not answer within %u ms", timeout_ms);
    if (got < 0)
        return gpuvchan__error(got == -EPROTO ? got : -ECONNRESET,
                               "the host closed the connection without an answer: see its log");
    if (got == 0) /* a refusal brings none; the caller reads the status */
        return welcome->status != 0 ? 0 : gpuvchan__error(-EPROTO, "the host's welcome brings no doorbells");
    take_doorbells(l, fds);
    close(l->memfd);
    l->memfd = -1;
    return 0;
}

/* The host makes the doorbells; most programs need no more than the first ones. */
static int
local_lane_open(struct gpuvchan__link *link, uint32_t lane, uint32_t *doorbell)
{
    struct local_link *l = local(link);

    *doorbell = 0;
    while (lane >= l->lanes) {
        struct local_more more = {.lanes = l->lanes};
        int fds[FDS_MAX];
        int got = send_message(l->socket, &more, sizeof(more), NULL, 0);

        if (got == 0)
            got = receive_message(l->socket, &more, sizeof(more), fds, 2 * (size_t)batch(l), MORE_TIMEOUT_MS);
        if (got <= 0)
            return gpuvchan__error(got < 0 ? got : -EPROTO, "the host makes no doorbells for more than %u lanes",
                                   l->lanes);
        take_doorbells(l, fds);
    }
    return 0;
}

/* ---- Host ------------------------------------------------------------------------------------ */

static bool
local_is_mine(int fd)
{
    struct stat info;

    return fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode);
}

static void
local_refuse(int fd, const struct wire_welcome *welcome)
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

int
gpuvchan__local_create_host(int fd, struct local_link **out)
{
    struct local_link *l;
    int error = local_create(fd, &l);

    if (error != 0)
        return error;
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->rouse = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake < 0 || l->rouse < 0) {
        error = -errno;
        gpuvchan__local_close(&l->link);
        return gpuvchan__error(error, "cannot create two eventfds: %s", strerror(-error));
    }
    *out = l;
    return 0;
}

static int
local_receive(int fd, struct wire_hello *hello, uint32_t timeout_ms, struct gpuvchan__link **out)
{
    struct local_link *l;
    int error = gpuvchan__local_create_host(fd, &l);
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
    gpuvchan__local_close(&l->link);
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
    void *at;
    int error = check_memfd(l->memfd, hello->region_bytes);

    if (error != 0)
        return error;
    at = map_over(gpuvchan__window_reserve(hello->base, hello->region_bytes), hello->region_bytes, l->memfd);
    if (!at)
        return gpuvchan__error(-errno, "cannot map the guest's region of %llu bytes: %s",
                               (unsigned long long)hello->region_bytes, strerror(errno));
    l->base = at;
    l->bytes = hello->region_bytes; /* its descriptor stays: another program may take this one's place */
    *base = at;
    return 0;
}

/* Makes those of the next lanes; @p data, a message, brings them to the guest. */
static int
send_doorbells(struct local_link *l, const void *data, size_t bytes)
{
    uint32_t end = l->lanes + batch(l);
    int fds[FDS_MAX];
    size_t count = 0;

    for (; l->lanes < end; l->lanes++) {
        uint32_t i = l->lanes;

        l->own[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        l->peer[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (l->own[i] < 0 || l->peer[i] < 0) {
            l->lanes++; /* for the end, which closes them */
            return -errno;
        }
        fds[count++] = l->own[i];
        fds[count++] = l->peer[i];
    }
    return send_message(l->socket, data, bytes, fds, count);
}

/* What the guest has sent: a bell, or the wish for more doorbells, which whoever breaks the rules does not get. */
static void
answer(struct local_link *l, const void *message, size_t bytes)
{
    struct local_more more;
    int error;

    if (bytes != sizeof(more))
        return;
    memcpy(&more, message, sizeof(more));
    if (more.lanes != l->lanes || batch(l) == 0)
        return;
    error = send_doorbells(l, &more, sizeof(more));
    if (error != 0)
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "no doorbells for more than %u lanes: %s", more.lanes, strerror(-error));
}

static int
local_welcome(struct gpuvchan__link *link, const struct wire_hello *hello, const struct wire_welcome *welcome)
{
    struct local_link *l = local(link);
    int error;

    if (welcome->status != 0)
        return send_message(l->socket, welcome, sizeof(*welcome), NULL, 0);
    l->lanes_max = hello->lanes;
    error = send_doorbells(l, welcome, sizeof(*welcome));
    if (error != 0)
        return gpuvchan__error(error, "cannot welcome the guest: %s", strerror(-error));
    return 0;
}

/* A user: its processes could share memory by other ways as well. */
static void
local_identify(const struct gpuvchan__link *link, char *text, size_t bytes)
{
    const struct local_link *l = (const struct local_link *)link;
    struct ucred credentials;
    socklen_t size = sizeof(credentials);

    if (getsockopt(l->socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0)
        snprintf(text, bytes, "user %u", (unsigned)credentials.uid);
}

static int
local_restrict_self(struct gpuvchan__link *link)
{
    (void)link;
    return 0;
}

static int
local_lane_join(struct gpuvchan__link *link, uint32_t lane, uint32_t doorbell)
{
    (void)link;
    (void)lane;
    (void)doorbell;
    return 0;
}

/* ---- Door ------------------------------------------------------------------------------------ */

struct local_door {
    struct gpuvchan__door door;
    int fd;
    char *path; /* to unlink; NULL: adopted */
    dev_t device;
    ino_t inode;
};

static const struct gpuvchan__door_ops door_ops;

static struct local_door *
door_of(const struct gpuvchan__door *door)
{
    return (struct local_door *)(uintptr_t)door;
}

static int
door_make(int fd, const char *path, struct gpuvchan__door **out)
{
    struct local_door *door = calloc(1, sizeof(*door));
    struct stat info;

    if (!door || (path && !(door->path = strdup(path)))) {
        free(door);
        return gpuvchan__error(-ENOMEM, "out of memory");
    }
    door->door.ops = &door_ops;
    door->fd = fd;
    if (path && stat(path, &info) == 0) {
        door->device = info.st_dev;
        door->inode = info.st_ino;
    }
    *out = &door->door;
    return 0;
}

/* A bound socket at @p path; replaces one that nobody listens on. */
static int
listen_at(const char *path)
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

static int
local_listen(const char *path, struct gpuvchan__door **out)
{
    int error, fd;

    if (!strchr(path, '/'))
        return gpuvchan__error(-EINVAL, "'%s' is no address: write local:/path/of/socket", path);
    fd = listen_at(path);
    if (fd < 0)
        return fd;
    error = door_make(fd, path, out);
    if (error != 0) {
        unlink(path);
        close(fd);
    }
    return error;
}

int
gpuvchan__local_adopt(int fd, struct gpuvchan__door **out)
{
    int type = 0, listening = 0;
    socklen_t size = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || type != SOCK_SEQPACKET || !listening)
        return gpuvchan__error(
            -EINVAL, "descriptor %d is not a listening seqpacket socket (ListenSequentialPacket= in systemd)", fd);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return gpuvchan__error(-errno, "descriptor %d cannot be made non-blocking: %s", fd, strerror(errno));
    return door_make(fd, NULL, out);
}

static int
door_fd(const struct gpuvchan__door *door)
{
    return door_of(door)->fd;
}

static int
door_accept(struct gpuvchan__door *door, int *fd, struct gpuvchan_peer *peer)
{
    struct ucred credentials = {.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1};
    socklen_t size = sizeof(credentials);
    int accepted = accept4(door_of(door)->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (accepted < 0)
        return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED
                   ? -EAGAIN
                   : gpuvchan__error(-errno, "cannot accept a guest: %s", strerror(errno));
    if (getsockopt(accepted, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
        int error = -errno;

        close(accepted);
        return gpuvchan__error(error, "cannot tell who connects: %s", strerror(-error));
    }
    *fd = accepted;
    *peer = (struct gpuvchan_peer){
        .domain = -1,
        .uid = credentials.uid,
        .gid = credentials.gid,
        .pid = credentials.pid,
    };
    return 0;
}

/* The worker sees its guest's socket close. */
static bool
door_alive(struct gpuvchan__door *door, const struct gpuvchan_peer *peer)
{
    (void)door;
    (void)peer;
    return true;
}

static void
door_nothing(struct gpuvchan__door *door, const struct gpuvchan_peer *peer)
{
    (void)door;
    (void)peer;
}

static void
door_close(struct gpuvchan__door *door)
{
    struct local_door *local = door_of(door);
    struct stat info;

    /* Only if it is still ours: another host may have taken the place over. */
    if (local->path && stat(local->path, &info) == 0 && info.st_dev == local->device && info.st_ino == local->inode)
        unlink(local->path);
    close(local->fd);
    free(local->path);
    free(local);
}

static const struct gpuvchan__door_ops door_ops = {
    .fd = door_fd,
    .accept = door_accept,
    .alive = door_alive,
    .claim = door_nothing,
    .release = door_nothing,
    .close = door_close,
};

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
        {.fd = l->rouse, .events = POLLIN}, /* -1 at a guest, which poll() passes over */
    };
    uint64_t count;
    int ready = poll(waiting, 4, timeout_ms);

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
        {.fd = l->wake, .events = POLLIN},
    };
    uint64_t count;
    char message[64];
    int ready = poll(waiting, 3, timeout_ms);
    ssize_t n;

    if (ready == 0)
        return -ETIME;
    if (ready < 0)
        return 0;
    if (waiting[1].revents)
        return -EPIPE;
    if (waiting[2].revents)
        (void)!read(l->wake, &count, sizeof(count));
    n = waiting[0].revents & POLLIN ? recv(l->socket, message, sizeof(message), MSG_DONTWAIT) : 0;
    if (n > 0) {
        answer(l, message, (size_t)n);
        return 0;
    }
    return waiting[0].revents & (POLLRDHUP | POLLHUP | POLLERR) ? -EPIPE : 0;
}

static void
local_shut(struct gpuvchan__link *link)
{
    static const uint64_t one = 1;

    (void)!write(local(link)->shut, &one, sizeof(one));
}

static void
local_wake_main(struct gpuvchan__link *link)
{
    static const uint64_t one = 1;

    (void)!write(local(link)->wake, &one, sizeof(one));
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
    .arena_bytes = 1ull << 30, /* address space: pages come when they are used */
    .arena_less = 256ull << 20,
    .lanes = 256,
    .command_bytes = 1u << 20,
    .reply_bytes = 64u << 10,
    .arena_grain = 2u << 20, /* a huge page, should the kernel back a memfd with such */
    .connect = local_connect,
    .shareable = local_shareable,
    .allocate = local_allocate,
    .greet = local_greet,
    .lane_open = local_lane_open,
    .listen = local_listen,
    .is_mine = local_is_mine,
    .refuse = local_refuse,
    .receive = local_receive,
    .identify = local_identify,
    .map = local_map,
    .welcome = local_welcome,
    .restrict_self = local_restrict_self,
    .lane_join = local_lane_join,
    .features = local_features,
    .ring = local_ring,
    .wait = local_wait,
    .ring_main = local_ring_main,
    .wait_main = local_wait_main,
    .shut = local_shut,
    .wake_main = local_wake_main,
    .heritage = &gpuvchan__local_heritage,
    .abandon = local_abandon,
    .fence_peer = local_fence_peer,
    .close = gpuvchan__local_close,
};
