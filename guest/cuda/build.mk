# SPDX-License-Identifier: MIT
# The guest's libcuda.so.1
GUEST_CUDA_SRCS := $(addprefix guest/cuda/,start.c device.c thread.c context.c primary.c limit.c context_setting.c handle.c errors.c \
	image.c module.c function.c launch.c range.c memory.c host_memory.c memset.c wait.c staging.c copy.c copy_rows.c \
	stream.c event.c procaddr.c refused.c refusal.c log.c first.c)
