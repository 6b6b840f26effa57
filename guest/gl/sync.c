/* SPDX-License-Identifier: MIT */
/* Sync objects, whose pointers are numbers, and KHR_debug. */
#include <errno.h>
#include <string.h>

#include "gl_guest.h"

static uint32_t
number(const void *sync)
{
    return (uintptr_t)sync < GL_NAMES_MAX ? (uint32_t)(uintptr_t)sync : 0;
}

/* The object's number, or 0 with the error set. */
static uint32_t
check(struct gl_context *gl, const void *sync)
{
    uint32_t name = number(sync);

    if (name != 0 && gl_names_taken(gl, GL_SPACE_SYNC, name))
        return name;
    gl_error_set(GL_INVALID_VALUE);
    return 0;
}

void *
glFenceSync(uint32_t condition, uint32_t flags)
{
    struct gl_context *gl = gl_current;
    uint32_t name;
    int status;

    if (!gl)
        return NULL;
    if (condition != GL_SYNC_GPU_COMMANDS_COMPLETE || flags != 0) {
        gl_error_set(flags != 0 ? GL_INVALID_VALUE : GL_INVALID_ENUM);
        return NULL;
    }
    if (!gl_names_gen(gl, GL_SPACE_SYNC, 1, &name))
        return NULL;
    gl_maps_settle(gl);
    status = gl_fence_sync_on(&gl->client, gl->lane, name, condition, flags);
    if (status != 0)
        gl_failed(gl, "glFenceSync", status);
    return (void *)(uintptr_t)name;
}

void
glDeleteSync(void *sync)
{
    struct gl_context *gl = gl_current;
    uint32_t name;
    int status;

    if (!gl || !sync)
        return;
    name = check(gl, sync);
    if (name == 0)
        return;
    status = gl_delete_sync_on(&gl->client, gl->lane, name);
    if (status != 0)
        gl_failed(gl, "glDeleteSync", status);
    gl_names_free(gl, GL_SPACE_SYNC, 1, &name);
}

uint8_t
glIsSync(void *sync)
{
    struct gl_context *gl = gl_current;

    return gl && number(sync) != 0 && gl_names_taken(gl, GL_SPACE_SYNC, number(sync));
}

/* The host waits in portions, so that a lane that ends does not wait for ever. */
uint32_t
glClientWaitSync(void *sync, uint32_t flags, uint64_t timeout)
{
    const uint64_t portion = 100000000;
    struct gl_context *gl = gl_current;
    uint32_t name, value = GL_WAIT_FAILED;
    int status;

    if (!gl)
        return GL_WAIT_FAILED;
    name = check(gl, sync);
    if (name == 0)
        return GL_WAIT_FAILED;
    for (;;) {
        status = gl_client_wait_sync_on(&gl->client, gl->lane, name, flags, timeout, &value);
        if (status != 0) {
            gl_failed(gl, "glClientWaitSync", status);
            return GL_WAIT_FAILED;
        }
        if (value != GL_TIMEOUT_EXPIRED || timeout <= portion) {
            if (gl->state->persistent_count != 0 && value != GL_TIMEOUT_EXPIRED)
                gl_maps_fetch(gl);
            return value;
        }
        timeout -= portion;
    }
}

void
glWaitSync(void *sync, uint32_t flags, uint64_t timeout)
{
    struct gl_context *gl = gl_current;
    uint32_t name = gl ? check(gl, sync) : 0;
    int status;

    if (name == 0)
        return;
    status = gl_wait_sync_on(&gl->client, gl->lane, name, flags, timeout);
    if (status != 0)
        gl_failed(gl, "glWaitSync", status);
}

void
glGetSynciv(void *sync, uint32_t pname, int32_t count, int32_t *length, int32_t *values)
{
    struct gl_context *gl = gl_current;
    uint32_t name = gl ? check(gl, sync) : 0;
    size_t filled = gl_count(count);
    int status;

    if (name == 0)
        return;
    status = gl_get_synciv_on(&gl->client, gl->lane, name, pname, count, values, &filled);
    if (status != 0) {
        gl_failed(gl, "glGetSynciv", status);
        return;
    }
    if (length)
        *length = (int32_t)filled;
}

/* ---- Labels and messages --------------------------------------------------------------------- */

static size_t
text_bytes(int32_t length, const char *text)
{
    return !text ? 0 : length < 0 ? strlen(text) : (size_t)length;
}

void
glObjectLabel(uint32_t identifier, uint32_t name, int32_t length, const char *label)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    status =
        gl_object_label_on(&gl->client, gl->lane, identifier, name, label ? 0 : -1, label, text_bytes(length, label));
    if (status != 0)
        gl_failed(gl, "glObjectLabel", status);
}

void
glGetObjectLabel(uint32_t identifier, uint32_t name, int32_t bufSize, int32_t *length, char *label)
{
    struct gl_context *gl = gl_current;
    char text[GL_GET_OBJECT_LABEL_LABEL_MAX + 1] = "";
    int32_t bytes;
    int status;

    if (!gl)
        return;
    if (bufSize < 0) {
        gl_error_set(GL_INVALID_VALUE);
        return;
    }
    status = gl_get_object_label_on(&gl->client, gl->lane, identifier, name, text, sizeof(text));
    if (status != 0) {
        gl_failed(gl, "glGetObjectLabel", status);
        return;
    }
    bytes = (int32_t)strlen(text);
    if (label && bufSize > 0) {
        bytes = bytes < bufSize ? bytes : bufSize - 1;
        memcpy(label, text, (size_t)bytes);
        label[bytes] = '\0';
    }
    if (length)
        *length = bytes;
}

void
glPushDebugGroup(uint32_t source, uint32_t id, int32_t length, const char *message)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    status = gl_push_debug_group_on(&gl->client, gl->lane, source, id, message, text_bytes(length, message));
    if (status != 0)
        gl_failed(gl, "glPushDebugGroup", status);
}

void
glDebugMessageInsert(uint32_t source, uint32_t type, uint32_t id, uint32_t severity, int32_t length, const char *buf)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    status =
        gl_debug_message_insert_on(&gl->client, gl->lane, source, type, id, severity, buf, text_bytes(length, buf));
    if (status != 0)
        gl_failed(gl, "glDebugMessageInsert", status);
}

void
glDebugMessageCallback(void *callback, const void *userParam)
{
    struct gl_context *gl = gl_current;

    if (!gl)
        return;
    gl->state->debug_callback = callback;
    gl->state->debug_user = userParam;
}

uint32_t
glGetDebugMessageLog(uint32_t count, int32_t bufSize, uint32_t *sources, uint32_t *types, uint32_t *ids,
                     uint32_t *severities, int32_t *lengths, char *messageLog)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;

    (void)count;
    (void)bufSize;
    (void)sources;
    (void)types;
    (void)ids;
    (void)severities;
    (void)lengths;
    (void)messageLog;
    gl_unserved("glGetDebugMessageLog", &said);
    return 0;
}

void
glObjectPtrLabel(const void *ptr, int32_t length, const char *label)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;

    (void)ptr;
    (void)length;
    (void)label;
    gl_unserved("glObjectPtrLabel", &said);
}

void
glGetObjectPtrLabel(const void *ptr, int32_t bufSize, int32_t *length, char *label)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;

    (void)ptr;
    (void)bufSize;
    (void)length;
    (void)label;
    gl_unserved("glGetObjectPtrLabel", &said);
}
