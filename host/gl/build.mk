# SPDX-License-Identifier: MIT
GL_PLUGIN_SRCS := $(sort $(wildcard host/gl/*.c))
