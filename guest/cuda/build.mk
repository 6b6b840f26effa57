# SPDX-License-Identifier: MIT
# The guest's libcuda.so.1
GUEST_CUDA_SRCS := $(addprefix guest/cuda/,start.c device.c thread.c context.c primary.c limit.c handle.c errors.c \
	image.c module.c function.c launch.c range.c memory.c host_memory.c memset.c wait.c staging.c array.c copiers.c copy.c copy_array.c copy_batch.c copy_box.c copy_shapes.c peer.c tensor.c texref.c texture.c \
	stream.c event.c ipc.c procaddr.c refused.c first.c)
