# SPDX-License-Identifier: MIT
CUDA_PLUGIN_SRCS := $(addprefix host/cuda/, array.c completion.c context.c copy.c copy_box.c device.c driver.c event.c image.c ipc.c launch.c \
	memory.c module.c object.c peer.c plugin.c ranges.c stream.c tensor.c texture.c)
