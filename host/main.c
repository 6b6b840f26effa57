/* SPDX-License-Identifier: MIT */
/* gpuvchan-host: executes GPU commands for guests. Here: which of its modes is meant, and the start. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gpuvchan/gpuvchan.h>

#include "captive.h"
#include "config.h"
#include "listen.h"
#include "log.h"
#include "notify.h"
#include "plugin.h"
#include "privileges.h"
#include "renewal.h"
#include "supervisor.h"
#include "worker.h"

/* ---- Background ------------------------------------------------------------------------------ */

/* In the first process: ends with the host's own status, once the host is ready or has failed. */
static _Noreturn void
await_ready(pid_t pid, int fd)
{
    char ready;
    int status;
    ssize_t bytes;

    do
        bytes = read(fd, &ready, 1);
    while (bytes < 0 && errno == EINTR);
    if (bytes == 1)
        _exit(0);
    if (waitpid(pid, &status, 0) != pid)
        _exit(1);
    _exit(captive_exit_status(status));
}

/* Goes on in a child; *@p ready is for background_ready(). */
static int
background_enter(int *ready)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "cannot go to the background: %s", strerror(errno));
        return -EAGAIN;
    }
    if (pid > 0) {
        close(ends[1]);
        await_ready(pid, ends[0]);
    }
    close(ends[0]);
    setsid();
    *ready = ends[1];
    return 0;
}

static void
background_ready(int ready, const struct host_options *options)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    log_open(options, "", false);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        if (!log_is_stderr())
            dup2(null, STDERR_FILENO);
        close(null);
    }
    if (chdir("/") != 0 || write(ready, "", 1) != 1)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "cannot report to the process that started the host");
    close(ready);
}

/* ---- Serving --------------------------------------------------------------------------------- */

static int
write_pidfile(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "pidfile %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -EIO;
    }
    close(fd);
    return 0;
}

/* Everything between listening and the end. */
static int
serve(struct supervisor *supervisor, const struct host_options *options, const char *address, struct captive *captive,
      int ready)
{
    char *pidfile = strdup(options->pidfile); /* options are replaced at SIGHUP */
    int error, result = 1;

    if (!pidfile)
        abort();
    if (pidfile[0] && write_pidfile(pidfile) != 0)
        goto free_pidfile;
    error = options->run ? captive_start(captive, options->run, address) : 0;
    if (error != 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "cannot start the command: %s", strerror(-error));
        goto remove_pidfile;
    }
    if (ready >= 0)
        background_ready(ready, options);
    notify_send("READY=1\nMAINPID=%d\nSTATUS=no guests yet", (int)getpid());
    result = supervisor_run(supervisor, options->run ? captive : NULL);
remove_pidfile:
    if (pidfile[0])
        unlink(pidfile);
free_pidfile:
    free(pidfile);
    return result;
}

/* Where the host listens, and keeps what a successor has to know. They outlive the options, which SIGHUP replaces. */
struct place {
    struct text_list addresses;
    char *state_dir;
};

static void
place_finish(struct place *place)
{
    text_list_clear(&place->addresses);
    free(place->state_dir);
}

static int
place_find(struct place *place, const struct host_options *options, struct captive *captive)
{
    bool private = options->run && options_source(options, "address") != SOURCE_COMMAND;
    bool given = options->state_dir[0] && (!private || options_source(options, "state-dir") == SOURCE_COMMAND);
    char *address;
    int result;

    if (private) {
        result = captive_prepare(captive, &address);
        if (result != 0) {
            gpuvchan_log(GPUVCHAN_LOG_ERROR, "cannot make a folder for the socket: %s", strerror(-result));
            return result;
        }
        text_list_add(&place->addresses, address);
        free(address);
    }
    for (size_t i = 0; !private && i < options->addresses.count; i++)
        text_list_add(&place->addresses, options->addresses.items[i]);
    place->state_dir = given ? strdup(options->state_dir) : listeners_state_dir(&place->addresses);
    if (!place->state_dir)
        abort();
    return 0;
}

/* Takes the options. */
static int
host(struct host_options *options, int argc, char **argv)
{
    struct supervisor *supervisor = NULL;
    struct captive captive = {0};
    struct place place = {0};
    char error[OPTIONS_ERROR];
    int ready = -1, result = 1;

    if (privileges_check(options, error) != 0)
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "%s", error);
    else if (plugins_check(options) == 0 && (!options->daemon || background_enter(&ready) == 0) &&
             place_find(&place, options, &captive) == 0)
        result = 0;
    if (result != 0) {
        options_finish(options);
        free(options);
    } else if (supervisor_create(options, &place.addresses, place.state_dir, argc, argv, &supervisor) != 0) {
        result = 1;
    } else {
        result = serve(supervisor, options, listeners_first_local(&place.addresses), &captive, ready);
        supervisor_destroy(supervisor);
    }
    captive_finish(&captive);
    place_finish(&place);
    return result;
}

/* The parent may have ended before the request was made. */
static int
exit_with_parent(void)
{
    pid_t parent = getppid();

    if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0)
        return -errno;
    return getppid() == parent ? 0 : -ESRCH;
}

int
main(int argc, char **argv)
{
    struct host_options *options;
    char error[OPTIONS_ERROR];
    int result;

    if (argc == 2 && strcmp(argv[1], WORKER_ARGUMENT) == 0)
        return worker_main(WORKER_WITH_GUEST);
    if (argc == 2 && strcmp(argv[1], WORKER_SPARE_ARGUMENT) == 0)
        return worker_main(WORKER_SPARE);
    if (argc == 2 && strcmp(argv[1], WORKER_LOCAL_SPARE_ARGUMENT) == 0)
        return worker_main(WORKER_LOCAL_SPARE);
    if (argc == 2 && strcmp(argv[1], WORKER_REHEARSAL_ARGUMENT) == 0)
        return renewal_rehearsal_main();
    notify_init();
    options = malloc(sizeof(*options));
    if (!options)
        abort();
    result = config_read(options, argc, argv, error);
    log_open(options, "", true);
    if (result != 0) {
        fprintf(stderr, "gpuvchan-host: %s\n", error);
        result = 1;
    } else if (options->help) {
        options_help(stdout);
    } else if (options->version) {
        printf("gpuvchan-host %s (libgpuvchan %s)\n", GPUVCHAN_VERSION, gpuvchan_version());
    } else if (options->dump_config) {
        options_dump(options, stdout, true);
    } else if (options->list_plugins) {
        result = plugins_list(options);
    } else if (options->dump_plugin) {
        result = plugin_dump(options, options->dump_plugin);
    } else if (options->exit_with_parent && exit_with_parent() != 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "--exit-with-parent: the parent has ended already");
        result = 1;
    } else {
        return host(options, argc, argv);
    }
    options_finish(options);
    free(options);
    return result;
}
