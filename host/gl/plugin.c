/* SPDX-License-Identifier: MIT */
/* gl.so: renders what guests draw with OpenGL, by way of the machine's EGL. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gl-host.h"

#include "commands.h"
#include "egl.h"
#include "frame.h"
#include "gl_plugin.h"

struct gpuvchan_handles *
gl_handles(struct gpuvchan_request *request)
{
    return gl_host_of(request)->handles;
}

int
gl_host_host_info(struct gpuvchan_request *request, struct gl_wire_info *info, struct gl_wire_config *configs,
                  size_t *configs_count)
{
    const struct gl_egl *egl = gl_egl_start();

    (void)request;
    if (*configs_count > egl->config_count)
        *configs_count = egl->config_count;
    memcpy(configs, egl->configs, *configs_count * sizeof(*configs));
    *info = egl->info;
    return 0;
}

/* ---- A guest process ------------------------------------------------------------------------- */

static void
drop(void *user, uint32_t handle, uint16_t kind, void *object)
{
    (void)user;
    (void)handle;
    if (kind == GL_HANDLE_CONTEXT)
        gl_context_unref(object);
    else
        gl_surface_unref(object);
}

static void
gl_close(void *state)
{
    struct gl_host *host = state;

    gpuvchan_handles_visit(host->handles, drop, NULL);
    gpuvchan_handles_destroy(host->handles);
    pthread_cond_destroy(&host->changed);
    pthread_mutex_destroy(&host->lock);
    free(host);
}

static int
gl_open(struct gpuvchan_session *session, void **state)
{
    struct gl_host *host;
    int error;

    if (!gl_egl_start())
        return -ENODEV;
    gl_functions_load();
    host = calloc(1, sizeof(*host));
    if (!host)
        return -ENOMEM;
    error = gpuvchan_handles_create(&host->handles);
    if (error != 0) {
        free(host);
        return error;
    }
    host->session = session;
    pthread_mutex_init(&host->lock, NULL);
    pthread_cond_init(&host->changed, NULL);
    *state = host;
    return 0;
}

static int
gl_lane_open(void *state, uint32_t number, void **lane_state)
{
    struct gl_lane *lane = calloc(1, sizeof(*lane));

    (void)number;
    if (!lane)
        return -ENOMEM;
    lane->host = state;
    *lane_state = lane;
    return 0;
}

static void
gl_lane_close(void *state, void *lane_state)
{
    const struct gl_egl *egl = gl_egl_start();
    struct gl_lane *lane = lane_state;

    (void)state;
    gl_lane_leave(lane);
    if (lane->frames != EGL_NO_CONTEXT)
        egl->DestroyContext(egl->display, lane->frames);
    egl->ReleaseThread();
    free(lane->scratch);
    free(lane);
}

/* Who waits for a frame goes on. */
static void
gl_interrupt(void *state)
{
    struct gl_host *host = state;

    pthread_mutex_lock(&host->lock);
    host->interrupted = true;
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
}

/* ---- The plugin ------------------------------------------------------------------------------ */

static void
gl_warm(void)
{
    (void)gl_egl_start();
}

static void
dump_version(const char *name, uint16_t version)
{
    if (version)
        printf("%s=%u.%u\n", name, version >> 8, version & 0xff);
    else
        printf("%s=none\n", name);
}

static void
gl_dump(void)
{
    const struct gl_egl *egl = gl_egl_start();

    if (!egl) {
        printf("driver=none\n");
        return;
    }
    printf("driver=%s\n", egl->vendor);
    printf("platform=%s\n", egl->platform);
    printf("renderer=%s\n", egl->info.renderer);
    dump_version("opengl_compatibility", egl->info.version[0]);
    dump_version("opengl_core", egl->info.version[1]);
    dump_version("opengl_es1", egl->info.version[2]);
    dump_version("opengl_es", egl->info.version[3]);
    printf("configs=%u\n", egl->config_count);
    printf("frames=%s\n", egl->blit ? "turned by a copy" : "turned as they are read");
}

static struct gpuvchan_plugin gl_plugin = {
    .name = "gl",
    .version = GPUVCHAN_VERSION,
    .description = "OpenGL and OpenGL ES for guests, rendered by this machine's EGL",
    .config_help = "platform=auto|surfaceless|device:NUMBER  what EGL renders on; auto: a GPU where there is one\n"
                   "library=/PATH/libEGL.so.1  instead of the one that programs find\n"
                   "turn=auto|copy  how pictures are turned upside up: by the driver where it can, or by a copy",
    .dispatch = &gl_dispatch,
    .config = gl_egl_config,
    .open = gl_open,
    .lane_open = gl_lane_open,
    .lane_close = gl_lane_close,
    .close = gl_close,
    .dump = gl_dump,
    .interrupt = gl_interrupt,
    .warm = gl_warm,
};

GPUVCHAN_PLUGIN_REGISTER(gl_plugin)
