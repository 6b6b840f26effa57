# SPDX-License-Identifier: MIT
NVML_PLUGIN_SRCS := $(addprefix host/nvml/, device.c library.c list.c plugin.c process.c simulated.c versioned.c) host/cuda/sim_path.c
