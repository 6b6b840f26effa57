/* SPDX-License-Identifier: MIT */
#include "cuda_plugin.h"

#include "placed.h"

#include <stdlib.h>

int
cuda_place_reserve(struct cuda_host *host, CUdeviceptr start, uint64_t bytes, CUdevice device)
{
    struct cuda_place *place = calloc(1, sizeof(*place));
    int result = place ? cuda_reserve_exactly(host->native, start, bytes) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result != 0) {
        free(place);
        return result;
    }
    *place = (struct cuda_place){.next = host->places, .start = start, .bytes = bytes, .device = device};
    host->places = place;
    return 0;
}

int
cuda_place_join(struct cuda_host *host, struct cuda_range *range)
{
    struct cuda_place *place = host->places;
    CUmemAllocationProp wanted;
    int result = 0;

    while (place &&
           (range->start - place->start >= place->bytes || range->bytes > place->bytes - (range->start - place->start)))
        place = place->next;
    if (!place)
        return CUDA_ERROR_INVALID_VALUE;
    wanted = cuda_physical_properties(place->device);
    if (!place->backed)
        result = cuda_physical_map(host->native, &wanted, place->start, place->bytes);
    if (result != 0)
        return result;
    place->backed = true;
    place->users++;
    range->placed = place;
    return 0;
}

static void
place_free(const struct cuda_driver *native, struct cuda_place *place)
{
    if (place->backed)
        native->cuMemUnmap(place->start, place->bytes);
    native->cuMemAddressFree(place->start, place->bytes);
    free(place);
}

void
cuda_place_leave(struct cuda_host *host, struct cuda_range *range)
{
    struct cuda_place **at = &host->places, *place = range->placed;

    range->placed = NULL;
    if (--place->users > 0)
        return;
    while (*at != place)
        at = &(*at)->next;
    *at = place->next;
    place_free(host->native, place);
}

void
cuda_places_end(struct cuda_host *host)
{
    struct cuda_place *place;

    while ((place = host->places)) {
        host->places = place->next;
        place_free(host->native, place);
    }
}
