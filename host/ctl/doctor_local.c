/* SPDX-License-Identifier: MIT */
/* The doctor on the local transport: a Unix socket, a memory file, and the kernel's memory barriers. */
#include <errno.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "doctor.h"
#include "files.h"

/* The socket that a guest's program would take, or the one that it would look for last. */
static void
socket_name(const struct doctor *doctor, char name[PATH_MAX])
{
    const char *address = getenv("GPUVCHAN_ADDRESS"), *runtime = getenv("XDG_RUNTIME_DIR");

    if (address && strncmp(address, "local:", 6) == 0)
        address += 6;
    if (address && address[0] == '/') {
        file_name(doctor->ctl, name, "%s", address);
        return;
    }
    if (runtime && runtime[0] == '/' && file_exists(doctor->ctl, "%s/gpuvchan/host.sock", runtime))
        file_name(doctor->ctl, name, "%s/gpuvchan/host.sock", runtime);
    else
        file_name(doctor->ctl, name, "/run/gpuvchan/host.sock");
}

/* 0 or -errno. */
static int
try_connect(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, error = 0;

    if (strlen(name) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, name);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        error = -errno;
    close(fd);
    return error;
}

static void
check_socket(struct doctor *doctor)
{
    char name[PATH_MAX];
    int error;

    socket_name(doctor, name);
    error = try_connect(name);
    if (error == 0)
        report_ok(&doctor->report, "socket", "a gpuvchan-host listens at %s", name);
    else if (error == -EACCES)
        report_fail(
            &doctor->report, "socket",
            "you may not open %s. Do: start the host with --socket-group=GROUP and join that group (usermod -aG "
            "GROUP USER), or with --socket-mode=0666",
            name);
    else if (error == -ECONNREFUSED)
        report_warn(&doctor->report, "socket", "nobody listens at %s any more. Do: gpuvchan-host --daemon", name);
    else if (error == -ENOENT)
        report_warn(&doctor->report, "socket",
                    "no gpuvchan-host listens at %s. Do: gpuvchan-host --daemon, or: systemctl enable --now "
                    "gpuvchan-host.socket",
                    name);
    else
        report_warn(&doctor->report, "socket", "%s: %s. Do: look what GPUVCHAN_ADDRESS says", name, strerror(-error));
}

static void
check_memory(struct doctor *doctor)
{
    int fd = memfd_create("gpuvchan-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0)
        report_ok(&doctor->report, "shared memory", "memfd_create works");
    else
        report_fail(&doctor->report, "shared memory",
                    "memfd_create: %s. Do: use Linux 3.17 or later, and a container's seccomp profile that allows it",
                    strerror(errno));
    if (fd >= 0)
        close(fd);
}

/* With it a post needs no fence of its own before it looks whether the host sleeps. */
static void
check_membarrier(struct doctor *doctor)
{
    long commands = syscall(__NR_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

    if (commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED))
        report_ok(&doctor->report, "membarrier", "works");
    else
        report_warn(
            &doctor->report, "membarrier",
            "not available, so posts take some nanoseconds more. Do: use Linux 4.16 or later, and a container's "
            "seccomp profile that allows it");
}

void
doctor_local(struct doctor *doctor)
{
    check_socket(doctor);
    check_memory(doctor);
    check_membarrier(doctor);
}
