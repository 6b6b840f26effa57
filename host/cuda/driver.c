/* SPDX-License-Identifier: MIT */
/*
 * Finding and loading the driver.
 *
 * Design notes: a plain dlopen("libcuda.so.1") could find the guest's library of the same name, which forwards to
 * a host such as this one. It is recognised by its marker symbol and by its folder, and refused.
 *
 * cuInit takes a quarter of a second and opens the GPU, which guests that use another plugin should not pay. So
 * the driver is started when a guest asks for CUDA, or by a worker that waits for one (warm.c). Only where its device files are missing it is started
 * with the process, since creating them takes a setuid helper, which a restricted worker cannot run.
 */
#include "driver.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gpuvchan/gpuvchan.h>

#include "sim_path.h"

#define GUEST_MARKER "gpuvchan_guest_libcuda"
#define GUEST_FOLDER "/gpuvchan/guest/"
#define WHY_BYTES (PATH_MAX + 512) /* of a reason, which names a file */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cuda_driver driver; /* with the lock, until it is started */
static const struct cuda_driver *_Atomic started;
static char chosen[PATH_MAX] = "auto";

int
cuda_driver_choose(const char *choice)
{
    if (strcmp(choice, "auto") != 0 && strcmp(choice, "simulated") != 0 && choice[0] != '/') {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "driver '%s': must be auto, simulated, or the full path of a libcuda.so.1",
                     choice);
        return -EINVAL;
    }
    if (strlen(choice) >= sizeof(chosen))
        return -ENAMETOOLONG;
    strcpy(chosen, choice);
    return 0;
}

/* ---- Loading one file ------------------------------------------------------------------------ */

static void
find_path(void *library, const char *asked, char path[PATH_MAX])
{
    struct link_map *map;

    if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0 || map->l_name[0] == '\0' || !realpath(map->l_name, path))
        snprintf(path, PATH_MAX, "%s", asked);
}

/* Fills the table. @return the needed symbol that is missing, or NULL. */
static const char *
bind(void *library, struct cuda_driver *table)
{
    const char *missing = NULL;
    void *symbol;

#define BIND(name, symbol_name)            \
    symbol = dlsym(library, #symbol_name); \
    memcpy(&table->name, &symbol, sizeof(symbol));
#define BIND_NEEDED(name, symbol_name) \
    BIND(name, symbol_name)            \
    if (!symbol && !missing)           \
        missing = #symbol_name;
    CUDA_DRIVER_FUNCTIONS(BIND_NEEDED, BIND)
#undef BIND_NEEDED
#undef BIND
    return missing;
}

/* @p why gets what is wrong, with the remedy. */
static void *
load(const char *file, struct cuda_driver *table, char why[WHY_BYTES])
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const char *missing;

    if (!library) {
        snprintf(why, WHY_BYTES, "%s", dlerror());
        return NULL;
    }
    *table = (struct cuda_driver){0};
    find_path(library, file, table->path);
    if (dlsym(library, GUEST_MARKER) || strstr(table->path, GUEST_FOLDER)) {
        snprintf(why, WHY_BYTES, "%s is gpuvchan's library for guests: take it out of the host's LD_LIBRARY_PATH",
                 table->path);
    } else if ((missing = bind(library, table))) {
        snprintf(why, WHY_BYTES, "%s lacks %s: a CUDA driver of version 11 or newer is needed", table->path, missing);
    } else {
        return library;
    }
    dlclose(library);
    return NULL;
}

/* Initialises it and looks what it has. A library whose cuInit has run stays loaded: it may have threads. */
static int
start(struct cuda_driver *table, char why[WHY_BYTES])
{
    CUresult result = table->cuInit(0);

    if (result == CUDA_SUCCESS)
        result = table->cuDriverGetVersion(&table->version);
    if (result == CUDA_SUCCESS)
        result = table->cuDeviceGetCount(&table->devices);
    if (result == CUDA_SUCCESS && table->devices > 0)
        return 0;
    snprintf(why, WHY_BYTES, "%s: %s", table->path,
             result == CUDA_SUCCESS ? "it has no device" : cuda_driver_error(table, result));
    return -ENODEV;
}

/* ---- Choosing -------------------------------------------------------------------------------- */

static int
start_simulated(char why[WHY_BYTES])
{
    char path[PATH_MAX];

    cuda_sim_path(path);
    if (!load(path, &driver, why) || start(&driver, why) != 0)
        return -ENODEV;
    driver.simulated = true;
    return 0;
}

static int
start_file(const char *file, char why[WHY_BYTES])
{
    char simulated[PATH_MAX], real[PATH_MAX];

    if (!load(file, &driver, why) || start(&driver, why) != 0)
        return -ENODEV;
    cuda_sim_path(simulated);
    driver.simulated = realpath(simulated, real) && strcmp(real, driver.path) == 0;
    return 0;
}

static int
start_system(char why[WHY_BYTES])
{
    /* The first as the loader finds it; the others if that was the guest's. */
    static const char *const files[] = {
        "libcuda.so.1",
        "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
        "/usr/lib/aarch64-linux-gnu/libcuda.so.1",
        "/usr/lib64/libcuda.so.1",
        "/usr/lib/libcuda.so.1",
    };
    char reason[WHY_BYTES];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (i > 0 && access(files[i], R_OK) != 0)
            continue;
        if (start_file(files[i], reason) == 0)
            return 0;
        if (i == 0 || strstr(why, GUEST_FOLDER))
            snprintf(why, WHY_BYTES, "%s", reason);
    }
    return -ENODEV;
}

static int
start_chosen(void)
{
    char why[WHY_BYTES] = "", simulated[WHY_BYTES] = "";

    if (strcmp(chosen, "simulated") != 0) {
        bool automatic = strcmp(chosen, "auto") == 0;

        if ((automatic ? start_system(why) : start_file(chosen, why)) == 0)
            return 0;
        if (!automatic) {
            gpuvchan_log(GPUVCHAN_LOG_WARNING, "cuda: no driver: %s (the setting driver=%s)", why, chosen);
            return -ENODEV;
        }
        gpuvchan_log(GPUVCHAN_LOG_INFO, "cuda: no NVIDIA driver that works here: %s", why);
    }
    if (start_simulated(simulated) == 0)
        return 0;
    gpuvchan_log(GPUVCHAN_LOG_WARNING, "cuda: no driver: %s%s%s; set driver=/path/of/libcuda.so.1", why,
                 why[0] ? "; and no simulated device: " : "", simulated);
    return -ENODEV;
}

static void
tell(void)
{
    char name[256] = "";
    CUdevice device;

    if (driver.cuDeviceGet(&device, 0) == CUDA_SUCCESS)
        driver.cuDeviceGetName(name, sizeof(name) - 1, device);
    gpuvchan_log(GPUVCHAN_LOG_INFO, "cuda: driver %s, version %d.%d%s, %d device%s: %s%s", driver.path,
                 driver.version / 1000, driver.version % 1000 / 10, driver.simulated ? ", simulated on the CPU" : "",
                 driver.devices, driver.devices == 1 ? "" : "s", name, driver.devices > 1 ? ", ..." : "");
}

const struct cuda_driver *
cuda_driver_start(void)
{
    const struct cuda_driver *ready = atomic_load_explicit(&started, memory_order_acquire);

    if (ready)
        return ready;
    pthread_mutex_lock(&lock);
    ready = atomic_load_explicit(&started, memory_order_relaxed);
    if (!ready && start_chosen() == 0) {
        tell();
        ready = &driver;
        atomic_store_explicit(&started, ready, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return ready;
}

void
cuda_driver_prepare(void)
{
    struct cuda_driver table;
    char why[WHY_BYTES];

    if (strcmp(chosen, "simulated") == 0 || access("/dev/nvidiactl", F_OK) == 0 ||
        access("/proc/driver/nvidia", F_OK) != 0)
        return;
    if (load(chosen[0] == '/' ? chosen : "libcuda.so.1", &table, why))
        table.cuInit(0);
}

/* ---- Its words ------------------------------------------------------------------------------- */

int
cuda_driver_lacks(const struct cuda_driver *table, const char *function)
{
    static _Atomic bool told;

    if (!atomic_exchange(&told, true))
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "cuda: the driver (version %d.%d) has no %s, which a guest needs: update it",
                     table->version / 1000, table->version % 1000 / 10, function);
    return CUDA_ERROR_NOT_SUPPORTED;
}

const char *
cuda_driver_error(const struct cuda_driver *table, CUresult result)
{
    const char *name;

    return table->cuGetErrorName(result, &name) == CUDA_SUCCESS && name ? name : "an unknown error";
}
