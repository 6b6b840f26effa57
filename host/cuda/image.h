/* SPDX-License-Identifier: MIT */
/*
 * Images of device code that a guest brings. The driver takes a pointer without a size and believes what the
 * image says of itself; so it gets a private copy, and only one whose own numbers stay inside it.
 */
#ifndef CUDA_IMAGE_H
#define CUDA_IMAGE_H

#include <stddef.h>

/**
 * A private copy of @p bytes of arena memory with zeros behind, for free(). NULL, with *@p result set: it is no
 * image (CUDA_ERROR_INVALID_IMAGE), or out of memory.
 */
void *cuda_image_copy(const void *image, size_t bytes, int *result);

#endif
