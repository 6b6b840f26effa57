/* SPDX-License-Identifier: MIT
 *
 * xen-exit CODE: ends the QEMU that this Dom0 runs in, whose exit status becomes 2 * CODE + 1, by its device
 * isa-debug-exit. So nothing but this can make it end with that status.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
    if (argc != 2 || ioperm(0xf4, 4, 1)) {
        perror("xen-exit");
        return 1;
    }
    sync();
    outl((unsigned)atoi(argv[1]), 0xf4);
    return 1;
}
