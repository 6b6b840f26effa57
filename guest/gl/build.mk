# SPDX-License-Identifier: MIT
# OpenGL in the guest: a core, and the two libraries that libglvnd loads over it.
GUEST_GLX_SRCS := $(sort $(wildcard guest/gl/glx*.c))
GUEST_EGL_SRCS := $(sort $(wildcard guest/gl/egl*.c))
GUEST_GL_SRCS := $(filter-out $(GUEST_GLX_SRCS) $(GUEST_EGL_SRCS),$(sort $(wildcard guest/gl/*.c)))

GUEST_GL_LIBS := libgpuvchan-gl.so.0 libGLX_gpuvchan.so.0 libEGL_gpuvchan.so.0
