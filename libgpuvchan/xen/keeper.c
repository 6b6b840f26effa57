/* SPDX-License-Identifier: MIT */
/*
 * gpuvchan-keeper: keeps what a guest's program has granted until the host has unmapped it.
 *
 *     gpuvchan-keeper NODE PID      started by the library, with the grant device's file as descriptor 3
 *
 * A page that is unmapped by its owner while the host still maps it goes to a list of the kernel's, of which
 * it frees ten pages in a second: a killed program would take its domain's grants along for half an hour.
 * The file keeps the pages granted, whatever becomes of the program, and this process keeps the file. It
 * ends when the channel's node vanishes from xenstore, which the host's supervisor sees to once the worker
 * has ended; or, should no supervisor be there, some time after the program.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xenstore.h>

#define LINGER_MS 30000
#define GRACE_MS 1000 /* the host's kernel may unmap by a work queue, a little after its process has ended */

static bool
is_there(struct xs_handle *store, const char *node)
{
    unsigned length;
    char *value = xs_read(store, XBT_NULL, node, &length);
    int error = errno;

    free(value);
    return value || (error != ENOENT && error != EACCES);
}

int
main(int argc, char **argv)
{
    struct xs_handle *store;
    struct pollfd waiting[2] = {{.events = POLLIN}, {.events = POLLIN}};
    int limit = -1;

    if (argc != 3)
        return 1;
    /* The program waits for the first of the two processes only, and knows nothing of the second. */
    if (fork() != 0)
        return 0;
    prctl(PR_SET_NAME, "gpuvchan-keeper");
    store = xs_open(0);
    if (!store || !xs_watch(store, argv[1], "node"))
        return 1;
    waiting[0].fd = xs_fileno(store);
    waiting[1].fd = (int)syscall(SYS_pidfd_open, atoi(argv[2]), 0);
    if (waiting[1].fd < 0)
        limit = LINGER_MS; /* it has ended already */
    while (is_there(store, argv[1])) {
        int ready = poll(waiting, 2, limit);

        if (ready == 0 && limit > 0)
            return 0;
        if (ready > 0 && waiting[0].revents)
            free(xs_check_watch(store));
        if (ready > 0 && waiting[1].revents) {
            waiting[1].fd = -1;
            limit = LINGER_MS;
        }
    }
    poll(NULL, 0, GRACE_MS);
    return 0;
}
