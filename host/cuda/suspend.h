/* SPDX-License-Identifier: MIT */
/*
 * Suspending: all that a guest process has on the device goes into a snapshot, from which a fresh worker with a fresh
 * driver makes it again (resume.c). The guest notices nothing: handles, addresses and numbers that it knows still count.
 *
 * Design notes
 *
 * suspend() first waits until the device has done all (quiet.c). It changes nothing: where something cannot be carried
 * over it refuses, with a reason that names it, and the guest is served on. A snapshot is a list of items, in the order
 * in which they must be made. resume() takes each as it takes a record of a guest: it may come from a file that somebody
 * has damaged. Only there it can be seen whether the driver gives addresses and numbers again that the guest was
 * told: if not, that is an error which names them, and the end of the guest's session. What each kind of thing needs:
 *
 * - Contexts: their records are replayed (journal.h), with limits, flags, configurations and peers. A lane's current
 *   context is told again to the driver in lane_open(). One that has had a fault is refused: it is of no use.
 * - Modules, libraries, kernels, functions: replayed from the image that was kept, with attributes. What
 *   device code has written to variables is found by their names in the image (variables.c), also of those that the
 *   guest has never asked for; an image that cannot be read is refused. So is one that calls malloc on
 *   the device, as nobody can say what lies in its heap. Addresses of variables that the guest has been told must come
 *   out the same. Linkers at work are refused.
 * - Streams: replayed; attributes are the driver's to tell. Events: replayed; one that was recorded has happened. Times
 *   between events stay what they were, and go on over the gap (times.c).
 * - Memory: address space is reserved first of all, at exactly the same addresses. Chunks lie in their window, the
 *   guest's own reservations get their physical memory mapped again. What the driver has allocated by itself (cuMemAlloc,
 *   pools) becomes physical memory mapped at those addresses (placed.h); it goes on counting in
 *   its pool's statistics. Contents are copied. Memory that graphs allocate is refused, since
 *   the driver chooses its addresses, and what other processes share.
 * - The arena and the completion page are shared memory that stays; they are registered anew.
 * - Arrays and mipmapped arrays: replayed, contents copied. Textures and surfaces: replayed; their numbers, which
 *   kernels have as parameters, must come out the same.
 * - Graphs: the driver is asked for their nodes and edges (graph_save.c). An executable graph needs the graph that it was
 *   made of as it was then, so that stays, without a name, as long as it is needed. Conditional nodes are refused.
 * - Captures: not a safe point, -EBUSY. Functions of the guest that are due: the same. Those of graphs and user objects
 *   keep their tokens.
 * - What kernels have printed is settled; what the guest has not fetched yet is carried over.
 */
#ifndef CUDA_SUSPEND_H
#define CUDA_SUSPEND_H

#include <gpuvchan/plugin.h>

#include "cuda_plugin.h"

#define SUSPEND_MAGIC 0x6375646173757370ull
#define SUSPEND_VERSION 1u
#define SUSPEND_ITEM_MOST (8u << 20) /* bytes of an item, without the bulk data behind it */
#define SUSPEND_PAGE ((uint64_t)2 << 20)
#define SUSPEND_DEVICES 64u
#define SUSPEND_IMAGE_MOST ((uint64_t)4 << 30)
#define SUSPEND_REPLY_ROOM 65536u

/* kind, the struct that it begins with, what else follows */
#define SUSPEND_ITEMS(ITEM)                                                        \
    ITEM(WINDOW, window)     /* of the chunks */                                   \
    ITEM(RESERVED, reserved) /* by the guest */                                    \
    ITEM(PLACE, place)       /* around what the driver has allocated */            \
    ITEM(RECORD, record)     /* payload, reply; then an image */                   \
    ITEM(CHUNK, chunk)                                                             \
    ITEM(ALLOCATION, allocation)                                                   \
    ITEM(MAPPING, mapping) /* an access for each device */                         \
    ITEM(REGISTERED, registered)                                                   \
    ITEM(ATTRIBUTE, attribute) /* of a stream */                                   \
    ITEM(POOL, pool)           /* an access for each device */                     \
    ITEM(USER, user)                                                               \
    ITEM(GRAPH, graph)                                                             \
    ITEM(NODE, node)   /* see graph_save.c */                                      \
    ITEM(EDGES, edges) /* each as struct suspend_edge */                           \
    ITEM(KEPT, kept)                                                               \
    ITEM(GONE, gone)         /* a graph that only lasts for what was made of it */ \
    ITEM(CONTENTS, contents) /* then the bytes, as for those that follow */        \
    ITEM(PHYSICAL, physical)                                                       \
    ITEM(VARIABLE, variable) /* its name */                                        \
    ITEM(ARRAY, array)                                                             \
    ITEM(EVENT, event)                                                             \
    ITEM(LANE, lane)     /* logs; then what is staged of an image */               \
    ITEM(DUE, due)       /* a token that the guest hears of */                     \
    ITEM(OUTPUT, output) /* what was printed */                                    \
    ITEM(END, end)

enum suspend_kind {
#define SUSPEND_KIND(NAME, name) SUSPEND_##NAME,
    SUSPEND_ITEMS(SUSPEND_KIND)
#undef SUSPEND_KIND
    SUSPEND_KINDS
};

struct suspend_head {
    uint64_t magic;
    uint32_t version;
    uint32_t devices;
    uint64_t arena_bytes;
    int32_t driver_version;
    uint32_t simulated;
};

struct suspend_item {
    uint32_t kind, bytes;
};

struct suspend_window {
    uint64_t start, bytes, suggested;
};

struct suspend_reserved {
    uint64_t start, bytes;
};

struct suspend_place {
    uint64_t start, bytes;
    uint32_t device, pad;
};

struct suspend_record {
    uint64_t image_bytes;
    uint32_t context, bytes, reply_bytes;
    uint16_t opcode, pad;
};

struct suspend_chunk {
    uint64_t start, bytes;
    uint32_t context, ordered;
};

struct suspend_allocation {
    uint64_t start, bytes;
    uint32_t context; /* 0: pooled */
    uint32_t ordered;
    uint32_t pool; /* 0: one that the guest has not named */
    uint32_t pad;
};

struct suspend_mapping {
    uint64_t start, bytes, offset;
    uint32_t physical, devices;
};

struct suspend_registered {
    uint64_t start, offset, bytes;
    uint32_t context, pad;
};

struct suspend_attribute {
    uint32_t context, stream;
    int32_t attribute;
    uint32_t pad;
    CUlaunchAttributeValue value;
};

struct suspend_pool {
    uint64_t high;
    uint32_t pool, chosen; /* by its device */
    uint32_t device, devices;
};

struct suspend_user {
    uint32_t number, token, held, pad;
};

struct suspend_graph {
    uint32_t number; /* 0: nobody knows it */
    uint32_t context;
    uint32_t outer;  /* place in the snapshot of the graph that it is inside of, and 1; 0: of none */
    uint32_t node;   /* and place among that one's nodes */
    uint32_t origin; /* number of the graph that it is a clone of; 0: of none */
    uint32_t pad;
};

/** A node of the last graph; see struct cuda_looked. */
struct suspend_node {
    CUgraphNodeParams params; /* what it points to follows: parameters, operations, attributes */
    uint32_t number, staged;
    uint32_t kernel, event, token;
    uint32_t from_array, to_array, pad;
    uint64_t from, to; /* places in the arena, and 1 */
    uint32_t parameter_bytes, operations, attributes, unused;
};

struct suspend_node_attribute {
    int32_t attribute;
    uint32_t pad;
    CUlaunchAttributeValue value;
};

/** Edges of the graph with that place in the snapshot. */
struct suspend_edges {
    uint32_t graph, count;
};

struct suspend_edge {
    uint32_t from, to; /* places among its nodes */
    CUgraphEdgeData data;
};

struct suspend_kept {
    uint32_t graph, user, count, pad;
};

struct suspend_gone {
    uint32_t graph, pad;
};

struct suspend_contents {
    uint64_t start, bytes;
    uint32_t context, pad;
};

struct suspend_physical {
    uint64_t bytes;
    uint32_t physical, pad;
};

struct suspend_variable {
    uint64_t bytes;
    uint32_t context;
    uint32_t module; /* handle, of a module or else a library */
    uint32_t library;
    uint32_t name_bytes;
};

struct suspend_array {
    uint64_t bytes;
    uint32_t context, array, mipmap, level;
};

struct suspend_event {
    double since;    /* milliseconds before the moment below; less than 0: not recorded */
    uint64_t moment; /* nanoseconds of the clock that goes on */
    uint32_t event, pad;
};

struct suspend_lane {
    uint64_t staged_bytes, staged_filled;
    uint32_t index, context, dead, mode;
    int32_t instantiate_result;
    uint32_t instantiate_node;
    uint32_t info_bytes, error_bytes;
};

struct suspend_due {
    uint32_t token, pad;
};

struct suspend_output {
    uint64_t count;
    uint32_t word, bytes[2], pad;
};

struct suspend_end {
    uint64_t items;
};

/** Why it is not to be: says so once, with what follows. Returns @p error, a negative errno value. */
int cuda_suspend_refuse(int error, const char *format, ...) GPUVCHAN_PRINTF(2, 3);

/* ---- Writing --------------------------------------------------------------------------------- */

struct cuda_saving {
    struct cuda_host *host;
    struct gpuvchan_snapshot *snapshot;
    unsigned char *buffer; /* SUSPEND_BUFFER bytes, for what is copied from the device */
    uint64_t items;
    uint32_t graphs;
};

#define SUSPEND_BUFFER ((size_t)4 << 20)

/** An item and what follows its struct. @return 0 or a negative errno value. */
int cuda_save(struct cuda_saving *saving, enum suspend_kind kind, const void *item, size_t bytes, const void *more,
              size_t more_bytes);

/* plugin.h's suspend */
int cuda_suspend(void *state, struct gpuvchan_snapshot *snapshot);

/** The handle of its owner; 0: there is none. */
uint32_t cuda_owner_handle(const struct cuda_object *object);

/* quiet.c */
/** Waits until the device has done all; -EBUSY: it does not come to an end, or needs the guest for it; -EIO: a fault. */
int cuda_quiet(struct cuda_host *host);

/** Lanes are stopped: what is alive stays so. */
static inline bool
cuda_lives(const struct cuda_object *object)
{
    return object->made && cuda_object_alive(object);
}

/* suspend_memory.c */
int cuda_save_space(struct cuda_saving *saving);
int cuda_save_ranges(struct cuda_saving *saving);

/** Whose records are replayed when. */
enum suspend_stage {
    SUSPEND_STAGE_CONTEXTS,
    SUSPEND_STAGE_PHYSICAL,
    SUSPEND_STAGE_REST,
    SUSPEND_STAGE_GRAPHS
};

/* suspend_record.c */
int cuda_save_records(struct cuda_saving *saving, enum suspend_stage stage);
/* Each saves what its file knows: contents.c, graph_save.c, times.c, callback.c, output.c. */
int cuda_save_contents(struct cuda_saving *saving);
int cuda_save_graphs(struct cuda_saving *saving);
int cuda_save_ghosts(struct cuda_saving *saving);
int cuda_save_times(struct cuda_saving *saving);
int cuda_save_users(struct cuda_saving *saving);
int cuda_save_kept(struct cuda_saving *saving, const struct cuda_graph *graph);
int cuda_save_callbacks(struct cuda_saving *saving);
int cuda_save_output(struct cuda_saving *saving);

/* ---- Reading --------------------------------------------------------------------------------- */

struct cuda_resuming {
    struct cuda_host *host;
    struct gpuvchan_snapshot *snapshot;
    struct cuda_lane *lane; /* that records are replayed on: no guest's */
    unsigned char *payload, *reply;
    unsigned char *buffer;
    uint64_t items;
    struct cuda_object **wrong; /* made to make others come out as they were */
    size_t wrong_count;
    struct cuda_graphs_read *graphs;
};

/** The lane's current context is that of handle @p context from now on; 0: any that lives. False: there is none. */
bool cuda_resume_context(struct cuda_resuming *resuming, uint32_t context);
/** The object of that handle; NULL: there is none. */
void *cuda_resume_find(struct cuda_resuming *resuming, enum cuda_object_kind kind, uint32_t handle);
/** The snapshot cannot be what suspend has written. Returns -EBADMSG. */
int cuda_resume_damaged(const char *what);
/** The driver has answered @p result where that must not be. Returns -EIO, or 0 for CUDA_SUCCESS. */
int cuda_resume_result(struct cuda_resuming *resuming, int result, const char *format, ...) GPUVCHAN_PRINTF(3, 4);

/** The driver does not give what the guest knows again. Returns -ENOTSUP. */
int cuda_resume_differs(const char *format, ...) GPUVCHAN_PRINTF(1, 2);

int cuda_resume(struct gpuvchan_session *session, struct gpuvchan_snapshot *snapshot, void **state);

/* And each makes it again; resume_record.c, resume_memory.c, graph_load.c and those above. */
int cuda_load_window(struct cuda_resuming *resuming, const struct suspend_window *window);
int cuda_load_reserved(struct cuda_resuming *resuming, const struct suspend_reserved *reserved);
int cuda_load_place(struct cuda_resuming *resuming, const struct suspend_place *place);
int cuda_load_record(struct cuda_resuming *resuming, const struct suspend_record *record, const unsigned char *more,
                     size_t bytes);
int cuda_load_chunk(struct cuda_resuming *resuming, const struct suspend_chunk *chunk);
int cuda_load_allocation(struct cuda_resuming *resuming, const struct suspend_allocation *allocation);
int cuda_load_mapping(struct cuda_resuming *resuming, const struct suspend_mapping *mapping, const unsigned char *more,
                      size_t bytes);
int cuda_load_registered(struct cuda_resuming *resuming, const struct suspend_registered *registered);
int cuda_load_contents(struct cuda_resuming *resuming, const struct suspend_contents *contents);
int cuda_load_physical(struct cuda_resuming *resuming, const struct suspend_physical *physical);
int cuda_load_variable(struct cuda_resuming *resuming, const struct suspend_variable *variable, const char *name);
int cuda_load_array(struct cuda_resuming *resuming, const struct suspend_array *array);
int cuda_load_graph(struct cuda_resuming *resuming, const struct suspend_graph *graph);
int cuda_load_node(struct cuda_resuming *resuming, const struct suspend_node *node, const unsigned char *more,
                   size_t bytes);
int cuda_load_edges(struct cuda_resuming *resuming, const struct suspend_edges *edges, const unsigned char *more,
                    size_t bytes);
int cuda_load_gone(struct cuda_resuming *resuming, const struct suspend_gone *gone);
int cuda_load_event(struct cuda_resuming *resuming, const struct suspend_event *event);
int cuda_load_user(struct cuda_resuming *resuming, const struct suspend_user *user);
int cuda_load_kept(struct cuda_resuming *resuming, struct cuda_graph *graph, const struct suspend_kept *kept);
int cuda_load_due(struct cuda_resuming *resuming, const struct suspend_due *due);
int cuda_load_output(struct cuda_resuming *resuming, const struct suspend_output *output);
/** All graphs are there: user objects that the guest holds no more are only kept by them from now on. */
void cuda_users_settle(struct cuda_resuming *resuming);
void cuda_graphs_read_finish(struct cuda_resuming *resuming);

#endif
