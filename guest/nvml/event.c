/* SPDX-License-Identifier: MIT */
/* Sets of events. A guest's devices report none, so that a set stays empty and waiting takes all of its time. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "nvml_guest.h"

struct nvmlEventSet_st {
    struct nvmlEventSet_st *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct nvmlEventSet_st *sets; /* with the lock */

static struct nvmlEventSet_st **
find(nvmlEventSet_t set)
{
    struct nvmlEventSet_st **at = &sets;

    while (*at && *at != set)
        at = &(*at)->next;
    return at;
}

static bool
known(nvmlEventSet_t set)
{
    bool found;

    pthread_mutex_lock(&lock);
    found = *find(set) != NULL;
    pthread_mutex_unlock(&lock);
    return found;
}

ENTRY
nvmlEventSetCreate(nvmlEventSet_t *set)
{
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);
    struct nvmlEventSet_st *made;

    if (result != NVML_SUCCESS)
        return result;
    if (!set)
        return NVML_ERROR_INVALID_ARGUMENT;
    made = malloc(sizeof(*made));
    if (!made)
        return NVML_ERROR_MEMORY;
    pthread_mutex_lock(&lock);
    made->next = sets;
    sets = made;
    pthread_mutex_unlock(&lock);
    *set = made;
    return NVML_SUCCESS;
}

ENTRY
nvmlEventSetFree(nvmlEventSet_t set)
{
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);
    struct nvmlEventSet_st **at, *found;

    if (result != NVML_SUCCESS)
        return result;
    pthread_mutex_lock(&lock);
    at = find(set);
    found = *at;
    if (found)
        *at = found->next;
    pthread_mutex_unlock(&lock);
    free(found);
    return found ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

ENTRY
nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, unsigned long long *types)
{
    const struct nvml_device_info *info;
    nvmlReturn_t result = nvml_guest_ask(device, types, &info);

    if (result == NVML_SUCCESS)
        *types = 0;
    return result;
}

ENTRY
nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types, nvmlEventSet_t set)
{
    const struct nvml_device_info *info;
    nvmlReturn_t result = nvml_guest_ask(device, set, &info);

    (void)types;
    if (result == NVML_SUCCESS && !known(set))
        result = NVML_ERROR_INVALID_ARGUMENT;
    return result == NVML_SUCCESS ? NVML_ERROR_NOT_SUPPORTED : result;
}

ENTRY
nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int milliseconds)
{
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000l};
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);

    if (result != NVML_SUCCESS)
        return result;
    if (!data || !known(set))
        return NVML_ERROR_INVALID_ARGUMENT;
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
    return NVML_ERROR_TIMEOUT;
}
ENTRY_ALIAS(nvmlEventSetWait, nvmlEventSetWait_v2);
