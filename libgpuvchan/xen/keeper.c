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
 * has ended; or, should no supervisor be there, some time after the program. NODE.pages says how many pages
 * that are, for other programs of the domain, and goes last.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xenstore.h>

#define KEPT 3
#define LINGER_MS 30000

static bool
is_there(struct xs_handle *store, const char *node)
{
    unsigned length;
    char *value = xs_read(store, XBT_NULL, node, &length);
    int error = errno;

    free(value);
    return value || (error != ENOENT && error != EACCES);
}

/* From now on other programs may ask whether this process is still there. */
static void
sign(struct xs_handle *store, const char *node)
{
    char claim[160], text[32];
    unsigned length;
    char *pages;

    snprintf(claim, sizeof(claim), "%s.pages", node);
    pages = xs_read(store, XBT_NULL, claim, &length);
    if (!pages)
        return;
    snprintf(text, sizeof(text), "%lu %d", strtoul(pages, NULL, 10), (int)getpid());
    xs_write(store, XBT_NULL, claim, text, (unsigned)strlen(text));
    free(pages);
}

/* First the pages, then the claim to them. */
static void
give_back(struct xs_handle *store, const char *node)
{
    char claim[160];

    close(KEPT);
    snprintf(claim, sizeof(claim), "%s.pages", node);
    xs_rm(store, XBT_NULL, claim);
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
    sign(store, argv[1]);
    waiting[0].fd = xs_fileno(store);
    waiting[1].fd = (int)syscall(SYS_pidfd_open, atoi(argv[2]), 0);
    if (waiting[1].fd < 0)
        limit = LINGER_MS; /* it has ended already */
    while (is_there(store, argv[1])) {
        int ready = poll(waiting, 2, limit);

        if (ready == 0 && limit > 0)
            break;
        if (ready > 0 && waiting[0].revents)
            free(xs_check_watch(store));
        if (ready > 0 && waiting[1].revents) {
            waiting[1].fd = -1;
            limit = LINGER_MS;
        }
    }
    give_back(store, argv[1]);
    return 0;
}
