/* SPDX-License-Identifier: MIT */
/*
 * Names of GL objects: what the guest calls them, and what the driver calls them.
 *
 * Design notes
 *
 * The guest gives its objects names by itself, so that making one needs no reply. The driver gives its own. Each
 * share group, and each context for what contexts do not share, has per kind of object a map both ways. Looking up is
 * wait-free, since lanes of one share group run at once; changes take the map's lock. 0 is 0 on both sides, and the
 * default object of each kind. Display lists are not here.
 */
#ifndef GL_NAMES_H
#define GL_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "gl_space.h"

struct gl_names_group;

/** Empty, with one reference; for a share group or for a context alone. NULL: no memory. */
struct gl_names_group *gl_names_create(void);
struct gl_names_group *gl_names_ref(struct gl_names_group *names);
/** The last one frees the maps; the driver's objects go with their contexts. NULL is allowed. */
void gl_names_unref(struct gl_names_group *names);

/** What the driver calls the guest's @p name; 0 if there is none. */
uint32_t gl_names_find(const struct gl_names_group *names, enum gl_space space, uint32_t name);
/** What the guest calls the driver's @p name; 0 if there is none. */
uint32_t gl_names_find_guest(const struct gl_names_group *names, enum gl_space space, uint32_t name);
/** Enters a pair. @return 0; -EEXIST: the guest's name is taken; -ENOMEM. */
int gl_names_insert(struct gl_names_group *names, enum gl_space space, uint32_t name, uint32_t driver);
/** Takes it out, and returns the driver's name, or 0. Of two that race, one gets it. */
uint32_t gl_names_remove(struct gl_names_group *names, enum gl_space space, uint32_t name);

/** The same for sync objects, which are pointers; only the first way. */
int gl_names_insert_sync(struct gl_names_group *names, uint32_t name, void *sync);
void *gl_names_find_sync(const struct gl_names_group *names, uint32_t name);
void *gl_names_remove_sync(struct gl_names_group *names, uint32_t name);

#endif
