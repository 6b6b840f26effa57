# SPDX-License-Identifier: MIT
# The guest's libcuda.so.1. What programs of the CUDA runtime need besides the driver API is not there unless asked for;
# README.md tells why.
GUEST_CUDA_SRCS := $(filter-out $(if $(CUDART_COMPAT),%/export_table.c,%/cudart_compat.c %/cudart_compat_hmac.c), \
	$(sort $(wildcard guest/cuda/*.c)))
$(BUILD)/cudart-compat: FORCE
	@mkdir -p $(@D)
	@echo '$(if $(CUDART_COMPAT),yes,no)' | cmp -s - $@ || echo '$(if $(CUDART_COMPAT),yes,no)' >$@
$(BUILD)/lib/gpuvchan/guest/libcuda.so.1: $(BUILD)/cudart-compat
