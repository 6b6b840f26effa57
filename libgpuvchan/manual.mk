# SPDX-License-Identifier: MIT
# Manual pages of section 3, written from the public headers: `man -M build/man gpuvchan_channel` shows them
# without installing.

MANUAL_HEADERS := $(wildcard libgpuvchan/include/gpuvchan/*.h)

all: $(BUILD)/man/man3.stamp

# From an empty folder, so that what a header no longer has goes.
$(BUILD)/man/man3.stamp: libgpuvchan/manual.py $(MANUAL_HEADERS)
	$(call say,MANUAL,$(BUILD)/man/man3)
	$(Q)rm -rf $(BUILD)/man/man3
	$(Q)libgpuvchan/manual.py -o $(BUILD)/man/man3 $(MANUAL_HEADERS)
	@touch $@
