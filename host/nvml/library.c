/* SPDX-License-Identifier: MIT */
/*
 * Finding, loading and initialising the library, and which devices guests get.
 *
 * Design notes: nothing is loaded before a guest asks, since a worker is a fork of a process that must have no
 * threads of a driver. Guests get the devices that CUDA has in this worker: all, or where the host's environment
 * has CUDA_VISIBLE_DEVICES those, in its order, by number or by the beginning of a UUID.
 */
#include "library.h"

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

#include "../cuda/sim_path.h"

#define GUEST_MARKER "gpuvchan_guest_libnvidia_ml"
#define GUEST_FOLDER "/gpuvchan/guest/"
#define WHY_BYTES 512

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct nvml_library library; /* with the lock, until it is started */
static const struct nvml_library *_Atomic started;
static char chosen[PATH_MAX] = "auto";
static bool serials;

int
nvml_library_choose(const char *choice)
{
    if (strcmp(choice, "auto") != 0 && strcmp(choice, "simulated") != 0 && choice[0] != '/') {
        gpuvchan_log(GPUVCHAN_LOG_ERROR,
                     "driver '%s': must be auto, simulated, or the full path of a libnvidia-ml.so.1", choice);
        return -EINVAL;
    }
    if (strlen(choice) >= sizeof(chosen))
        return -ENAMETOOLONG;
    strcpy(chosen, choice);
    return 0;
}

int
nvml_library_show_serials(const char *choice)
{
    serials = strcmp(choice, "yes") == 0;
    if (serials || strcmp(choice, "no") == 0)
        return 0;
    gpuvchan_log(GPUVCHAN_LOG_ERROR, "serials '%s': must be yes or no", choice);
    return -EINVAL;
}

/* ---- Loading one file ------------------------------------------------------------------------ */

static void
find_path(void *file, const char *asked, char path[PATH_MAX])
{
    struct link_map *map;

    if (dlinfo(file, RTLD_DI_LINKMAP, &map) != 0 || map->l_name[0] == '\0' || !realpath(map->l_name, path))
        snprintf(path, PATH_MAX, "%s", asked);
}

/* Fills the table. @return the needed symbol that is missing, or NULL. */
static const char *
bind(void *file, struct nvml_library *table)
{
    const char *missing = NULL;
    void *symbol;

#define BIND(name)               \
    symbol = dlsym(file, #name); \
    memcpy(&table->name, &symbol, sizeof(symbol));
#define BIND_NEEDED(name)    \
    BIND(name)               \
    if (!symbol && !missing) \
        missing = #name;
    NVML_LIBRARY_NEEDED(BIND_NEEDED)
    NVML_LIBRARY_OPTIONAL(BIND)
#undef BIND_NEEDED
#undef BIND
    return missing;
}

/* @p why gets what is wrong, with the remedy. */
static int
load(const char *name, struct nvml_library *table, char why[WHY_BYTES])
{
    void *file = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    const char *missing;

    if (!file) {
        snprintf(why, WHY_BYTES, "%s", dlerror());
        return -ENOENT;
    }
    *table = (struct nvml_library){0};
    find_path(file, name, table->path);
    if (dlsym(file, GUEST_MARKER) || strstr(table->path, GUEST_FOLDER)) {
        snprintf(why, WHY_BYTES, "%.256s is gpuvchan's library for guests: take it out of the host's LD_LIBRARY_PATH",
                 table->path);
    } else if ((missing = bind(file, table))) {
        snprintf(why, WHY_BYTES, "%.256s lacks %s: a driver of version 450 or newer is needed", table->path, missing);
    } else {
        return 0;
    }
    dlclose(file);
    return -ENOENT;
}

/* ---- Devices --------------------------------------------------------------------------------- */

static bool
is_listed(const struct nvml_library *table, nvmlDevice_t device)
{
    for (unsigned i = 0; i < table->devices; i++)
        if (table->device[i] == device)
            return true;
    return false;
}

/* The device of a name in CUDA_VISIBLE_DEVICES: a number, or the beginning of a UUID that no other begins with. */
static nvmlDevice_t
named(struct nvml_library *table, const nvmlDevice_t *all, unsigned count, const char *name, size_t length)
{
    char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE], *end;
    unsigned long number = strtoul(name, &end, 10);
    nvmlDevice_t found = NULL;

    if (length > 0 && end == name + length)
        return number < count ? all[number] : NULL;
    if (strncmp(name, "MIG-", 4) == 0 && length < sizeof(uuid) && table->nvmlDeviceGetHandleByUUID) {
        snprintf(uuid, sizeof(uuid), "%.*s", (int)length, name);
        return table->nvmlDeviceGetHandleByUUID(uuid, &found) == NVML_SUCCESS ? found : NULL;
    }
    for (unsigned i = 0; i < count && length > 4; i++) {
        if (table->nvmlDeviceGetUUID(all[i], uuid, sizeof(uuid)) != NVML_SUCCESS || strncmp(uuid, name, length) != 0)
            continue;
        if (found)
            return NULL;
        found = all[i];
    }
    return found;
}

static void
choose_visible(struct nvml_library *table, const nvmlDevice_t *all, unsigned count)
{
    const char *names = getenv("CUDA_VISIBLE_DEVICES");

    table->devices = 0;
    for (unsigned i = 0; !names && i < count; i++)
        table->device[table->devices++] = all[i];
    for (const char *at = names; at && *at && table->devices < NVML_DEVICES;) {
        size_t length = strcspn(at, ",");
        nvmlDevice_t device = named(table, all, count, at, length);

        if (!device)
            break;
        if (is_listed(table, device)) { /* a device that is named twice makes the whole list void */
            table->devices = 0;
            break;
        }
        table->device[table->devices++] = device;
        at += length;
        at += *at == ',';
    }
}

static nvmlReturn_t
find_devices(struct nvml_library *table)
{
    nvmlDevice_t all[NVML_DEVICES], device;
    unsigned count = 0, there = 0;
    nvmlReturn_t result = table->nvmlDeviceGetCount_v2(&there);

    for (unsigned i = 0; result == NVML_SUCCESS && i < there && count < NVML_DEVICES; i++)
        if (table->nvmlDeviceGetHandleByIndex_v2(i, &device) == NVML_SUCCESS)
            all[count++] = device;
    if (result == NVML_SUCCESS)
        choose_visible(table, all, count);
    return result;
}

/* Initialises it and looks what it has. */
static int
start(struct nvml_library *table, char why[WHY_BYTES])
{
    nvmlReturn_t result = table->nvmlInit_v2();

    if (result == NVML_SUCCESS)
        result = table->nvmlSystemGetDriverVersion(table->driver, sizeof(table->driver));
    if (result == NVML_SUCCESS)
        result = table->nvmlSystemGetNVMLVersion(table->library, sizeof(table->library));
    if (result == NVML_SUCCESS)
        result = find_devices(table);
    if (table->nvmlSystemGetCudaDriverVersion_v2)
        table->nvmlSystemGetCudaDriverVersion_v2(&table->cuda_version);
    if (result == NVML_SUCCESS)
        return 0;
    snprintf(why, WHY_BYTES, "%.256s: %s", table->path, table->nvmlErrorString(result));
    return -ENODEV;
}

/* ---- Choosing -------------------------------------------------------------------------------- */

static int
start_simulated(char why[WHY_BYTES])
{
    char path[PATH_MAX];
    int error;

    cuda_sim_path(path);
    library = (struct nvml_library){0};
    error = nvml_simulated_load(path, &library, why, WHY_BYTES);
    return error == 0 ? start(&library, why) : error;
}

static int
start_system(char why[WHY_BYTES])
{
    /* The first as the loader finds it; the others if that was the guest's. */
    static const char *const files[] = {
        "libnvidia-ml.so.1",
        "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
        "/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1",
        "/usr/lib64/libnvidia-ml.so.1",
        "/usr/lib/libnvidia-ml.so.1",
    };
    char reason[WHY_BYTES];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (i > 0 && access(files[i], R_OK) != 0)
            continue;
        if (load(files[i], &library, reason) == 0 && start(&library, reason) == 0)
            return 0;
        if (i == 0 || strstr(why, GUEST_FOLDER))
            snprintf(why, WHY_BYTES, "%s", reason);
    }
    return -ENODEV;
}

/* The simulated device stands in where there is no driver of NVIDIA's at all, as for CUDA. */
static int
start_chosen(char why[WHY_BYTES])
{
    if (strcmp(chosen, "simulated") == 0)
        return start_simulated(why);
    if (chosen[0] == '/')
        return load(chosen, &library, why) == 0 ? start(&library, why) : -ENODEV;
    if (start_system(why) == 0)
        return 0;
    if (access("/dev/nvidiactl", F_OK) == 0 || access("/proc/driver/nvidia", F_OK) == 0)
        return -ENODEV;
    return start_simulated(why);
}

const struct nvml_library *
nvml_library_start(void)
{
    const struct nvml_library *ready = atomic_load_explicit(&started, memory_order_acquire);
    char why[WHY_BYTES] = "";

    if (ready)
        return ready;
    pthread_mutex_lock(&lock);
    ready = atomic_load_explicit(&started, memory_order_relaxed);
    if (!ready && start_chosen(why) == 0) {
        library.serials = serials;
        gpuvchan_log(GPUVCHAN_LOG_INFO, "nvml: %s, version %s%s, %u device%s", library.path, library.driver,
                     library.simulated ? ", simulated" : "", library.devices, library.devices == 1 ? "" : "s");
        ready = &library;
        atomic_store_explicit(&started, ready, memory_order_release);
    } else if (!ready) {
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "nvml: no library that works here: %s (the setting driver=%s)", why, chosen);
    }
    pthread_mutex_unlock(&lock);
    return ready;
}
