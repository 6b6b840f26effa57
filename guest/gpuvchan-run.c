/* SPDX-License-Identifier: MIT */
/*
 * gpuvchan-run: starts an unmodified program so that it finds our libcuda.so.1 and its like before any
 * other, and our OpenGL, and the host that it is to use. Everything travels in the environment; the program replaces
 * this one.
 */
#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gpuvchan/gpuvchan.h>
#include <gpuvchan/plugin.h>

/* env(1)'s exit statuses. */
enum {
    EXIT_OWN = 125,
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NOT_FOUND = 127
};

struct run_option {
    const char *name;
    char letter;
    const char *argument;
    const char *variable; /* set to the argument, or to value */
    const char *value;
    const char *help;
};

static const struct run_option options[] = {
    {"address", 'a', "ADDR", "GPUVCHAN_ADDRESS", NULL, "socket of the host: PATH or local:PATH"},
    {"arena", 0, "SIZE", "GPUVCHAN_ARENA", NULL, "memory shared with the host for bulk data; K, M, G are understood"},
    {"sync", 's', NULL, "GPUVCHAN_SYNC", "1", "wait for each command: errors come from the call that caused them"},
    {"trace", 't', NULL, "GPUVCHAN_LOG", "debug", "as --log-level=debug"},
    {"stats", 0, NULL, "GPUVCHAN_STATS", "1", "print at the end what was sent to the host, and how long was waited"},
    {"log-level", 0, "LEVEL", "GPUVCHAN_LOG", NULL,
     "error, warning, info or debug; what the libraries write to stderr"},
    {"no-check", 'n', NULL, NULL, NULL, "start the program without trying first whether a host answers"},
    {"print-env", 'e', NULL, NULL, NULL, "print the environment for a shell to read, and exit"},
    {"help", 'h', NULL, NULL, NULL, "print this and exit"},
    {"version", 'V', NULL, NULL, NULL, "print the version and exit"},
};

#define OPTIONS (sizeof(options) / sizeof(options[0]))

static bool no_check, print_env;

static void
help(void)
{
    puts("Usage: gpuvchan-run [OPTIONS] PROGRAM [ARGUMENTS...]\n\n"
         "Runs a program on the GPU of a host: with gpuvchan's libcuda.so.1, OpenGL and the like, through "
         "gpuvchan-host.\n");
    for (size_t i = 0; i < OPTIONS; i++)
        printf("  %c%c%s --%s%s%-*s %s\n", options[i].letter ? '-' : ' ', options[i].letter ? options[i].letter : ' ',
               options[i].letter ? "," : " ", options[i].name, options[i].argument ? "=" : "",
               18 - (int)strlen(options[i].name) - (options[i].argument ? 1 : 0),
               options[i].argument ? options[i].argument : "", options[i].help);
    puts("\nThe exit status is the program's, or 125: no host or bad usage, 126: the program cannot be executed,\n"
         "127: it was not found. See gpuvchan-run(1).");
}

/* ---- Options --------------------------------------------------------------------------------- */

static int
check_argument(const struct run_option *option, const char *argument)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    uint64_t bytes;
    bool known = strcmp(option->name, "log-level") != 0;

    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        known |= strcmp(levels[i], argument) == 0;
    if (!known)
        fprintf(stderr, "gpuvchan-run: --log-level: '%s' is none of error, warning, info, debug\n", argument);
    else if (strcmp(option->name, "arena") == 0 && (gpuvchan_parse_size(argument, &bytes) != 0 || bytes == 0))
        fprintf(stderr, "gpuvchan-run: --arena: '%s' is no size; write for instance 512M\n", argument);
    else if (argument[0] == '\0')
        fprintf(stderr, "gpuvchan-run: --%s: the argument is empty\n", option->name);
    else
        return 0;
    return EXIT_OWN;
}

static int
apply(const struct run_option *option, const char *argument)
{
    if (argument && check_argument(option, argument) != 0)
        return EXIT_OWN;
    if (option->variable)
        setenv(option->variable, argument ? argument : option->value, 1);
    else if (strcmp(option->name, "no-check") == 0)
        no_check = true;
    else if (strcmp(option->name, "print-env") == 0)
        print_env = true;
    else {
        if (strcmp(option->name, "help") == 0)
            help();
        else
            printf("gpuvchan-run %s (libgpuvchan %s)\n", GPUVCHAN_VERSION, gpuvchan_version());
        exit(0);
    }
    return 0;
}

/* Our own options end at the program: what follows is its. */
static int
parse(int argc, char **argv)
{
    struct option longs[OPTIONS + 1] = {0};
    char shorts[2 * OPTIONS + 3] = "+";
    char *letter = shorts + 1;
    int code;

    for (size_t i = 0; i < OPTIONS; i++) {
        longs[i] =
            (struct option){options[i].name, options[i].argument ? required_argument : no_argument, NULL, 256 + (int)i};
        if (options[i].letter) {
            *letter++ = options[i].letter;
            if (options[i].argument)
                *letter++ = ':';
        }
    }
    while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        size_t i = (size_t)code - 256;

        if (code == '?') {
            fputs("Try 'gpuvchan-run --help'.\n", stderr);
            return EXIT_OWN;
        }
        for (size_t k = 0; code < 256 && k < OPTIONS; k++)
            if (options[k].letter == code)
                i = k;
        if (apply(&options[i], options[i].argument ? optarg : NULL) != 0)
            return EXIT_OWN;
    }
    return 0;
}

/* ---- Environment ----------------------------------------------------------------------------- */

/* ../lib/gpuvchan/guest beside this binary's folder: a build tree, or an installation moved as a whole. */
static const char *
guest_folder(char *buffer)
{
    char path[PATH_MAX];
    ssize_t bytes = readlink("/proc/self/exe", path, sizeof(path) - 40);

    if (bytes > 0) {
        path[bytes] = '\0';
        strcpy(strrchr(path, '/'), "/../lib/gpuvchan/guest");
        if (access(path, R_OK | X_OK) == 0 && realpath(path, buffer))
            return buffer;
    }
    return GPUVCHAN_GUESTLIBDIR;
}

static void
set_library_path(const char *folder)
{
    const char *old = getenv("LD_LIBRARY_PATH");
    char *path;

    if (access(folder, R_OK | X_OK) != 0)
        fprintf(stderr, "gpuvchan-run: warning: the libraries for programs are not there: %s: %s\n", folder,
                strerror(errno));
    /* An empty part would mean the current folder. */
    if (asprintf(&path, "%s%s%s", folder, old && old[0] ? ":" : "", old ? old : "") < 0)
        abort();
    setenv("LD_LIBRARY_PATH", path, 1);
    free(path);
}

/* Where libglvnd looks for EGL's vendors, unless its variables say something else. */
#define EGL_VENDORS "/etc/glvnd/egl_vendor.d:/usr/share/glvnd/egl_vendor.d"

static bool
is_other_vendor(const char *path)
{
    return strstr(strrchr(path, '/'), "gpuvchan") == NULL;
}

/* @p list and behind it the vendors' files of @p folder, in their order; to be freed. */
static char *
add_vendors(char *list, const char *folder)
{
    glob_t found = {0};
    char *pattern;

    if (asprintf(&pattern, "%s/*.json", folder) < 0)
        abort();
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            char *longer;

            if (!is_other_vendor(found.gl_pathv[i]))
                continue;
            if (asprintf(&longer, "%s:%s", list, found.gl_pathv[i]) < 0)
                abort();
            free(list);
            list = longer;
        }
    globfree(&found);
    free(pattern);
    return list;
}

/* Of EGL's vendors ours is the first; the others are what programs fall back on. */
static char *
vendors(const char *ours)
{
    const char *files = getenv("__EGL_VENDOR_LIBRARY_FILENAMES"), *folders = getenv("__EGL_VENDOR_LIBRARY_DIRS");
    char *list, *copy = strdup(folders && folders[0] ? folders : EGL_VENDORS), *rest = copy, *folder;
    bool given = files && files[0];

    if (!copy || asprintf(&list, "%s%s%s", ours, given ? ":" : "", given ? files : "") < 0)
        abort();
    while (!given && (folder = strsep(&rest, ":")))
        list = add_vendors(list, folder);
    free(copy);
    return list;
}

/* libglvnd, which OpenGL programs are linked with, is told by its own variables which library it is to load. */
static void
set_gl(const char *folder)
{
    char *ours, *list;

    if (asprintf(&ours, "%s/egl_vendor.json", folder) < 0)
        abort();
    if (access(ours, R_OK) == 0) {
        list = vendors(ours);
        setenv("__GLX_VENDOR_LIBRARY_NAME", "gpuvchan", 1);
        setenv("__EGL_VENDOR_LIBRARY_FILENAMES", list, 1);
        free(list);
    }
    free(ours);
}

static void
print_variable(const char *name)
{
    const char *value = getenv(name);

    if (!value)
        return;
    printf("export %s='", name);
    for (; *value; value++)
        if (*value == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*value);
    puts("'");
}

static void
print_environment(void)
{
    static const char *const names[] = {"LD_LIBRARY_PATH",
                                        "__GLX_VENDOR_LIBRARY_NAME",
                                        "__EGL_VENDOR_LIBRARY_FILENAMES",
                                        "GPUVCHAN_ADDRESS",
                                        "GPUVCHAN_ARENA",
                                        "GPUVCHAN_SYNC",
                                        "GPUVCHAN_STATS",
                                        "GPUVCHAN_LOG"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        print_variable(names[i]);
}

/* ---- Host ------------------------------------------------------------------------------------ */

static void
explain(int error)
{
    const char *address = getenv("GPUVCHAN_ADDRESS"), *runtime = getenv("XDG_RUNTIME_DIR");
    const char *why = error == -ENOENT ? "the socket does not exist" : "the socket is there, but nobody listens at it";

    if ((error != -ENOENT && error != -ECONNREFUSED) || (address && strncmp(address, "xen:", 4) == 0)) {
        fprintf(stderr, "gpuvchan-run: the host%s%s cannot be used: %s\n", address ? " at " : "",
                address ? address : "", gpuvchan_error_text());
        return;
    }
    fputs("gpuvchan-run: no host answers at ", stderr);
    if (address && address[0])
        fputs(address, stderr);
    else if (runtime && runtime[0] && error == -ENOENT)
        fprintf(stderr, "%s/gpuvchan/host.sock or /run/gpuvchan/host.sock", runtime);
    else
        fputs("/run/gpuvchan/host.sock", stderr);
    fprintf(stderr, ": %s. Start gpuvchan-host there, or name another address with --address or GPUVCHAN_ADDRESS.\n",
            why);
}

/* What the program will do first, done by us, where there is somebody to tell. */
static int
check_host(void)
{
    /* On Xen a channel's memory is taken from what all programs of the domain may share. */
    const struct gpuvchan_channel_options small = {.size = sizeof(small), .arena_bytes = 1 << 18, .lanes = 1};
    bool xen = access("/dev/xen/gntalloc", F_OK) == 0;
    struct gpuvchan_channel *channel;
    int error = gpuvchan_channel_connect(NULL, xen ? &small : NULL, &channel);

    if (error != 0) {
        explain(error);
        return EXIT_OWN;
    }
    gpuvchan_channel_close(channel);
    return 0;
}

int
main(int argc, char **argv)
{
    char buffer[PATH_MAX];
    const char *folder;

    if (parse(argc, argv) != 0)
        return EXIT_OWN;
    if (optind == argc && !print_env) {
        fputs("gpuvchan-run: no program is given\nTry 'gpuvchan-run --help'.\n", stderr);
        return EXIT_OWN;
    }
    folder = guest_folder(buffer);
    set_library_path(folder);
    set_gl(folder);
    if (print_env) {
        print_environment();
        return 0;
    }
    if (!no_check && check_host() != 0)
        return EXIT_OWN;
    execvp(argv[optind], &argv[optind]);
    fprintf(stderr, "gpuvchan-run: %s: %s\n", argv[optind], errno == ENOENT ? "program not found" : strerror(errno));
    return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
