/* SPDX-License-Identifier: MIT */
#ifndef GL_FRAME_H
#define GL_FRAME_H

#include "egl.h"
#include "gl_plugin.h"

/** Gets the driver's functions that reading frames takes. @p always_blit: the driver cannot turn a picture as it reads. */
bool gl_frame_load(bool always_blit);

#endif
