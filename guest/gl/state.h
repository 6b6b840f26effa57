/* SPDX-License-Identifier: MIT */
/*
 * What the commands' half of the GL client offers to the windows' half: the state of a context, the names of a
 * share group, and the table of all gl* functions.
 *
 * Design notes
 *
 * A share group has the names of objects that contexts share; a context's state has what is its own: names of
 * vertex arrays and framebuffers, which buffers are bound, client arrays, pixel storage, the arena memory that its
 * commands go through. Nothing here sends a record but what says so.
 */
#ifndef GL_STATE_H
#define GL_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "gl_wire.h"

struct gl_context;
struct gl_share;
struct gl_state;

/** Names of a share group, empty; one reference. NULL: no memory. */
struct gl_share *gl_share_create(void);
/** One more reference. Returns @p share. Thread-safe. */
struct gl_share *gl_share_ref(struct gl_share *share);
/** One less; the last one frees it. NULL is allowed. Thread-safe. */
void gl_share_unref(struct gl_share *share);

/** The state of a new context: api, version, share and client are set in @p context. Sends nothing. NULL: no memory. */
struct gl_state *gl_state_create(struct gl_context *context);
/**
 * Frees it, with its arena memory: the context's own records must all have been executed, or the channel be gone.
 * NULL is allowed.
 */
void gl_state_destroy(struct gl_state *state);
/**
 * @p context has become the calling thread's, with a drawable of this size (0, 0: none) and the lane set: asks the host
 * for what is remembered of it (strings, limits), once.
 */
void gl_state_current(struct gl_context *context, uint32_t width, uint32_t height);

/** The function of that name, gl*, or NULL: what getProcAddress returns. Any thread, with or without a context. */
void *gl_lookup(const char *name);

/** Are all commands of the extension there, in a context of @p api? The host has a say in it, too. */
bool gl_extension_supported(const char *name, enum gl_api api);

/**
 * Sets an error that the guest has found itself, for glGetError(): the first one counts. The current context's; nothing
 * without one.
 */
void gl_error_set(uint32_t error);

#endif
