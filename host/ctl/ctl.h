/* SPDX-License-Identifier: MIT */
/* What the commands of gpuvchanctl share. */
#ifndef GPUVCHAN_CTL_H
#define GPUVCHAN_CTL_H

#include <getopt.h>

struct ctl {
    const char *root; /* stands before every path of /sys, /proc, /dev and /run: "", or a folder of a test */
};

/* Each takes its name as argv[0], and returns the exit status. */
typedef int ctl_command(struct ctl *ctl, int argc, char **argv);
ctl_command doctor_command, pci_command, renew_command;

/* Options of every command: values beyond those of a char. */
enum {
    CTL_OPTION_ROOT = 256,
    CTL_OPTION_OWN
};
#define CTL_OPTIONS                                      \
    {"help", no_argument, NULL, 'h'},                    \
    {                                                    \
        "root", required_argument, NULL, CTL_OPTION_ROOT \
    }

/* Makes the whole name of argv[0], which getopt_long puts before its complaints, and has it start anew. */
void name_command(char **argv, const char *before);

/* To stderr, with the program's name and a line's end. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

/* The word that is most like this one, or NULL; the list ends with NULL. */
const char *closest_word(const char *word, const char *const *words);

#endif
