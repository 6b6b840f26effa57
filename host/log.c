/* SPDX-License-Identifier: MIT */
/*
 * The host's log. Lines can hold words of guests, so nothing unprintable gets through, and each line is
 * one write(), so that lines of several workers do not mix.
 */
#include "log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#include <gpuvchan/gpuvchan.h>

static char name[64] = "gpuvchan-host";
static enum option_log destination = LOG_STDERR;
static int file = STDERR_FILENO;
static bool journal; /* stderr leads to the journal: <N> at the beginning of a line is its level */

static const char *
level_word(enum gpuvchan_log_level level)
{
    switch (level) {
    case GPUVCHAN_LOG_ERROR:
        return "error: ";
    case GPUVCHAN_LOG_WARNING:
        return "warning: ";
    default:
        return "";
    }
}

static void
write_line(enum gpuvchan_log_level level, const char *text)
{
    char line[1280];
    int used;

    if (destination == LOG_NULL)
        return;
    if (destination == LOG_SYSLOG) {
        syslog((int)level, "%s", text);
        return;
    }
    if (journal)
        used = snprintf(line, sizeof(line) - 1, "<%d>%s: %s", (int)level, name, text);
    else
        used = snprintf(line, sizeof(line) - 1, "%s: %s%s", name, level_word(level), text);
    if (used > (int)sizeof(line) - 2)
        used = (int)sizeof(line) - 2;
    for (int i = 0; i < used; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 127)
            line[i] = line[i] == '\t' ? ' ' : '?';
    line[used] = '\n';
    if (write(file, line, (size_t)used + 1) < 0)
        return; /* nowhere left to say so */
}

/* systemd names the device and inode of the journal's socket: stderr may have been sent elsewhere since. */
static bool
is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;

    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &status) == 0 &&
           status.st_dev == device && status.st_ino == inode;
}

void
log_open(const struct host_options *options, const char *who, bool early)
{
    int level = options_log_level(options);

    snprintf(name, sizeof(name), "gpuvchan-host%s%s", who[0] ? ": " : "", who);
    destination = (enum option_log)options->log;
    if (destination == LOG_AUTO)
        destination = options->daemon && !early ? LOG_SYSLOG : LOG_STDERR;
    closelog();
    if (destination == LOG_SYSLOG)
        openlog(who[0] ? "gpuvchan-worker" : "gpuvchan-host", LOG_PID, LOG_DAEMON);
    journal = is_journal();
    if (options->trace && level < GPUVCHAN_LOG_INFO)
        level = GPUVCHAN_LOG_INFO; /* that of the traces */
    gpuvchan_log_set(write_line, (enum gpuvchan_log_level)level);
}

void
log_keep(void)
{
    int own = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

    if (own >= 0)
        file = own;
#ifdef __SANITIZE_ADDRESS__
    /* Else a sanitizer's last words end in a pipe that nobody reads any more. */
    __sanitizer_set_report_fd((void *)(intptr_t)file);
#endif
}

void
log_give_back(void)
{
    if (file != STDERR_FILENO)
        dup2(file, STDERR_FILENO);
}

bool
log_is_stderr(void)
{
    return destination == LOG_STDERR;
}

void
log_from_signal(const char *text)
{
    /* One line from several pieces, without the functions that a handler may not call. */
    const char *const pieces[] = {name, ": ", text, "\n"};

    for (size_t i = 0; destination == LOG_STDERR && i < 4; i++)
        if (write(file, pieces[i], strlen(pieces[i])) < 0)
            return;
}
