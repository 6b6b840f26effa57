/* SPDX-License-Identifier: MIT */
/*
 * Waiting until the device has done all that it was given.
 *
 * Design notes: what is under way may need the guest, whose lanes have been stopped: a function of its own that a
 * stream calls, a value that it writes, a copy that it makes. Nobody can tell how long that takes, and the driver's
 * waits have no end. So a thread waits, and it is waited for a while only. If that was in vain the thread goes on
 * waiting beside the guest, which is served again; until it is through nothing can be suspended.
 */
#include "suspend.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define PATIENCE_MS 5000
#define LOOK_MS 5 /* how often at what needs the guest */

struct cuda_waiter {
    struct cuda_host *host;
    pthread_mutex_t lock;
    pthread_cond_t done;
    pthread_t thread;
    bool over;
    CUresult result;
};

/* The next living context behind @p after, which stays as long as the lane of nobody announces it. */
static struct cuda_context *
next_context(struct cuda_host *host, const struct cuda_context *after)
{
    struct cuda_context *next;

    pthread_mutex_lock(&host->lock);
    next = after ? after->older : host->newest;
    while (next && !cuda_lane_announce(cuda_own_lane(host), CUDA_SLOT_CONTEXT, &next->object))
        next = next->older;
    pthread_mutex_unlock(&host->lock);
    return next;
}

static void *
wait_for_all(void *argument)
{
    struct cuda_waiter *waiter = argument;
    const struct cuda_driver *native = waiter->host->native;
    CUresult result = CUDA_SUCCESS;

    for (struct cuda_context *each = NULL; result == CUDA_SUCCESS && (each = next_context(waiter->host, each));) {
        result = native->cuCtxSetCurrent(each->native);
        if (result == CUDA_SUCCESS)
            result = native->cuCtxSynchronize();
    }
    native->cuCtxSetCurrent(NULL);
    cuda_leave(cuda_own_lane(waiter->host), 0);
    pthread_mutex_lock(&waiter->lock);
    waiter->result = result;
    waiter->over = true;
    pthread_cond_signal(&waiter->done);
    pthread_mutex_unlock(&waiter->lock);
    return NULL;
}

static struct cuda_waiter *
waiter_start(struct cuda_host *host)
{
    struct cuda_waiter *waiter = calloc(1, sizeof(*waiter));

    if (!waiter)
        return NULL;
    waiter->host = host;
    pthread_mutex_init(&waiter->lock, NULL);
    pthread_cond_init(&waiter->done, NULL);
    if (pthread_create(&waiter->thread, NULL, wait_for_all, waiter) == 0)
        return waiter;
    free(waiter);
    return NULL;
}

/* Is it through? Waits for it a while, but not if the guest would have to do something for that. */
static bool
waiter_through(struct cuda_waiter *waiter, unsigned patience_ms)
{
    bool over;

    pthread_mutex_lock(&waiter->lock);
    for (unsigned waited = 0; !waiter->over && waited < patience_ms; waited += LOOK_MS) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&waiter->done, &waiter->lock, &until);
        if (!waiter->over && cuda_callbacks_wait(waiter->host))
            break;
    }
    over = waiter->over;
    pthread_mutex_unlock(&waiter->lock);
    return over;
}

static CUresult
waiter_finish(struct cuda_host *host)
{
    struct cuda_waiter *waiter = host->waiter;
    CUresult result;

    host->waiter = NULL;
    pthread_join(waiter->thread, NULL);
    result = waiter->result;
    pthread_cond_destroy(&waiter->done);
    pthread_mutex_destroy(&waiter->lock);
    free(waiter);
    return result;
}

int
cuda_quiet(struct cuda_host *host)
{
    CUresult result;

    if (cuda_callbacks_wait(host))
        return cuda_suspend_refuse(-EBUSY, "a function of the guest's is due");
    if (host->waiter && waiter_through(host->waiter, LOOK_MS))
        waiter_finish(host); /* one that was not waited for to the end */
    if (!host->waiter)
        host->waiter = waiter_start(host);
    if (!host->waiter)
        return cuda_suspend_refuse(-ENOMEM, "out of memory");
    if (!waiter_through(host->waiter, PATIENCE_MS))
        return cuda_suspend_refuse(-EBUSY,
                                   cuda_callbacks_wait(host) ? "a function of the guest's has become due"
                                                             : "the device is still at work after %d seconds",
                                   PATIENCE_MS / 1000);
    result = waiter_finish(host);
    if (result != CUDA_SUCCESS)
        return cuda_suspend_refuse(-EIO, "a context has had a fault: %s", cuda_driver_error(host->native, result));
    cuda_output_settle(host);
    return 0;
}

void
cuda_quiet_end(struct cuda_host *host)
{
    if (host->waiter)
        waiter_finish(host);
}
