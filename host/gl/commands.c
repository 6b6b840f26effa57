/* SPDX-License-Identifier: MIT */
/* The driver's functions, names, and what comes back: what most handlers need. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "gl-host.h"

#include "commands.h"
#include "gl-function-names.h"

static struct gl_functions functions;
struct gl_functions *gl_functions = &functions;

static uint32_t canary;

_Static_assert(sizeof(functions) == sizeof(function_names) / sizeof(function_names[0]) * sizeof(void *),
               "the table and the names are of one length");

static void
load(void)
{
    void **table = (void **)(void *)&functions;

    for (size_t i = 0; i < sizeof(functions) / sizeof(void *); i++)
        for (const char *name = function_names[i]; *name && !table[i]; name += strlen(name) + 1)
            table[i] = gl_host_function(name);
    if (getrandom(&canary, sizeof(canary), GRND_NONBLOCK) != sizeof(canary))
        canary = 0xa5c3e187u;
    canary |= 0x80808080u; /* no byte of it is a 0, a 1, or a character */
}

void
gl_functions_load(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load);
}

bool
gl_lacks(const char *command)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static const char *said[64];
    static unsigned count;
    bool known = false;

    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < count && !known; i++)
        known = said[i] == command;
    if (!known && count < sizeof(said) / sizeof(said[0])) {
        said[count++] = command;
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "gl: the driver has no %s(), which a guest calls", command);
    }
    pthread_mutex_unlock(&lock);
    return false;
}

int
gl_short(struct gpuvchan_request *request, const char *what, size_t have, size_t need)
{
    return gpuvchan_request_corrupt(request, "%s: %zu elements where the command has %zu", what, have, need);
}

void *
gl_scratch(struct gpuvchan_request *request, unsigned which, size_t bytes)
{
    struct gl_lane *lane = gl_lane_of(request);

    if (which >= GL_SCRATCHES || bytes > GL_SCRATCH_BYTES)
        return NULL;
    if (!lane->scratch) {
        lane->scratch = malloc((size_t)GL_SCRATCHES * GL_SCRATCH_BYTES);
        if (!lane->scratch)
            return NULL;
        lane->scratch_bytes = (size_t)GL_SCRATCHES * GL_SCRATCH_BYTES;
    }
    return (char *)lane->scratch + (size_t)which * GL_SCRATCH_BYTES;
}

void
gl_commands_finish(struct gl_commands *commands)
{
    free(commands->feedback);
    free(commands->selection);
}

/* ---- Names ----------------------------------------------------------------------------------- */

uint32_t
gl_name(const struct gl_context_host *context, enum gl_space space, uint32_t name)
{
    uint32_t driver;

    if (name == 0)
        return 0;
    driver = gl_names_find(gl_names_of(context, space), space, name);
    return driver != 0 ? driver : GL_NO_NAME;
}

/* Has the driver make a name. */
static uint32_t
generate(enum gl_space space)
{
    void (*generators[GL_SPACES])(int32_t, uint32_t *) = {
        [GL_SPACE_TEXTURE] = gl_functions->GenTextures,
        [GL_SPACE_BUFFER] = gl_functions->GenBuffers,
        [GL_SPACE_RENDERBUFFER] = gl_functions->GenRenderbuffers,
        [GL_SPACE_FRAMEBUFFER] = gl_functions->GenFramebuffers,
        [GL_SPACE_PROGRAM_ARB] = gl_functions->GenProgramsARB,
        [GL_SPACE_QUERY] = gl_functions->GenQueries,
    };
    uint32_t driver = 0;

    if (generators[space])
        generators[space](1, &driver);
    return driver;
}

static void delete (enum gl_space space, uint32_t driver)
{
    void (*deleters[GL_SPACES])(int32_t, const uint32_t *) = {
        [GL_SPACE_TEXTURE] = gl_functions->DeleteTextures,
        [GL_SPACE_BUFFER] = gl_functions->DeleteBuffers,
        [GL_SPACE_RENDERBUFFER] = gl_functions->DeleteRenderbuffers,
        [GL_SPACE_FRAMEBUFFER] = gl_functions->DeleteFramebuffers,
        [GL_SPACE_PROGRAM_ARB] = gl_functions->DeleteProgramsARB,
        [GL_SPACE_QUERY] = gl_functions->DeleteQueries,
    };

    if (deleters[space])
        deleters[space](1, &driver);
}

uint32_t
gl_name_bind(const struct gl_context_host *context, enum gl_space space, uint32_t name)
{
    struct gl_names_group *names = gl_names_of(context, space);
    uint32_t driver;

    if (name == 0)
        return 0;
    driver = gl_names_find(names, space, name);
    if (driver != 0)
        return driver;
    if (context->api == GL_API_CORE)
        return GL_NO_NAME;
    driver = generate(space);
    if (driver == 0)
        return GL_NO_NAME;
    if (gl_names_insert(names, space, name, driver) == 0)
        return driver;
    delete (space, driver); /* another lane was first, or there is no memory */
    return gl_name(context, space, name);
}

uint32_t
gl_name_back(const struct gl_context_host *context, enum gl_space space, uint32_t driver)
{
    return driver == 0 ? 0 : gl_names_find_guest(gl_names_of(context, space), space, driver);
}

void
gl_names_back(const struct gl_context_host *context, enum gl_space space, uint32_t *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        names[i] = gl_name_back(context, space, names[i]);
}

const uint32_t *
gl_name_array(const struct gl_context_host *context, struct gpuvchan_request *request, enum gl_space space,
              const uint32_t *names, size_t count)
{
    uint32_t *driver = gl_scratch(request, GL_SCRATCHES - 1, count * sizeof(*driver));

    for (size_t i = 0; driver && i < count; i++)
        driver[i] = gl_name(context, space, names[i]);
    return driver;
}

int
gl_names_made(const struct gl_context_host *context, struct gpuvchan_request *request, enum gl_space space,
              const uint32_t *names, const uint32_t *driver, size_t count)
{
    int error = 0;

    for (size_t i = 0; i < count && error == 0; i++) {
        if (driver[i] == 0)
            continue; /* the driver has refused, and will say so */
        error = names[i] == 0 ? -EEXIST : gl_names_insert(gl_names_of(context, space), space, names[i], driver[i]);
        if (error == -EEXIST)
            return gpuvchan_request_corrupt(request, "name %u of space %d cannot be made again", names[i], (int)space);
    }
    return error;
}

void
gl_names_gone(const struct gl_context_host *context, enum gl_space space, const uint32_t *names, uint32_t *driver,
              size_t count)
{
    for (size_t i = 0; i < count; i++)
        driver[i] = names[i] == 0 ? 0 : gl_names_remove(gl_names_of(context, space), space, names[i]);
}

/* ---- What comes back ------------------------------------------------------------------------- */

void
gl_canary(void *memory, size_t bytes)
{
    uint32_t *words = memory;

    for (size_t i = 0; i < bytes / 4; i++)
        words[i] = canary;
    memcpy(words + bytes / 4, &canary, bytes % 4);
}

void
gl_changed(void *to, size_t *filled, const void *all, size_t count, size_t size)
{
    uint64_t pattern = (uint64_t)canary << 32 | canary;
    size_t changed = count < *filled ? count : *filled;
    const char *bytes = all;

    /* Elements of one byte begin anywhere in the pattern. */
    while (changed > 0 &&
           memcmp(bytes + (changed - 1) * size, (const char *)&pattern + (changed - 1) * size % 4, size) == 0)
        changed--;
    memcpy(to, all, changed * size);
    *filled = changed;
}
