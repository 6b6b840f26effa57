/* SPDX-License-Identifier: MIT */
/*
 * Images that the guest's next process need not send.
 *
 * Design notes: a large image comes in pieces into sealed memory, which the driver gets as a private mapping. A thread
 * of ours digests it meanwhile and has the host keep it: what a guest says of a digest is never believed. A process that
 * has such an image asks whether one of that size is kept, and makes a digest only then; so the first one pays nothing.
 * All processes that load it share its memory.
 */
#include "cuda_plugin.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "image.h"

#define WAITING_MAX 64   /* each holds an image */
#define FINISH_SECONDS 1 /* less than a worker has for all that it closes */

struct waiting {
    int fd;
    size_t bytes;
};

struct cuda_keeping {
    struct gpuvchan_session *session;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct waiting waiting[WAITING_MAX];
    unsigned count;
    bool over;
    time_t end;
};

/* ---- The thread ------------------------------------------------------------------------------ */

static time_t
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void
keep_one(struct gpuvchan_session *session, int fd, size_t bytes)
{
    void *image = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    uint8_t digest[GPUVCHAN_DIGEST];
    int error;

    if (image == MAP_FAILED)
        return;
    madvise(image, bytes, MADV_POPULATE_READ);
    gpuvchan_digest(image, bytes, 1, digest);
    munmap(image, bytes);
    error = gpuvchan_session_keep(session, bytes, digest, fd);
    gpuvchan_log(GPUVCHAN_LOG_DEBUG, "cuda: an image of %zu bytes is %s", bytes, error == 0 ? "kept" : "not kept");
}

static void *
keep_all(void *argument)
{
    const struct sched_param none = {0};
    struct cuda_keeping *keeping = argument;

    pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
    setpriority(PRIO_PROCESS, 0, 10); /* of the thread */
    pthread_mutex_lock(&keeping->lock);
    for (;;) {
        struct waiting next;

        while (keeping->count == 0 && !keeping->over)
            pthread_cond_wait(&keeping->more, &keeping->lock);
        if (keeping->count == 0 || (keeping->over && seconds() > keeping->end))
            break;
        next = keeping->waiting[--keeping->count];
        pthread_mutex_unlock(&keeping->lock);
        keep_one(keeping->session, next.fd, next.bytes);
        close(next.fd);
        pthread_mutex_lock(&keeping->lock);
    }
    pthread_mutex_unlock(&keeping->lock);
    return NULL;
}

static int
start_thread(struct cuda_keeping *keeping)
{
    sigset_t all, old;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&keeping->thread, NULL, keep_all, keeping);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return error;
}

/* With the host's lock. */
static struct cuda_keeping *
keeping_of(struct cuda_host *host)
{
    struct cuda_keeping *keeping = host->keeping ? NULL : calloc(1, sizeof(*keeping));

    if (!keeping)
        return host->keeping;
    keeping->session = host->session;
    pthread_mutex_init(&keeping->lock, NULL);
    pthread_cond_init(&keeping->more, NULL);
    if (start_thread(keeping) == 0)
        host->keeping = keeping;
    else
        free(keeping);
    return host->keeping;
}

/* Takes @p fd. */
static void
keep_soon(struct cuda_host *host, int fd, size_t bytes)
{
    struct cuda_keeping *keeping;
    bool taken = false;

    pthread_mutex_lock(&host->lock);
    keeping = keeping_of(host);
    pthread_mutex_unlock(&host->lock);
    if (keeping) {
        pthread_mutex_lock(&keeping->lock);
        taken = keeping->count < WAITING_MAX;
        if (taken)
            keeping->waiting[keeping->count++] = (struct waiting){.fd = fd, .bytes = bytes};
        pthread_cond_signal(&keeping->more);
        pthread_mutex_unlock(&keeping->lock);
    }
    if (!taken)
        close(fd);
}

void
cuda_keep_finish(struct cuda_host *host)
{
    struct cuda_keeping *keeping = host->keeping;

    if (!keeping)
        return;
    pthread_mutex_lock(&keeping->lock);
    keeping->over = true;
    keeping->end = seconds() + FINISH_SECONDS;
    pthread_cond_signal(&keeping->more);
    pthread_mutex_unlock(&keeping->lock);
    pthread_join(keeping->thread, NULL);
    while (keeping->count > 0)
        close(keeping->waiting[--keeping->count].fd);
    pthread_cond_destroy(&keeping->more);
    pthread_mutex_destroy(&keeping->lock);
    free(keeping);
    host->keeping = NULL;
}

/* ---- An image on its way --------------------------------------------------------------------- */

bool
cuda_keep_begin(struct cuda_host *host, struct cuda_staged *staged, size_t bytes)
{
    int fd;

    if (!gpuvchan_session_may_keep(host->session, bytes))
        return false;
    fd = memfd_create("gpuvchan-image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return false;
    *staged = (struct cuda_staged){.bytes = bytes, .to_keep = true, .fd = fd};
    return true;
}

/* Written, since that takes no fault for each page, as storing to it would. */
int
cuda_keep_part(struct cuda_staged *staged, const void *part, size_t bytes)
{
    const char *from = part;

    while (bytes > 0) {
        ssize_t done = pwrite(staged->fd, from, bytes, (off_t)staged->filled);

        if (done <= 0)
            return CUDA_ERROR_OUT_OF_MEMORY;
        staged->filled += (size_t)done;
        from += done;
        bytes -= (size_t)done;
    }
    return CUDA_SUCCESS;
}

void *
cuda_keep_filled(struct cuda_host *host, struct cuda_staged *staged)
{
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    void *image = NULL;

    if (fcntl(staged->fd, F_ADD_SEALS, seals) == 0)
        image = cuda_image_map(staged->fd, staged->bytes);
    if (image)
        keep_soon(host, staged->fd, staged->bytes);
    else
        close(staged->fd);
    return image;
}

int
cuda_host_image_kept(struct gpuvchan_request *request, uint64_t bytes, const void *digest, size_t digest_bytes,
                     bool *kept)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_host *host = cuda_host_of(request);
    int fd;

    cuda_lane_forget_image(lane);
    *kept = false;
    if (digest_bytes == 0)
        *kept = gpuvchan_session_has_kept(host->session, bytes);
    if (digest_bytes != GPUVCHAN_DIGEST)
        return digest_bytes == 0 ? 0 : CUDA_ERROR_INVALID_VALUE;
    fd = gpuvchan_session_open_kept(host->session, bytes, digest);
    if (fd < 0)
        return 0;
    lane->staged.image = cuda_image_map(fd, bytes);
    close(fd);
    if (!lane->staged.image)
        return 0;
    lane->staged.bytes = lane->staged.filled = bytes;
    *kept = true;
    return 0;
}
