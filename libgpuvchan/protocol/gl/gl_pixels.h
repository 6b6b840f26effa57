/* SPDX-License-Identifier: MIT */
/*
 * How much memory pixels take: the same sums on both sides, so that the guest sends what the driver reads, and the host
 * lets the driver read only what was sent.
 */
#ifndef GL_PIXELS_H
#define GL_PIXELS_H

#include <stdbool.h>
#include <stdint.h>

#include "gl-enums.h"

/** How pixels lie in memory: GL_UNPACK_... or GL_PACK_... */
struct gl_pixel_store {
    int32_t alignment, row_length, skip_rows, skip_pixels, image_height, skip_images;
};

/** Part of memory that an image takes, from the pointer on. */
struct gl_span {
    uint64_t start, end;
};

static inline unsigned
gl_format_components(uint32_t format)
{
    switch (format) {
    case GL_COLOR_INDEX:
    case GL_STENCIL_INDEX:
    case GL_DEPTH_COMPONENT:
    case GL_RED:
    case GL_GREEN:
    case GL_BLUE:
    case GL_ALPHA:
    case GL_LUMINANCE:
    case GL_INTENSITY:
    case GL_RED_INTEGER:
    case GL_GREEN_INTEGER:
    case GL_BLUE_INTEGER:
    case GL_ALPHA_INTEGER:
    case GL_LUMINANCE_INTEGER_EXT:
        return 1;
    case GL_RG:
    case GL_RG_INTEGER:
    case GL_LUMINANCE_ALPHA:
    case GL_LUMINANCE_ALPHA_INTEGER_EXT:
    case GL_DEPTH_STENCIL:
    case GL_YCBCR_MESA:
    case GL_YCBCR_422_APPLE:
    case GL_RGB_422_APPLE:
        return 2;
    case GL_RGB:
    case GL_BGR:
    case GL_RGB_INTEGER:
    case GL_BGR_INTEGER:
        return 3;
    case GL_RGBA:
    case GL_BGRA:
    case GL_ABGR_EXT:
    case GL_RGBA_INTEGER:
    case GL_BGRA_INTEGER:
        return 4;
    default:
        return 0;
    }
}

/* Of a component, or of a whole pixel with *@p packed. */
static inline unsigned
gl_type_bytes(uint32_t type, bool *packed)
{
    *packed = true;
    switch (type) {
    case GL_UNSIGNED_BYTE_3_3_2:
    case GL_UNSIGNED_BYTE_2_3_3_REV:
        return 1;
    case GL_UNSIGNED_SHORT_5_6_5:
    case GL_UNSIGNED_SHORT_5_6_5_REV:
    case GL_UNSIGNED_SHORT_4_4_4_4:
    case GL_UNSIGNED_SHORT_4_4_4_4_REV:
    case GL_UNSIGNED_SHORT_5_5_5_1:
    case GL_UNSIGNED_SHORT_1_5_5_5_REV:
    case GL_UNSIGNED_SHORT_8_8_MESA:
    case GL_UNSIGNED_SHORT_8_8_REV_MESA:
        return 2;
    case GL_UNSIGNED_INT_8_8_8_8:
    case GL_UNSIGNED_INT_8_8_8_8_REV:
    case GL_UNSIGNED_INT_10_10_10_2:
    case GL_UNSIGNED_INT_2_10_10_10_REV:
    case GL_UNSIGNED_INT_24_8:
    case GL_UNSIGNED_INT_10F_11F_11F_REV:
    case GL_UNSIGNED_INT_5_9_9_9_REV:
        return 4;
    case GL_FLOAT_32_UNSIGNED_INT_24_8_REV:
        return 8;
    default:
        break;
    }
    *packed = false;
    switch (type) {
    case GL_BYTE:
    case GL_UNSIGNED_BYTE:
        return 1;
    case GL_SHORT:
    case GL_UNSIGNED_SHORT:
    case GL_HALF_FLOAT:
    case GL_HALF_FLOAT_OES:
        return 2;
    case GL_INT:
    case GL_UNSIGNED_INT:
    case GL_FLOAT:
    case GL_FIXED:
        return 4;
    case GL_DOUBLE:
        return 8;
    default:
        return 0;
    }
}

/** Bytes of a pixel; 0: not known to us, or less than one. */
static inline unsigned
gl_pixel_bytes(uint32_t format, uint32_t type)
{
    bool packed;
    unsigned components = gl_format_components(format), bytes = gl_type_bytes(type, &packed);

    return components == 0 ? 0 : packed ? bytes : components * bytes;
}

static inline uint64_t
gl_at_least_0(int64_t value)
{
    return value > 0 ? (uint64_t)value : 0;
}

/**
 * Where in memory an image lies. Of one or two dimensions depth is 1, and what is said of images does not count.
 * @return false: the format or type is not known, or nothing could be so large.
 */
static inline bool
gl_image_span(const struct gl_pixel_store *store, unsigned dimensions, uint32_t format, uint32_t type, int32_t width,
              int32_t height, int32_t depth, struct gl_span *span)
{
    __extension__ typedef unsigned __int128 wide;
    uint64_t w = gl_at_least_0(width), h = gl_at_least_0(height), d = gl_at_least_0(depth), row, align;
    uint64_t length = store->row_length > 0 ? (uint64_t)store->row_length : w;
    unsigned pixel = gl_pixel_bytes(format, type);
    bool bits = type == GL_BITMAP;
    wide stride, image, start, end;

    *span = (struct gl_span){0, 0};
    if (!bits && pixel == 0)
        return false;
    if (w == 0 || h == 0 || d == 0)
        return true;
    align = store->alignment > 0 ? (uint64_t)store->alignment : 1;
    row = bits ? (length + 7) / 8 : length * pixel;
    stride = (row + align - 1) / align * align;
    image = stride * (dimensions == 3 && store->image_height > 0 ? (uint64_t)store->image_height : h);
    start = (dimensions == 3 ? image * gl_at_least_0(store->skip_images) : 0) +
            (dimensions >= 2 ? stride * gl_at_least_0(store->skip_rows) : 0);
    end = start + image * (d - 1) + stride * (h - 1);
    if (bits) {
        start += gl_at_least_0(store->skip_pixels) / 8;
        end += (gl_at_least_0(store->skip_pixels) + w + 7) / 8;
    } else {
        start += gl_at_least_0(store->skip_pixels) * pixel;
        end += (gl_at_least_0(store->skip_pixels) + w) * pixel;
    }
    if (end > INT64_MAX)
        return false;
    *span = (struct gl_span){(uint64_t)start, (uint64_t)end};
    return true;
}

/** Numbers of a control point of an evaluator; 0: no such map. */
static inline unsigned
gl_map_values(uint32_t target)
{
    switch (target) {
    case GL_MAP1_INDEX:
    case GL_MAP1_TEXTURE_COORD_1:
    case GL_MAP2_INDEX:
    case GL_MAP2_TEXTURE_COORD_1:
        return 1;
    case GL_MAP1_TEXTURE_COORD_2:
    case GL_MAP2_TEXTURE_COORD_2:
        return 2;
    case GL_MAP1_NORMAL:
    case GL_MAP1_TEXTURE_COORD_3:
    case GL_MAP1_VERTEX_3:
    case GL_MAP2_NORMAL:
    case GL_MAP2_TEXTURE_COORD_3:
    case GL_MAP2_VERTEX_3:
        return 3;
    case GL_MAP1_COLOR_4:
    case GL_MAP1_TEXTURE_COORD_4:
    case GL_MAP1_VERTEX_4:
    case GL_MAP2_COLOR_4:
    case GL_MAP2_TEXTURE_COORD_4:
    case GL_MAP2_VERTEX_4:
        return 4;
    default:
        return 0;
    }
}

/** Bytes of an index; 0: that is no type of indices. */
static inline unsigned
gl_index_bytes(uint32_t type)
{
    return type == GL_UNSIGNED_BYTE ? 1 : type == GL_UNSIGNED_SHORT ? 2 : type == GL_UNSIGNED_INT ? 4 : 0;
}

/** Bytes of an element of glCallLists(); 0: no such type. */
static inline unsigned
gl_list_bytes(uint32_t type)
{
    switch (type) {
    case GL_BYTE:
    case GL_UNSIGNED_BYTE:
        return 1;
    case GL_SHORT:
    case GL_UNSIGNED_SHORT:
    case GL_2_BYTES:
        return 2;
    case GL_3_BYTES:
        return 3;
    case GL_INT:
    case GL_UNSIGNED_INT:
    case GL_FLOAT:
    case GL_4_BYTES:
        return 4;
    default:
        return 0;
    }
}

#endif
