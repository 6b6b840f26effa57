/* SPDX-License-Identifier: MIT */
/*
 * What modules, libraries and linking share: the compiler's options and logs, and private copies of images, which
 * are checked and which the driver reads. A large image comes in pieces ahead of the record that loads it.
 */
#include "cuda_plugin.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image.h"

#define CUDA_IMAGE_MAX ((uint64_t)4 << 30)

/* ---- Options of the compiler ----------------------------------------------------------------- */

static void
add(struct cuda_load_options *options, CUjit_option name, uint64_t value)
{
    options->names[options->count] = name;
    options->values[options->count++] = (void *)(uintptr_t)value;
}

/* Options whose value is a number. All others hold pointers, or are not known: the driver would follow them. */
static bool
is_number(uint32_t option)
{
    static const bool numbers[CU_JIT_NUM_OPTIONS] = {
        [CU_JIT_MAX_REGISTERS] = true,
        [CU_JIT_THREADS_PER_BLOCK] = true,
        [CU_JIT_OPTIMIZATION_LEVEL] = true,
        [CU_JIT_TARGET_FROM_CUCONTEXT] = true,
        [CU_JIT_TARGET] = true,
        [CU_JIT_FALLBACK_STRATEGY] = true,
        [CU_JIT_GENERATE_DEBUG_INFO] = true,
        [CU_JIT_LOG_VERBOSE] = true,
        [CU_JIT_GENERATE_LINE_INFO] = true,
        [CU_JIT_CACHE_MODE] = true,
        [CU_JIT_FAST_COMPILE] = true,
        [CU_JIT_LTO] = true,
        [CU_JIT_FTZ] = true,
        [CU_JIT_PREC_DIV] = true,
        [CU_JIT_PREC_SQRT] = true,
        [CU_JIT_FMA] = true,
        [CU_JIT_POSITION_INDEPENDENT_CODE] = true,
        [CU_JIT_MIN_CTA_PER_SM] = true,
        [CU_JIT_MAX_THREADS_PER_BLOCK] = true,
        [CU_JIT_OVERRIDE_DIRECTIVE_VALUES] = true,
        [CU_JIT_SPLIT_COMPILE] = true,
        [CU_JIT_OPTIMIZE_UNUSED_DEVICE_VARIABLES] = true,
    };

    return option < CU_JIT_NUM_OPTIONS && numbers[option];
}

int
cuda_options_take(struct cuda_load_options *options, const uint32_t *names, size_t names_count, const uint64_t *values,
                  size_t values_count)
{
    if (names_count != values_count)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < names_count; i++) {
        if (is_number(names[i]))
            add(options, (CUjit_option)names[i], values[i]);
        else if (names[i] < CU_JIT_WALL_TIME || names[i] > CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
            return CUDA_ERROR_INVALID_VALUE;
        /* Times and logs are outputs: log_bytes and module_log() stand for the latter. */
    }
    return 0;
}

void
cuda_lane_forget_logs(struct cuda_lane *lane)
{
    free(lane->info_log);
    free(lane->error_log);
    lane->info_log = lane->error_log = NULL;
}

void
cuda_lane_forget_image(struct cuda_lane *lane)
{
    if (lane->staged.to_keep)
        close(lane->staged.fd);
    cuda_image_free(lane->staged.image);
    lane->staged = (struct cuda_staged){0};
}

bool
cuda_options_logs(struct cuda_load_options *options, uint32_t bytes, char **info, char **error)
{
    if (bytes == 0)
        return true;
    if (bytes > CUDA_LOG_MAX)
        bytes = CUDA_LOG_MAX;
    *info = calloc(1, CUDA_LOG_MAX);
    *error = calloc(1, CUDA_LOG_MAX);
    if (!*info || !*error)
        return false;
    add(options, CU_JIT_INFO_LOG_BUFFER, (uintptr_t)*info);
    add(options, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, bytes);
    add(options, CU_JIT_ERROR_LOG_BUFFER, (uintptr_t)*error);
    add(options, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, bytes);
    return true;
}

/* ---- Images ---------------------------------------------------------------------------------- */

int
cuda_host_image_part(struct gpuvchan_request *request, uint64_t total, uint64_t at, void *part, size_t part_bytes)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_staged *staged = &lane->staged;

    if (at == 0) {
        cuda_lane_forget_image(lane);
        if (total == 0 || total > CUDA_IMAGE_MAX)
            return CUDA_ERROR_INVALID_IMAGE;
        if (!cuda_keep_begin(lane->host, staged, total))
            *staged = (struct cuda_staged){.image = cuda_image_memory(total), .bytes = total};
        if (!staged->image && !staged->to_keep)
            return CUDA_ERROR_OUT_OF_MEMORY;
    }
    /* In their order, so that what is filled is one piece. */
    if ((!staged->image && !staged->to_keep) || total != staged->bytes || at != staged->filled ||
        part_bytes > total - at)
        return CUDA_ERROR_INVALID_VALUE;
    if (staged->to_keep)
        return cuda_keep_part(staged, part, part_bytes);
    gpuvchan_arena_read(staged->image + at, part, part_bytes);
    staged->filled += part_bytes;
    return 0;
}

/* What has come in pieces, which becomes the caller's. */
static void *
staged_take(struct cuda_lane *lane, size_t *bytes, int *result)
{
    unsigned char *image = lane->staged.image;

    if ((!image && !lane->staged.to_keep) || lane->staged.filled != lane->staged.bytes) {
        cuda_lane_forget_image(lane);
        *result = CUDA_ERROR_INVALID_IMAGE;
        return NULL;
    }
    *bytes = lane->staged.bytes;
    if (lane->staged.to_keep)
        image = cuda_keep_filled(lane->host, &lane->staged);
    if (!image)
        *result = CUDA_ERROR_OUT_OF_MEMORY;
    lane->staged = (struct cuda_staged){0};
    return image;
}

void *
cuda_lane_data(struct cuda_lane *lane, const void *data, size_t *bytes, int *result)
{
    unsigned char *copy;

    if (!data)
        return staged_take(lane, bytes, result);
    copy = cuda_image_memory(*bytes);
    if (copy)
        gpuvchan_arena_read(copy, data, *bytes);
    else
        *result = CUDA_ERROR_OUT_OF_MEMORY;
    return copy;
}

void *
cuda_lane_image(struct cuda_lane *lane, const void *image, size_t *bytes, int *result)
{
    void *copy = cuda_lane_data(lane, image, bytes, result);

    if (copy && !cuda_image_fits(copy, *bytes)) {
        cuda_image_free(copy);
        copy = NULL;
        *result = CUDA_ERROR_INVALID_IMAGE;
    }
    return copy;
}
