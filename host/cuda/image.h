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
/** Does it hold pointers, as such a wrapper does? */
bool cuda_image_is_wrapper(const unsigned char *image, size_t bytes);
/** Makes offsets again of the pointers in @p copy, which is one of @p image. */
void cuda_image_unresolve(unsigned char *copy, const unsigned char *image);

/** One of several in an image: PTX text or machine code. */
struct cuda_image_part {
    const unsigned char *data;
    size_t bytes;
    bool text;
};
/**
 * Calls @p visit for each. @return 0; what @p visit returned, if that is not 0; -ENOTSUP: one cannot be unpacked;
 * -ENOMEM; -EBADMSG: it cannot be what cuda_image_fits() has seen.
 */
int cuda_image_visit(const unsigned char *image, size_t bytes,
                     int (*visit)(void *context, const struct cuda_image_part *part), void *context);

#endif
