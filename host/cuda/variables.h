/* SPDX-License-Identifier: MIT */
/*
 * The variables of an image, by name: the driver tells where one lies, but not which there are.
 *
 * Design notes: an image may have code for several devices, of which the driver takes one. The names of all are
 * collected; it does not know those that only others have. The names stand in PTX as text and in
 * machine code in the ELF file's table of symbols.
 */
#ifndef CUDA_VARIABLES_H
#define CUDA_VARIABLES_H

#include <stdbool.h>
#include <stddef.h>

struct cuda_variables {
    char **names; /* sorted, each once */
    size_t count, room;
    bool heap; /* device code allocates memory by itself */
};

/** @return 0; -ENOTSUP: a part of the image cannot be read; -ENOMEM; -EBADMSG. */
int cuda_variables_read(const unsigned char *image, size_t bytes, struct cuda_variables *variables);
void cuda_variables_finish(struct cuda_variables *variables);

#endif
