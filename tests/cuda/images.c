/* SPDX-License-Identifier: MIT */
/* Where an image ends: fatbins one behind the other, as the linker leaves those of a program's sources. */
#include "test.h"

struct wrapper {
    unsigned magic, version;
    const void *data, *more;
};

struct fatbin {
    unsigned magic;
    unsigned short version, header_bytes;
    unsigned long long bytes;
};

struct entry {
    unsigned short kind, version;
    unsigned header_bytes;
    unsigned long long bytes;
    unsigned compressed, options;
    unsigned short minor, major;
    unsigned architecture, name, name_bytes;
    unsigned long long flags, reserved, whole;
};

#define TEXT_BYTES ((sizeof(kernels) + 7) / 8 * 8)

/* The second one has a header that makes no sense. */
static struct {
    struct fatbin fatbin;
    struct entry entry;
    char text[TEXT_BYTES];
    struct fatbin next;
} images = {
    .fatbin = {0xba55ed50, 1, 16, sizeof(struct entry) + TEXT_BYTES},
    .entry = {.kind = 1,
              .version = 0x101,
              .header_bytes = sizeof(struct entry),
              .bytes = TEXT_BYTES,
              .minor = 4,
              .major = 6,
              .architecture = 75,
              .flags = 0x11},
    .next = {0xba55ed50, 1, 3, 1},
};

static CUresult
load(const struct wrapper *wrapper)
{
    CUlibrary library;
    CUkernel add;
    CUresult result = cuLibraryLoadData(&library, wrapper, NULL, NULL, 0, NULL, NULL, 0);

    if (result != CUDA_SUCCESS)
        return result;
    result = cuLibraryGetKernel(&add, library, "add");
    cuLibraryUnload(library);
    return result;
}

int
main(void)
{
    struct wrapper none = {0}, wrappers[3] = {{0}, {0x466243b1, 1, &images.fatbin, NULL}, {0}};
    const void *list[2] = {&images.fatbin, NULL};

    NEED(cuInit(0));
    memcpy(images.text, kernels, sizeof(kernels));
    /* It belongs to nobody, so it is part of the first one, and damaged. */
    GIVES(CUDA_ERROR_INVALID_IMAGE, load(&wrappers[1]));
    wrappers[2] = (struct wrapper){0x466243b1, 1, &images.next, NULL};
    GIVES(CUDA_SUCCESS, load(&wrappers[1]));
    wrappers[0] = wrappers[2];
    wrappers[2] = none;
    GIVES(CUDA_SUCCESS, load(&wrappers[1]));
    wrappers[1] = (struct wrapper){0x466243b1, 2, &images.fatbin, list};
    GIVES(CUDA_SUCCESS, load(&wrappers[1]));
    list[0] = &images.next;
    GIVES(CUDA_ERROR_INVALID_IMAGE, load(&wrappers[1]));
    wrappers[1] = (struct wrapper){0x466243b1, 1, NULL, NULL};
    GIVES(CUDA_ERROR_INVALID_IMAGE, load(&wrappers[1]));
    return test_end();
}
