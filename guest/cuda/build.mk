# SPDX-License-Identifier: MIT
# The guest's libcuda.so.1
GUEST_CUDA_SRCS := $(addprefix guest/cuda/,start.c device.c thread.c context.c primary.c limit.c handle.c errors.c \
	image.c load.c module.c function.c library.c kernel.c link.c launch.c launch_ex.c launch_first.c occupancy.c range.c memory.c host_memory.c memset.c wait.c staging.c copy.c copy_rows.c \
	stream.c event.c procaddr.c refused.c first.c)

# What programs of the CUDA runtime need besides the driver API; README.md tells why it is not there unless asked for.
GUEST_CUDA_SRCS += $(addprefix guest/cuda/,$(if $(CUDART_COMPAT),cudart_compat.c cudart_compat_hmac.c,export_table.c))
$(BUILD)/cudart-compat: FORCE
	@mkdir -p $(@D)
	@echo '$(if $(CUDART_COMPAT),yes,no)' | cmp -s - $@ || echo '$(if $(CUDART_COMPAT),yes,no)' >$@
$(BUILD)/lib/gpuvchan/guest/libcuda.so.1: $(BUILD)/cudart-compat
