/* SPDX-License-Identifier: MIT */
/* Records of journals, replayed on a lane of nobody's; see resume.c. */
#include "suspend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "journal.h"

#include "cuda-guest.h"

#define TRIES 4096u /* to have a number come out as it was */
#define MODULE_TRIES 16u

/* ---- Records --------------------------------------------------------------------------------- */

struct replay {
    const struct suspend_record *item;
    const unsigned char *payload, *expected;
    unsigned char *image; /* or NULL */
};

/* The lane has it as if it had come in pieces. */
static int
stage_image(struct cuda_resuming *resuming, const struct replay *replay)
{
    size_t bytes = (size_t)replay->item->image_bytes;
    struct cuda_lane *lane = resuming->lane;

    cuda_lane_forget_image(lane);
    if (!replay->image)
        return 0;
    lane->staged.image = cuda_image_memory(bytes);
    if (!lane->staged.image)
        return -ENOMEM;
    memcpy(lane->staged.image, replay->image, bytes);
    lane->staged.bytes = lane->staged.filled = bytes;
    return 0;
}

static int
execute(struct cuda_resuming *resuming, const struct replay *replay, struct gpuvchan_request *request)
{
    const struct gpuvchan_entry *entry = &cuda_kept_dispatch.entries[replay->item->opcode];
    int error = stage_image(resuming, replay);

    if (error != 0)
        return error;
    if (replay->item->bytes < entry->bytes_min || replay->item->bytes >= entry->bytes_max + GPUVCHAN_RECORD_UNIT)
        return cuda_resume_damaged("a record of another size");
    memcpy(resuming->payload, replay->payload, replay->item->bytes);
    *request = (struct gpuvchan_request){.session = resuming->host->session,
                                         .state = resuming->host,
                                         .lane_state = resuming->lane,
                                         .payload = resuming->payload,
                                         .bytes = replay->item->bytes,
                                         .opcode = replay->item->opcode,
                                         .lane = CUDA_LANES,
                                         .reply = resuming->reply,
                                         .reply_room = SUSPEND_REPLY_ROOM};
    error = cuda_resume_result(resuming, entry->execute(request), "record %s", entry->name);
    cuda_lane_forget_image(resuming->lane);
    cuda_lane_forget_logs(resuming->lane);
    return error;
}

/* Does the module have its variables where the guest knows them? */
static bool
module_fits(struct cuda_resuming *resuming, const struct replay *replay, const struct gpuvchan_request *request)
{
    const struct cuda_module_global_request *told = (const void *)replay->expected;
    const struct cuda_module *module;
    struct cuda_module_global_reply reply;
    CUdeviceptr at = 0;
    uint32_t handle;
    size_t bytes;

    memcpy(&handle, request->payload, sizeof(handle));
    module = cuda_resume_find(resuming, CUDA_OBJECT_MODULE, handle);
    if (!module || replay->item->reply_bytes < sizeof(*told) + sizeof(reply) ||
        !memchr(told + 1, 0, replay->item->reply_bytes - sizeof(*told)))
        return true; /* its own record will tell */
    memcpy(&reply, replay->expected + replay->item->reply_bytes - sizeof(reply), sizeof(reply));
    return resuming->host->native->cuModuleGetGlobal(&at, &bytes, module->native, (const char *)(told + 1)) !=
               CUDA_SUCCESS ||
           at == reply.address;
}

static bool
comes_out(struct cuda_resuming *resuming, const struct replay *replay, const struct gpuvchan_request *request)
{
    if (replay->item->reply_bytes == 0)
        return true;
    if (request->opcode == CUDA_OPCODE_MODULE_LOAD)
        return module_fits(resuming, replay, request);
    return request->reply_bytes == replay->item->reply_bytes &&
           memcmp(request->reply, replay->expected, request->reply_bytes) == 0;
}

/* Which ones are numbered or placed by what else there is: one more takes the wrong number away. */
static unsigned
tries_for(uint16_t opcode)
{
    if (opcode == CUDA_OPCODE_TEXTURE_CREATE || opcode == CUDA_OPCODE_SURFACE_CREATE)
        return TRIES;
    return opcode == CUDA_OPCODE_MODULE_LOAD ? MODULE_TRIES : 1;
}

/* What has come out wrong stays without a handle until it comes out right. */
static bool
set_aside(struct cuda_resuming *resuming, const struct gpuvchan_request *request)
{
    struct cuda_object **grown = realloc(resuming->wrong, (resuming->wrong_count + 1) * sizeof(*grown));
    enum cuda_object_kind kind = request->opcode == CUDA_OPCODE_TEXTURE_CREATE   ? CUDA_OBJECT_TEXTURE
                                 : request->opcode == CUDA_OPCODE_SURFACE_CREATE ? CUDA_OBJECT_SURFACE
                                                                                 : CUDA_OBJECT_MODULE;
    struct cuda_object *object;
    uint32_t handle;

    if (!grown)
        return false;
    resuming->wrong = grown;
    memcpy(&handle, request->payload, sizeof(handle));
    object = gpuvchan_handles_remove(resuming->host->handles, handle, cuda_object_handle_kind(kind));
    if (object)
        grown[resuming->wrong_count++] = object;
    return object != NULL;
}

static void
drop_wrong(struct cuda_resuming *resuming)
{
    while (resuming->wrong_count > 0) {
        struct cuda_object *object = resuming->wrong[--resuming->wrong_count];
        const struct cuda_object *owner = atomic_load(&object->owner);

        if (owner && cuda_resume_context(resuming, owner->handle))
            cuda_object_close(resuming->lane, object);
    }
    free(resuming->wrong);
    resuming->wrong = NULL;
}

/* Again and again, until it comes out as it was. */
static int
replay_until(struct cuda_resuming *resuming, const struct replay *replay)
{
    for (unsigned left = tries_for(replay->item->opcode); left > 0; left--) {
        struct gpuvchan_request request;
        int error = execute(resuming, replay, &request);

        if (error != 0)
            return error;
        if (comes_out(resuming, replay, &request))
            return 0;
        if (left > 1 && !set_aside(resuming, &request))
            return -ENOMEM;
    }
    return cuda_resume_differs("address or number for %s", cuda_kept_dispatch.entries[replay->item->opcode].name);
}

static int
replay_record(struct cuda_resuming *resuming, const struct replay *replay)
{
    int error = replay_until(resuming, replay);

    drop_wrong(resuming); /* what comes later may have been where they are */
    return error;
}

/* Records that graphs keep with what is executable of them. */
static bool
may_replay(uint16_t opcode)
{
    return cuda_record_is_kept(opcode) || opcode == CUDA_OPCODE_NODE_SET || opcode == CUDA_OPCODE_GRAPH_EXEC_ENABLE ||
           opcode == CUDA_OPCODE_GRAPH_EXEC_UPDATE;
}

static int
read_image(struct cuda_resuming *resuming, const struct suspend_record *item, unsigned char **image)
{
    int error;

    if ((item->image_bytes != 0) != (cuda_record_image_at(item->opcode) != 0) || item->image_bytes > SUSPEND_IMAGE_MOST)
        return cuda_resume_damaged("an image of no size");
    if (item->image_bytes == 0)
        return 0;
    *image = malloc((size_t)item->image_bytes);
    if (!*image)
        return -ENOMEM;
    error = gpuvchan_snapshot_read(resuming->snapshot, *image, (size_t)item->image_bytes);
    return error;
}

int
cuda_load_record(struct cuda_resuming *resuming, const struct suspend_record *item, const unsigned char *more,
                 size_t bytes)
{
    struct replay replay = {.item = item, .payload = more, .expected = more + item->bytes};
    int error;

    if (!may_replay(item->opcode) || item->bytes > bytes || item->reply_bytes != bytes - item->bytes ||
        item->bytes % GPUVCHAN_RECORD_UNIT != 0)
        return cuda_resume_damaged("a record that is none");
    error = read_image(resuming, item, &replay.image);
    if (error == 0) {
        resuming->lane->current = NULL;
        if (!cuda_resume_context(resuming, item->context) && item->context != 0)
            error = cuda_resume_damaged("a record in a context that is not there");
    }
    if (error == 0)
        error = replay_record(resuming, &replay);
    free(replay.image);
    return error;
}
