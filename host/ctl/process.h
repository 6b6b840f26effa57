/* SPDX-License-Identifier: MIT */
/* Other programs, found by PATH and never run by a shell. */
#ifndef GPUVCHAN_CTL_PROCESS_H
#define GPUVCHAN_CTL_PROCESS_H

#include <stddef.h>

/*
 * Runs a program to its end. What it prints, errors too, is kept in `output` as far as that goes; the last
 * line is what people want to see. It has a process group of its own, so that Ctrl-C does not cut it off in
 * the middle of a change. Returns its exit status, 128 plus a signal, or -errno if it could not be started;
 * -ETIMEDOUT when it was ended after so many seconds.
 */
int process_run(const char *const *arguments, char *output, size_t bytes, int seconds);

/* The last line with something in it. Changes the text. */
const char *last_line(char *text);

#endif
