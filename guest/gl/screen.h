/* SPDX-License-Identifier: MIT */
#ifndef GL_SCREEN_H
#define GL_SCREEN_H

#include "surface.h"

/** Enters a surface's window with its server: size, depth and a graphics context are found. @return false: no such window. */
bool gl_screen_add(struct gl_surface *surface);
void gl_screen_remove(struct gl_surface *surface);
/** Looks what the server has said, and does not wait. */
void gl_screen_events(struct gl_screen *screen);
/** Waits until the server has done with @p segment, or has gone. The presenter's. */
void gl_screen_wait(struct gl_screen *screen, const struct gl_segment *segment);

#endif
