/* SPDX-License-Identifier: MIT */
/* The socket in the file system: its folder, its permissions and its group. */
#include "listen.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The path of a local address, or NULL. */
static const char *
socket_path(const char *address)
{
    const char *path = strncmp(address, "local:", 6) == 0 ? address + 6 : address;

    return path[0] == '/' ? path : NULL;
}

static void
make_folder(const char *path)
{
    char folder[256];
    const char *slash = strrchr(path, '/');

    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
    if (folder[0] && mkdir(folder, geteuid() == 0 ? 0755 : 0700) == 0)
        gpuvchan_log(GPUVCHAN_LOG_DEBUG, "made the folder %s", folder);
}

static int
give_to_group(const char *path, const char *name)
{
    char *end;
    unsigned long id = strtoul(name, &end, 10);
    const struct group *group = *end ? getgrnam(name) : NULL;
    int error;

    if (*end && !group) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "socket-group: there is no group '%s'", name);
        return -EINVAL;
    }
    if (lchown(path, (uid_t)-1, group ? group->gr_gid : (gid_t)id) != 0) {
        error = errno;
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "socket-group: cannot give %s to group '%s': %s", path, name, strerror(error));
        return -error;
    }
    return 0;
}

/* The socket is never open wider than it should be: the mask applies from its first moment. */
int
host_listen(const char *address, const struct host_options *options, struct gpuvchan_listener **out)
{
    const char *path = socket_path(address);
    mode_t mask;
    int result;

    if (path)
        make_folder(path);
    mask = umask((mode_t)~options->socket_mode & 0777);
    result = gpuvchan_listener_create(address, out);
    umask(mask);
    if (result != 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "cannot listen at %s: %s", address, gpuvchan_error_text());
        return result;
    }
    if (path && options->socket_group[0])
        result = give_to_group(path, options->socket_group);
    if (path && result == 0 && chmod(path, (mode_t)options->socket_mode) != 0) {
        result = -errno;
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "socket-mode: %s: %s", path, strerror(-result));
    }
    if (result != 0) {
        gpuvchan_listener_destroy(*out);
        return result;
    }
    gpuvchan_log(GPUVCHAN_LOG_INFO, "listens at %s", address);
    return 0;
}
