/* SPDX-License-Identifier: MIT */
/* gpuvchanctl renew: asks workers to go on as programs started anew, and says how it went. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../renewal_status.h"
#include "files.h"

#define LOOK_MS 20

static void
help(void)
{
    puts("Usage: gpuvchanctl renew PID...\n"
         "       gpuvchanctl renew all\n\n"
         "Moves guest processes to fresh workers, after plugins or a driver's libraries were upgraded. A\n"
         "worker goes on as the program started anew, with the same process number, and what its guest\n"
         "has there is carried over. The guest's program notices a pause. Where that cannot be, the worker\n"
         "says why, and serves on.\n\n"
         "PID is the process number of a worker (pgrep gpuvchan-worker), and 'all' are those of this system.\n"
         "For root.\n\n"
         "Options:\n"
         "  -h, --help  print this and exit");
}

/* Has a process the file of a worker? Nobody else than root may see that. */
static bool
is_worker(const struct ctl *ctl, const char *pid)
{
    char link[64];

    file_link(ctl, link, sizeof(link), "/proc/%s/fd/%d", pid, RENEWAL_STATUS_FD);
    return strncmp(link, "memfd:" RENEWAL_STATUS_NAME, strlen("memfd:" RENEWAL_STATUS_NAME)) == 0;
}

/* How many requests it has answered, and the last answer. */
static unsigned long
read_status(int status, char words[RENEWAL_STATUS_BYTES])
{
    char text[RENEWAL_STATUS_BYTES + 1] = "";
    ssize_t bytes = pread(status, text, RENEWAL_STATUS_BYTES, 0);
    unsigned long answered = bytes > RENEWAL_STATUS_DIGITS ? strtoul(text, NULL, 10) : 0;

    snprintf(words, RENEWAL_STATUS_BYTES, "%s", bytes > RENEWAL_STATUS_DIGITS ? text + RENEWAL_STATUS_DIGITS + 1 : "");
    return answered;
}

/* It may take as long as its plugins do. @return false: it has ended. */
static bool
await_answer(int process, int status, unsigned long before, char words[RENEWAL_STATUS_BYTES])
{
    struct pollfd end = {.fd = process, .events = POLLIN};

    while (read_status(status, words) == before)
        if (poll(&end, 1, LOOK_MS) > 0)
            return read_status(status, words) != before;
    return true;
}

static bool
ask(const char *pid, int process, int status)
{
    char words[RENEWAL_STATUS_BYTES];
    unsigned long before = read_status(status, words);

    if (syscall(SYS_pidfd_send_signal, process, SIGUSR2, NULL, 0) != 0) {
        complain("worker %s: cannot be asked: %s", pid, strerror(errno));
        return false;
    }
    if (!await_answer(process, status, before, words)) {
        complain("worker %s has ended: see the log of gpuvchan-host", pid);
        return false;
    }
    if (strcmp(words, RENEWAL_STATUS_DONE) != 0) {
        complain("worker %s is not renewed: %s", pid, words);
        return false;
    }
    printf("worker %s is renewed\n", pid);
    return true;
}

static bool
renew(const struct ctl *ctl, const char *pid)
{
    int process = (int)syscall(SYS_pidfd_open, atoi(pid), 0);
    char name[PATH_MAX];
    int status = -1;
    bool done = false;

    file_name(ctl, name, "/proc/%s/fd/%d", pid, RENEWAL_STATUS_FD);
    if (process >= 0 && is_worker(ctl, pid))
        status = open(name, O_RDONLY | O_CLOEXEC);
    if (status < 0)
        complain("process %s is no worker of gpuvchan-host%s", pid,
                 geteuid() != 0 ? ", or only root may see that it is. Do: run it by sudo" : "");
    else
        done = ask(pid, process, status);
    if (status >= 0)
        close(status);
    if (process >= 0)
        close(process);
    return done;
}

static bool
renew_all(const struct ctl *ctl)
{
    char **names = file_names(ctl, "/proc");
    unsigned found = 0, done = 0;

    for (size_t i = 0; names[i]; i++)
        if (strspn(names[i], "0123456789") == strlen(names[i]) && is_worker(ctl, names[i])) {
            found++;
            done += renew(ctl, names[i]);
        }
    names_free(names);
    if (found == 0)
        printf("there are no workers%s\n", geteuid() != 0 ? " that this user may see" : "");
    return done == found;
}

int
renew_command(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {CTL_OPTIONS, {0}};
    bool done = true;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            help();
            return 0;
        }
        if (option != CTL_OPTION_ROOT)
            return 1;
        ctl->root = optarg;
    }
    if (optind == argc) {
        complain("renew: whom? The process number of a worker, or 'all'");
        return 1;
    }
    for (int i = optind; i < argc; i++)
        if (strcmp(argv[i], "all") != 0 && (strspn(argv[i], "0123456789") != strlen(argv[i]) || atoi(argv[i]) <= 0)) {
            complain("renew: '%s' is neither a process number nor 'all'", argv[i]);
            return 1;
        }
    for (int i = optind; i < argc; i++)
        done = (strcmp(argv[i], "all") == 0 ? renew_all(ctl) : renew(ctl, argv[i])) && done;
    return done ? 0 : 1;
}
