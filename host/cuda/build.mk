# SPDX-License-Identifier: MIT
CUDA_PLUGIN_SRCS := $(addprefix host/cuda/, callback.c capture.c completion.c context.c copy.c device.c driver.c event.c graph.c graph_node.c image.c launch.c \
	memory.c memory_operation.c module.c object.c plugin.c ranges.c stream.c)
