/* SPDX-License-Identifier: MIT */
/* Where the simulated device is: for the plugins that stand on it. */
#ifndef CUDA_SIM_PATH_H
#define CUDA_SIM_PATH_H

#include <limits.h>

/** Its libcuda.so.1: beside the folder of the plugin that this is linked into, else where it was to be installed. */
void cuda_sim_path(char path[PATH_MAX]);

#endif
