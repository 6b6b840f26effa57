/* SPDX-License-Identifier: MIT */
/*
 * What tests ask of a host that they cannot see themselves, since it runs in another domain: a plugin that
 * tells of its host's processes and log, and a channel to it. Only for tests: it also kills.
 */
#ifndef TESTS_MONITOR_H
#define TESTS_MONITOR_H

#include <stdbool.h>
#include <sys/types.h>

#include <gpuvchan/plugin.h>

struct test_host;

/* ---- Host ---- */

extern const struct gpuvchan_plugin monitor_plugin;
/** What it tells about; before sessions are served. */
void monitor_watch(const struct test_host *host);

/* ---- Guest ---- */

/** @return 0 or what failed. One at a time; further calls count. */
int monitor_open(const char *address);
void monitor_close(void);

int monitor_workers(pid_t *pids, int room);
bool monitor_said(const char *text, int ms);
const char *monitor_log(void);
int monitor_quiet(int ms);
int monitor_kill(pid_t pid, int number);
uint64_t monitor_ticks(pid_t pid);
int monitor_descriptors(pid_t pid);
bool monitor_gone(pid_t pid, int ms);

#endif
