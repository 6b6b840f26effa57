/* SPDX-License-Identifier: MIT */
/* The host's listening side: where guests knock. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gpuvchan/gpuvchan.h>

#include "error.h"
#include "transport_local.h"

struct gpuvchan_listener {
    int fd;
    char *path; /* to unlink; NULL: adopted */
    dev_t device;
    ino_t inode;
};

static int
listener_make(int fd, const char *path, struct gpuvchan_listener **out)
{
    struct gpuvchan_listener *listener = calloc(1, sizeof(*listener));
    struct stat info;

    if (!listener || (path && !(listener->path = strdup(path)))) {
        free(listener);
        return gpuvchan__error(-ENOMEM, "out of memory");
    }
    listener->fd = fd;
    if (path && stat(path, &info) == 0) {
        listener->device = info.st_dev;
        listener->inode = info.st_ino;
    }
    *out = listener;
    return 0;
}

int
gpuvchan_listener_create(const char *address, struct gpuvchan_listener **out)
{
    const char *path = strncmp(address, "local:", 6) == 0 ? address + 6 : address;
    int fd, error;

    if (!strchr(path, '/'))
        return gpuvchan__error(-EINVAL, "'%s' is no address: write local:/path/of/socket", address);
    fd = gpuvchan__local_listen(path);
    if (fd < 0)
        return fd;
    error = listener_make(fd, path, out);
    if (error != 0) {
        unlink(path);
        close(fd);
    }
    return error;
}

int
gpuvchan_listener_adopt(int fd, struct gpuvchan_listener **out)
{
    int type = 0, listening = 0;
    socklen_t size = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || type != SOCK_SEQPACKET || !listening)
        return gpuvchan__error(
            -EINVAL, "descriptor %d is not a listening seqpacket socket (ListenSequentialPacket= in systemd)", fd);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return gpuvchan__error(-errno, "descriptor %d cannot be made non-blocking: %s", fd, strerror(errno));
    return listener_make(fd, NULL, out);
}

int
gpuvchan_listener_fd(const struct gpuvchan_listener *listener)
{
    return listener->fd;
}

void
gpuvchan_listener_destroy(struct gpuvchan_listener *listener)
{
    struct stat info;

    if (!listener)
        return;
    /* Only if it is still ours: another host may have taken the place over. */
    if (listener->path && stat(listener->path, &info) == 0 && info.st_dev == listener->device &&
        info.st_ino == listener->inode)
        unlink(listener->path);
    close(listener->fd);
    free(listener->path);
    free(listener);
}

int
gpuvchan_listener_accept(struct gpuvchan_listener *listener, int *fd, struct gpuvchan_peer *peer)
{
    struct ucred credentials = {.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1};
    socklen_t size = sizeof(credentials);
    int accepted = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

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
