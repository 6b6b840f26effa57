/* SPDX-License-Identifier: MIT */
/*
 * What a guest process has on the host: contexts, modules, functions, streams, events, ranges of memory.
 *
 * Design notes
 *
 * Each object lies in a struct of ours that knows the driver's handle, because the driver trusts the
 * handles it is given, and a guest is not to be trusted with that. Objects form a tree: a context owns
 * modules, streams, events, allocations and graphs, a module owns functions and globals, a graph its nodes, and a node
 * what graphs are inside it. A library is of no context and owns its kernels. An object is usable while it and all its owners are alive, so ending a context ends all in it at once.
 *
 * Lanes run in parallel, and one may end what another is using. A lane therefore announces the objects of
 * its record before it looks whether they are alive (cuda_enter, cuda_lane_range); who ends an object first
 * clears alive and then waits until no other lane announces it or anything in it. The two orders need a full
 * fence on each side, which is all that a launch pays; no lock is on its path.
 *
 * The memory of an object is used again only for objects of its kind and is freed with the guest process. A
 * lane that lost the race between look-up and announcement thus reads a valid struct and finds it dead,
 * or finds another object of the same guest, which is what a handle of its own could name as well.
 */
#ifndef CUDA_OBJECT_H
#define CUDA_OBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct cuda_host;
struct gpuvchan_request;
struct cuda_lane;
struct cuda_record;

enum cuda_object_kind {
    CUDA_OBJECT_CONTEXT,
    CUDA_OBJECT_MODULE,
    CUDA_OBJECT_FUNCTION,
    CUDA_OBJECT_STREAM,
    CUDA_OBJECT_EVENT,
    CUDA_OBJECT_RANGE,
    CUDA_OBJECT_LIBRARY,
    CUDA_OBJECT_LINK,
    CUDA_OBJECT_POOL,
    CUDA_OBJECT_PHYSICAL,
    CUDA_OBJECT_ARRAY,
    CUDA_OBJECT_MIPMAP,
    CUDA_OBJECT_TEXTURE,
    CUDA_OBJECT_SURFACE,
    CUDA_OBJECT_GRAPH,
    CUDA_OBJECT_NODE,
    CUDA_OBJECT_GRAPH_EXEC,
    CUDA_OBJECT_GREEN,
    CUDA_OBJECT_TEXREF,
    CUDA_OBJECT_SURFREF,
    CUDA_OBJECT_KINDS,
};

struct cuda_object {
    enum cuda_object_kind kind; /* never changes */
    _Atomic bool alive;
    _Atomic(struct cuda_object *) owner; /* NULL: it is a context, or of the process */
    uint32_t handle;                     /* the guest's; 0: it has none */
    /* With the host's lock: */
    bool made;                         /* not in the list of unused ones */
    struct cuda_object *newest;        /* of those that it owns */
    struct cuda_object *older, *newer; /* owned by the same owner */
    struct cuda_record *records;       /* what made it, oldest first; see journal.h */
    struct cuda_object *next_free;
    struct cuda_object *next_made; /* all memory, for the end */
};

/** Memory for an object of @p kind, all zero but its head; not alive. NULL: out of memory. */
struct cuda_object *cuda_object_create(struct cuda_host *host, enum cuda_object_kind kind);
/** Makes it usable, as part of @p owner. @p request (NULL: no handle) is the record that creates it. */
void cuda_object_begin(struct cuda_host *host, struct cuda_object *object, struct cuda_object *owner,
                       const struct gpuvchan_request *request);
/** Takes it out of its owner and gives its memory back. It must not be alive nor own anything. */
void cuda_object_destroy(struct cuda_host *host, struct cuda_object *object);

/** Usable, as far as this thread sees? */
bool cuda_object_alive(const struct cuda_object *object);

/**
 * Nobody uses the object from now on: false if it was ended before; else true, once no other lane than
 * @p self (NULL: none) is using it or anything in it. Blocks as long as such a lane's record does.
 */
bool cuda_object_end(struct cuda_host *host, const struct cuda_lane *self, struct cuda_object *object);

/** Ends all that @p object owns: it cannot be found by handle or address any more, and its memory is given back. */
void cuda_object_empty(struct cuda_host *host, struct cuda_object *object);

/**
 * The guest has given its handle of @p object back: ends it, destroys the driver's and what it owns.
 * @return what the driver says (on an error the object lives on without a handle, until its owner ends);
 * CUDA_ERROR_INVALID_HANDLE if it had ended before with its owner.
 */
int cuda_object_close(struct cuda_lane *lane, struct cuda_object *object);

/** Like cuda_object_close() for an object that the guest still has a handle of. */
int cuda_object_revoke(struct cuda_lane *lane, struct cuda_object *object);

/** The kind that a handle of such an object has in the guest's table; 0: there are none. */
uint16_t cuda_object_handle_kind(enum cuda_object_kind kind);

/** For the end, when no lane is left: @p visit sees each object of @p kind that is alive. */
void cuda_objects_visit(struct cuda_host *host, enum cuda_object_kind kind,
                        void (*visit)(struct cuda_host *host, struct cuda_object *object));

/** Frees the memory of all objects. */
void cuda_objects_finish(struct cuda_host *host);

#endif
