/* SPDX-License-Identifier: MIT */
#include "error.h"

void
gpuvchan__text_from_peer(char *to, size_t to_bytes, const char *from, size_t bytes)
{
    size_t n = 0;

    while (n < bytes && n + 1 < to_bytes && from[n] != '\0') {
        to[n] = from[n] >= ' ' && from[n] <= '~' ? from[n] : '?';
        n++;
    }
    to[n] = '\0';
}
