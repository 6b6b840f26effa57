# SPDX-License-Identifier: MIT
# The CUDA plugin over a fake driver: tests/unit/test_cuda_plugin and the driver that it loads.

FAKE_LIBCUDA := $(BUILD)/tests/fake/libcuda.so.1
FAKE_CPPFLAGS := -Itests/fake -Ilibgpuvchan -Ihost/cuda -Ilibgpuvchan/protocol/cuda

$(FAKE_LIBCUDA): tests/fake/libcuda.c tests/fake/libcuda.h tests/fake/virtual.h
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(OWN_CPPFLAGS) $(FAKE_CPPFLAGS) $(filter-out -MMD -MP,$(OWN_CFLAGS)) $(CFLAGS) -shared -o $@ $< \
		$(OWN_LDFLAGS) -lpthread

$(BUILD)/obj/tests/unit/test_cuda_plugin.o: CPPFLAGS += $(FAKE_CPPFLAGS)
$(BUILD)/obj/tests/unit/test_cuda_plugin.o: $(GEN)/cuda-guest.h $(GEN)/cuda-host.h
$(BUILD)/tests/unit/test_cuda_plugin: $(BUILD)/obj/tests/unit/test_cuda_plugin.o $(BUILD)/obj/gen/cuda-host.o \
		$(call objects,$(CUDA_PLUGIN_SRCS) $(LIB_SRCS)) | $(FAKE_LIBCUDA)
	$(call link,$@,$(filter %.o,$^),$(shell pkg-config --libs liblz4 libzstd) -lcmocka $(LIB_LIBS) -ldl -lpthread)

# The same over the simulated device; with CUDA_DRIVER=FILE over any other.
$(BUILD)/obj/tests/unit/test_cuda_suspend.o: CPPFLAGS += $(FAKE_CPPFLAGS)
$(BUILD)/obj/tests/unit/test_cuda_suspend.o: $(GEN)/cuda-guest.h $(GEN)/cuda-host.h
$(BUILD)/tests/unit/test_cuda_suspend: $(BUILD)/obj/tests/unit/test_cuda_suspend.o $(BUILD)/obj/gen/cuda-host.o \
		$(call objects,$(CUDA_PLUGIN_SRCS) $(LIB_SRCS)) | $(BUILD)/lib/gpuvchan/sim/libcuda.so.1
	$(call link,$@,$(filter %.o,$^),$(shell pkg-config --libs liblz4 libzstd) -lcmocka $(LIB_LIBS) -ldl -lpthread)

tests-build: $(BUILD)/tests/unit/test_cuda_plugin $(BUILD)/tests/unit/test_cuda_suspend

# A libnvidia-ml.so.1 that answers from its arguments, for tests/test-nvml.sh.
FAKE_NVML := $(BUILD)/tests/fake/libnvidia-ml.so.1
$(FAKE_NVML): tests/fake/libnvidia_ml.c tests/fake/fake_nvml.h tests/nvml/forwarded.h guest/nvml/refused.h \
		$(wildcard libgpuvchan/protocol/nvml/*.h)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(OWN_CPPFLAGS) -Itests/fake -Ilibgpuvchan/protocol/nvml -Iguest/nvml $(filter-out -MMD -MP,$(OWN_CFLAGS)) \
		$(CFLAGS) -shared -o $@ $< $(OWN_LDFLAGS)

tests-build: $(FAKE_NVML)
