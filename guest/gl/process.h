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

/** Of context.c. Before the channel is there, so that a thread's end is noticed here before its lane goes. */
void gl_contexts_begin(void);
/** After a fork, in the child. */
void gl_contexts_forget(void);

#endif
