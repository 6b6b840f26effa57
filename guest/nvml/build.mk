# SPDX-License-Identifier: MIT
# The guest's libnvidia-ml.so.1. SMI_COMPAT=1 adds what nvidia-smi asks for besides.
GUEST_NVML_SRCS := $(addprefix guest/nvml/,start.c device.c pci.c text.c versioned.c list.c process.c event.c system.c \
	old.c refused.c smi.c)
