/* SPDX-License-Identifier: MIT */
/*
 * Helpers for large copies.
 *
 * Design notes: one processor fills an H200's slots at 4 GB/s, four at 16 (the memory's latency is what one
 * waits for). Helpers start with the first large copy and end when they have had nothing to do for a while, so that
 * a program without large copies has no thread of ours, and one that forks, or has its threads counted, has none
 * most of the time. They copy, and do nothing else of the library; signals are blocked in them. The child of a
 * fork makes no copies, so what it has of the queue is of no matter.
 */
#include "copiers.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include <gpuvchan/gpuvchan.h>

#define LARGE_COPY ((size_t)4 << 20)
#define HELPERS 4
#define IDLE_SECONDS 2
#define SPINS 2000 /* as long as a piece takes, about */

enum state {
    NEW,
    QUEUED,
    TAKEN,
    DONE
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER, done = PTHREAD_COND_INITIALIZER;
static struct cuda_guest_copier_job *newest, *oldest; /* with the lock */
static int helpers, wanted;

void
cuda_guest_copier_run(const struct cuda_guest_copier_job *job)
{
    if (job->lane)
        gpuvchan_arena_write(job->lane, job->to, job->from, job->bytes);
    else
        memcpy(job->to, job->from, job->bytes);
}

/* ---- The queue, with the lock ---------------------------------------------------------------- */

static void
enqueue(struct cuda_guest_copier_job *job)
{
    job->newer = NULL;
    job->older = newest;
    if (newest)
        newest->newer = job;
    else
        oldest = job;
    newest = job;
    atomic_store_explicit(&job->state, QUEUED, memory_order_relaxed);
}

static void
dequeue(struct cuda_guest_copier_job *job)
{
    if (job->newer)
        job->newer->older = job->older;
    else
        newest = job->older;
    if (job->older)
        job->older->newer = job->newer;
    else
        oldest = job->newer;
    atomic_store_explicit(&job->state, TAKEN, memory_order_relaxed);
}

/* ---- Helpers --------------------------------------------------------------------------------- */

static struct cuda_guest_copier_job *
wait_for_job(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += IDLE_SECONDS;
    while (!oldest)
        if (pthread_cond_timedwait(&work, &lock, &until) == ETIMEDOUT)
            break;
    return oldest;
}

/* With the lock, which is open meanwhile. */
static void
run_taken(struct cuda_guest_copier_job *job)
{
    dequeue(job);
    pthread_mutex_unlock(&lock);
    cuda_guest_copier_run(job);
    pthread_mutex_lock(&lock);
    /* With the lock: who waits for it may take its memory back as soon as it is free. */
    atomic_store_explicit(&job->state, DONE, memory_order_release);
    pthread_cond_broadcast(&done);
}

static void *
help(void *unused)
{
    struct cuda_guest_copier_job *job;

    (void)unused;
    pthread_mutex_lock(&lock);
    while ((job = wait_for_job()))
        run_taken(job);
    helpers--;
    pthread_mutex_unlock(&lock);
    return NULL;
}

static bool
helper_start(void)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, help, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error == 0;
}

/* One processor is the caller's. */
static int
helpers_useful(void)
{
    cpu_set_t set;
    int spare;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 0;
    spare = CPU_COUNT(&set) - 1;
    return spare < HELPERS ? spare : HELPERS;
}

bool
cuda_guest_copiers_start(size_t bytes)
{
    bool some;

    if (bytes < LARGE_COPY)
        return false;
    pthread_mutex_lock(&lock);
    if (helpers == 0)
        wanted = helpers_useful();
    while (helpers < wanted && helper_start())
        helpers++;
    some = helpers > 0;
    pthread_mutex_unlock(&lock);
    return some;
}

/* ---- Who has something to copy --------------------------------------------------------------- */

void
cuda_guest_copier_begin(struct cuda_guest_copier_job *job)
{
    pthread_mutex_lock(&lock);
    enqueue(job);
    pthread_mutex_unlock(&lock);
    pthread_cond_signal(&work);
}

static bool
is_done(const struct cuda_guest_copier_job *job)
{
    return atomic_load_explicit(&job->state, memory_order_acquire) == DONE;
}

static void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* With the lock, which is open meanwhile. Waking up takes longer than what is left of a piece mostly does. */
static void
wait_for(const struct cuda_guest_copier_job *job)
{
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < SPINS && !is_done(job); i++)
        relax();
    pthread_mutex_lock(&lock);
    if (!is_done(job))
        pthread_cond_wait(&done, &lock);
}

/* While a helper has it the caller does what else there is, which it would wait for next. */
void
cuda_guest_copier_end(struct cuda_guest_copier_job *job)
{
    pthread_mutex_lock(&lock);
    while (!is_done(job)) {
        if (atomic_load_explicit(&job->state, memory_order_relaxed) == QUEUED)
            run_taken(job);
        else if (oldest)
            run_taken(oldest);
        else
            wait_for(job);
    }
    pthread_mutex_unlock(&lock);
}
