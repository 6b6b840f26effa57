/* SPDX-License-Identifier: MIT */
/* What both sides of the protocol gl mean by its numbers, and the structs that records carry. */
#ifndef GL_WIRE_H
#define GL_WIRE_H

#include <stdint.h>

/** Which API a context speaks; also bits of sets. */
enum gl_api {
    GL_API_COMPAT = 1, /**< OpenGL, all that it ever had */
    GL_API_CORE = 2,
    GL_API_ES1 = 4,
    GL_API_ES2 = 8, /**< ES 2.0 to 3.2 */
};

#define GL_APIS 4

/* What handles stand for on the host. */
typedef struct gl_context_host *gl_context_object;
typedef struct gl_surface_host *gl_surface_object;

enum gl_context_flags {
    GL_FLAG_DEBUG = 1,
    GL_FLAG_FORWARD = 2,
    GL_FLAG_ROBUST = 4,
    GL_FLAG_NO_ERROR = 8,
    GL_FLAG_RESET_LOSES = 16, /* the program is told of a reset */
};

/** What an entry returns besides 0. */
enum gl_status {
    GL_STATUS_NO_CONTEXT = 1, /* no such context */
    GL_STATUS_NO_SURFACE,
    GL_STATUS_BAD_CONFIG,
    GL_STATUS_BAD_MATCH, /* such a context cannot be had */
    GL_STATUS_BAD_SHARE, /* the two contexts cannot share */
    GL_STATUS_NO_MEMORY,
    GL_STATUS_BUSY, /* current to another thread */
};

#define GL_HOST_CONFIGS 256

/** A kind of frame that the host renders. */
struct gl_wire_config {
    uint16_t number; /* what surfaces and contexts name it by, from 1 */
    uint8_t red, green, blue, alpha;
    uint8_t depth, stencil, samples;
    uint8_t apis; /* enum gl_api that can draw to it */
    uint8_t pad[6];
};

/** What the host has. Strings end in a NUL. */
struct gl_wire_info {
    uint16_t version[GL_APIS]; /* compat, core, ES 1, ES 2 and 3: major << 8 | minor; 0: not there */
    uint32_t flags;            /* enum gl_context_flags that contexts can have */
    uint32_t max_width, max_height;
    uint32_t memory_mb; /* of video memory, 0: not known */
    uint32_t vendor_id, device_id;
    char renderer[128];
    char vendor[64];
};

#endif
