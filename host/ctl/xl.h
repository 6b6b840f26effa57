/* SPDX-License-Identifier: MIT */
/* The toolstack: what gpuvchanctl asks and tells xl, which PATH finds. */
#ifndef GPUVCHAN_CTL_XL_H
#define GPUVCHAN_CTL_XL_H

#include <stdbool.h>
#include <stddef.h>

#define XL_SAYS 240 /* bytes that hold its last line */

bool xl_present(void);

/* xl with up to four words, the rest NULL. 0, or its failure with its last words in `says`. */
int xl_run(char says[XL_SAYS], const char *word1, const char *word2, const char *word3, const char *word4);

/* A line of `xl info`, "" if it has none; false if xl cannot be asked. Asks once. */
bool xl_info(const char *key, char *value, size_t bytes);

#endif
