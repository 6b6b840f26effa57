/* SPDX-License-Identifier: MIT */
#ifndef GL_TEST_COMMANDS_H
#define GL_TEST_COMMANDS_H

#define GL_GLEXT_PROTOTYPES
#include <stddef.h>
#include <stdint.h>

#include <GL/gl.h>
#include <GL/glext.h>

#define SIDE 128 /* of the window */

struct vertex {
    GLfloat x, y;
    GLubyte color[4];
    GLfloat s, t;
};

extern const struct vertex square[4];

/** A number for memory. */
uint32_t sum_bytes(const void *data, size_t bytes);
/** Prints a line about the picture, and clears it. */
void report(const char *name);
/** Arrays of positions and colours: in memory, or in the buffer that is bound. */
void point(const struct vertex *vertices);

/* Of objects: commands_objects.c. */
void shaders(void);
void instances(void);
void framebuffers(void);
void queries(void);
void transform_feedback(void);
void persistent(void);
void assembly(void);

#endif
