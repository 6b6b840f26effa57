# SPDX-License-Identifier: MIT
# The guest's libcuda.so.1
GUEST_CUDA_SRCS := $(addprefix guest/cuda/,start.c device.c thread.c context.c primary.c limit.c handle.c errors.c \
	image.c module.c function.c launch.c range.c memory.c host_memory.c memset.c wait.c staging.c copy.c copy_rows.c \
	stream.c stream_memory.c event.c callback.c capture.c graph.c graph_node.c graph_note.c procaddr.c refused.c first.c)
