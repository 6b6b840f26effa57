/* SPDX-License-Identifier: MIT */
/* Display lists, evaluators, selection and feedback: what only the compatibility profile has. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gl-host.h"

#include "commands.h"

/* Of the recordings of glRenderMode(), at most. */
#define RECORD_MAX (16 << 20)

static struct gl_context_host *
compat(struct gpuvchan_request *request)
{
    struct gl_context_host *context = gl_context_of(request);

    return context && context->api == GL_API_COMPAT ? context : NULL;
}

int
gl_host_delete_lists(struct gpuvchan_request *request, uint32_t list, int32_t range)
{
    if (compat(request))
        gl_functions->DeleteLists(list, range);
    return 0;
}

int
gl_host_call_lists(struct gpuvchan_request *request, int32_t n, uint32_t type, const void *lists, size_t lists_bytes)
{
    size_t element = gl_list_bytes(type);

    if (!compat(request))
        return 0;
    if (element == 0)
        gl_raise_enum();
    else if (lists_bytes < gl_count(n) * element)
        return gl_short(request, "glCallLists", lists_bytes / element, gl_count(n));
    else
        gl_functions->CallLists(n, type, lists);
    return 0;
}

/* ---- Evaluators ------------------------------------------------------------------------------ */

/* Are there as many numbers as orders say? The driver refuses orders that are too large before it reads. */
static int
check_map(struct gpuvchan_request *request, uint32_t target, int32_t uorder, int32_t vorder, size_t have)
{
    uint64_t need = (uint64_t)gl_count(uorder) * gl_count(vorder) * gl_map_values(target);

    return need > have ? gl_short(request, "an evaluator's points", have, (size_t)need) : 0;
}

int
gl_host_map1f(struct gpuvchan_request *request, uint32_t target, float u1, float u2, int32_t order, const float *points,
              size_t points_count)
{
    int error = check_map(request, target, order, 1, points_count);

    if (error == 0 && compat(request))
        gl_functions->Map1f(target, u1, u2, (int32_t)gl_map_values(target), order, points);
    return error;
}

int
gl_host_map1d(struct gpuvchan_request *request, uint32_t target, double u1, double u2, int32_t order,
              const double *points, size_t points_count)
{
    int error = check_map(request, target, order, 1, points_count);

    if (error == 0 && compat(request))
        gl_functions->Map1d(target, u1, u2, (int32_t)gl_map_values(target), order, points);
    return error;
}

int
gl_host_map2f(struct gpuvchan_request *request, uint32_t target, float u1, float u2, int32_t uorder, float v1, float v2,
              int32_t vorder, const float *points, size_t points_count)
{
    int error = check_map(request, target, uorder, vorder, points_count);
    int32_t values = (int32_t)gl_map_values(target);

    if (error == 0 && compat(request))
        gl_functions->Map2f(target, u1, u2, values * vorder, uorder, v1, v2, values, vorder, points);
    return error;
}

int
gl_host_map2d(struct gpuvchan_request *request, uint32_t target, double u1, double u2, int32_t uorder, double v1,
              double v2, int32_t vorder, const double *points, size_t points_count)
{
    int error = check_map(request, target, uorder, vorder, points_count);
    int32_t values = (int32_t)gl_map_values(target);

    if (error == 0 && compat(request))
        gl_functions->Map2d(target, u1, u2, values * vorder, uorder, v1, v2, values, vorder, points);
    return error;
}

/* ---- Selection and feedback ------------------------------------------------------------------ */

/* The driver keeps the pointer: memory stays until it has another one, and is ours alone. */
static void *
record_memory(int32_t size)
{
    return size > 0 && size <= RECORD_MAX ? calloc((size_t)size, 4) : NULL;
}

int
gl_host_feedback_buffer(struct gpuvchan_request *request, int32_t size, uint32_t type)
{
    struct gl_context_host *context = compat(request);
    float *memory;

    if (!context || gl_get(GL_RENDER_MODE) == GL_FEEDBACK) {
        if (context)
            gl_functions->FeedbackBuffer(0, type, NULL); /* the driver says that it cannot be now */
        return 0;
    }
    memory = record_memory(size);
    if (!memory && size > 0)
        return 0;
    gl_functions->FeedbackBuffer(size, type, memory);
    free(context->commands.feedback);
    context->commands.feedback = memory;
    context->commands.feedback_size = memory ? size : 0;
    return 0;
}

int
gl_host_select_buffer(struct gpuvchan_request *request, int32_t size)
{
    struct gl_context_host *context = compat(request);
    uint32_t *memory;

    if (!context || gl_get(GL_RENDER_MODE) == GL_SELECT) {
        if (context)
            gl_functions->SelectBuffer(0, NULL);
        return 0;
    }
    memory = record_memory(size);
    if (!memory && size > 0)
        return 0;
    gl_functions->SelectBuffer(size, memory);
    free(context->commands.selection);
    context->commands.selection = memory;
    context->commands.selection_size = memory ? size : 0;
    return 0;
}

int
gl_host_render_mode(struct gpuvchan_request *request, uint32_t mode, int32_t *value, void *record, size_t record_bytes)
{
    struct gl_context_host *context = compat(request);
    const void *from = NULL;
    size_t bytes = 0;
    int32_t before;

    if (!context)
        return 0;
    before = gl_get(GL_RENDER_MODE);
    *value = gl_functions->RenderMode(mode);
    if (before == GL_FEEDBACK) {
        from = context->commands.feedback;
        bytes = (size_t)context->commands.feedback_size * 4;
    } else if (before == GL_SELECT) {
        from = context->commands.selection;
        bytes = (size_t)context->commands.selection_size * 4;
    }
    if (from)
        memcpy(record, from, bytes < record_bytes ? bytes : record_bytes);
    return 0;
}
