/* SPDX-License-Identifier: MIT */
/* A main for fuzz targets without libFuzzer: runs the files that it is given, in TAP. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int
main(int argc, char **argv)
{
    static uint8_t data[1 << 20];

    alarm(60);
    printf("1..%d\n", argc - 1);
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        size_t n = file ? fread(data, 1, sizeof(data), file) : 0;
        uint8_t *exact;

        if (!file) {
            printf("not ok %d - %s cannot be read\n", i, argv[i]);
            continue;
        }
        fclose(file);
        exact = malloc(n ? n : 1); /* reads beyond the input are found */
        if (!exact)
            return 1;
        for (size_t j = 0; j < n; j++)
            exact[j] = data[j];
        LLVMFuzzerTestOneInput(exact, n);
        free(exact);
        printf("ok %d - %s\n", i, argv[i]);
        fflush(stdout);
    }
    return 0;
}
