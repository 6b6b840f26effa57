# SPDX-License-Identifier: MIT
# The transport for Xen: a module that links Xen's libraries, so that the library need not.

XEN_PKGS := xenvchan xengnttab xenevtchn xenstore xencontrol xentoolcore
XEN_MODULE := $(BUILD)/lib/gpuvchan/transport_xen.so
XEN_KEEPER := $(BUILD)/lib/gpuvchan/gpuvchan-keeper
XEN_MODULE_SRCS := $(filter-out %/keeper.c,$(wildcard libgpuvchan/xen/*.c)) libgpuvchan/window.c libgpuvchan/clock.c libgpuvchan/text.c
flags_libgpuvchan/xen := -Ilibgpuvchan -D__XEN_TOOLS__ # for xenctrl.h, whatever comes before it

$(XEN_MODULE): $(XEN_MODULE_SRCS:%.c=$(BUILD)/obj/%.o) libgpuvchan/xen/module.map
	$(call link,$@,$(filter %.o,$^),-shared -Wl$(comma)--version-script=libgpuvchan/xen/module.map -Wl$(comma)-z$(comma)defs$(if $(SANITIZE),$(comma)-z$(comma)undefs) $(shell pkg-config --libs $(XEN_PKGS)) -lpthread)

$(XEN_KEEPER): $(BUILD)/obj/libgpuvchan/xen/keeper.o
	$(call link,$@,$^,$(shell pkg-config --libs xenstore))
