/* SPDX-License-Identifier: MIT
 *
 * xen-call: has a guest's xen-agent run commands; rig.h tells how they speak.
 *
 *     xen-call [-t SECONDS] GUEST ping              waits until it answers
 *     xen-call [-t SECONDS] GUEST run COMMAND       runs it to its end: its output, its exit status
 *     xen-call [-t SECONDS] GUEST spawn JOB COMMAND starts it
 *     xen-call [-t SECONDS] GUEST wait JOB          waits for its end, as run does
 *     xen-call [-t SECONDS] GUEST output JOB        what it has printed so far
 *     xen-call [-t SECONDS] GUEST state JOB         prints none, running or exited
 *     xen-call [-t SECONDS] GUEST kill JOB SIGNAL   to the job's process group
 *
 * GUEST is a name. A command that is not done in time is killed, and the exit status is 124; it is 125 when the
 * guest does not answer, and 126 when it is not there or has crashed.
 */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenstore.h>

enum { LATE = 124, SILENT = 125, GONE = 126 };

enum { ANSWER = 60 }; /* seconds that an answer may take, at least */

struct reply {
    char word[16];
    long first, second;
};

static struct xs_handle *store;
static xc_interface *control;
static const char *guest;
static char home[64]; /* /local/domain/ID/rig */
static int home_domid = -1;
static int lock = -1;
static time_t deadline;

static void __attribute__((format(printf, 2, 3), noreturn))
quit(int status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "xen-call: %s: ", guest);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(status);
}

static time_t
now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec;
}

static char *
node(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", home, name);
    return path;
}

/* The guest may write it, and it counts as Dom0's. Left alone if it exists: the guest may be using it. */
static void
node_make(int domid, const char *name)
{
    struct xs_permissions permissions[2] = {
        {.id = 0, .perms = XS_PERM_NONE}, {.id = domid, .perms = XS_PERM_READ | XS_PERM_WRITE}};
    unsigned bytes;
    char *value = xs_read(store, XBT_NULL, node(name), &bytes);

    if (!value)
        xs_write(store, XBT_NULL, node(name), "", 0);
    free(value);
    xs_set_permissions(store, XBT_NULL, node(name), permissions, 2);
}

static int
find(void)
{
    char path[64], **ids;
    unsigned count = 0, bytes;
    int found = -1;

    ids = xs_directory(store, XBT_NULL, "/local/domain", &count);
    if (!ids)
        quit(SILENT, "xenstore cannot be read: %s", strerror(errno));
    for (unsigned i = 0; i < count && found < 0; i++) {
        char *name;

        snprintf(path, sizeof(path), "/local/domain/%.10s/name", ids[i]);
        name = xs_read(store, XBT_NULL, path, &bytes);
        if (name && !strcmp(name, guest))
            found = atoi(ids[i]);
        free(name);
    }
    free(ids);
    return found;
}

/* Where the guest is now: another domain after a restore. Ends the program if it is no more. */
static void
locate(void)
{
    xc_dominfo_t info;
    int domid = find();

    if (domid < 0)
        quit(GONE, "there is no such guest");
    if (xc_domain_getinfo(control, domid, 1, &info) != 1 || (int)info.domid != domid)
        quit(GONE, "domain %d is no more", domid);
    /* While it is saved it is shut down, too. */
    if (info.dying || info.crashed || (info.shutdown && info.shutdown_reason != SHUTDOWN_suspend))
        quit(GONE, "the guest has %s", info.crashed ? "crashed" : "ended");
    if (domid == home_domid)
        return;
    home_domid = domid;
    snprintf(home, sizeof(home), "/local/domain/%d/rig", domid);
    node_make(domid, "request");
    node_make(domid, "reply");
    node_make(domid, "event");
    for (int i = 0; i < RIG_PIECES; i++) {
        char name[16];

        snprintf(name, sizeof(name), "data/%d", i);
        node_make(domid, name);
    }
    xs_watch(store, node("reply"), "");
    xs_watch(store, node("event"), "");
}

/* Until something has changed, or a second has gone by, should a watch ever be lost. */
static void
doze(void)
{
    struct pollfd wait = {.fd = xs_fileno(store), .events = POLLIN};
    char **what;

    poll(&wait, 1, 1000);
    while ((what = xs_check_watch(store)))
        free(what);
}

static int
answered(const char *number, struct reply *reply)
{
    char got[40];
    unsigned bytes;
    char *text = xs_read(store, XBT_NULL, node("reply"), &bytes);
    int fits = text && sscanf(text, "%39s %15s %ld %ld", got, reply->word, &reply->first, &reply->second) == 4 &&
        !strcmp(got, number);

    free(text);
    return fits;
}

/* One request, with the lock held. */
static struct reply
ask(const char *operation, const char *job, long value, const char *data, size_t bytes)
{
    static unsigned count;
    char number[40], request[2048];
    struct reply reply;
    time_t again = 0, late = now() + ANSWER;
    int length;

    /* A request on its own may take long, whatever is left of the time for the command. */
    if (late < deadline)
        late = deadline;

    snprintf(number, sizeof(number), "%d.%ld.%u", getpid(), (long)now(), ++count);
    length = snprintf(request, sizeof(request), "%s %s %s %ld\n", number, operation, job, value);
    memcpy(request + length, data, bytes);
    do {
        int before = home_domid;

        locate();
        if (now() >= again || before != home_domid) {
            xs_write(store, XBT_NULL, node("request"), request, length + bytes);
            again = now() + 10;
        }
        if (answered(number, &reply))
            return reply;
        doze();
    } while (now() < late);
    quit(SILENT, "no answer to '%s'", operation);
}

static void
locked(int how)
{
    while (flock(lock, how) && errno == EINTR)
        ;
}

static struct reply
call(const char *operation, const char *job, long value)
{
    struct reply reply;

    locked(LOCK_EX);
    reply = ask(operation, job, value, "", 0);
    locked(LOCK_UN);
    return reply;
}

static void
spawn(const char *job, const char *command)
{
    size_t bytes = strlen(command);
    struct reply reply;

    locked(LOCK_EX);
    for (size_t at = 0; at == 0 || at < bytes; at += RIG_PIECE - 128) {
        size_t some = bytes - at < RIG_PIECE - 128 ? bytes - at : RIG_PIECE - 128;

        reply = ask("write", job, (long)at, command + at, some);
        if (strcmp(reply.word, "ok"))
            quit(SILENT, "cannot write the script of '%s': %s", job, strerror((int)reply.first));
    }
    reply = ask("start", job, 0, "", 0);
    locked(LOCK_UN);
    if (strcmp(reply.word, "ok"))
        quit(SILENT, "cannot start '%s': %s", job, strerror((int)reply.first));
}

/* The reply and its data nodes belong together: the lock is held over both. */
static void
output(const char *job)
{
    long at = 0, got;

    do {
        locked(LOCK_EX);
        got = ask("read", job, at, "", 0).first;
        for (unsigned done = 0, i = 0; done < got; i++) {
            char name[16];
            unsigned bytes = 0;
            char *piece;

            snprintf(name, sizeof(name), "data/%u", i);
            piece = xs_read(store, XBT_NULL, node(name), &bytes);
            if (!piece || bytes == 0)
                quit(SILENT, "its output cannot be read");
            fwrite(piece, 1, bytes, stdout);
            free(piece);
            done += bytes;
        }
        locked(LOCK_UN);
        at += got;
    } while (got > 0);
    fflush(stdout);
    if (got < 0)
        quit(SILENT, "its output cannot be read");
}

static int
finish(const char *job)
{
    struct reply reply;
    int status;

    for (;;) {
        reply = call("state", job, 0);
        if (strcmp(reply.word, "running") || now() >= deadline)
            break;
        locate();
        doze();
    }
    if (!strcmp(reply.word, "none"))
        quit(SILENT, "there is no job '%s'", job);
    status = (int)reply.second;
    if (!strcmp(reply.word, "running")) {
        fprintf(stderr, "xen-call: %s: '%s' is not done in time, and is killed\n", guest, job);
        call("kill", job, 9);
        status = LATE;
    }
    output(job);
    call("forget", job, 0);
    return status;
}

static int
usage(void)
{
    fputs("usage: xen-call [-t SECONDS] GUEST ping | run COMMAND | spawn JOB COMMAND | wait JOB | output JOB |"
          " state JOB | kill JOB SIGNAL\n", stderr);
    return 2;
}

int
main(int argc, char **argv)
{
    long seconds = 60;
    char path[128], job[RIG_JOB];
    const char *verb;

    if (argc > 2 && !strcmp(argv[1], "-t")) {
        seconds = atol(argv[2]);
        argc -= 2;
        argv += 2;
    }
    if (argc < 3)
        return usage();
    guest = argv[1];
    verb = argv[2];
    deadline = now() + seconds;
    snprintf(path, sizeof(path), "/run/xen-call.%.64s", guest);
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    store = xs_open(0);
    control = xc_interface_open(NULL, NULL, 0);
    if (lock < 0 || !store || !control)
        quit(SILENT, "no xenstore or no Xen: %s", strerror(errno));
    locate();

    if (!strcmp(verb, "ping")) {
        call("ping", "-", 0);
    } else if (!strcmp(verb, "run") && argc == 4) {
        snprintf(job, sizeof(job), "run.%d.%ld", getpid(), (long)now());
        spawn(job, argv[3]);
        return finish(job);
    } else if (!strcmp(verb, "spawn") && argc == 5) {
        spawn(argv[3], argv[4]);
    } else if (!strcmp(verb, "wait") && argc == 4) {
        return finish(argv[3]);
    } else if (!strcmp(verb, "output") && argc == 4) {
        output(argv[3]);
    } else if (!strcmp(verb, "state") && argc == 4) {
        puts(call("state", argv[3], 0).word);
    } else if (!strcmp(verb, "kill") && argc == 5) {
        return strcmp(call("kill", argv[3], atol(argv[4])).word, "ok") != 0;
    } else {
        return usage();
    }
    return 0;
}
