# gpuvchan-bench: what it is made of.
#
# libxenvchan's own ring code comes from the static library alone, so that its
# calls to Xen's other libraries meet the stand-ins of xen_standin.c; the tool
# must not be linked with these libraries, nor with -rdynamic. ck_ring is all in
# a header. Where one of the two is missing the tool says so and measures the
# rest. --plot FILE.png runs rsvg-convert, if there is one.

BENCH_SRCS := \
	bench/main.c \
	bench/options.c \
	bench/run.c \
	bench/measure.c \
	bench/pair.c \
	bench/host.c \
	bench/clock.c \
	bench/report.c \
	bench/plot.c \
	bench/progress.c \
	bench/reference.c \
	bench/serve.c \
	bench/xen_load.c \
	bench/xen_peer.c \
	bench/xen_tests.c \
	bench/peer_xenvchan.c \
	bench/peer_ck.c \
	bench/peer_stream.c \
	bench/peer_wake.c \
	bench/own.c \
	bench/own_client.c \
	bench/own_server.c \
	bench/cuda.c \
	bench/cuda_side.c \
	bench/cuda_start.c \
	bench/alternate.c \
	bench/daemon.c \
	bench/process.c \
	bench/gl.c \
	bench/gl_place.c \
	bench/gl_program.c \
	bench/gl_run.c

BENCH_PKGS := jansson
BENCH_CPPFLAGS := -D_GNU_SOURCE
BENCH_LDLIBS := -lm

ifeq ($(shell pkg-config --exists ck && echo yes),yes)
BENCH_CPPFLAGS += -DHAVE_CK $(shell pkg-config --cflags ck)
endif

# The headers of OpenGL and X11; the libraries are opened when they are measured.
ifeq ($(shell pkg-config --exists gl x11 && echo yes),yes)
BENCH_CPPFLAGS += -DHAVE_GL $(shell pkg-config --cflags gl x11)
endif

# A compiler that finds the archive prints its path, otherwise the bare name.
BENCH_XENVCHAN := $(shell $(CC) -print-file-name=libxenvchan.a)
ifneq ($(BENCH_XENVCHAN),libxenvchan.a)
BENCH_SRCS += bench/vchan_ops.c bench/xen_standin.c
BENCH_CPPFLAGS += -DHAVE_XENVCHAN
BENCH_LDLIBS += $(BENCH_XENVCHAN)
endif

$(BUILD)/obj/bench/own_client.o: $(BUILD)/gen/bench-guest.h
$(BUILD)/obj/bench/own_server.o: $(BUILD)/gen/bench-host.h
$(BUILD)/obj/bench/xen_peer.o: $(BUILD)/gen/bench-guest.h

# The real libxenvchan, for --peer and serve: a module, so that the tool itself keeps the stand-ins.
BENCH_XEN_MODULE := $(BUILD)/lib/gpuvchan/bench_xen.so
BENCH_XEN_MODULE_SRCS := bench/xen_module.c bench/clock.c bench/vchan_ops.c libgpuvchan/xen/limits.c
BENCH_XEN_PKGS := xenvchan xengnttab xenevtchn xenstore

$(BENCH_XEN_MODULE): $(BENCH_XEN_MODULE_SRCS:%.c=$(BUILD)/obj/%.o) bench/xen_module.map
	$(call link,$@,$(filter %.o,$^),-shared -Wl$(comma)--version-script=bench/xen_module.map -Wl$(comma)-z$(comma)defs$(if $(SANITIZE),$(comma)-z$(comma)undefs) $(shell pkg-config --libs $(BENCH_XEN_PKGS)) -ldl -lpthread)
