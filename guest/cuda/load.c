/* SPDX-License-Identifier: MIT */
/*
 * The way of an image to the host: the compiler's options and logs, files, and images in pieces.
 *
 * Design notes: a small image goes as a whole. Of a large one the processor fills one half of a buffer while the
 * host's thread empties the other, so that libraries larger than the arena load, and no later than smaller ones
 * would. One that the host has kept from an earlier process is named by its digest and not sent.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHOLE_BYTES ((size_t)1 << 20)
#define HALF_BYTES ((size_t)2 << 20)
#define DIGEST_THREADS 4u
#define HALF_BYTES_LEAST ((size_t)64 << 10)

/* ---- Options of the compiler ------------------------------------------------------------------- */

static bool
has_pointer(CUjit_option option)
{
    return option == CU_JIT_GLOBAL_SYMBOL_NAMES || option == CU_JIT_GLOBAL_SYMBOL_ADDRESSES ||
           option == CU_JIT_REFERENCED_KERNEL_NAMES || option == CU_JIT_REFERENCED_VARIABLE_NAMES;
}

static CUresult
option_sort(struct cuda_guest_options *options, CUjit_option option, void **value)
{
    if ((unsigned)option >= CU_JIT_NUM_OPTIONS)
        return CUDA_ERROR_INVALID_VALUE;
    if (has_pointer(option))
        return CUDA_ERROR_NOT_SUPPORTED;
    if (option == CU_JIT_INFO_LOG_BUFFER)
        options->info = *value;
    else if (option == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES)
        options->info_bytes = value;
    else if (option == CU_JIT_ERROR_LOG_BUFFER)
        options->error = *value;
    else if (option == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
        options->error_bytes = value;
    else if (option == CU_JIT_WALL_TIME)
        options->wall_time = value;
    else if (options->count == CUDA_MODULE_LOAD_OPTIONS_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    else {
        options->names[options->count] = (uint32_t)option;
        options->values[options->count++] = (uintptr_t)*value;
    }
    return CUDA_SUCCESS;
}

static size_t
log_room(const char *buffer, void **bytes)
{
    return buffer && bytes ? (size_t)(uint32_t)(uintptr_t)*bytes : 0;
}

static void
log_give(char *buffer, void **bytes, const char *text)
{
    size_t room = log_room(buffer, bytes), length = strlen(text);

    if (bytes)
        *bytes = NULL;
    if (room == 0)
        return;
    length = length < room ? length : room - 1;
    memcpy(buffer, text, length);
    buffer[length] = '\0';
    *bytes = (void *)(uintptr_t)length;
}

CUresult
cuda_guest_options_read(struct cuda_guest_options *options, unsigned count, const CUjit_option *names, void **values)
{
    CUresult result = count != 0 && (!names || !values) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;

    for (unsigned i = 0; i < count && result == CUDA_SUCCESS; i++)
        result = option_sort(options, names[i], &values[i]);
    if (result == CUDA_SUCCESS && options->wall_time)
        *options->wall_time = NULL;
    return result;
}

uint32_t
cuda_guest_options_log_bytes(const struct cuda_guest_options *options)
{
    size_t info = log_room(options->info, options->info_bytes), error = log_room(options->error, options->error_bytes);

    return (uint32_t)(info > error ? info : error);
}

void
cuda_guest_options_logs(const struct cuda_guest_options *options, const char *info, const char *error)
{
    log_give(options->info, options->info_bytes, info);
    log_give(options->error, options->error_bytes, error);
}

/* ---- Files ----------------------------------------------------------------------------------- */

CUresult
cuda_guest_file_read(const char *name, char **out, size_t *bytes)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    CUresult result = CUDA_ERROR_FILE_NOT_FOUND;
    struct stat info;
    size_t done = 0;
    ssize_t got = 1;
    char *text;

    if (fd < 0)
        return result;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        result = CUDA_ERROR_OUT_OF_MEMORY;
        text = malloc((size_t)info.st_size + 1);
        while (text && done < (size_t)info.st_size && got > 0) {
            got = read(fd, text + done, (size_t)info.st_size - done);
            if (got > 0)
                done += (size_t)got;
            else if (got < 0 && errno == EINTR)
                got = 1;
        }
        if (text) {
            text[done] = '\0';
            *out = text;
            *bytes = done + 1;
            result = CUDA_SUCCESS;
        }
    }
    close(fd);
    return result;
}

/* ---- Images ---------------------------------------------------------------------------------- */

/* Two halves, as large as the arena has room for. */
static CUresult
halves_create(struct gpuvchan_buffer **buffer, size_t *half)
{
    for (*half = HALF_BYTES; *half >= HALF_BYTES_LEAST; *half /= 2)
        if (gpuvchan_buffer_create(cuda_guest.channel, *half * 2, buffer) == 0)
            return CUDA_SUCCESS;
    return CUDA_ERROR_OUT_OF_MEMORY;
}

/* After a piece was posted the other half is filled; then the host has emptied the first when it answers. */
static CUresult
send_pieces(struct cuda_guest_thread *self, const struct gpuvchan_buffer *buffer, size_t half,
            const unsigned char *image, size_t bytes)
{
    CUresult result = CUDA_SUCCESS;

    for (size_t at = 0, turn = 0; at < bytes && result == CUDA_SUCCESS; at += half, turn ^= 1) {
        size_t piece = bytes - at < half ? bytes - at : half;
        struct gpuvchan_reference reference = {.offset = gpuvchan_buffer_offset(buffer) + turn * half, .bytes = piece};

        gpuvchan_arena_write(self->lane, (unsigned char *)gpuvchan_buffer_data(buffer) + turn * half, image + at,
                             piece);
        result = cuda_guest_settle(self);
        if (result == CUDA_SUCCESS)
            result = cuda_guest_result(cuda_image_part_on(&cuda_guest.client, self->lane, bytes, at, reference));
    }
    return result == CUDA_SUCCESS ? cuda_guest_settle(self) : result;
}

static unsigned
processors(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* Does the host have it of another process? A digest is made only if it has one of that size. */
static bool
is_kept(struct cuda_guest_thread *self, const void *image, size_t bytes)
{
    const struct gpuvchan_client *client = &cuda_guest.client;
    unsigned threads = processors();
    uint8_t digest[GPUVCHAN_DIGEST];
    bool kept = false;

    if (cuda_guest_settle(self) != CUDA_SUCCESS || cuda_image_kept_on(client, self->lane, bytes, NULL, 0, &kept) != 0 ||
        !kept)
        return false;
    gpuvchan_digest(image, bytes, threads < DIGEST_THREADS ? threads : DIGEST_THREADS, digest);
    return cuda_image_kept_on(client, self->lane, bytes, digest, sizeof(digest), &kept) == 0 && kept;
}

CUresult
cuda_guest_image_send(struct cuda_guest_thread *self, const void *image, size_t bytes,
                      CUresult (*load)(struct cuda_guest_thread *self, struct gpuvchan_reference image, void *context),
                      void *context)
{
    struct gpuvchan_reference reference = {0};
    struct gpuvchan_buffer *buffer;
    CUresult result;
    size_t half;

    if (bytes > WHOLE_BYTES && is_kept(self, image, bytes))
        return load(self, reference, context);
    if (bytes <= WHOLE_BYTES && gpuvchan_buffer_create(cuda_guest.channel, bytes, &buffer) == 0) {
        reference = (struct gpuvchan_reference){.offset = gpuvchan_buffer_offset(buffer), .bytes = bytes};
        gpuvchan_arena_write(self->lane, gpuvchan_buffer_data(buffer), image, bytes);
        result = cuda_guest_settle(self);
    } else {
        result = halves_create(&buffer, &half);
        if (result != CUDA_SUCCESS)
            return result;
        result = send_pieces(self, buffer, half, image, bytes);
    }
    if (result == CUDA_SUCCESS)
        result = load(self, reference, context);
    gpuvchan_buffer_destroy(buffer);
    return result;
}

/* ---- Loading --------------------------------------------------------------------------------- */

struct loading {
    uint32_t handle;
    const struct cuda_guest_options *options;
    cuda_guest_load *load;
};

static void
logs_fetch(struct cuda_guest_thread *self, const struct cuda_guest_options *options)
{
    char info[CUDA_MODULE_LOG_INFO_LOG_MAX + 1] = "", error[CUDA_MODULE_LOG_ERROR_LOG_MAX + 1] = "";

    if (!options->info_bytes && !options->error_bytes)
        return;
    cuda_module_log_on(&cuda_guest.client, self->lane, info, sizeof(info), error, sizeof(error));
    cuda_guest_options_logs(options, info, error);
}

static CUresult
load_on_host(struct cuda_guest_thread *self, struct gpuvchan_reference image, void *context)
{
    const struct loading *loading = context;
    const struct cuda_guest_options *options = loading->options;
    int status = loading->load(&cuda_guest.client, self->lane, loading->handle, image, options->names, options->count,
                               options->values, options->count, cuda_guest_options_log_bytes(options));

    if (status >= 0)
        logs_fetch(self, options);
    return cuda_guest_result(status);
}

CUresult
cuda_guest_image_load(struct cuda_guest_thread *self, const void *image, size_t bytes,
                      const struct cuda_guest_options *options, uint32_t handle, cuda_guest_load *load)
{
    return cuda_guest_image_send(self, image, bytes, load_on_host,
                                 &(struct loading){.handle = handle, .options = options, .load = load});
}
