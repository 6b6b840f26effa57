/* SPDX-License-Identifier: MIT */
/*
 * What the host's handle tables hold for CUDA: objects of the plugin, which knows the driver's own handle
 * behind each. Incomplete here, and nothing to the guest.
 */
#ifndef GPUVCHAN_CUDA_OBJECTS_H
#define GPUVCHAN_CUDA_OBJECTS_H

typedef struct cuda_context *cuda_context_ref;
typedef struct cuda_module *cuda_module_ref;
typedef struct cuda_function *cuda_function_ref;
typedef struct cuda_stream *cuda_stream_ref;
typedef struct cuda_event *cuda_event_ref;
typedef struct cuda_library *cuda_library_ref;
typedef struct cuda_link *cuda_link_ref;
typedef struct cuda_pool *cuda_pool_ref;
typedef struct cuda_physical *cuda_physical_ref;
typedef struct cuda_array *cuda_array_ref;
typedef struct cuda_mipmap *cuda_mipmap_ref;
typedef struct cuda_texture *cuda_texture_ref;
typedef struct cuda_surface *cuda_surface_ref;
typedef struct cuda_graph_exec *cuda_graph_exec_ref;
typedef struct cuda_green *cuda_green_ref;
typedef struct cuda_reference *cuda_texref_ref;
typedef struct cuda_reference *cuda_surfref_ref;

#endif
