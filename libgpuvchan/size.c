/* SPDX-License-Identifier: MIT */
/* Sizes as people write them. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include <gpuvchan/plugin.h>

#include "error.h"

int
gpuvchan_parse_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    unsigned long long value;
    unsigned shift = 0;
    char *end;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno != 0)
        goto bad;
    if (*end != '\0') {
        const char *unit = strchr(units, toupper((unsigned char)*end));

        if (!unit || end[1] != '\0')
            goto bad;
        shift = 10 * (unsigned)(unit - units + 1);
    }
    if (value > UINT64_MAX >> shift)
        goto bad;
    *bytes = (uint64_t)value << shift;
    return 0;
bad:
    return gpuvchan__error(-EINVAL, "'%s' is not a size: write a number of bytes, or one with K, M, G or T", text);
}
