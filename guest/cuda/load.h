/* SPDX-License-Identifier: MIT */
/* What modules, libraries and linking share: the compiler's options and logs, files, and the way of an image. */
#ifndef CUDA_GUEST_LOAD_H
#define CUDA_GUEST_LOAD_H

#include "guest.h"

/** What travels, and what is filled in here when the host has answered. */
struct cuda_guest_options {
    uint32_t names[CUDA_MODULE_LOAD_OPTIONS_MAX];
    uint64_t values[CUDA_MODULE_LOAD_OPTIONS_MAX];
    size_t count;
    char *info, *error;
    void **info_bytes, **error_bytes; /* room; then what was written */
    void **wall_time;
};

/** Sorts a list of options of the application. */
CUresult
cuda_guest_options_read(struct cuda_guest_options *options, unsigned count, const CUjit_option *names, void **values);
/** So many bytes of log are wanted at most. */
uint32_t cuda_guest_options_log_bytes(const struct cuda_guest_options *options);
/** Gives the logs to whom asked for them. */
void cuda_guest_options_logs(const struct cuda_guest_options *options, const char *info, const char *error);

/** The whole file and a NUL behind it, for the caller to free. */
CUresult cuda_guest_file_read(const char *name, char **out, size_t *bytes);

/**
 * Brings @p image to the host and has @p load work on it, which gets where in the arena it is; all zero: the host has
 * got it in pieces.
 */
CUresult
cuda_guest_image_send(struct cuda_guest_thread *self, const void *image, size_t bytes,
                      CUresult (*load)(struct cuda_guest_thread *self, struct gpuvchan_reference image, void *context),
                      void *context);

/** cuda_module_load_on() or cuda_library_load_on(). */
typedef int cuda_guest_load(const struct gpuvchan_client *client, struct gpuvchan_lane *lane, uint32_t made,
                            struct gpuvchan_reference image, const uint32_t *options, size_t options_count,
                            const uint64_t *option_values, size_t option_values_count, uint32_t log_bytes);

/** Has the host load @p image as @p handle, and hands out the compiler's logs. */
CUresult cuda_guest_image_load(struct cuda_guest_thread *self, const void *image, size_t bytes,
                               const struct cuda_guest_options *options, uint32_t handle, cuda_guest_load *load);

#endif
