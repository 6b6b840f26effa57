/* SPDX-License-Identifier: MIT */
/* Not a test by itself: prints which devices the program sees, by the last byte of the UUID. */
#include <stdio.h>

#include "cuda_api.h"

int
main(void)
{
    int count = 0, result = (int)cuInit(0);

    if (result == CUDA_SUCCESS)
        result = (int)cuDeviceGetCount(&count);
    printf("%d:", result);
    for (int i = 0; i < count; i++) {
        CUuuid uuid;

        if (cuDeviceGetUuid_v2(&uuid, i) == CUDA_SUCCESS)
            printf(" %02x", (unsigned char)uuid.bytes[15]);
    }
    putchar('\n');
    return 0;
}
