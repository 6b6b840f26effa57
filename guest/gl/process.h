/* SPDX-License-Identifier: MIT */
/* The process and its host. */
#ifndef GL_PROCESS_H
#define GL_PROCESS_H

#include "core.h"

struct gl_process {
    struct gpuvchan_channel *channel;
    struct gpuvchan_client client;
    struct gpuvchan_handles *handles; /* contexts and surfaces */
    struct gl_wire_info info;
    struct gl_wire_config configs[GL_HOST_CONFIGS];
    uint32_t config_count;
};

extern struct gl_process gl_process;

/** After a fork, in the child: of context.c. */
void gl_contexts_forget(void);

#endif
