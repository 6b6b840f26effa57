/* SPDX-License-Identifier: MIT */
/*
 * gl_program.h - a small OpenGL program, in a process of its own: this tool with BENCH_GL_PROGRAM as its first word.
 */
#ifndef BENCH_GL_PROGRAM_H
#define BENCH_GL_PROGRAM_H

#define BENCH_GL_PROGRAM "gl-program"

/*
 * clear|draws|posted WIDTHxHEIGHT SECONDS: draws that long in a window of that size, through the libGL that the
 * environment selects. Prints "GL_RENDERER: " and its name, then "FPS: " and the figure; for draws it is millions of
 * draw calls per second. Returns the exit status.
 */
int bench_gl_program(int argc, char **argv);

#endif
