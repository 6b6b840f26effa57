/* SPDX-License-Identifier: MIT */
/*
 * gl_place.h - where OpenGL programs are measured: an X server, a host and virgl's server, all of them our own.
 */
#ifndef BENCH_GL_PLACE_H
#define BENCH_GL_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon.h"

struct bench_gl_place {
    pid_t display_pid, virgl_pid;
    char display[16]; /* for DISPLAY */
    struct bench_daemon host;
    const char *no_virgl; /* why there is none, or NULL */
};

/* 0, or -errno after it has said why; to be stopped in either case. Without virgl no_virgl tells why. */
int bench_gl_place_start(struct bench_gl_place *place, bool virgl);

void bench_gl_place_stop(struct bench_gl_place *place);

/* ---- A program -------------------------------------------------------------------------------- */

enum bench_gl_way {
    BENCH_GL_FORWARDED,
    BENCH_GL_NATIVE,
    BENCH_GL_VIRGL,
};

struct bench_gl_answer {
    double value;
    char renderer[128];
    char problem[200];
};

/*
 * Runs one until it has printed a figure: "FPS: " or " seconds = " before it, and GL_RENDERER before that. The
 * renderer must be the one of that way. 0, or -errno with a problem in the answer.
 */
int bench_gl_run(const struct bench_gl_place *place, enum bench_gl_way way, char *const *argv,
                 struct bench_gl_answer *answer);

#endif
