/* SPDX-License-Identifier: MIT */
/* --run: a command as the host's guest, whose end is the host's end. */
#ifndef HOST_CAPTIVE_H
#define HOST_CAPTIVE_H

#include <sys/types.h>

struct captive {
    pid_t pid;       /* 0: not running */
    int status;      /* as wait() gave it, once it has ended */
    char folder[96]; /* of the private socket; "": the address was given */
};

/** Makes a private folder and *@p address in it, which the caller frees. @return 0 or -errno. */
int captive_prepare(struct captive *captive, char **address);

/** Starts @p command with GPUVCHAN_ADDRESS set. @return 0 or -errno. */
int captive_start(struct captive *captive, const char *command, const char *address);

/** Removes the private folder. */
void captive_finish(struct captive *captive);

/** The exit status that stands for a wait() status, as a shell gives it. */
int captive_exit_status(int status);

#endif
