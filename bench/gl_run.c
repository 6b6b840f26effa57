/* SPDX-License-Identifier: MIT */
/*
 * gl_run.c - one OpenGL program, one of three ways.
 *
 * Design notes: the three differ in their environment and in nothing else. What a program says of its renderer decides
 * whether its figure counts: libglvnd and Mesa fall back to what they find, and that would be measured instead.
 */
#include "gl_place.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "host.h"
#include "process.h"

#define LIMIT_NS 120000000000u
#define SAID_MAX 131072 /* some list all extensions */
#define WORDS_MAX 16
#define MESA_EGL "/usr/share/glvnd/egl_vendor.d/50_mesa.json"

struct said {
    char text[SAID_MAX];
    size_t length;
};

/* ---- Starting -------------------------------------------------------------------------------- */

static void
set_environment(const struct bench_gl_place *place, enum bench_gl_way way)
{
    static const char *const unset[] = {
        "WAYLAND_DISPLAY", "LIBGL_ALWAYS_INDIRECT",       "__GLX_VENDOR_LIBRARY_NAME", "__EGL_VENDOR_LIBRARY_FILENAMES",
        "GALLIUM_DRIVER",  "MESA_LOADER_DRIVER_OVERRIDE",
    };

    for (size_t i = 0; i < sizeof(unset) / sizeof(unset[0]); i++)
        unsetenv(unset[i]);
    setenv("DISPLAY", place->display, 1);
    setenv("vblank_mode", "0", 1);
    if (way == BENCH_GL_FORWARDED)
        return;
    setenv("__GLX_VENDOR_LIBRARY_NAME", "mesa", 1);
    if (access(MESA_EGL, R_OK) == 0)
        setenv("__EGL_VENDOR_LIBRARY_FILENAMES", MESA_EGL, 1);
    if (way == BENCH_GL_VIRGL) {
        setenv("LIBGL_ALWAYS_SOFTWARE", "1", 1);
        setenv("GALLIUM_DRIVER", "virpipe", 1);
    }
}

static _Noreturn void
become_program(const struct bench_gl_place *place, enum bench_gl_way way, char *const *argv, int out)
{
    char launch[300], *words[WORDS_MAX] = {launch, "-a", (char *)place->host.address};
    int n = way == BENCH_GL_FORWARDED ? 3 : 0, null = open("/dev/null", O_RDONLY);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (; *argv && n < WORDS_MAX - 1; argv++)
        words[n++] = *argv;
    words[n] = NULL;
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    set_environment(place, way);
    if (bench_beside("bin/gpuvchan-run", launch, sizeof(launch)) == 0)
        execvp(words[0], words);
    printf("cannot start %s: %s\n", words[0], strerror(errno));
    fflush(stdout);
    _exit(127);
}

/* ---- What it says ---------------------------------------------------------------------------- */

/* What follows @before in a whole line. */
static const char *
find_after(const struct said *said, const char *before)
{
    const char *at = strstr(said->text, before);

    return at && strchr(at, '\n') ? at + strlen(before) : NULL;
}

static bool
find_figure(const struct said *said, double *value)
{
    const char *at = find_after(said, "FPS: ");

    if (!at)
        at = find_after(said, " seconds = ");
    return at && sscanf(at, "%lf", value) == 1;
}

static void
copy_renderer(const struct said *said, char *renderer, size_t size)
{
    const char *at = find_after(said, "GL_RENDERER");

    at = at ? at + strspn(at, " \t:=") : "";
    snprintf(renderer, size, "%.*s", (int)strcspn(at, "\n"), at);
}

static const char *
last_line(struct said *said)
{
    char *line;

    while (said->length > 0 && said->text[said->length - 1] == '\n')
        said->text[--said->length] = '\0';
    line = strrchr(said->text, '\n');
    return line ? line + 1 : said->text;
}

/* Until there is a figure, the program's end, or no time left. True: a figure. */
static bool
listen_to(int fd, struct said *said, double *value)
{
    uint64_t deadline = bench_now() + LIMIT_NS;

    while (bench_now() < deadline && said->length < SAID_MAX - 1) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (poll(&ready, 1, 1000) <= 0)
            continue;
        n = read(fd, said->text + said->length, SAID_MAX - 1 - said->length);
        if (n <= 0)
            break;
        said->length += (size_t)n;
        said->text[said->length] = '\0';
        if (find_figure(said, value))
            return true;
    }
    return false;
}

static bool
is_of(enum bench_gl_way way, const char *renderer)
{
    bool ours = strstr(renderer, "gpuvchan"), virgl = strstr(renderer, "virgl");

    switch (way) {
    case BENCH_GL_FORWARDED:
        return ours;
    case BENCH_GL_NATIVE:
        return *renderer && !ours && !virgl;
    case BENCH_GL_VIRGL:
        return virgl && !ours;
    }
    return false;
}

int
bench_gl_run(const struct bench_gl_place *place, enum bench_gl_way way, char *const *argv,
             struct bench_gl_answer *answer)
{
    static struct said said;
    bool figure;
    int ends[2];
    pid_t pid;

    memset(answer, 0, sizeof(*answer));
    memset(&said, 0, sizeof(said));
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    pid = fork();
    if (pid == 0)
        become_program(place, way, argv, ends[1]);
    close(ends[1]);
    figure = pid > 0 && listen_to(ends[0], &said, &answer->value);
    if (pid > 0)
        bench_end(pid);
    close(ends[0]);
    copy_renderer(&said, answer->renderer, sizeof(answer->renderer));
    if (figure && is_of(way, answer->renderer) && answer->value > 0)
        return 0;
    if (figure && answer->value > 0)
        snprintf(answer->problem, sizeof(answer->problem), "refused: it was drawn by '%s'", answer->renderer);
    else
        snprintf(answer->problem, sizeof(answer->problem), "no figure; last said: %.150s", last_line(&said));
    return -EIO;
}
