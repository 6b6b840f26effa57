/* SPDX-License-Identifier: MIT */
/* nvml.so: tells guest processes about the devices that they have. */
#include "nvml_plugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nvml-host.h"

struct gpuvchan_handles *
nvml_handles(struct gpuvchan_request *request)
{
    return ((struct nvml_host *)request->state)->handles;
}

/* ---- Configuration --------------------------------------------------------------------------- */

static int
nvml_config(const char *key, const char *value)
{
    if (strcmp(key, "driver") == 0)
        return nvml_library_choose(value);
    return strcmp(key, "serials") == 0 ? nvml_library_show_serials(value) : -ENOENT;
}

static void
nvml_dump(void)
{
    const struct nvml_library *library = nvml_library_start();

    if (!library) {
        printf("driver=none\n");
        return;
    }
    printf("driver=%s\n", library->path);
    printf("simulated=%s\n", library->simulated ? "yes" : "no");
    printf("driver_version=%s\n", library->driver);
    printf("devices=%u\n", library->devices);
    for (unsigned i = 0; i < library->devices; i++) {
        char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE] = "";

        library->nvmlDeviceGetName(library->device[i], name, sizeof(name));
        printf("device_%u=%s\n", i, name);
    }
}

/* ---- A guest process ------------------------------------------------------------------------- */

static void
nvml_close(void *state)
{
    struct nvml_host *host = state;

    gpuvchan_handles_destroy(host->handles);
    free(host);
}

static int
nvml_open(struct gpuvchan_session *session, void **state)
{
    const struct nvml_library *library = nvml_library_start();
    struct nvml_host *host;
    int error;

    (void)session;
    if (!library)
        return -ENODEV;
    host = calloc(1, sizeof(*host));
    if (!host)
        return -ENOMEM;
    host->library = library;
    error = gpuvchan_handles_create(&host->handles);
    for (uint32_t i = 0; i < library->devices && error == 0; i++)
        error = gpuvchan_handles_insert(host->handles, NVML_DEVICE_FIRST + i, NVML_HANDLE_DEVICE, library->device[i]);
    if (error != 0) {
        nvml_close(host);
        return error;
    }
    *state = host;
    return 0;
}

/* ---- Renewal --------------------------------------------------------------------------------- */

/* A guest's handles are the devices by number: they must still be those. */
struct devices {
    uint32_t count;
    char uuids[NVML_DEVICES][NVML_DEVICE_UUID_V2_BUFFER_SIZE];
};

static struct devices *
devices_of(const struct nvml_library *library)
{
    struct devices *devices = calloc(1, sizeof(*devices));

    if (!devices)
        return NULL;
    devices->count = library->devices;
    for (uint32_t i = 0; i < library->devices; i++)
        if (!library->nvmlDeviceGetUUID || library->nvmlDeviceGetUUID(library->device[i], devices->uuids[i],
                                                                      sizeof(devices->uuids[i])) != NVML_SUCCESS)
            devices->uuids[i][0] = '\0';
    return devices;
}

static int
nvml_suspend(void *state, struct gpuvchan_snapshot *snapshot)
{
    const struct nvml_host *host = state;
    struct devices *devices = devices_of(host->library);
    int error = devices ? gpuvchan_snapshot_write(snapshot, devices, sizeof(*devices)) : -ENOMEM;

    free(devices);
    return error;
}

static int
nvml_resume(struct gpuvchan_session *session, struct gpuvchan_snapshot *snapshot, void **state)
{
    const struct nvml_library *library = nvml_library_start();
    struct devices *devices = library ? devices_of(library) : NULL, *before = malloc(sizeof(*before));
    int error = !library ? -ENODEV : !devices || !before ? -ENOMEM : 0;

    if (error == 0)
        error = gpuvchan_snapshot_read(snapshot, before, sizeof(*before));
    if (error == 0 && memcmp(before, devices, sizeof(*devices)) != 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "nvml: the devices are not those that the guest knows");
        error = -ENODEV;
    }
    free(devices);
    free(before);
    return error ? error : nvml_open(session, state);
}

static struct gpuvchan_plugin nvml_plugin = {
    .name = "nvml",
    .version = GPUVCHAN_VERSION,
    .description = "tells guests about their devices: names, memory, load, temperature, as nvidia-smi shows them",
    .config_help =
        "driver=auto|simulated|/PATH/libnvidia-ml.so.1  auto: NVIDIA's where it is, else the simulated device\n"
        "serials=yes|no  may guests see the boards' serial numbers? no",
    .dispatch = &nvml_dispatch,
    .config = nvml_config,
    .open = nvml_open,
    .suspend = nvml_suspend,
    .resume = nvml_resume,
    .close = nvml_close,
    .dump = nvml_dump,
};

GPUVCHAN_PLUGIN_REGISTER(nvml_plugin)
