/* SPDX-License-Identifier: MIT */
/*
 * A small host for tests: a process that listens and serves each guest in a process of its own, with the
 * same library calls as gpuvchan-host. Start it before the test has threads.
 */
#ifndef TESTS_HOST_H
#define TESTS_HOST_H

#include <stdbool.h>
#include <sys/types.h>

#include <gpuvchan/gpuvchan.h>

struct test_host {
    pid_t pid;
    char folder[64];
    char address[96];
    char log[96]; /* file: messages of the library, and "worker PID ended with STATUS" */
};

struct test_host_options {
    struct gpuvchan_session_limits limits;
    const char *refuse; /* refuse everybody for this reason */
};

/** @return 0 or -errno; the host listens when it returns. */
int test_host_start(struct test_host *host, const struct test_host_options *options);
/** Ends it and its workers; removes the folder. @return its exit status, or -1: it did not end by itself. */
int test_host_stop(struct test_host *host);
/** Is there a line in the log with @p text? Waits up to @p ms for it. */
bool test_host_said(const struct test_host *host, const char *text, int ms);
/** Text of the log's last @p bytes, for messages. */
const char *test_host_log(const struct test_host *host);
/** Processes that serve guests now. */
int test_host_workers(const struct test_host *host, pid_t *pids, int room);
/** Waits until there are none. @return how many are left after @p ms. */
int test_host_quiet(const struct test_host *host, int ms);

/** Open descriptors of a process, -1 if it cannot be told. */
int test_descriptors(pid_t pid);
void test_sleep_ms(int ms);
uint64_t test_now_ms(void);

#endif
