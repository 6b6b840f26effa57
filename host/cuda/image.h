/* SPDX-License-Identifier: MIT */
/*
 * Images of device code that a guest brings. The driver takes a pointer without a size and believes what the
 * image says of itself; so it gets a private copy, and only one whose own numbers stay inside it.
 */
#ifndef CUDA_IMAGE_H
#define CUDA_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

/** Memory for an image of @p bytes with zeros behind, for cuda_image_free(), or NULL. */
void *cuda_image_memory(size_t bytes);
/** The same with what @p fd has, sealed memory of @p bytes, as long as nobody writes there. */
void *cuda_image_map(int fd, size_t bytes);
/** NULL is allowed. */
void cuda_image_free(void *image);
/**
 * Is what lies there an image that stays inside its @p bytes? In memory of cuda_image_memory(). Offsets in a wrapper
 * become the pointers that the driver expects there.
 */
bool cuda_image_fits(unsigned char *image, size_t bytes);

#endif
