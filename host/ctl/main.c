/* SPDX-License-Identifier: MIT */
/* gpuvchanctl: the administrator's tool. Here: which command is meant, and help. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gpuvchan/gpuvchan.h>

#include "ctl.h"

/* A new command is a line here and a function. Each has help of its own. */
static const struct command {
    const char *name;
    ctl_command *run;
    const char *help;
} commands[] = {
    {"doctor", doctor_command, "check this system, and say what to do about what is missing"},
    {"pci", pci_command, "give a GPU to a driver domain, and take it back"},
    {"renew", renew_command, "move guest processes to fresh workers, after an upgrade"},
};

#define COUNT (sizeof(commands) / sizeof(commands[0]))

void
complain(const char *format, ...)
{
    va_list list;

    fputs("gpuvchanctl: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
}

/* ---- Words ----------------------------------------------------------------------------------- */

#define WORD 24

/* Letters to insert, remove or replace until one word is the other. */
static size_t
distance(const char *a, const char *b)
{
    size_t row[WORD + 1], length = strlen(b);

    if (length > WORD)
        return WORD;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 1; j <= length; j++) {
            size_t replaced = diagonal + (a[i] != b[j - 1]);
            size_t best = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = best < replaced ? best : replaced;
        }
    }
    return row[length];
}

const char *
closest_word(const char *word, const char *const *words)
{
    const char *best = NULL;
    size_t least = strlen(word) / 3 + 2;

    for (size_t i = 0; words[i]; i++) {
        size_t d = strncmp(words[i], word, strlen(word)) == 0 ? 0 : distance(word, words[i]);

        if (d < least) {
            least = d;
            best = words[i];
        }
    }
    return best;
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void
help(void)
{
    puts("Usage: gpuvchanctl COMMAND [OPTIONS]\n\n"
         "Looks after GPUs that guests share by gpuvchan-host.\n\n"
         "Commands:");
    for (size_t i = 0; i < COUNT; i++)
        printf("  %-10s  %s\n", commands[i].name, commands[i].help);
    puts("  help        print this, or the help of a command\n\n"
         "Options:\n"
         "  -h, --help     as the command help\n"
         "  -V, --version  print the version and exit\n\n"
         "'gpuvchanctl COMMAND --help' tells more; the manual page is gpuvchanctl(8).");
}

static const struct command *
find_command(const char *name)
{
    const char *names[COUNT + 2] = {"help"};
    const char *closest;

    for (size_t i = 0; i < COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
        names[i + 1] = commands[i].name;
    }
    closest = closest_word(name, names);
    if (closest)
        complain("there is no command '%s'; did you mean '%s'?", name, closest);
    else
        complain("there is no command '%s'; 'gpuvchanctl help' lists them", name);
    return NULL;
}

void
name_command(char **argv, const char *before)
{
    static char names[2][64];
    static unsigned used;
    char *name = names[used++ % 2];

    snprintf(name, sizeof(names[0]), "%.40s %.20s", before, argv[0]);
    argv[0] = name;
    optind = 0;
}

static int
help_command(struct ctl *ctl, int argc, char **argv)
{
    const struct command *command;
    char *arguments[] = {argc > 1 ? argv[1] : NULL, "--help", NULL};

    if (argc < 2) {
        help();
        return 0;
    }
    command = find_command(argv[1]);
    if (!command)
        return 1;
    name_command(arguments, "gpuvchanctl");
    return command->run(ctl, 2, arguments);
}

static int
run_command(struct ctl *ctl, int argc, char **argv)
{
    const struct command *command;

    if (strcmp(argv[0], "help") == 0)
        return help_command(ctl, argc, argv);
    command = find_command(argv[0]);
    if (!command)
        return 1;
    name_command(argv, "gpuvchanctl");
    return command->run(ctl, argc, argv);
}

/* xl and modprobe lie where the PATH of an ordinary user does not lead. */
static void
extend_path(void)
{
    const char *path = getenv("PATH");
    char *longer;

    if (asprintf(&longer, "%s:/usr/local/sbin:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin") < 0)
        abort();
    setenv("PATH", longer, 1);
    free(longer);
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {CTL_OPTIONS, {"version", no_argument, NULL, 'V'}, {0}};
    struct ctl ctl = {.root = ""};
    int option;

    setvbuf(stdout, NULL, _IOLBF, 0);
    extend_path();
    while ((option = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
        switch (option) {
        case 'h':
            help();
            return 0;
        case 'V':
            puts("gpuvchanctl " GPUVCHAN_VERSION);
            return 0;
        case CTL_OPTION_ROOT:
            ctl.root = optarg;
            break;
        default:
            return 1;
        }
    }
    if (optind == argc) {
        complain("a command is missing; 'gpuvchanctl help' lists them");
        return 1;
    }
    return run_command(&ctl, argc - optind, argv + optind);
}
