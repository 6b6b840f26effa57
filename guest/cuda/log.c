/* SPDX-License-Identifier: MIT */
/*
 * CUDA's log of errors: the last lines that this library had to say, for programs that ask.
 *
 * Design notes: an iterator is the number of the line that comes next, so one that has fallen behind goes on with
 * the oldest line that is left. Callbacks run without the lock, and may call what they like; one that is just being
 * unregistered may run a last time.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES 128u
#define LINE_BYTES 512
#define DUMP_BYTES 25600 /* of all lines in a caller's buffer, as CUDA says */
#define CALLBACKS 16

struct callback {
    CUlogsCallback function;
    void *data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char lines[LINES][LINE_BYTES];
static unsigned next; /* line's number */
static struct callback callbacks[CALLBACKS];

void
cuda_guest_log(CUlogLevel level, const char *format, ...)
{
    struct callback call[CALLBACKS];
    char line[LINE_BYTES];
    int bytes = snprintf(line, sizeof(line), "[CUDA][%c] ", level == CU_LOG_LEVEL_ERROR ? 'E' : 'W');
    va_list list;

    va_start(list, format);
    vsnprintf(line + bytes, sizeof(line) - (size_t)bytes, format, list);
    va_end(list);
    pthread_mutex_lock(&lock);
    strcpy(lines[next++ % LINES], line);
    memcpy(call, callbacks, sizeof(call));
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < CALLBACKS; i++)
        if (call[i].function)
            call[i].function(call[i].data, level, line, strlen(line));
}

/* With the lock: where @p iterator (NULL: the beginning) really goes on. */
static unsigned
first_line(const CUlogIterator *iterator)
{
    unsigned oldest = next > LINES ? next - LINES : 0;

    return !iterator || *iterator < oldest ? oldest : *iterator > next ? next : *iterator;
}

ENTRY
cuLogsCurrent(CUlogIterator *iterator, unsigned int flags)
{
    if (!iterator || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    *iterator = next;
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}

ENTRY
cuLogsDumpToFile(CUlogIterator *iterator, const char *path, unsigned int flags)
{
    bool written = true;
    FILE *file;

    if (!path || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    file = fopen(path, "w");
    if (!file)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    for (unsigned i = first_line(iterator); i < next; i++)
        written &= fprintf(file, "%s\n", lines[i % LINES]) > 0;
    written &= fclose(file) == 0;
    if (iterator && written)
        *iterator = next;
    pthread_mutex_unlock(&lock);
    return written ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
}

/* Drops the oldest lines if the newest have no room otherwise. */
ENTRY
cuLogsDumpToMemory(CUlogIterator *iterator, char *buffer, size_t *size, unsigned int flags)
{
    size_t room, used = 0;
    unsigned from;

    if (!buffer || !size || *size == 0 || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    room = (*size < DUMP_BYTES ? *size : DUMP_BYTES) - 1;
    pthread_mutex_lock(&lock);
    from = next;
    for (unsigned first = first_line(iterator); from > first; from--) {
        size_t bytes = strlen(lines[(from - 1) % LINES]) + 1;

        if (bytes > room - used)
            break;
        used += bytes;
    }
    buffer[0] = '\0';
    *size = used;
    for (unsigned i = from; i < next; i++)
        buffer += sprintf(buffer, "%s\n", lines[i % LINES]);
    if (iterator)
        *iterator = next;
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}

ENTRY
cuLogsRegisterCallback(CUlogsCallback function, void *data, CUlogsCallbackHandle *handle)
{
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;

    if (!function || !handle)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < CALLBACKS && result != CUDA_SUCCESS; i++) {
        if (callbacks[i].function)
            continue;
        callbacks[i] = (struct callback){function, data};
        *handle = (CUlogsCallbackHandle)(void *)&callbacks[i];
        result = CUDA_SUCCESS;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

ENTRY
cuLogsUnregisterCallback(CUlogsCallbackHandle handle)
{
    CUresult result = CUDA_ERROR_INVALID_VALUE;

    pthread_mutex_lock(&lock);
    for (int i = 0; i < CALLBACKS; i++) {
        if (handle != (CUlogsCallbackHandle)(void *)&callbacks[i] || !callbacks[i].function)
            continue;
        callbacks[i].function = NULL;
        result = CUDA_SUCCESS;
    }
    pthread_mutex_unlock(&lock);
    return result;
}
