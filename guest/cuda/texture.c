/* SPDX-License-Identifier: MIT */
/*
 * Textures and surfaces.
 *
 * Design notes: what the application holds is the number that the driver has given, because its kernels get it as
 * a parameter. So these objects are found by that number, which counts in its context only, in a tree.
 */
#include <search.h>
#include <stdlib.h>

#include "array.h"

struct cuda_guest_view {
    struct cuda_guest_object object;
    uint64_t value;
    CUDA_RESOURCE_DESC resource;
    CUDA_TEXTURE_DESC texture;
    CUDA_RESOURCE_VIEW_DESC view;
    bool viewed;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *tree; /* with the lock, and so is what is in it */

/* ---- Found by number ------------------------------------------------------------------------- */

static int
order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int
compare(const void *left, const void *right)
{
    const struct cuda_guest_view *a = left, *b = right;
    int result = order(a->value, b->value);

    if (result == 0)
        result = order(a->object.kind, b->object.kind);
    return result != 0 ? result : order((uintptr_t)a->object.context, (uintptr_t)b->object.context);
}

/* With the lock. */
static struct cuda_guest_view *
find(const struct cuda_guest_thread *self, uint16_t kind, uint64_t value)
{
    struct cuda_guest_view key = {.object = {.kind = kind, .context = cuda_guest_current(self)}, .value = value};
    struct cuda_guest_view **found = tfind(&key, &tree, compare);

    return found ? *found : NULL;
}

static bool
enter_view(struct cuda_guest_view *view)
{
    struct cuda_guest_view **at;

    pthread_mutex_lock(&lock);
    at = tsearch(view, &tree, compare);
    pthread_mutex_unlock(&lock);
    return at && *at == view;
}

void
cuda_guest_view_drop(struct cuda_guest_object *object)
{
    struct cuda_guest_view *view = (struct cuda_guest_view *)object;

    pthread_mutex_lock(&lock);
    tdelete(view, &tree, compare);
    pthread_mutex_unlock(&lock);
    cuda_guest_object_free(object);
}

/* ---- Making ---------------------------------------------------------------------------------- */

/* The host's handles of what a resource names; 0: it names none. */
struct named {
    uint32_t array, levels;
};

static CUresult
resource_read(const CUDA_RESOURCE_DESC *resource, struct named *named)
{
    const struct cuda_guest_mipmap *mipmap;
    const struct cuda_guest_array *array;

    *named = (struct named){0};
    switch (resource->resType) {
    case CU_RESOURCE_TYPE_ARRAY:
        array = cuda_guest_array_find(resource->res.array.hArray);
        named->array = array ? array->object.handle : 0;
        return array ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
        mipmap = cuda_guest_find(resource->res.mipmap.hMipmappedArray, CUDA_HANDLE_MIPMAP);
        named->levels = mipmap ? mipmap->object.handle : 0;
        return mipmap ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    case CU_RESOURCE_TYPE_LINEAR:
        if (cuda_guest_capturing() && resource->res.linear.devPtr < CUDA_LOW_ADDRESSES) /* made up, see memset.c */
            return CUDA_SUCCESS;
        return cuda_guest_range_check(resource->res.linear.devPtr, 1);
    case CU_RESOURCE_TYPE_PITCH2D:
        return cuda_guest_range_check(resource->res.pitch2D.devPtr, 1);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

static CUresult
view_create(struct cuda_guest_thread *self, uint16_t kind, const struct cuda_guest_view *said,
            unsigned long long *value)
{
    struct cuda_guest_view *view;
    struct cuda_guest_object head;
    struct named named;
    int status;
    CUresult result = resource_read(&said->resource, &named);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_object_create(kind, sizeof(*view), cuda_guest_current(self), &view);
    if (result != CUDA_SUCCESS)
        return result;
    status =
        kind == CUDA_HANDLE_TEXTURE
            ? cuda_texture_create_on(&cuda_guest.client, self->lane, view->object.handle, &said->resource, named.array,
                                     named.levels, &said->texture, said->viewed, &said->view, &view->value)
            : cuda_surface_create_on(&cuda_guest.client, self->lane, view->object.handle, named.array,
                                     said->resource.flags, &view->value);
    result = cuda_guest_result(status);
    if (result != CUDA_SUCCESS) {
        cuda_guest_object_undo(&view->object);
        return result;
    }
    view->resource = said->resource;
    view->texture = said->texture;
    view->view = said->view;
    view->viewed = said->viewed;
    head = view->object;
    *value = view->value;
    if (enter_view(view))
        return CUDA_SUCCESS;
    cuda_guest_object_undo(&view->object);
    return kind == CUDA_HANDLE_TEXTURE
               ? cuda_guest_result(cuda_texture_destroy_on(&cuda_guest.client, self->lane, head.handle))
               : cuda_guest_result(cuda_surface_destroy_on(&cuda_guest.client, self->lane, head.handle));
}

ENTRY
cuTexObjectCreate(CUtexObject *value, const CUDA_RESOURCE_DESC *resource, const CUDA_TEXTURE_DESC *texture,
                  const CUDA_RESOURCE_VIEW_DESC *view)
{
    struct cuda_guest_view said = {.viewed = view != NULL};
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!value || !resource || !texture)
        return CUDA_ERROR_INVALID_VALUE;
    said.resource = *resource;
    said.texture = *texture;
    if (view)
        said.view = *view;
    return view_create(self, CUDA_HANDLE_TEXTURE, &said, value);
}

ENTRY
cuSurfObjectCreate(CUsurfObject *value, const CUDA_RESOURCE_DESC *resource)
{
    struct cuda_guest_view said = {0};
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!value || !resource || resource->resType != CU_RESOURCE_TYPE_ARRAY)
        return CUDA_ERROR_INVALID_VALUE;
    said.resource = *resource;
    return view_create(self, CUDA_HANDLE_SURFACE, &said, value);
}

/* ---- Ending ---------------------------------------------------------------------------------- */

/* Takes it out; of two that race, one gets it. */
static CUresult
view_destroy(uint16_t kind, uint64_t value)
{
    struct cuda_guest_view *view;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);
    uint32_t wire;

    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&lock);
    view = find(self, kind, value);
    if (view && gpuvchan_handles_remove(cuda_guest.handles, view->object.handle, kind))
        tdelete(view, &tree, compare);
    else
        view = NULL;
    pthread_mutex_unlock(&lock);
    if (!view)
        return CUDA_ERROR_INVALID_VALUE;
    wire = view->object.handle;
    cuda_guest_object_free(&view->object);
    return cuda_guest_result(kind == CUDA_HANDLE_TEXTURE
                                 ? cuda_texture_destroy_on(&cuda_guest.client, self->lane, wire)
                                 : cuda_surface_destroy_on(&cuda_guest.client, self->lane, wire));
}

ENTRY
cuTexObjectDestroy(CUtexObject value)
{
    return view_destroy(CUDA_HANDLE_TEXTURE, value);
}

ENTRY
cuSurfObjectDestroy(CUsurfObject value)
{
    return view_destroy(CUDA_HANDLE_SURFACE, value);
}

/* ---- What they are --------------------------------------------------------------------------- */

/* A copy of all that is kept, if @p out is there. */
static CUresult
view_copy(uint16_t kind, uint64_t value, const void *out, struct cuda_guest_view *copy)
{
    const struct cuda_guest_view *view;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    view = find(self, kind, value);
    if (view)
        *copy = *view;
    pthread_mutex_unlock(&lock);
    return view ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

ENTRY
cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC *resource, CUtexObject value)
{
    struct cuda_guest_view view;
    CUresult result = view_copy(CUDA_HANDLE_TEXTURE, value, resource, &view);

    if (result == CUDA_SUCCESS)
        *resource = view.resource;
    return result;
}

ENTRY
cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC *texture, CUtexObject value)
{
    struct cuda_guest_view view;
    CUresult result = view_copy(CUDA_HANDLE_TEXTURE, value, texture, &view);

    if (result == CUDA_SUCCESS)
        *texture = view.texture;
    return result;
}

ENTRY
cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC *out, CUtexObject value)
{
    struct cuda_guest_view view;
    CUresult result = view_copy(CUDA_HANDLE_TEXTURE, value, out, &view);

    if (result == CUDA_SUCCESS && !view.viewed)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *out = view.view;
    return result;
}

ENTRY
cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC *resource, CUsurfObject value)
{
    struct cuda_guest_view view;
    CUresult result = view_copy(CUDA_HANDLE_SURFACE, value, resource, &view);

    if (result == CUDA_SUCCESS)
        *resource = view.resource;
    return result;
}
