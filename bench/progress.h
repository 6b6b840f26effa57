/* SPDX-License-Identifier: MIT */
/*
 * progress.h - what the tool is doing, on stderr: one line that is rewritten on
 * a terminal, one line per step elsewhere.
 */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

void bench_progress(unsigned step, unsigned steps, const char *what);

/* Clears the line, before anything else is printed. */
void bench_progress_clear(void);

#endif
