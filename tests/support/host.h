/* SPDX-License-Identifier: MIT */
/*
 * A small host for tests: a process that listens and serves each guest in a process of its own, with the
 * same library calls as gpuvchan-host. Start it before the test has threads.
 *
 * It may also run elsewhere, in another domain of Xen for instance (tests/helpers/test_host.c). Then the
 * functions below ask it, over a channel of their own (monitor.h).
 *
 * Times are for an idle machine; TEST_SLOW says how many times as long all may take.
 */
#ifndef TESTS_HOST_H
#define TESTS_HOST_H

#include <stdbool.h>
#include <sys/types.h>

#include <gpuvchan/gpuvchan.h>

struct test_host {
    pid_t pid;
    bool elsewhere;
    char folder[64];
    char address[96];
    char log[96]; /* file: messages of the library, and "worker PID ended with STATUS" */
};

struct test_host_options {
    struct gpuvchan_session_limits limits;
    const char *refuse; /* refuse everybody for this reason */
    bool monitor;       /* serve the tests themselves */
};

/* An address that a host listens at, and how it serves there. */
struct test_service {
    const char *address;
    struct test_host_options options;
    /** Makes a forked worker another program, with @p fd open in it; NULL: it works as it is. On Xen it must be one: what
     *  it shares with the host since fork() would be restricted with it. */
    void (*become)(const struct test_service *service, int fd);
};

#define TEST_SERVICES 8

/** @return 0 or -errno; the host listens when it returns. */
int test_host_start(struct test_host *host, const struct test_host_options *options);
/** Ends it and its workers; removes the folder. @return its exit status, or -1: it did not end by itself. */
int test_host_stop(struct test_host *host);
/** Uses a host that serves elsewhere, whose services are "PREFIX/plain" and so on (test_host_services()). */
int test_host_find(struct test_host *host, const char *prefix, const char *service);
/** Is there a line in the log with @p text? Waits up to @p ms for it. */
bool test_host_said(const struct test_host *host, const char *text, int ms);
/** Text of the log's last bytes, for messages. */
const char *test_host_log(const struct test_host *host);
/** Processes that serve guests now, but for a monitor's. */
int test_host_workers(const struct test_host *host, pid_t *pids, int room);
/** Waits until there are none. @return how many are left after @p ms. */
int test_host_quiet(const struct test_host *host, int ms);
/** Sends a signal to a worker. @return 0 or -errno. */
int test_host_kill(const struct test_host *host, pid_t worker, int number);
/** Clock ticks that a worker has used. */
uint64_t test_host_ticks(const struct test_host *host, pid_t worker);
/** Open descriptors of one of its processes; 0: of the host itself. */
int test_host_descriptors(const struct test_host *host, pid_t pid);
/** Waits for a worker's end. */
bool test_host_gone(const struct test_host *host, pid_t worker, int ms);

/**
 * The host's process itself: serves until SIGTERM, and writes a byte to @p ready once it listens.
 * @return its exit status.
 */
int test_host_serve(const struct test_service *services, size_t count, const char *log, int ready);
/** A worker's program, see test_service: serves the guest at @p fd. @return its exit status. */
int test_host_work(const struct test_service *service, int fd, const char *log);

/** Open descriptors of a process, -1 if it cannot be told. */
int test_descriptors(pid_t pid);
void test_sleep_ms(int ms);
uint64_t test_now_ms(void);
/** As long as @p ms on an idle machine. */
int test_ms(int ms);

#endif
