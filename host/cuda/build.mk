# SPDX-License-Identifier: MIT
CUDA_PLUGIN_SRCS := $(addprefix host/cuda/, completion.c context.c copy.c device.c driver.c event.c image.c launch.c \
	launch_ex.c library.c link.c load.c memory.c module.c object.c plugin.c ranges.c stream.c)
