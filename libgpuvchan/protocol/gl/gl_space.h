/* SPDX-License-Identifier: MIT */
/* Kinds of names of GL's objects, for both sides. */
#ifndef GL_SPACE_H
#define GL_SPACE_H

enum gl_space {
    /* of a share group */
    GL_SPACE_TEXTURE,
    GL_SPACE_BUFFER,
    GL_SPACE_RENDERBUFFER,
    GL_SPACE_PROGRAM, /* shaders, too */
    GL_SPACE_SAMPLER,
    GL_SPACE_PROGRAM_ARB,
    GL_SPACE_SYNC,   /* whose objects are pointers */
    GL_SPACE_LIST,   /* the guest's alone: any number can be one, so that the driver takes the guest's */
    GL_SPACE_SHARED, /* how many those are */
    /* of a context */
    GL_SPACE_FRAMEBUFFER = GL_SPACE_SHARED,
    GL_SPACE_VERTEX_ARRAY,
    GL_SPACE_QUERY,
    GL_SPACE_PIPELINE,
    GL_SPACE_FEEDBACK,
    GL_SPACES,
};

#endif
