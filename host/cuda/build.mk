# SPDX-License-Identifier: MIT
CUDA_PLUGIN_SRCS := $(addprefix host/cuda/, chunk.c completion.c context.c copy.c device.c driver.c event.c image.c launch.c \
	memory.c module.c object.c plugin.c pool.c ranges.c stream.c virtual.c)
