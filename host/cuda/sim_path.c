/* SPDX-License-Identifier: MIT */
#include "sim_path.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIM_FILE "sim/libcuda.so.1"
#ifndef GPUVCHAN_SIMDIR
#define GPUVCHAN_SIMDIR "/usr/lib/gpuvchan/sim"
#endif

void
cuda_sim_path(char path[PATH_MAX])
{
    static const char here;
    char own[PATH_MAX], *slash;
    Dl_info info;

    if (dladdr(&here, &info) && realpath(info.dli_fname, own)) {
        for (int up = 0; up < 2 && (slash = strrchr(own, '/')); up++) {
            *slash = '\0';
            if (snprintf(path, PATH_MAX, "%s/%s", own, SIM_FILE) < PATH_MAX && access(path, R_OK) == 0)
                return;
        }
    }
    snprintf(path, PATH_MAX, "%s", GPUVCHAN_SIMDIR "/libcuda.so.1");
}
