# SPDX-License-Identifier: MIT
# libgpuvchan. `make help` lists the targets.

VERSION := 0.1.0
SONAME := libgpuvchan.so.0

# Where things go. BUILD differs per kind of build, so that they do not disturb each other.
SANITIZE ?=
BUILD ?= build$(if $(SANITIZE),-$(firstword $(subst $(comma), ,$(SANITIZE))))
PREFIX ?= /usr/local
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib$(if $(MULTIARCH),/$(MULTIARCH))
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
UNITDIR ?= $(PREFIX)/lib/systemd/system
PLUGINDIR := $(LIBDIR)/gpuvchan/plugins
GUESTLIBDIR := $(LIBDIR)/gpuvchan/guest
SIMDIR := $(LIBDIR)/gpuvchan/sim

comma := ,
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' $(1) $(2))

# ---- What is built from what -----------------------------------------------------------------------

GEN := $(BUILD)/gen
LIB_SRCS := $(wildcard libgpuvchan/*.c)
LIB_LIBS := -l:libnettle.a -Wl,--exclude-libs,libnettle.a # within, so that no program meets it
-include host/build.mk host/ctl/build.mk bench/build.mk host/cuda/build.mk host/cuda/sim/build.mk guest/cuda/build.mk host/nvml/build.mk guest/nvml/build.mk \
	libgpuvchan/protocol/gl/build.mk host/gl/build.mk guest/gl/build.mk libgpuvchan/xen/build.mk
HOST_SRCS ?= $(wildcard host/*.c)
SCANNER := libgpuvchan/protocol/scanner/gpuvchan-scanner
SCANNER_SRCS := $(wildcard libgpuvchan/protocol/scanner/*.py) $(SCANNER)

BINARIES := gpuvchan-host gpuvchanctl gpuvchan-run gpuvchan-bench hello-client sharpen-client vectoradd matmul
PLUGINS := cuda nvml gl hello sharpen
TARGETS := $(BUILD)/lib/$(SONAME) $(BINARIES:%=$(BUILD)/bin/%) $(BUILD)/bin/gpuvchan-scanner \
	$(PLUGINS:%=$(BUILD)/lib/gpuvchan/plugins/%.so) $(BUILD)/lib/gpuvchan/sim/libcuda.so.1 \
	$(BUILD)/lib/gpuvchan/guest/libcuda.so.1 $(BUILD)/lib/gpuvchan/guest/libnvidia-ml.so.1 \
	$(GUEST_GL_LIBS:%=$(BUILD)/lib/gpuvchan/guest/%) $(BUILD)/lib/gpuvchan/guest/egl_vendor.json \
	$(BUILD)/doc/cuda-coverage.md $(XEN_MODULE) $(XEN_KEEPER) $(BENCH_XEN_MODULE)

# ---- Flags -----------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
CFLAGS ?= -O2 -g
# The thread sanitizer knows no fences, and gcc says so at each; ours order atomics, which it does follow.
OWN_CFLAGS := -std=gnu11 -fPIC -fno-plt -fvisibility=hidden -ffile-prefix-map=$(CURDIR)=. $(WARNINGS) \
	$(if $(WERROR),-Werror) -MMD -MP \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=undefined) \
	$(if $(filter thread,$(SANITIZE)),-Wno-tsan)
OWN_CPPFLAGS := -D_GNU_SOURCE -Ilibgpuvchan/include -I$(GEN)
OWN_LDFLAGS := $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -Wl,--as-needed
DIRS_CPPFLAGS := -DGPUVCHAN_PLUGINDIR='"$(PLUGINDIR)"' -DGPUVCHAN_SYSCONFDIR='"$(SYSCONFDIR)"' \
	-DGPUVCHAN_GUESTLIBDIR='"$(GUESTLIBDIR)"' -DGPUVCHAN_SIMDIR='"$(SIMDIR)"'

# Flags of a folder's objects: by the first prefix that fits.
flags_libgpuvchan := -Ilibgpuvchan -ftls-model=initial-exec
flags_host := -Ihost $(shell pkg-config --cflags $(HOST_PKGS) 2>/dev/null) $(DIRS_CPPFLAGS)
flags_host/cuda := -Ihost/cuda -Ilibgpuvchan/protocol/cuda $(DIRS_CPPFLAGS)
flags_host/cuda/sim := -Ihost/cuda/sim -Ilibgpuvchan/protocol/cuda
flags_host/nvml := -Ihost/nvml -Ilibgpuvchan/protocol/nvml -Ilibgpuvchan/protocol/cuda $(DIRS_CPPFLAGS)
flags_guest := $(DIRS_CPPFLAGS)
flags_guest/cuda := -Iguest/cuda -Ilibgpuvchan/protocol/cuda
flags_guest/nvml := $(if $(SMI_COMPAT),-DGPUVCHAN_SMI_COMPAT) -Iguest/nvml -Ilibgpuvchan/protocol/nvml -Ilibgpuvchan/protocol/cuda
flags_host/gl := -Ihost/gl -Ilibgpuvchan/protocol/gl
flags_guest/gl := -Iguest/gl -Ilibgpuvchan/protocol/gl -ftls-model=initial-exec
flags_bench := -Ibench -DGPUVCHAN_LIBDIR='"$(LIBDIR)"' -Ilibgpuvchan/protocol/cuda $(BENCH_CPPFLAGS) $(shell pkg-config --cflags $(BENCH_PKGS) 2>/dev/null)
flags_examples/cuda := -Ilibgpuvchan/protocol/cuda
flags_gen := -Ibench -Ihost/cuda -Ilibgpuvchan/protocol/cuda -Iexamples/sharpen -Ihost/nvml -Iguest/nvml \
	-Ilibgpuvchan/protocol/nvml
flags_gen/gl := -Ihost/gl -Iguest/gl -Ilibgpuvchan/protocol/gl
folder_flags = $(or $(flags_$(patsubst %/,%,$(dir $(1)))),$(flags_$(firstword $(subst /, ,$(1)))))

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

.DEFAULT_GOAL := all
.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: all demo check check-more fuzz deps deps-check install uninstall clean help lib format

# ---- Entry points ----------------------------------------------------------------------------------

all: $(TARGETS) ## build everything (the default)

help: ## list the targets
	@echo "Targets:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile tests/xen/build.mk | expand -t 16
	@echo "Variables: BUILD=dir PREFIX=/usr/local DESTDIR= CC=gcc|clang CFLAGS= SANITIZE=address,undefined|thread V=1 WERROR=1"
	@echo "           CUDART_COMPAT=1 (programs of the CUDA runtime; README.md tells what to think of before)"

demo: deps ## install what is missing, build, run CUDA programs and the ring benchmark
	$(Q)$(MAKE) --no-print-directory all
	$(Q)BUILD=$(BUILD) examples/demo.sh

check: deps-check ## install what is missing, build, run every test that needs neither Xen nor a GPU
	$(Q)BUILD=$(BUILD) tests/check.sh

fuzz: deps-check ## run every fuzzer for FUZZ_SECONDS (default 600)
	$(Q)tests/fuzz.sh $(or $(FUZZ_SECONDS),600)

deps: ## install the Debian packages that building needs
	$(Q)./tests/install-packages.sh build

deps-check:
	$(Q)./tests/install-packages.sh build check

clean: ## remove what was built
	rm -rf build build-*

format: ## put all C files into the house's layout
	clang-format -i $$(git ls-files '*.c' '*.h')

# ---- Rules -----------------------------------------------------------------------------------------

$(BUILD)/obj/%.o: %.c Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(OWN_CPPFLAGS) $(call folder_flags,$<) $(OWN_CFLAGS) $(CFLAGS) $(OWN_CFLAGS_LAST) -c $< -o $@

$(BUILD)/obj/gen/%.o: $(GEN)/%.c Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(OWN_CPPFLAGS) $(if $(filter gl%,$*),$(flags_gen/gl),$(flags_gen)) $(OWN_CFLAGS) $(CFLAGS) -c $< -o $@

# The folders that are compiled in: with another PREFIX these are compiled again.
$(BUILD)/folders: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(DIRS_CPPFLAGS) | cmp -s - $@ || printf '%s\n' $(DIRS_CPPFLAGS) >$@
FORCE:
$(call objects,$(HOST_SRCS) $(CUDA_PLUGIN_SRCS) $(NVML_PLUGIN_SRCS) guest/gpuvchan-run.c): $(BUILD)/folders

# $(1) output, $(2) objects, $(3) flags and libraries
define link
	$(call say,LINK,$(1))
	@mkdir -p $(dir $(1))
	$(Q)$(CC) $(CFLAGS) $(OWN_LDFLAGS) $(LDFLAGS) -o $(1) $(2) $(3)
endef

rpath_bin := -Wl,-rpath,'$$ORIGIN/../lib'$(if $(MULTIARCH),:'$$ORIGIN/../lib/$(MULTIARCH)')
rpath_plugin := -Wl,-rpath,'$$ORIGIN/../..'
link_own := -L$(BUILD)/lib -l:$(SONAME)

# Generated code: three headers and a source per protocol file. $(2): the file, and then its parts.
define protocol
$(GEN)/$(1)-guest.h: $(2) $(SCANNER_SRCS)
	$$(call say,SCAN,$$@)
	@mkdir -p $$(@D)
	$$(Q)$(SCANNER) guest $(firstword $(2)) -o $$@
$(GEN)/$(1)-host.h: $(2) $(SCANNER_SRCS)
	$$(call say,SCAN,$$@)
	@mkdir -p $$(@D)
	$$(Q)$(SCANNER) host-header $(firstword $(2)) -o $$@
$(GEN)/$(1)-host.c: $(2) $(SCANNER_SRCS) $(GEN)/$(1)-host.h
	$$(call say,SCAN,$$@)
	@mkdir -p $$(@D)
	$$(Q)$(SCANNER) host $(firstword $(2)) -o $$@
$(GEN)/$(1)-symbols.h: $(2) $(SCANNER_SRCS)
	$$(call say,SCAN,$$@)
	@mkdir -p $$(@D)
	$$(Q)$(SCANNER) symbols $(firstword $(2)) -o $$@
$(GEN)/$(1)-exports.c: $(2) $(SCANNER_SRCS) $(GEN)/$(1)-guest.h
	$$(call say,SCAN,$$@)
	@mkdir -p $$(@D)
	$$(Q)$(SCANNER) exports $(firstword $(2)) -o $$@
endef
$(eval $(call protocol,cuda,libgpuvchan/protocol/cuda/cuda.gpv $(wildcard libgpuvchan/protocol/cuda/*.gpv)))
$(eval $(call protocol,nvml,libgpuvchan/protocol/nvml/nvml.gpv $(wildcard libgpuvchan/protocol/nvml/*.gpv)))
$(eval $(call protocol,gl,$(GL_GPV)))
$(eval $(call protocol,hello,examples/hello/hello.gpv))
$(eval $(call protocol,sharpen,examples/sharpen/sharpen.gpv))
$(eval $(call protocol,bench,bench/bench.gpv))
.SECONDARY: $(foreach p,cuda nvml gl hello sharpen bench,$(GEN)/$(p)-guest.h $(GEN)/$(p)-host.h $(GEN)/$(p)-host.c $(GEN)/$(p)-symbols.h \
	$(GEN)/$(p)-exports.c)

# ---- The library -----------------------------------------------------------------------------------

lib: $(BUILD)/lib/$(SONAME) ## build the library alone

$(BUILD)/lib/$(SONAME): $(call objects,$(LIB_SRCS)) libgpuvchan/gpuvchan.map
	$(call link,$@,$(filter %.o,$^),-shared -Wl$(comma)-soname$(comma)$(SONAME) -Wl$(comma)--version-script=libgpuvchan/gpuvchan.map -Wl$(comma)-z$(comma)nodelete -Wl$(comma)-z$(comma)defs$(if $(SANITIZE),$(comma)-z$(comma)undefs) $(LIB_LIBS) -lpthread)
	$(Q)ln -sf $(SONAME) $(BUILD)/lib/libgpuvchan.so

$(BUILD)/bin/gpuvchan-scanner: $(SCANNER_SRCS)
	@mkdir -p $(@D) $(BUILD)/share/gpuvchan/scanner
	$(Q)cp libgpuvchan/protocol/scanner/*.py $(BUILD)/share/gpuvchan/scanner/
	$(Q)install -m755 $(SCANNER) $@

# ---- Host ------------------------------------------------------------------------------------------

$(BUILD)/bin/gpuvchan-host: $(call objects,$(HOST_SRCS)) $(BUILD)/lib/$(SONAME)
	$(call link,$@,$(filter %.o,$^),$(rpath_bin) $(link_own) $(shell pkg-config --libs $(HOST_PKGS)) -ldl -lpthread)

$(call objects,$(CUDA_PLUGIN_SRCS)): $(GEN)/cuda-host.h $(GEN)/cuda-guest.h # whose records are kept
$(BUILD)/lib/gpuvchan/plugins/cuda.so: $(call objects,$(CUDA_PLUGIN_SRCS)) $(BUILD)/obj/gen/cuda-host.o $(BUILD)/lib/$(SONAME)
	$(call link,$@,$(filter %.o,$^),-shared $(rpath_plugin) $(link_own) $(shell pkg-config --libs liblz4 libzstd) -ldl -lpthread)

$(call objects,$(NVML_PLUGIN_SRCS)): $(GEN)/nvml-host.h
$(BUILD)/lib/gpuvchan/plugins/nvml.so: $(call objects,$(NVML_PLUGIN_SRCS)) $(BUILD)/obj/gen/nvml-host.o $(BUILD)/lib/$(SONAME)
	$(call link,$@,$(filter %.o,$^),-shared $(rpath_plugin) $(link_own) -ldl -lpthread)

$(call objects,$(GL_PLUGIN_SRCS) $(GL_HOST_GEN:$(GEN)/%=gen/%)): $(GEN)/gl-host.h $(GL_HEADERS)
$(BUILD)/lib/gpuvchan/plugins/gl.so: $(call objects,$(GL_PLUGIN_SRCS) $(GL_HOST_GEN:$(GEN)/%=gen/%)) $(BUILD)/obj/gen/gl-host.o $(BUILD)/lib/$(SONAME)
	$(call link,$@,$(filter %.o,$^),-shared -Wl$(comma)-z$(comma)nodelete $(rpath_plugin) $(link_own) -ldl -lpthread)

# Last, so that they count whatever CFLAGS says.
$(call objects,$(SIM_SRCS)): OWN_CFLAGS_LAST := $(SIM_CFLAGS)
$(BUILD)/lib/gpuvchan/sim/libcuda.so.1: $(call objects,$(SIM_SRCS))
	$(call link,$@,$^,-shared -Wl$(comma)-soname$(comma)libcuda.so.1 $(shell pkg-config --libs liblz4 libzstd) -lm -lpthread)

# ---- Guest -----------------------------------------------------------------------------------------

$(BUILD)/bin/gpuvchan-run: $(call objects,guest/gpuvchan-run.c) $(BUILD)/lib/$(SONAME)
	$(call link,$@,$(filter %.o,$^),$(rpath_bin) $(link_own))

$(call objects,$(GUEST_CUDA_SRCS)): $(GEN)/cuda-guest.h $(GEN)/cuda-symbols.h
$(BUILD)/lib/gpuvchan/guest/libcuda.so.1: $(call objects,$(GUEST_CUDA_SRCS)) $(BUILD)/lib/$(SONAME)
	$(call link,$@,$(filter %.o,$^),-shared -Wl$(comma)-z$(comma)nodelete -Wl$(comma)-soname$(comma)libcuda.so.1 $(rpath_plugin) $(link_own) -lpthread)
	$(Q)ln -sf libcuda.so.1 $(@D)/libcuda.so # by this name, too, programs look for it, and would find another one

# Which functions of the driver API are served, and how.
$(BUILD)/doc/cuda-coverage.md: $(wildcard libgpuvchan/protocol/cuda/*.gpv) $(SCANNER_SRCS)
	$(call say,SCAN,$@)
	@mkdir -p $(@D)
	$(Q)$(SCANNER) coverage libgpuvchan/protocol/cuda/cuda.gpv -o $@

# With another SMI_COMPAT that file is compiled again.
$(BUILD)/smi-compat: FORCE
	@mkdir -p $(@D)
	@echo '$(SMI_COMPAT)' | cmp -s - $@ || echo '$(SMI_COMPAT)' >$@
$(call objects,guest/nvml/smi.c): $(BUILD)/smi-compat

$(call objects,$(GUEST_NVML_SRCS)) $(BUILD)/obj/gen/nvml-exports.o: $(GEN)/nvml-guest.h
$(BUILD)/lib/gpuvchan/guest/libnvidia-ml.so.1: $(call objects,$(GUEST_NVML_SRCS)) $(BUILD)/obj/gen/nvml-exports.o $(BUILD)/lib/$(SONAME)
	$(call link,$@,$(filter %.o,$^),-shared -Wl$(comma)-z$(comma)nodelete -Wl$(comma)-soname$(comma)libnvidia-ml.so.1 $(rpath_plugin) $(link_own) -lpthread)

# A core, and over it what libglvnd loads. X's libraries are the program's, too: they are there where they are wanted.
gl_library = -shared -Wl$(comma)-z$(comma)nodelete -Wl$(comma)-soname$(comma)$(@F) -Wl$(comma)--version-script=guest/gl/exports.map
gl_vendor = $(gl_library) -Wl$(comma)-rpath$(comma)'$$ORIGIN':'$$ORIGIN/gpuvchan/guest' -L$(@D) -l:libgpuvchan-gl.so.0
$(call objects,$(GUEST_GL_SRCS) $(GL_GUEST_GEN:$(GEN)/%=gen/%) $(GUEST_GLX_SRCS) $(GUEST_EGL_SRCS)): $(GEN)/gl-guest.h $(GL_HEADERS)
$(BUILD)/lib/gpuvchan/guest/libgpuvchan-gl.so.0: $(call objects,$(GUEST_GL_SRCS) $(GL_GUEST_GEN:$(GEN)/%=gen/%)) $(BUILD)/lib/$(SONAME) guest/gl/exports.map
	$(call link,$@,$(filter %.o,$^),$(gl_library) $(rpath_plugin) $(link_own) $(shell pkg-config --libs xcb xcb-shm) -lpthread)
$(BUILD)/lib/gpuvchan/guest/libGLX_gpuvchan.so.0: $(call objects,$(GUEST_GLX_SRCS)) $(BUILD)/lib/gpuvchan/guest/libgpuvchan-gl.so.0
	$(call link,$@,$(filter %.o,$^),$(gl_vendor) $(shell pkg-config --libs x11))
$(BUILD)/lib/gpuvchan/guest/libEGL_gpuvchan.so.0: $(call objects,$(GUEST_EGL_SRCS)) $(BUILD)/lib/gpuvchan/guest/libgpuvchan-gl.so.0
	$(call link,$@,$(filter %.o,$^),$(gl_vendor) $(shell pkg-config --libs x11 xcb) -lpthread)
# Found by the path that gpuvchan-run sets.
$(BUILD)/lib/gpuvchan/guest/egl_vendor.json: guest/gl/egl_vendor.json.in
	@mkdir -p $(@D)
	$(Q)sed 's|@GUESTLIBDIR@/||' $< >$@

# ---- Examples --------------------------------------------------------------------------------------

$(call objects,examples/hello/client.c): $(GEN)/hello-guest.h
$(call objects,examples/hello/plugin.c): $(GEN)/hello-host.h
$(BUILD)/bin/hello-client: $(call objects,examples/hello/client.c) $(BUILD)/lib/$(SONAME)
	$(call link,$@,$(filter %.o,$^),$(rpath_bin) $(link_own))
$(BUILD)/lib/gpuvchan/plugins/hello.so: $(call objects,examples/hello/plugin.c) $(BUILD)/obj/gen/hello-host.o $(BUILD)/lib/$(SONAME)
	$(call link,$@,$(filter %.o,$^),-shared $(rpath_plugin) $(link_own))

$(call objects,examples/sharpen/client.c): $(GEN)/sharpen-guest.h
$(call objects,examples/sharpen/plugin.c): $(GEN)/sharpen-host.h
$(BUILD)/bin/sharpen-client: $(call objects,examples/sharpen/client.c) $(BUILD)/lib/$(SONAME)
	$(call link,$@,$(filter %.o,$^),$(rpath_bin) $(link_own) $(shell pkg-config --libs libpng))
$(BUILD)/lib/gpuvchan/plugins/sharpen.so: $(call objects,examples/sharpen/plugin.c) $(BUILD)/obj/gen/sharpen-host.o $(BUILD)/lib/$(SONAME)
	$(call link,$@,$(filter %.o,$^),-shared $(rpath_plugin) $(link_own))

# Linked as any CUDA program is: to libcuda.so.1, without a path of ours.
$(BUILD)/bin/vectoradd $(BUILD)/bin/matmul: $(BUILD)/bin/%: $(BUILD)/obj/examples/cuda/%.o $(BUILD)/lib/gpuvchan/sim/libcuda.so.1
	$(call link,$@,$<,-L$(BUILD)/lib/gpuvchan/sim -l:libcuda.so.1 -lm)

# ---- Bench -----------------------------------------------------------------------------------------

$(call objects,bench/own.c): $(GEN)/bench-guest.h $(GEN)/bench-host.h
$(BUILD)/bin/gpuvchan-bench: $(call objects,$(BENCH_SRCS)) $(BUILD)/obj/gen/bench-host.o $(BUILD)/lib/$(SONAME)
	$(call link,$@,$(filter %.o,$^),$(rpath_bin) $(link_own) $(shell pkg-config --libs $(BENCH_PKGS)) $(BENCH_LDLIBS) -ldl -lpthread)

# ---- Install ---------------------------------------------------------------------------------------

install: all ## install to DESTDIR and PREFIX
	$(Q)DESTDIR='$(DESTDIR)' BUILD='$(BUILD)' VERSION='$(VERSION)' SONAME='$(SONAME)' PREFIX='$(PREFIX)' \
	BINDIR='$(BINDIR)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' DATADIR='$(DATADIR)' \
	SYSCONFDIR='$(SYSCONFDIR)' UNITDIR='$(UNITDIR)' ./libgpuvchan/install.sh install

uninstall: ## remove what install has put there
	$(Q)DESTDIR='$(DESTDIR)' BUILD='$(BUILD)' VERSION='$(VERSION)' SONAME='$(SONAME)' PREFIX='$(PREFIX)' \
	BINDIR='$(BINDIR)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' DATADIR='$(DATADIR)' \
	SYSCONFDIR='$(SYSCONFDIR)' UNITDIR='$(UNITDIR)' ./libgpuvchan/install.sh uninstall

# ---- Tests -----------------------------------------------------------------------------------------

-include tests/build.mk tests/fake/build.mk
-include tests/xen/build.mk
-include libgpuvchan/manual.mk

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
