/* SPDX-License-Identifier: MIT */
/* Records of journals, out, with the images that they need; see suspend.h. */
#include "suspend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "journal.h"

#include "cuda-guest.h"

/* ---- Records --------------------------------------------------------------------------------- */

struct found {
    const struct cuda_record *record;
    struct cuda_object *object; /* NULL: of the process */
};

static int
by_number(const void *a, const void *b)
{
    const struct found *first = a, *second = b;

    return first->record->number < second->record->number ? -1 : first->record->number > second->record->number;
}

/* What a module's or library's image is, with offsets where the driver wants pointers. */
static int
save_image(struct cuda_saving *saving, const struct cuda_object *object)
{
    const struct cuda_module *module = (const struct cuda_module *)object;
    const struct cuda_library *library = (const struct cuda_library *)object;
    bool is_module = object->kind == CUDA_OBJECT_MODULE;
    const unsigned char *image = is_module ? module->image : library->image;
    size_t bytes = is_module ? module->image_bytes : library->image_bytes;
    unsigned char *copy;
    int error;

    if (!cuda_image_is_wrapper(image, bytes))
        return gpuvchan_snapshot_write(saving->snapshot, image, bytes);
    copy = malloc(bytes);
    if (!copy)
        return cuda_suspend_refuse(-ENOMEM, "out of memory");
    memcpy(copy, image, bytes);
    cuda_image_unresolve(copy, image);
    error = gpuvchan_snapshot_write(saving->snapshot, copy, bytes);
    free(copy);
    return error;
}

/* A variable of the module that the guest knows the address of: it must be loaded to where that comes out again. */
static const struct cuda_record *
told_variable(const struct cuda_object *object)
{
    const struct cuda_record *record = object->records;

    while (record && record->opcode != CUDA_OPCODE_MODULE_GLOBAL)
        record = record->next;
    return record;
}

static int
save_record(struct cuda_saving *saving, const struct found *found)
{
    struct cuda_host *host = saving->host;
    const struct cuda_record *record = found->record;
    uint32_t image_at = cuda_record_image_at(record->opcode);
    const struct cuda_record *told = record->opcode == CUDA_OPCODE_MODULE_LOAD ? told_variable(found->object) : NULL;
    bool known = gpuvchan_handles_lookup(host->handles, record->context, CUDA_HANDLE_CONTEXT) != NULL;
    size_t expected = told ? told->bytes + told->reply_bytes : record->reply_bytes;
    struct suspend_record item = {.context = known ? record->context : 0,
                                  .bytes = record->bytes,
                                  .reply_bytes = (uint32_t)expected,
                                  .opcode = record->opcode};
    unsigned char *data = malloc(record->bytes + expected);
    int error;

    if (!data)
        return cuda_suspend_refuse(-ENOMEM, "out of memory");
    memcpy(data, record->data, record->bytes);
    memcpy(data + record->bytes, told ? told->data : record->data + record->bytes, expected);
    if (image_at) {
        memset(data + image_at, 0, sizeof(struct gpuvchan_reference));
        item.image_bytes = found->object->kind == CUDA_OBJECT_MODULE
                               ? ((struct cuda_module *)found->object)->image_bytes
                               : ((struct cuda_library *)found->object)->image_bytes;
    }
    error = cuda_save(saving, SUSPEND_RECORD, &item, sizeof(item), data, record->bytes + expected);
    if (error == 0 && image_at)
        error = save_image(saving, found->object);
    free(data);
    return error;
}

/* Peers may have gone since; what textures and surfaces show must be there. */
static int
check_record(struct cuda_host *host, const struct cuda_record *record, bool *needed)
{
    const struct cuda_texture_create_request *texture = (const void *)record->data;
    const struct cuda_surface_create_request *surface = (const void *)record->data;
    const struct cuda_peer_enable_request *peer = (const void *)record->data;
    struct gpuvchan_handles *handles = host->handles;

    *needed = true;
    if (record->opcode == CUDA_OPCODE_PEER_ENABLE)
        *needed = gpuvchan_handles_lookup(handles, peer->peer, CUDA_HANDLE_CONTEXT) != NULL;
    else if (record->opcode == CUDA_OPCODE_TEXTURE_CREATE &&
             ((texture->array && !gpuvchan_handles_lookup(handles, texture->array, CUDA_HANDLE_CUARRAY)) ||
              (texture->levels && !gpuvchan_handles_lookup(handles, texture->levels, CUDA_HANDLE_MIPMAP))))
        return cuda_suspend_refuse(-ENOTSUP, "texture %#x is of an array that is gone", texture->made);
    else if (record->opcode == CUDA_OPCODE_SURFACE_CREATE &&
             !gpuvchan_handles_lookup(handles, surface->array, CUDA_HANDLE_CUARRAY))
        return cuda_suspend_refuse(-ENOTSUP, "surface %#x is of an array that is gone", surface->made);
    return 0;
}

static enum suspend_stage
stage_of(const struct cuda_object *object)
{
    if (!object || object->kind == CUDA_OBJECT_CONTEXT)
        return SUSPEND_STAGE_CONTEXTS;
    if (object->kind == CUDA_OBJECT_PHYSICAL)
        return SUSPEND_STAGE_PHYSICAL;
    return object->kind == CUDA_OBJECT_GRAPH_EXEC ? SUSPEND_STAGE_GRAPHS : SUSPEND_STAGE_REST;
}

static bool
find(struct found **found, size_t *count, size_t *room, const struct cuda_record *record, struct cuda_object *object)
{
    for (; record; record = record->next) {
        if (*count == *room) {
            struct found *grown = realloc(*found, (*room = *room ? *room * 2 : 64) * sizeof(**found));

            if (!grown)
                return false;
            *found = grown;
        }
        (*found)[(*count)++] = (struct found){record, object};
    }
    return true;
}

int
cuda_save_records(struct cuda_saving *saving, enum suspend_stage stage)
{
    struct cuda_host *host = saving->host;
    struct found *found = NULL;
    size_t count = 0, room = 0;
    bool good = stage != SUSPEND_STAGE_CONTEXTS || find(&found, &count, &room, host->records, NULL);
    int error = 0;

    for (struct cuda_object *object = host->made; object && good; object = object->next_made)
        if (cuda_lives(object) && stage_of(object) == stage)
            good = find(&found, &count, &room, object->records, object);
    if (!good)
        error = cuda_suspend_refuse(-ENOMEM, "out of memory");
    if (count > 0)
        qsort(found, count, sizeof(*found), by_number);
    for (size_t i = 0; i < count && error == 0; i++) {
        bool needed;

        error = check_record(host, found[i].record, &needed);
        if (error == 0 && needed)
            error = save_record(saving, &found[i]);
    }
    free(found);
    return error;
}
