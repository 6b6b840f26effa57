# SPDX-License-Identifier: MIT
CUDA_PLUGIN_SRCS := $(sort $(wildcard host/cuda/*.c))
