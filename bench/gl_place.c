/* SPDX-License-Identifier: MIT */
#include "gl_place.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

#define START_MS 20000
#define SCREEN "1920x1080x24"
#define VIRGL_SOCKET "/tmp/.virgl_test" /* Mesa knows no other */

/* In a new process: a server that ends when this tool does, and is silent. */
static void
become_server(void)
{
    int null = open("/dev/null", O_RDWR);

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
}

/* ---- The X server ---------------------------------------------------------------------------- */

/* It writes the number that it has found free, and then, in a second portion, the end of the line. */
static int
read_number(int fd, char *display, size_t size)
{
    char number[12] = "";
    size_t length = 0;

    while (length < sizeof(number) - 1 && !strchr(number, '\n')) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t n = poll(&ready, 1, START_MS) == 1 ? read(fd, number + length, sizeof(number) - 1 - length) : -1;

        if (n <= 0)
            return -EIO;
        length += (size_t)n;
    }
    number[strcspn(number, "\n")] = '\0';
    snprintf(display, size, ":%s", number);
    return 0;
}

static int
start_display(struct bench_gl_place *place)
{
    char number[12];
    int ends[2], error;

    if (!bench_is_installed("Xvfb")) {
        fprintf(stderr, "gpuvchan-bench: gl needs an X server of its own: install xvfb\n");
        return -ENOENT;
    }
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    place->display_pid = fork();
    if (place->display_pid == 0) {
        become_server();
        snprintf(number, sizeof(number), "%d", dup(ends[1]));
        execlp("Xvfb", "Xvfb", "-displayfd", number, "-screen", "0", SCREEN, "-noreset", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    error = place->display_pid < 0 ? -EAGAIN : read_number(ends[0], place->display, sizeof(place->display));
    close(ends[0]);
    if (error != 0)
        fprintf(stderr, "gpuvchan-bench: Xvfb does not start: try 'Xvfb -displayfd 1 -screen 0 " SCREEN "'\n");
    return error;
}

/* ---- virgl ----------------------------------------------------------------------------------- */

static bool
virgl_answers(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = VIRGL_SOCKET};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

    if (fd >= 0)
        close(fd);
    return answers;
}

static const char *
start_virgl(struct bench_gl_place *place)
{
    if (!bench_is_installed("virgl_test_server"))
        return "virgl_test_server is not installed (package virgl-server)";
    if (virgl_answers())
        return "somebody's virgl_test_server is at " VIRGL_SOCKET ", and Mesa knows no other place";
    place->virgl_pid = fork();
    if (place->virgl_pid == 0) {
        become_server();
        execlp("virgl_test_server", "virgl_test_server", "--use-egl-surfaceless", (char *)NULL);
        _exit(127);
    }
    for (int waited = 0; place->virgl_pid > 0 && waited < START_MS; waited += 10) {
        if (virgl_answers())
            return NULL;
        if (waitpid(place->virgl_pid, NULL, WNOHANG) != 0) {
            place->virgl_pid = 0;
            break;
        }
        poll(NULL, 0, 10);
    }
    return "virgl_test_server --use-egl-surfaceless does not start";
}

/* ---- All ------------------------------------------------------------------------------------- */

int
bench_gl_place_start(struct bench_gl_place *place, bool virgl)
{
    int error = start_display(place);

    if (error == 0)
        error = bench_daemon_start(&place->host, "gl");
    if (error == 0 && virgl)
        place->no_virgl = start_virgl(place);
    return error;
}

void
bench_gl_place_stop(struct bench_gl_place *place)
{
    if (place->virgl_pid > 0) {
        bench_end(place->virgl_pid);
        unlink(VIRGL_SOCKET);
    }
    bench_daemon_stop(&place->host);
    if (place->display_pid > 0)
        bench_end(place->display_pid);
}
