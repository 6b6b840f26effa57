/* SPDX-License-Identifier: MIT */
/*
 * What kernels print: the driver writes it to the standard output of its process, and what failed assertions say to
 * the standard error. The guest is to have both.
 *
 * Design notes: a worker serves one guest process, so all that comes through its file descriptors 1 and 2 is that
 * one's; the host's log has a descriptor of its own. Pipes are in their place once the guest has loaded a module. A
 * thread empties them, as the driver would wait otherwise; what the guest does not fetch is dropped beyond a limit.
 * The driver writes when it waits for the device. Records that wait call cuda_output_settle(), so that the guest
 * finds what was printed before when they have answered.
 */
#include "suspend.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FILES 2
#define ROOM_LEAST ((size_t)4096)
#define ROOM_MOST ((size_t)16 << 20)

struct file {
    int number; /* that the driver writes to */
    int before; /* what it was */
    int end;    /* of the pipe */
    char *text;
    size_t room, used, given;
};

struct cuda_output {
    pthread_mutex_t lock; /* for what follows */
    struct file files[FILES];
    _Atomic uint64_t *word;
    uint32_t index; /* of that word */
    uint64_t count;
    bool lost;
    int stop;
    pthread_t thread;
};

static _Atomic bool taken; /* by the process's guest */

/* ---- Taking it in ---------------------------------------------------------------------------- */

/* With the lock. */
static bool
make_room(struct file *file)
{
    size_t room = file->room ? file->room * 2 : ROOM_LEAST;
    char *grown;

    if (file->used < file->room)
        return true;
    grown = room <= ROOM_MOST ? realloc(file->text, room) : NULL;
    if (!grown)
        return false;
    file->text = grown;
    file->room = room;
    return true;
}

/* With the lock. True: there was some. */
static bool
take_in(struct cuda_output *output, struct file *file)
{
    char dropped[4096];
    bool some = false;

    for (;;) {
        bool kept = make_room(file);
        ssize_t got =
            read(file->end, kept ? file->text + file->used : dropped, kept ? file->room - file->used : sizeof(dropped));

        if (got <= 0)
            return some;
        some = true;
        if (kept) {
            file->used += (size_t)got;
        } else if (!output->lost) {
            output->lost = true;
            gpuvchan_log(GPUVCHAN_LOG_WARNING, "cuda: kernels print more than the guest fetches: some of it is lost");
        }
    }
}

static void
collect(struct cuda_output *output)
{
    bool some = false;

    pthread_mutex_lock(&output->lock);
    for (int i = 0; i < FILES; i++)
        some |= take_in(output, &output->files[i]);
    if (some)
        gpuvchan_completion_signal(output->word, ++output->count);
    pthread_mutex_unlock(&output->lock);
}

static void *
empty(void *context)
{
    struct cuda_output *output = context;
    struct pollfd polls[FILES + 1] = {{.fd = output->stop, .events = POLLIN}};

    for (int i = 0; i < FILES; i++)
        polls[i + 1] = (struct pollfd){.fd = output->files[i].end, .events = POLLIN};
    for (;;) {
        if (poll(polls, FILES + 1, -1) > 0 && polls[0].revents)
            return NULL;
        collect(output);
    }
}

/* ---- Beginning and ending -------------------------------------------------------------------- */

/* Puts the end of a pipe in the place of a file. */
static int
divert(struct file *file, int number)
{
    int ends[2];

    *file = (struct file){.number = number, .before = fcntl(number, F_DUPFD_CLOEXEC, 3), .end = -1};
    if (file->before < 0 || pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    file->end = ends[0];
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    dup2(ends[1], number);
    close(ends[1]);
    return 0;
}

static void
put_back(struct file *file)
{
    if (file->before >= 0) {
        dup2(file->before, file->number);
        close(file->before);
    }
    if (file->end >= 0)
        close(file->end);
    free(file->text);
}

static struct cuda_output *
create(_Atomic uint64_t *word)
{
    struct cuda_output *output = calloc(1, sizeof(*output));
    int error;

    if (!output)
        return NULL;
    fflush(stdout);
    pthread_mutex_init(&output->lock, NULL);
    output->word = word;
    output->stop = eventfd(0, EFD_CLOEXEC);
    error = output->stop >= 0 ? 0 : -errno;
    for (int i = 0; i < FILES; i++) {
        output->files[i].before = output->files[i].end = -1;
        if (error == 0)
            error = divert(&output->files[i], i + 1);
    }
    if (error == 0 && pthread_create(&output->thread, NULL, empty, output) == 0)
        return output;
    for (int i = 0; i < FILES; i++)
        put_back(&output->files[i]);
    if (output->stop >= 0)
        close(output->stop);
    pthread_mutex_destroy(&output->lock);
    free(output);
    return NULL;
}

void
cuda_output_end(struct cuda_host *host)
{
    struct cuda_output *output = atomic_exchange(&host->output, NULL);

    if (!output)
        return;
    fflush(stdout);
    eventfd_write(output->stop, 1);
    pthread_join(output->thread, NULL);
    for (int i = 0; i < FILES; i++)
        put_back(&output->files[i]);
    close(output->stop);
    pthread_mutex_destroy(&output->lock);
    free(output);
    atomic_store(&taken, false);
}

void
cuda_output_settle(struct cuda_host *host)
{
    struct cuda_output *output = atomic_load_explicit(&host->output, memory_order_acquire);

    if (!output)
        return;
    fflush(stdout);
    collect(output);
}

/* ---- Records --------------------------------------------------------------------------------- */

static int
begin(struct cuda_host *host, _Atomic uint64_t *word, uint32_t index)
{
    struct cuda_output *output;

    if (atomic_exchange(&taken, true))
        return CUDA_ERROR_NOT_PERMITTED;
    output = create(word);
    if (!output) {
        atomic_store(&taken, false);
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "cuda: what kernels print stays on the host: %s", strerror(errno));
        return CUDA_ERROR_OPERATING_SYSTEM;
    }
    output->index = index;
    atomic_store(&host->output, output);
    return 0;
}

int
cuda_host_output_begin(struct gpuvchan_request *request, uint32_t index)
{
    _Atomic uint64_t *word = gpuvchan_session_completion(request->session, index);

    if (!word)
        return gpuvchan_request_corrupt(request, "output_begin: there is no completion word %u", index);
    return begin(cuda_host_of(request), word, index);
}

/* With the lock. */
static void
give(struct file *file, void *text, size_t *bytes)
{
    size_t left = file->used - file->given;

    *bytes = left < *bytes ? left : *bytes;
    memcpy(text, file->text + file->given, *bytes);
    file->given += *bytes;
    if (file->given < file->used)
        return;
    free(file->text);
    file->text = NULL;
    file->room = file->used = file->given = 0;
}

int
cuda_host_output_fetch(struct gpuvchan_request *request, uint32_t *number, void *text, size_t *text_bytes, bool *more)
{
    struct cuda_output *output = atomic_load(&cuda_host_of(request)->output);
    size_t room = *text_bytes;

    *text_bytes = 0;
    if (!output)
        return CUDA_ERROR_NOT_PERMITTED;
    cuda_output_settle(cuda_host_of(request));
    pthread_mutex_lock(&output->lock);
    for (int i = 0; i < FILES; i++) {
        struct file *file = &output->files[i];

        if (file->used > 0 && *text_bytes == 0) {
            *number = (uint32_t)file->number;
            *text_bytes = room;
            give(file, text, text_bytes);
        }
        *more |= file->used > 0;
    }
    pthread_mutex_unlock(&output->lock);
    return 0;
}

/* ---- Suspending and resuming ----------------------------------------------------------------- */

int
cuda_save_output(struct cuda_saving *saving)
{
    struct cuda_output *output = atomic_load(&saving->host->output);
    struct suspend_output item = {.pad = 0};
    int error;

    if (!output)
        return 0;
    pthread_mutex_lock(&output->lock);
    item.count = output->count;
    item.word = output->index;
    for (int i = 0; i < FILES; i++) {
        const struct file *file = &output->files[i];

        item.bytes[i] = (uint32_t)(file->used - file->given);
    }
    error = cuda_save(saving, SUSPEND_OUTPUT, &item, sizeof(item), NULL, 0);
    for (int i = 0; i < FILES && error == 0; i++)
        if (item.bytes[i] > 0)
            error = gpuvchan_snapshot_write(saving->snapshot, output->files[i].text + output->files[i].given,
                                            item.bytes[i]);
    pthread_mutex_unlock(&output->lock);
    return error;
}

static int
load_file(struct cuda_resuming *resuming, struct file *file, uint32_t bytes)
{
    char *text = bytes <= ROOM_MOST ? malloc(bytes) : NULL;
    int error = text ? gpuvchan_snapshot_read(resuming->snapshot, text, bytes) : -ENOMEM;

    if (error != 0) {
        free(text);
        return error;
    }
    file->text = text;
    file->room = file->used = bytes;
    return 0;
}

int
cuda_load_output(struct cuda_resuming *resuming, const struct suspend_output *item)
{
    _Atomic uint64_t *word = gpuvchan_session_completion(resuming->host->session, item->word);
    struct cuda_output *output;
    int error = 0;

    if (!word || atomic_load(&resuming->host->output))
        return cuda_resume_damaged("output for a completion word that is not there");
    if (begin(resuming->host, word, item->word) != 0)
        return -EIO;
    output = atomic_load(&resuming->host->output);
    pthread_mutex_lock(&output->lock);
    output->count += item->count; /* its thread may have found some */
    for (int i = 0; i < FILES && error == 0; i++)
        if (item->bytes[i] > 0 && !output->files[i].text)
            error = load_file(resuming, &output->files[i], item->bytes[i]);
    pthread_mutex_unlock(&output->lock);
    return error;
}
