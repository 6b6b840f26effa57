/* SPDX-License-Identifier: MIT */
/*
 * cuda.so: executes the CUDA records of guest processes on a driver.
 *
 * A guest process has a cuda_host, each of its lanes a cuda_lane. The driver itself is the worker process's.
 */
#include "cuda_plugin.h"

#include "journal.h"
#include "placed.h"
#include "suspend.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gpuvchan_handles *
cuda_handles(struct gpuvchan_request *request)
{
    return cuda_host_of(request)->handles;
}

/* ---- Configuration --------------------------------------------------------------------------- */

static int
config_switch(const char *key, const char *value, void (*allow)(bool yes))
{
    bool yes = strcmp(value, "yes") == 0;

    if (!yes && strcmp(value, "no") != 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "%s '%s': must be yes or no", key, value);
        return -EINVAL;
    }
    allow(yes);
    return 0;
}

/* Read by the driver when it starts. How much it may hold the driver decides: CUDA_CACHE_MAXSIZE, or 1 GiB. */
static int
config_cache(const char *value)
{
    if (value[0] != '/') {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "cache '%s': must be the full path of a folder", value);
        return -EINVAL;
    }
    return setenv("CUDA_CACHE_PATH", value, 1) == 0 ? 0 : -ENOMEM;
}

/* The worker is by now the user that it stays. Without that folder the driver compiles in each process. */
static void
check_cache(const struct cuda_driver *native)
{
    const char *path = getenv("CUDA_CACHE_PATH"), *off = getenv("CUDA_CACHE_DISABLE"), *home = getenv("HOME");

    if (native->simulated || (off && strcmp(off, "1") == 0))
        return;
    path = path ? path : home;
    if (!path || (access(path, W_OK) != 0 && errno != ENOENT))
        gpuvchan_log(GPUVCHAN_LOG_INFO,
                     "cuda: the driver cannot keep what it compiles: the worker may not write to %s: set cuda.cache to "
                     "a folder that belongs to the user of workers",
                     path ? path : "any folder, since HOME is not set");
}

static int
cuda_config(const char *key, const char *value)
{
    if (strcmp(key, "cache") == 0)
        return config_cache(value);
    if (strcmp(key, "driver") == 0)
        return cuda_driver_choose(value);
    if (strcmp(key, "ipc") == 0)
        return config_switch(key, value, cuda_ipc_allow);
    if (strcmp(key, "renew") == 0)
        return config_switch(key, value, cuda_renew_allow);
    return strcmp(key, "warm") == 0 ? config_switch(key, value, cuda_warm_allow) : -ENOENT;
}

static int
cuda_config_complete(void)
{
    cuda_driver_prepare();
    return 0;
}

static void
cuda_dump(void)
{
    const struct cuda_driver *native = cuda_driver_start();

    if (!native) {
        printf("driver=none\n");
        return;
    }
    printf("driver=%s\n", native->path);
    printf("simulated=%s\n", native->simulated ? "yes" : "no");
    printf("cuda_version=%d.%d\n", native->version / 1000, native->version % 1000 / 10);
    printf("devices=%d\n", native->devices);
    for (int i = 0; i < native->devices; i++) {
        char name[256] = "";
        CUdevice device;

        if (native->cuDeviceGet(&device, i) == CUDA_SUCCESS)
            native->cuDeviceGetName(name, sizeof(name) - 1, device);
        printf("device_%d=%s\n", i, name);
    }
}

/* ---- A guest process ------------------------------------------------------------------------- */

static void
keep(void *item)
{
    (void)item; /* an object, which is freed with all others */
}

static void
cuda_pause(void *state, bool on)
{
    cuda_callbacks_pause(state, on);
}

static void
cuda_interrupt(void *state)
{
    cuda_callbacks_interrupt(state);
}

void
cuda_host_destroy(struct cuda_host *host)
{
    cuda_keep_finish(host);
    cuda_pools_end(host);
    /* Newest first. All lanes are closed, so nobody is in here but this thread. */
    cuda_libraries_end(host);
    while (host->newest)
        cuda_context_end(host, NULL, host->newest, false);
    cuda_output_end(host);
    cuda_virtual_end(host);
    cuda_window_end(host);
    cuda_objects_finish(host);
    cuda_places_end(host);
    cuda_callbacks_finish(host);
    cuda_warm_end(host->native);
    tdestroy(host->numbered, keep);
    cuda_ranges_finish(&host->ranges);
    gpuvchan_handles_destroy(host->handles);
    gpuvchan_handles_destroy(host->numbers);
    pthread_mutex_destroy(&host->graphs_lock);
    pthread_mutex_destroy(&host->completions_lock);
    pthread_mutex_destroy(&host->lock);
    cuda_records_free(host->records);
    free(host->primaries);
    free(host->resources);
    free(host->descriptions);
    free(host);
}

static void
cuda_close(void *state)
{
    struct cuda_host *host = state;

    cuda_callbacks_interrupt(host);
    cuda_quiet_end(host);
    cuda_host_destroy(host);
}

/*
 * A program that waits for its GPU posts more as soon as it has the result. With processors to spare its lane
 * polls meanwhile, as a driver in the program's own process would: waking the thread took 16 us of the 310 that
 * a synchronous copy of 16 MiB takes on an H200.
 */
#define LINGER_US 500u
#define LINGER_PROCESSORS 4

int
cuda_host_create(struct gpuvchan_session *session, struct cuda_host **out)
{
    const struct cuda_driver *native = cuda_driver_start();
    struct cuda_host *host;
    int error;

    if (!native)
        return -ENODEV;
    host = aligned_alloc(64, sizeof(*host));
    if (!host)
        return -ENOMEM;
    memset(host, 0, sizeof(*host));
    check_cache(native);
    host->native = native;
    host->session = session;
    cuda_own_lane(host)->host = host;
    if (sysconf(_SC_NPROCESSORS_ONLN) >= LINGER_PROCESSORS)
        host->linger_us = LINGER_US;
    cuda_ranges_init(&host->ranges);
    pthread_mutex_init(&host->lock, NULL);
    pthread_mutex_init(&host->completions_lock, NULL);
    pthread_mutex_init(&host->graphs_lock, NULL);
    host->primaries = calloc((size_t)native->devices, sizeof(struct cuda_context *));
    error = host->primaries ? gpuvchan_handles_create(&host->handles) : -ENOMEM;
    if (error == 0)
        error = gpuvchan_handles_create(&host->numbers);
    if (error == 0)
        error = cuda_callbacks_init(host);
    if (error == 0)
        error = cuda_streams_init(host);
    if (error != 0) {
        cuda_host_destroy(host);
        return error;
    }
    *out = host;
    return 0;
}

static int
cuda_open(struct gpuvchan_session *session, void **state)
{
    struct cuda_host *host;
    int error = cuda_host_create(session, &host);

    if (error == 0)
        *state = host;
    return error;
}

/* After a renewal the driver is told again what it knew of the lane's thread, which this is. */
static void
cuda_lane_settle(struct cuda_lane *lane)
{
    const struct cuda_driver *native = lane->host->native;
    CUstreamCaptureMode mode = (CUstreamCaptureMode)lane->capture_mode;

    if (lane->current && cuda_object_alive(&lane->current->object))
        native->cuCtxSetCurrent(lane->current->native);
    if (mode != CU_STREAM_CAPTURE_MODE_GLOBAL && native->cuThreadExchangeStreamCaptureMode)
        native->cuThreadExchangeStreamCaptureMode(&mode);
}

static int
cuda_lane_open(void *state, uint32_t index, void **lane_state)
{
    struct cuda_host *host = state;
    uint32_t known = atomic_load(&host->lanes_known);

    if (index >= CUDA_LANES)
        return -EINVAL;
    host->lanes[index].host = host;
    *lane_state = &host->lanes[index];
    cuda_lane_settle(&host->lanes[index]);
    /* Before the lane uses anything: who ends an object then looks at this lane too. */
    while (known <= index && !atomic_compare_exchange_weak(&host->lanes_known, &known, index + 1))
        ;
    return 0;
}

/* On the lane's own thread when the guest's thread ends; on another one when the process ends. */
static void
cuda_lane_close(void *state, void *lane_state)
{
    struct cuda_host *host = state;
    struct cuda_lane *lane = lane_state;

    host->native->cuCtxSetCurrent(NULL);
    cuda_lane_default_mode(lane);
    lane->current = NULL;
    lane->green = NULL;
    cuda_lane_forget_logs(lane);
    cuda_lane_forget_image(lane);
}

static struct gpuvchan_plugin cuda_plugin = {
    .name = "cuda",
    .version = GPUVCHAN_VERSION,
    .description = "executes guests' CUDA on NVIDIA's driver, or on a device simulated on the CPU",
    .config_help =
        "driver=auto|simulated|/PATH/libcuda.so.1  "
        "auto: NVIDIA's if it has a device, else the simulated one\n"
        "warm=yes|no  yes: a spare worker starts the driver, and makes a context on the first device, before its guest "
        "comes\n"
        "renew=no|yes  yes: workers are renewed with NVIDIA's driver, too, where programs may be lost by it\n"
        "cache=/FOLDER  where the driver keeps what it compiles; workers write there\n"
        "ipc=yes|no  may processes of one guest (a domain, or a user) share memory and events?",
    .dispatch = &cuda_kept_dispatch,
    .config = cuda_config,
    .config_complete = cuda_config_complete,
    .open = cuda_open,
    .lane_open = cuda_lane_open,
    .lane_close = cuda_lane_close,
    .suspend = cuda_suspend,
    .resume = cuda_resume,
    .close = cuda_close,
    .dump = cuda_dump,
    .interrupt = cuda_interrupt,
    .warm = cuda_warm,
    .pause = cuda_pause,
};

GPUVCHAN_PLUGIN_REGISTER(cuda_plugin)
