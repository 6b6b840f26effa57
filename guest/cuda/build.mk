# SPDX-License-Identifier: MIT
# The guest's libcuda.so.1
GUEST_CUDA_SRCS := $(addprefix guest/cuda/,start.c device.c thread.c context.c primary.c limit.c handle.c errors.c \
	image.c module.c function.c launch.c range.c heap.c chunk.c memory.c pool.c virtual.c host_memory.c register.c hints.c managed.c memset.c wait.c staging.c copy.c copy_rows.c \
	stream.c event.c procaddr.c refused.c first.c)
