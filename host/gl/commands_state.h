/* SPDX-License-Identifier: MIT */
/* What handlers of commands keep of a context. */
#ifndef GL_COMMANDS_STATE_H
#define GL_COMMANDS_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "gl_pixels.h"

struct gl_commands {
    uint32_t error;      /* that the guest has found, or that the driver had before that */
    bool stores_known;   /* pack and unpack are as the driver has them */
    bool arrays_checked; /* the next two count */
    bool arrays_safe;    /* each enabled array is in a buffer */
    bool elements_bound; /* an element buffer is bound */
    bool transfers;      /* pixels may be changed on their way */
    struct gl_pixel_store pack, unpack;
    float *feedback; /* what the driver writes in feedback mode */
    int32_t feedback_size;
    uint32_t *selection;
    int32_t selection_size;
};

/** Frees what it holds. */
void gl_commands_finish(struct gl_commands *commands);

#endif
