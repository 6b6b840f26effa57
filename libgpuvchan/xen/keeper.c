/* SPDX-License-Identifier: MIT */
/*
 * gpuvchan-keeper: keeps what a guest's program shares until the host has unmapped it.
 *
 *     gpuvchan-keeper NODE PID PAGE PORT      started by the library, with descriptors
 *         3    the grant device's file that holds the vchan's page, at offset PAGE
 *         4    the vchan's event channel, PORT
 *         5    a socket, by which the program hands over its other event channels, and which closes with it
 *         6    the grant device's file that holds the region
 *
 * A page that its owner unmaps while the host still maps it goes to a list of the kernel's, of which it frees
 * ten pages in a second: a killed program would take its domain's grants along for half an hour. The file
 * keeps the pages granted, whatever becomes of the program, and this process keeps the file. When the program
 * ends it says so to the host, as the kernel would. It ends when the channel's node vanishes from xenstore,
 * which the host's supervisor sees to once the worker has ended; or, should no supervisor be there, some time
 * after the program. NODE.pages says how many pages that are, for other programs of the domain, and goes last.
 *
 * After a restore Linux cannot let go of event channels of before: it stops whoever closes one. So then this
 * process stays, and keeps them for as long as the domain lives. The region's pages are free to go.
 */
#include <errno.h>
#include <libxenvchan.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xenstore.h>

#define DEVICE 3
#define EVENT 4
#define PROGRAM 5
#define REGION 6
#define PAGE 4096
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

/* Is this domain still the one that the node is of? */
static bool
restored(struct xs_handle *store, const char *node)
{
    unsigned length;
    char *own = xs_read(store, XBT_NULL, "domid", &length);
    bool other = own && strtol(node + strlen("/local/domain/"), NULL, 10) != strtol(own, NULL, 10);

    free(own);
    return other;
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

    close(DEVICE);
    close(REGION);
    snprintf(claim, sizeof(claim), "%s.pages", node);
    xs_rm(store, XBT_NULL, claim);
}

/* The program has ended; if it closed the channel itself, this repeats what it said. */
static void
tell_host(off_t page, unsigned port)
{
    struct vchan_interface *vchan = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, DEVICE, page);
    struct ioctl_evtchn_notify notify = {.port = port};

    if (vchan == MAP_FAILED)
        return;
    vchan->srv_live = 0;
    ioctl(EVENT, IOCTL_EVTCHN_NOTIFY, &notify);
    munmap(vchan, PAGE);
}

/* Another event channel; the descriptor just stays open. False: the program has closed its end. */
static bool
take(void)
{
    char byte, room[CMSG_SPACE(sizeof(int))];
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};

    return recvmsg(PROGRAM, &message, MSG_DONTWAIT) > 0 || errno == EAGAIN || errno == EINTR;
}

int
main(int argc, char **argv)
{
    struct xs_handle *store;
    struct pollfd waiting[] = {{.events = POLLIN}, {.events = POLLIN}, {.fd = PROGRAM, .events = POLLIN}};
    bool alive = true;

    if (argc != 5)
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
    while (is_there(store, argv[1])) {
        bool ended = alive && waiting[1].fd < 0;
        int ready = ended ? 1 : poll(waiting, 3, alive ? -1 : LINGER_MS);

        if (ready == 0)
            break;
        if (ready > 0 && waiting[0].revents)
            free(xs_check_watch(store));
        if (ready > 0 && alive && (ended || waiting[1].revents || (waiting[2].revents && !take()))) {
            alive = false;
            waiting[1].fd = waiting[2].fd = -1;
            if (!restored(store, argv[1]))
                tell_host(atol(argv[3]), (unsigned)strtoul(argv[4], NULL, 10));
        }
    }
    if (restored(store, argv[1])) {
        close(REGION);
        for (;;)
            pause();
    }
    give_back(store, argv[1]);
    return 0;
}
