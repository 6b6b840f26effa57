/* SPDX-License-Identifier: MIT */
/*
 * The process's beginning and end: the host, what becomes of the program without one, and fork.
 *
 * Design notes: who finds no host says so once and lets libglvnd take the next library, which is Mesa's. That stays so
 * for the process: half of a program on the one and half on the other would be worse. The child of a fork
 * begins anew; contexts of its parent do nothing there.
 */
#include "process.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gl-guest.h"

#include "state.h"
#include "surface.h"

struct gl_process gl_process;

static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
static enum {
    NEW,
    STARTED,
    FAILED
} state;

static void
fork_prepare(void)
{
    pthread_mutex_lock(&starting);
}

static void
fork_parent(void)
{
    pthread_mutex_unlock(&starting);
}

static void
fork_child(void)
{
    state = NEW;
    gl_contexts_forget();
    gl_screens_forget();
    pthread_mutex_unlock(&starting);
}

static int
ask(struct gl_process *process)
{
    size_t count = GL_HOST_CONFIGS;
    int status = gl_host_info(&process->client, &process->info, process->configs, &count);

    if (status != 0)
        return status;
    process->config_count = (uint32_t)count;
    process->info.renderer[sizeof(process->info.renderer) - 1] = '\0';
    process->info.vendor[sizeof(process->info.vendor) - 1] = '\0';
    return count == 0 ? -ENODEV : 0;
}

static int
connect_host(struct gl_process *process)
{
    int error;

    if (!process->handles && gpuvchan_handles_create(&process->handles) != 0)
        return -ENOMEM;
    error = gpuvchan_channel_shared(&process->channel);
    if (error == 0)
        error = gpuvchan_client_open(process->channel, &gl_protocol, &process->client);
    if (error == 0)
        gpuvchan_client_name_entries(&process->client, gl_names);
    return error ? error : ask(process);
}

bool
gpuvchan_gl_start(const char *interface)
{
    static bool registered;

    if (getenv("GPUVCHAN_HOST")) /* in the host's own process, which renders for others */
        return false;
    pthread_mutex_lock(&starting);
    if (!registered) {
        registered = pthread_atfork(fork_prepare, fork_parent, fork_child) == 0;
        gl_contexts_begin();
    }
    if (state == NEW) {
        state = connect_host(&gl_process) == 0 ? STARTED : FAILED;
        if (state == FAILED)
            fprintf(stderr, "gpuvchan's %s: no host renders for this program, which goes on without one: %s\n",
                    interface, gpuvchan_error_text());
    }
    pthread_mutex_unlock(&starting);
    return state == STARTED;
}

bool
gpuvchan_gl_lost(void)
{
    static atomic_bool told;

    if (!gl_process.channel || gpuvchan_channel_error(gl_process.channel) == 0)
        return false;
    if (!atomic_exchange(&told, true))
        fprintf(stderr, "gpuvchan's OpenGL: the connection to the GPU's host has ended: %s\n", gpuvchan_error_text());
    return true;
}

const struct gl_wire_info *
gpuvchan_gl_info(void)
{
    return &gl_process.info;
}

const struct gl_wire_config *
gpuvchan_gl_configs(uint32_t *count)
{
    *count = gl_process.config_count;
    return gl_process.configs;
}

void *
gpuvchan_gl_lookup(const char *name)
{
    return gl_lookup(name);
}
