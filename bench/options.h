/* SPDX-License-Identifier: MIT */
/*
 * options.h - the command line.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "measure.h"

#define BENCH_ONLY_MAX 32

enum {
    BENCH_EXIT_FAILED = 1,
    BENCH_EXIT_MISUSE = 2,
};

struct bench_options {
    enum bench_command command;
    const char *command_name;
    bool quick;
    bool native_too, virgl;
    bool has_peer, once;
    uint32_t peer;    /* the domain to measure with */
    const char *json; /* "-": stdout, and the table goes to stderr */
    const char *plot;
    const char *only_test[BENCH_ONLY_MAX]; /* NULL-terminated */
    const char *only_mechanism[BENCH_ONLY_MAX];
};

/*
 * Every mechanism, a NULL-terminated list in the order of the table: the
 * copy that limits all, our own, then the peers.
 */
extern const struct bench_mechanism *bench_mechanisms[];

void bench_mechanisms_collect(void);

/* Never returns after --help, --version or a misuse. */
void bench_options_parse(struct bench_options *options, int argc, char **argv);

bool bench_options_want_test(const struct bench_options *options, const char *test);

bool bench_options_want_mechanism(const struct bench_options *options, const struct bench_mechanism *mechanism);

#endif
