# SPDX-License-Identifier: MIT
CUDA_PLUGIN_SRCS := $(addprefix host/cuda/, completion.c context.c context_setting.c copy.c device.c driver.c event.c image.c launch.c \
	memory.c module.c object.c plugin.c ranges.c stream.c)
