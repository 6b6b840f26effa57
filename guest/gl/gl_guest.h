/* SPDX-License-Identifier: MIT */
/*
 * The inside of the GL client's commands.
 *
 * Design notes
 *
 * A function of GL is generated from Khronos's registry unless it needs more: then it is written by hand, under the
 * same name, and sends its records by the generated stubs. None of these functions is exported: programs get them by
 * gl_lookup().
 *
 * What the guest keeps is what it cannot do without: which buffers are bound where a pointer may be an offset, how
 * pixels lie in memory, and vertex arrays in the program's memory. All else the driver knows.
 *
 * Memory. Arrays of some kilobytes go in records. What may be larger is copied to the context's pool in the arena, a
 * ring of segments. Behind the last record that uses a segment there is one that says so in a completion word, for
 * which the next use waits. What is larger than a segment has a piece of the arena for itself as long.
 */
#ifndef GL_GUEST_INTERNAL_H
#define GL_GUEST_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gl-guest.h"

#include "context.h"
#include "gl_pixels.h"
#include "gl_space.h"
#include "state.h"

#include "gl-entries.h"

/* ---- Tables of what the guest knows of objects, by name --------------------------------------- */

#define GL_NAMES_MAX (1u << 20) /* larger ones the program may use, but nothing is known of them */
#define GL_TABLE_NODES 1024u

struct gl_table {
    _Atomic(_Atomic(void *) *) nodes[GL_TABLE_NODES];
};

/** What is known of @p name, or NULL. Wait-free. */
void *gl_table_find(const struct gl_table *table, uint32_t name);
/** Sets it; the table does not own it. @return false: no memory, or the name is too large. */
bool gl_table_set(struct gl_table *table, uint32_t name, void *object);
/** Calls @p finish for each object, and frees the table's own memory. */
void gl_table_finish(struct gl_table *table, void (*finish)(void *object));

/* ---- State ----------------------------------------------------------------------------------- */

enum gl_binding {
    GL_BOUND_ARRAY,
    GL_BOUND_PIXEL_PACK,
    GL_BOUND_PIXEL_UNPACK,
    GL_BOUND_DRAW_INDIRECT,
    GL_BOUND_DISPATCH_INDIRECT,
    GL_BOUND_COPY_READ,
    GL_BOUND_COPY_WRITE,
    GL_BOUND_UNIFORM,
    GL_BOUND_SHADER_STORAGE,
    GL_BOUND_ATOMIC_COUNTER,
    GL_BOUND_TRANSFORM_FEEDBACK,
    GL_BOUND_TEXTURE,
    GL_BOUND_QUERY,
    GL_BOUND_PARAMETER,
    GL_BINDINGS,
    GL_BOUND_ELEMENT = GL_BINDINGS, /* the vertex array object's */
    GL_BOUND_NONE,
};

enum {
    GL_ATTRIBS = 32, /* generic ones are 0 to 15 */
    GL_GENERIC = 16,
    GL_ARRAY_VERTEX = 16,
    GL_ARRAY_NORMAL,
    GL_ARRAY_COLOR,
    GL_ARRAY_INDEX,
    GL_ARRAY_EDGE_FLAG,
    GL_ARRAY_FOG_COORD,
    GL_ARRAY_SECONDARY_COLOR,
    GL_ARRAY_TEX_COORD = 24, /* eight of them */
    GL_TEX_COORDS = 8,
};

/** How glVertexAttrib*Pointer() was called. */
enum gl_attrib_kind {
    GL_ATTRIB_FLOAT,
    GL_ATTRIB_INTEGER,
    GL_ATTRIB_DOUBLE,
};

struct gl_attrib {
    const void *pointer;
    uint32_t buffer;
    int32_t size, stride;
    uint32_t type, divisor;
    uint8_t normalized, kind;
};

/** A vertex array object. */
struct gl_arrays {
    uint32_t enabled;   /* a bit per attribute */
    uint32_t in_memory; /* whose pointer is one */
    uint32_t element;   /* buffer of indices */
    struct gl_attrib attribs[GL_ATTRIBS];
};

struct gl_pool;

struct gl_client_attribs {
    uint32_t mask;
    struct gl_pixel_store pack, unpack;
    struct gl_arrays arrays;
    uint32_t arrays_name, array, pack_buffer, unpack_buffer, client_texture;
};

#define GL_CLIENT_DEPTH 16
#define GL_PERSISTENT_MAX 64

/** A buffer object of our own that is written from the start on, and made anew when it is full. */
struct gl_stream {
    uint32_t buffer;
    uint64_t bytes, at;
};

struct gl_state {
    struct gl_context *context;
    uint32_t from_memory;     /* attributes that are enabled and lie in the program's memory */
    struct gl_arrays *arrays; /* that is bound */
    struct gl_arrays arrays_default;
    uint32_t arrays_name;
    uint32_t bound[GL_BINDINGS];
    struct gl_pixel_store pack, unpack;
    uint32_t client_texture; /* glClientActiveTexture(), from 0 */
    struct gl_pool *pool;
    struct gl_table arrays_table; /* struct gl_arrays by name */
    struct gl_names *names;       /* that contexts do not share */
    struct gl_client_attribs *client_stack;
    unsigned client_depth;
    struct gl_stream vertices, indices; /* where the program's arrays are copied to */
    char *strings[5], *extensions;      /* as glGetString() gives them */
    const char **extension_names;
    int32_t extension_count;
    void *feedback, *selection; /* the program's memory */
    int32_t feedback_size, selection_size;
    uint32_t render_mode;
    uint32_t persistent[GL_PERSISTENT_MAX]; /* buffers that are mapped so */
    unsigned persistent_count;
    bool draws_front, reads_front; /* the program has asked for that */
    void *debug_callback;
    const void *debug_user;
};

/* ---- Errors ---------------------------------------------------------------------------------- */

/** A stub has returned @p status, not 0. */
__attribute__((cold)) void gl_failed(struct gl_context *gl, const char *command, int status);
/** A command that is not served yet. Says so once, and sets GL_INVALID_OPERATION. */
__attribute__((cold)) void gl_unserved(const char *command, atomic_flag *said);

/* ---- Numbers --------------------------------------------------------------------------------- */

static inline size_t
gl_count(int64_t count)
{
    return count > 0 ? (size_t)count : 0;
}

/** How many numbers a vector has whose meaning @p pname says. */
unsigned gl_values(uint32_t pname);

/* ---- Names ----------------------------------------------------------------------------------- */

struct gl_names;
struct gl_share;

struct gl_names *gl_names_create(void);
void gl_names_destroy(struct gl_names *names);

/** @p n fresh names of a kind. @return false, with GL_OUT_OF_MEMORY: there are none. */
bool gl_names_gen(struct gl_context *gl, enum gl_space space, int32_t n, uint32_t *names);
/** The same, one behind the other; the first, or 0. */
uint32_t gl_names_gen_range(struct gl_context *gl, enum gl_space space, uint32_t n);
void gl_names_free(struct gl_context *gl, enum gl_space space, int32_t n, const uint32_t *names);
bool gl_names_taken(const struct gl_context *gl, enum gl_space space, uint32_t name);
void gl_names_mark(struct gl_context *gl, enum gl_space space, uint32_t name);

/** The program uses a name that may be its own invention: it is not given to others. */
static inline void
gl_names_use(struct gl_context *gl, enum gl_space space, uint32_t name)
{
    if (gl->api != GL_API_CORE && name != 0)
        gl_names_mark(gl, space, name);
}

/** What the share group knows of buffers: struct gl_buffer by name. */
struct gl_table *gl_share_buffers(struct gl_share *share);

/* ---- Memory ---------------------------------------------------------------------------------- */

enum gl_source {
    GL_SOURCE_NULL,
    GL_SOURCE_ARENA,
    GL_SOURCE_BUFFER,
};

struct gl_upload {
    uint32_t source;
    uint64_t offset;
    struct gpuvchan_reference memory;
};

struct gl_download {
    struct gpuvchan_reference memory;
    void *from, *to;
    size_t bytes;
};

/**
 * @p bytes of the arena for the next record, and for no later one. Their address, or NULL with GL_OUT_OF_MEMORY set.
 */
void *gl_pool_take(struct gl_context *gl, uint64_t bytes, struct gpuvchan_reference *reference);
void gl_pool_destroy(struct gl_pool *pool);

/** Pixels as they lie in the program's memory, or where in a buffer. @return false: nothing is to be sent. */
bool gl_upload_image(struct gl_context *gl, struct gl_upload *upload, const void *pixels, unsigned dimensions,
                     uint32_t format, uint32_t type, int32_t width, int32_t height, int32_t depth);
bool gl_upload_stored(struct gl_context *gl, struct gl_upload *upload, const void *data, int64_t bytes);
bool gl_upload_memory(struct gl_context *gl, struct gl_upload *upload, const void *data, int64_t bytes);

/** Is what would come back written into a buffer? */
static inline bool
gl_packs(const struct gl_context *gl)
{
    return gl->state->bound[GL_BOUND_PIXEL_PACK] != 0;
}

/** Memory for what comes back, with what is there now. @return false: nothing is to be sent. */
bool gl_download_image(struct gl_context *gl, struct gl_download *download, void *pixels, unsigned dimensions,
                       uint32_t format, uint32_t type, int32_t width, int32_t height, int32_t depth);
bool gl_download_stored(struct gl_context *gl, struct gl_download *download, void *data, int64_t bytes);
bool gl_download_memory(struct gl_context *gl, struct gl_download *download, void *data, int64_t bytes);
bool gl_download_level(struct gl_context *gl, struct gl_download *download, void *pixels, uint32_t target,
                       int32_t level, uint32_t format, uint32_t type);
bool
gl_download_compressed(struct gl_context *gl, struct gl_download *download, void *data, uint32_t target, int32_t level);
/** The record has been answered: what has come back goes to the program. */
void gl_download_end(struct gl_context *gl, struct gl_download *download, bool good);

/* ---- Buffers and arrays ---------------------------------------------------------------------- */

/** What is known of a buffer object. */
struct gl_buffer {
    int64_t size;
    struct gpuvchan_buffer *mapping; /* arena memory that the program has it mapped at, or NULL */
    int64_t map_offset, map_length;
    uint32_t map_access;
    void *map_sent; /* of a mapping that persists: what the driver has of it */
};

/** Mappings that persist: what the program has written there goes to the buffers. Called where commands may read them. */
void gl_maps_send(struct gl_context *gl);
/** All commands are done: what they have written is to be seen in mappings that persist. */
void gl_maps_fetch(struct gl_context *gl);

static inline void
gl_maps_settle(struct gl_context *gl)
{
    if (__builtin_expect(gl->state->persistent_count != 0, 0))
        gl_maps_send(gl);
}
/** No mapping of that buffer persists any more. */
void gl_maps_forget(struct gl_context *gl, uint32_t name, struct gl_buffer *buffer);

enum gl_binding gl_binding_of(uint32_t target);
/** Name of the buffer that is bound there, 0 for none. */
uint32_t gl_bound_buffer(const struct gl_context *gl, uint32_t target);
/** What is known of it, made if need be. NULL: no memory, or no such name. */
struct gl_buffer *gl_buffer_of(struct gl_context *gl, uint32_t name);
/** Arrays no longer lie in buffers that are deleted. */
void gl_arrays_forget_buffer(struct gl_state *state, uint32_t buffer);
/** Which arrays are read from memory has changed. */
static inline void
gl_arrays_changed(struct gl_state *state)
{
    state->from_memory = state->arrays->enabled & state->arrays->in_memory;
}

/**
 * Copies what a draw reads of arrays in the program's memory to a buffer and points the driver there: vertices @p first
 * to @p first + @p count, and @p instances. @return false: nothing can be drawn.
 */
bool gl_arrays_send(struct gl_context *gl, int64_t first, int64_t count, int64_t instances);
/** The same of indices: binds them as the element buffer, and tells their offset there. */
bool gl_indices_send(struct gl_context *gl, const void *indices, size_t bytes, uint64_t *offset);

#endif
