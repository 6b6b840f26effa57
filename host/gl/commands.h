/* SPDX-License-Identifier: MIT */
/*
 * What handlers of commands need: the driver's functions, names, and the checks of memory that the driver reads or
 * writes.
 *
 * Design notes
 *
 * The driver believes what it is told of memory. So no pointer of the guest's ever gets to it: where GL takes an
 * address or an offset into a buffer, an offset is handed on only if a buffer is bound; and memory of the arena or of a
 * record only if it is as large as the driver is going to read or write. What that depends on (pixel storage, bindings)
 * the driver is asked for, since it alone knows which commands have failed.
 *
 * A command that the driver refuses is an error of GL, which the guest asks for. A handler fails only if the record is
 * such as no honest guest sends.
 */
#ifndef GL_COMMANDS_H
#define GL_COMMANDS_H

#include "gl_plugin.h"
#include "gl_pixels.h"
#include "names.h"

#include "gl-functions.h"

/** What the driver gets for a name that stands for nothing: it has no such object, and says so. */
#define GL_NO_NAME 0x7ffffff0u

/** The driver's functions; set before the first context. */
extern struct gl_functions *gl_functions;

/** Asks the driver for all functions; once. */
void gl_functions_load(void);

/** A command whose function the driver lacks does nothing. */
#define GL_HAS(request, function) (gl_functions->function != NULL || gl_lacks("gl" #function))

/** Says so once for each command. @return false. */
bool gl_lacks(const char *command);

static inline struct gl_context_host *
gl_context_of(struct gpuvchan_request *request)
{
    return gl_lane_of(request)->current;
}

/** An element count as the driver takes it: negative ones are errors, at which it reads nothing. */
static inline size_t
gl_count(int64_t count)
{
    return count > 0 ? (size_t)count : 0;
}

/** A record has less than what it says the driver may read or write. @return -EPROTO, for the handler. */
int gl_short(struct gpuvchan_request *request, const char *what, size_t have, size_t need);

#define GL_SCRATCHES 4
#define GL_SCRATCH_BYTES 65536u

/** Memory of the lane's own, one of GL_SCRATCHES, until the next record. NULL: no memory, or more than GL_SCRATCH_BYTES. */
void *gl_scratch(struct gpuvchan_request *request, unsigned which, size_t bytes);

/* ---- Names ----------------------------------------------------------------------------------- */

static inline struct gl_names_group *
gl_names_of(const struct gl_context_host *context, enum gl_space space)
{
    return space < GL_SPACE_SHARED ? context->group : context->own;
}

/** The driver's name; 0 for 0, GL_NO_NAME for one that stands for nothing. */
uint32_t gl_name(const struct gl_context_host *context, enum gl_space space, uint32_t name);
/** The same where GL makes the object at its first use: the name is made if the context's API allows it. */
uint32_t gl_name_bind(const struct gl_context_host *context, enum gl_space space, uint32_t name);
/** The guest's name for one of the driver's, 0 if there is none. */
uint32_t gl_name_back(const struct gl_context_host *context, enum gl_space space, uint32_t driver);
/** The same for many, in place. */
void gl_names_back(const struct gl_context_host *context, enum gl_space space, uint32_t *names, size_t count);
/** Is the value of that glGet*() an object's name? Then of which kind. */
bool gl_pname_space(uint32_t pname, enum gl_space *space);
/** Driver's names in scratch memory, the last one. NULL: no memory. */
const uint32_t *gl_name_array(const struct gl_context_host *context, struct gpuvchan_request *request,
                              enum gl_space space, const uint32_t *names, size_t count);
/** Enters names that the driver has made; 0 there means that it has not. @return 0, or the handler's error. */
int gl_names_made(const struct gl_context_host *context, struct gpuvchan_request *request, enum gl_space space,
                  const uint32_t *names, const uint32_t *driver, size_t count);
/** Takes names out and has in @p driver what the driver is to delete. */
void gl_names_gone(const struct gl_context_host *context, enum gl_space space, const uint32_t *names, uint32_t *driver,
                   size_t count);

/* ---- What comes back ------------------------------------------------------------------------- */

/** Fills memory with a pattern that no driver writes but by chance. */
void gl_canary(void *memory, size_t bytes);
/** Copies what is there of @p count elements of @p all, up to the last one that has changed, and sets *@p filled. */
void gl_changed(void *to, size_t *filled, const void *all, size_t count, size_t size);

/* ---- Memory ---------------------------------------------------------------------------------- */

enum gl_source {
    GL_SOURCE_NULL,
    GL_SOURCE_ARENA,
    GL_SOURCE_BUFFER, /* an offset */
};

/** Of what the driver does not say how large it is. */
#define GL_UNKNOWN_BYTES UINT64_MAX

/** How the driver writes pixels now. */
const struct gl_pixel_store *gl_pack_store(const struct gl_context_host *context);
/** What the driver reads of an image, as its pixel storage is now. */
uint64_t gl_image_unpacked(const struct gl_context_host *context, unsigned dimensions, uint32_t format, uint32_t type,
                           int32_t width, int32_t height, int32_t depth);
/** What it writes. */
uint64_t gl_image_packed(const struct gl_context_host *context, unsigned dimensions, uint32_t format, uint32_t type,
                         int32_t width, int32_t height, int32_t depth);
/** What it writes of a texture's image. */
uint64_t
gl_level_packed(const struct gl_context_host *context, uint32_t target, int32_t level, uint32_t format, uint32_t type);
uint64_t gl_compressed_packed(const struct gl_context_host *context, uint32_t target, int32_t level);

static inline uint64_t
gl_bytes(const struct gl_context_host *context, int64_t bytes)
{
    (void)context;
    return gl_count(bytes);
}
#define gl_stored_unpacked gl_bytes
#define gl_stored_packed gl_bytes
#define gl_memory_unpacked gl_bytes
#define gl_memory_packed gl_bytes

/**
 * What the driver gets as the pointer to pixels: memory of the arena with all of @p need, or an offset if a buffer is
 * bound. @return false: neither; nothing is to be done.
 */
bool
gl_upload_pixels(const struct gl_context_host *context, struct gpuvchan_request *request, uint32_t source,
                 uint64_t offset, const void *memory, size_t bytes, uint64_t need, bool null_ok, const void **pixels);
/** The same of memory that is never an offset. */
bool
gl_upload_memory(const struct gl_context_host *context, struct gpuvchan_request *request, uint32_t source,
                 uint64_t offset, const void *memory, size_t bytes, uint64_t need, bool null_ok, const void **pixels);
/** May the driver write @p need bytes where the guest has given @p bytes? */
bool
gl_download_fits(const struct gl_context_host *context, struct gpuvchan_request *request, uint64_t need, size_t bytes);

/** Is a buffer bound, so that a pointer is an offset? */
bool gl_pack_bound(const struct gl_context_host *context);
bool gl_element_bound(struct gl_context_host *context);
bool gl_indirect_bound(const struct gl_context_host *context);
/** A vertex array's offset; 0 without a buffer: such an array is never read. */
uint64_t gl_array_offset(const struct gl_context_host *context, uint64_t offset);

/** Are all enabled vertex arrays in buffers? If not, nothing may be drawn. */
bool gl_draw_ready(struct gl_context_host *context);

/** Raises GL_INVALID_ENUM in the driver. */
void gl_raise_enum(void);
/** glGetIntegerv() of one number; 0 if the driver does not know it. */
int32_t gl_get(uint32_t pname);

#endif
