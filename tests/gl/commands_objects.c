/* SPDX-License-Identifier: MIT */
/* The part of commands.c about what OpenGL has as objects since 2.0. */
#include <stdio.h>
#include <string.h>

#include "commands.h"

/* ---- Shaders --------------------------------------------------------------------------------- */

static GLuint
shader(GLenum type, const char *first, const char *second)
{
    const char *strings[] = {first, second};
    GLuint name = glCreateShader(type);
    GLint good = 0;

    glShaderSource(name, 2, strings, NULL);
    glCompileShader(name);
    glGetShaderiv(name, GL_COMPILE_STATUS, &good);
    if (!good) {
        char log[1000] = "";
        GLsizei length = -1;

        glGetShaderInfoLog(name, sizeof(log), &length, log);
        printf("does not compile, log of %d: %s", length, log);
    }
    return name;
}

static GLuint
program(const char *vertex, const char *fragment)
{
    GLuint name = glCreateProgram(), first, second;
    GLint linked = 0, attached = -1;

    first = shader(GL_VERTEX_SHADER, "#version 130\n", vertex);
    second = shader(GL_FRAGMENT_SHADER, "#version 130\n", fragment);
    glAttachShader(name, first);
    glAttachShader(name, second);
    glBindAttribLocation(name, 0, "position");
    glDeleteShader(first);
    glLinkProgram(name);
    glGetProgramiv(name, GL_LINK_STATUS, &linked);
    glGetProgramiv(name, GL_ATTACHED_SHADERS, &attached);
    glDetachShader(name, first);
    printf("program: linked %d, %d attached, shaders %d %d\n", linked, attached, glIsShader(first), glIsShader(second));
    glDeleteShader(second);
    return name;
}

void
shaders(void)
{
    static const GLfloat colors[] = {1, 0.2f, 0.1f, 1, 0.1f, 1, 0.5f, 1};
    static const GLfloat corners[] = {-0.9f, -0.9f, 0.9f, -0.7f, 0, 0.9f};
    GLuint name =
        program("in vec2 position; uniform mat4 turn; void main() { gl_Position = turn * vec4(position, 0, 1); }",
                "uniform vec4 colors[2]; uniform int which; out vec4 color;"
                " void main() { color = colors[which] * 0.5 + colors[1] * 0.5; }");
    GLint count = -1, location, size = -1, current = -1;
    GLenum type = 0;
    GLfloat value[4] = {0};
    char text[64] = "untouched";
    GLsizei length = -1;
    GLuint arrays, buffer;

    glUseProgram(name);
    glGetIntegerv(GL_CURRENT_PROGRAM, &current);
    glGetProgramiv(name, GL_ACTIVE_UNIFORMS, &count);
    glGetActiveUniform(name, 0, sizeof(text), &length, &size, &type, text);
    printf("uniforms: %d, the first %s (%d), %d of %#x, current %d\n", count, text, length, size, type,
           current == (GLint)name);
    glGetActiveUniform(name, 99, sizeof(text), &length, &size, &type, text);
    printf("no uniform: %#x, %s\n", glGetError(), text);
    location = glGetUniformLocation(name, "colors");
    glUniform4fv(location, 2, colors);
    glGetUniformfv(name, location, value);
    printf("uniform: %d %.2f %.2f, none: %d\n", location >= 0, (double)value[0], (double)value[1],
           glGetUniformLocation(name, "nothing"));
    glUniform1i(glGetUniformLocation(name, "which"), 0);
    glUniformMatrix4fv(glGetUniformLocation(name, "turn"), 1, GL_FALSE,
                       (const GLfloat[]){0.8f, 0.3f, 0, 0, -0.3f, 0.8f, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1});
    glGenVertexArrays(1, &arrays);
    glBindVertexArray(arrays);
    glGenBuffers(1, &buffer);
    glBindBuffer(GL_ARRAY_BUFFER, buffer);
    glBufferData(GL_ARRAY_BUFFER, sizeof(corners), corners, GL_STATIC_DRAW);
    glEnableVertexAttribArray(0);
    glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, NULL);
    glDrawArrays(GL_TRIANGLES, 0, 3);
    report("a program");
    glBindBuffer(GL_ARRAY_BUFFER, 0);
    glBindVertexArray(0);
    glDeleteVertexArrays(1, &arrays);
    glDeleteBuffers(1, &buffer);
    glEnableVertexAttribArray(0);
    glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, corners);
    glDrawArrays(GL_TRIANGLES, 0, 3);
    glDisableVertexAttribArray(0);
    report("a program, client arrays");
    glDeleteProgram(name);
    printf("deleted, in use: %d\n", glIsProgram(name));
    glUseProgram(0);
    printf("deleted: %d\n", glIsProgram(name));
    shader(GL_FRAGMENT_SHADER, "#version 130\n", "void main() { nonsense }");
    printf("no shader: %u, %#x\n", glCreateShader(0x1234), glGetError());
    glUseProgram(12345);
    printf("no program: %#x\n", glGetError());
}

void
instances(void)
{
    static const GLfloat corners[] = {-0.1f, -0.1f, 0.1f, -0.1f, 0, 0.1f},
                         places[] = {-0.5f, -0.5f, 0.5f, -0.5f, 0, 0.5f};
    static const GLushort indices[] = {0, 1, 2};
    GLuint name =
        program("in vec2 position; in vec2 place; void main() { gl_Position = vec4(position + place, 0, 1); }",
                "out vec4 color; void main() { color = vec4(0.2, 1, 0.4, 1); }");
    GLuint at = (GLuint)glGetAttribLocation(name, "place");

    glUseProgram(name);
    glEnableVertexAttribArray(0);
    glEnableVertexAttribArray(at);
    glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, corners);
    glVertexAttribPointer(at, 2, GL_FLOAT, GL_FALSE, 0, places);
    glVertexAttribDivisor(at, 1);
    glDrawArraysInstanced(GL_TRIANGLES, 0, 3, 3);
    report("instances");
    glDrawElementsInstancedBaseVertex(GL_TRIANGLES, 3, GL_UNSIGNED_SHORT, indices, 2, 0);
    report("instances by indices");
    glVertexAttribDivisor(at, 0);
    glDisableVertexAttribArray(at);
    glDisableVertexAttribArray(0);
    glUseProgram(0);
    glDeleteProgram(name);
}

/* ---- Framebuffers, queries, feedback, sync --------------------------------------------------- */

void
framebuffers(void)
{
    GLuint framebuffer, texture, depth;
    GLint attached = -1, type = -1;

    glGenFramebuffers(1, &framebuffer);
    glGenTextures(1, &texture);
    glGenRenderbuffers(1, &depth);
    glBindTexture(GL_TEXTURE_2D, texture);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 64, 64, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
    glBindRenderbuffer(GL_RENDERBUFFER, depth);
    glRenderbufferStorage(GL_RENDERBUFFER, GL_DEPTH_COMPONENT24, 64, 64);
    glBindFramebuffer(GL_FRAMEBUFFER, framebuffer);
    glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture, 0);
    glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_DEPTH_ATTACHMENT, GL_RENDERBUFFER, depth);
    printf("framebuffer: %#x\n", glCheckFramebufferStatus(GL_FRAMEBUFFER));
    glGetFramebufferAttachmentParameteriv(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME,
                                          &attached);
    glGetFramebufferAttachmentParameteriv(GL_FRAMEBUFFER, GL_DEPTH_ATTACHMENT, GL_FRAMEBUFFER_ATTACHMENT_OBJECT_TYPE,
                                          &type);
    printf("attached: %d %#x\n", attached == (GLint)texture, type);
    glViewport(0, 0, 64, 64);
    glClearColor(0.3f, 0.6f, 0.1f, 1);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT);
    glColor3f(1, 0, 1);
    glRectf(-0.5f, -0.5f, 0.5f, 0.5f);
    glBindFramebuffer(GL_READ_FRAMEBUFFER, framebuffer);
    glBindFramebuffer(GL_DRAW_FRAMEBUFFER, 0);
    glBlitFramebuffer(0, 0, 64, 64, 10, 10, 100, 90, GL_COLOR_BUFFER_BIT, GL_NEAREST);
    glBindFramebuffer(GL_FRAMEBUFFER, 0);
    glViewport(0, 0, SIDE, SIDE);
    glClearColor(0, 0, 0, 1);
    report("a framebuffer");
    glDeleteFramebuffers(1, &framebuffer);
    glDeleteRenderbuffers(1, &depth);
    glDeleteTextures(1, &texture);
}

void
queries(void)
{
    GLuint query, samples = 0, ready = 0;
    GLsync sync;
    GLint status = -1;
    GLsizei length = -1;

    glGenQueries(1, &query);
    glBeginQuery(GL_SAMPLES_PASSED, query);
    glRectf(-0.5f, -0.5f, 0.5f, 0.5f);
    glEndQuery(GL_SAMPLES_PASSED);
    glGetQueryObjectuiv(query, GL_QUERY_RESULT, &samples);
    glGetQueryObjectuiv(query, GL_QUERY_RESULT_AVAILABLE, &ready);
    printf("query: %u samples, ready %u, is one: %d\n", samples, ready, glIsQuery(query));
    glDeleteQueries(1, &query);
    sync = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
    printf("sync: %d\n", glIsSync(sync));
    printf("waited: %d\n", glClientWaitSync(sync, GL_SYNC_FLUSH_COMMANDS_BIT, 1000000000) != GL_WAIT_FAILED);
    glGetSynciv(sync, GL_SYNC_STATUS, 1, &length, &status);
    printf("status: %#x of %d\n", status, length);
    glDeleteSync(sync);
    report("queries");
}

void
transform_feedback(void)
{
    static const char *const varyings[] = {"doubled"};
    static const GLfloat corners[] = {1, 2, 3, 4, 5, 6};
    GLfloat back[6] = {0};
    GLuint name = glCreateProgram(), buffer;
    GLuint vertex = shader(GL_VERTEX_SHADER, "#version 130\n",
                           "in vec2 position; out vec2 doubled; void main() { doubled = position * 2.0;"
                           " gl_Position = vec4(position, 0, 1); }");

    glAttachShader(name, vertex);
    glBindAttribLocation(name, 0, "position");
    glTransformFeedbackVaryings(name, 1, varyings, GL_INTERLEAVED_ATTRIBS);
    glLinkProgram(name);
    glGenBuffers(1, &buffer);
    glBindBufferBase(GL_TRANSFORM_FEEDBACK_BUFFER, 0, buffer);
    glBufferData(GL_TRANSFORM_FEEDBACK_BUFFER, sizeof(back), NULL, GL_STREAM_READ);
    glUseProgram(name);
    glEnable(GL_RASTERIZER_DISCARD);
    glEnableVertexAttribArray(0);
    glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, corners);
    glBeginTransformFeedback(GL_POINTS);
    glDrawArrays(GL_POINTS, 0, 3);
    glEndTransformFeedback();
    glDisable(GL_RASTERIZER_DISCARD);
    glGetBufferSubData(GL_TRANSFORM_FEEDBACK_BUFFER, 0, sizeof(back), back);
    printf("feedback: %.1f %.1f %.1f\n", (double)back[0], (double)back[1], (double)back[5]);
    glDisableVertexAttribArray(0);
    glUseProgram(0);
    glDeleteProgram(name);
    glDeleteShader(vertex);
    glDeleteBuffers(1, &buffer);
    report("transform feedback");
}

void
persistent(void)
{
    const GLbitfield access = GL_MAP_WRITE_BIT | GL_MAP_READ_BIT | GL_MAP_PERSISTENT_BIT | GL_MAP_COHERENT_BIT;
    struct vertex *mapped;
    GLuint names[2];

    glGenBuffers(2, names);
    glBindBuffer(GL_ARRAY_BUFFER, names[0]);
    glBufferStorage(GL_ARRAY_BUFFER, 3 * 4096, NULL, access);
    mapped = glMapBufferRange(GL_ARRAY_BUFFER, 0, 3 * 4096, access);
    printf("persistent: %d, %#x\n", mapped != NULL, glGetError());
    memcpy(mapped, square, sizeof(square));
    point(NULL);
    glDrawArrays(GL_QUADS, 0, 4);
    report("a mapping that persists");
    mapped[2].x = 0.2f;
    glDrawArrays(GL_QUADS, 0, 4);
    report("a mapping that persists, written again");
    glBindBuffer(GL_COPY_READ_BUFFER, names[1]);
    glBufferData(GL_COPY_READ_BUFFER, sizeof(square), square, GL_STATIC_DRAW);
    glCopyBufferSubData(GL_COPY_READ_BUFFER, GL_ARRAY_BUFFER, 0, 4096, sizeof(square));
    glFinish();
    printf("written by a command: %.2f %.2f\n", (double)mapped[2].x, (double)*(GLfloat *)((char *)mapped + 4096));
    glDisableClientState(GL_VERTEX_ARRAY);
    glDisableClientState(GL_COLOR_ARRAY);
    glUnmapBuffer(GL_ARRAY_BUFFER);
    glBindBuffer(GL_ARRAY_BUFFER, 0);
    glBindBuffer(GL_COPY_READ_BUFFER, 0);
    glDeleteBuffers(2, names);
}

void
assembly(void)
{
    static const char text[] = "!!ARBfp1.0\nMOV result.color, program.local[0];\nEND\n";
    char back[sizeof(text)] = "";
    GLuint name;
    GLint bound = -1;

    glGenProgramsARB(1, &name);
    glBindProgramARB(GL_FRAGMENT_PROGRAM_ARB, name);
    glProgramStringARB(GL_FRAGMENT_PROGRAM_ARB, GL_PROGRAM_FORMAT_ASCII_ARB, (GLsizei)strlen(text), text);
    glProgramLocalParameter4fARB(GL_FRAGMENT_PROGRAM_ARB, 0, 0.9f, 0.1f, 0.6f, 1);
    glGetProgramStringARB(GL_FRAGMENT_PROGRAM_ARB, GL_PROGRAM_STRING_ARB, back);
    glGetProgramivARB(GL_FRAGMENT_PROGRAM_ARB, GL_PROGRAM_BINDING_ARB, &bound);
    printf("assembly: %d, bound %d\n", strncmp(back, text, strlen(text)), bound == (GLint)name);
    glEnable(GL_FRAGMENT_PROGRAM_ARB);
    glRectf(-0.5f, -0.5f, 0.5f, 0.5f);
    glDisable(GL_FRAGMENT_PROGRAM_ARB);
    glBindProgramARB(GL_FRAGMENT_PROGRAM_ARB, 0);
    glDeleteProgramsARB(1, &name);
    report("assembly");
}
