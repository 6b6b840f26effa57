# SPDX-License-Identifier: MIT
# Test programs in C, from tests/ to $(BUILD)/tests/. They link the library's objects, since unit tests and
# hostile peers need what it does not export.

TESTS_UNIT := ring ring_hostile arena handles size wire threads heap kept digest share snapshot renew
TESTS_PROGRAMS := conformance/conformance hostile/hostile_guest hostile/hostile_host helpers/kill_guest \
	helpers/renew_guest helpers/test_host
TESTS_XEN := hostile/hostile_xen hostile/third_domain
TESTS_FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_hello.c tests/fuzz/fuzz_records.c tests/fuzz/fuzz_reply.c))
TESTS_BINARIES := $(TESTS_UNIT:%=$(BUILD)/tests/unit/test_%) $(TESTS_PROGRAMS:%=$(BUILD)/tests/%) \
	$(TESTS_XEN:%=$(BUILD)/tests/%) $(TESTS_FUZZ:%=$(BUILD)/tests/fuzz/fuzz_%)

flags_tests := -Ilibgpuvchan -Itests/support
TESTS_SUPPORT := $(call objects,$(wildcard tests/support/*.c) $(LIB_SRCS))

.PHONY: tests-build
tests-build: $(TESTS_BINARIES) $(BUILD)/tests/plugins/subject.so $(BUILD)/tests/plugins/second.so

$(TESTS_UNIT:%=$(BUILD)/tests/unit/test_%) $(TESTS_PROGRAMS:%=$(BUILD)/tests/%): $(BUILD)/tests/%: \
		$(BUILD)/obj/tests/%.o $(TESTS_SUPPORT)
	$(call link,$@,$(filter %.o,$^),-lcmocka $(LIB_LIBS) -lpthread)

$(BUILD)/tests/unit/test_heap: $(BUILD)/obj/guest/cuda/heap.o
$(BUILD)/obj/tests/unit/test_kept.o: CPPFLAGS += -Ihost
$(BUILD)/tests/unit/test_kept: $(call objects,$(addprefix host/,kept.c worker_link.c worker_file.c))

# By hand, what the transport for Xen does.
$(TESTS_XEN:%=$(BUILD)/tests/%): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(TESTS_SUPPORT)
	$(call link,$@,$(filter %.o,$^),$(shell pkg-config --libs xenvchan xenstore xengnttab xenevtchn) -lcmocka $(LIB_LIBS) -lpthread)

# Each with a main of its own, for replaying inputs without libFuzzer.
$(TESTS_FUZZ:%=$(BUILD)/tests/fuzz/fuzz_%): $(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o \
		$(BUILD)/obj/tests/fuzz/replay.o $(BUILD)/obj/examples/hello/plugin.o $(BUILD)/obj/gen/hello-host.o $(TESTS_SUPPORT)
	$(call link,$@,$(filter %.o,$^),$(LIB_LIBS) -lpthread)

$(call objects,$(TESTS_FUZZ:%=tests/fuzz/fuzz_%.c)): $(GEN)/hello-guest.h $(GEN)/hello-host.h

$(BUILD)/tests/plugins/second.so: CPPFLAGS += -DSECOND_PLUGIN
$(BUILD)/tests/plugins/subject.so $(BUILD)/tests/plugins/second.so: tests/support/subject.c $(BUILD)/lib/$(SONAME)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(OWN_CPPFLAGS) $(OWN_CFLAGS) $(CFLAGS) -DSUBJECT_PLUGIN -shared -o $@ $< $(OWN_LDFLAGS)

# The scanner's output alone: the test brings the functions of the library that generated code calls.
DISPATCH_GEN := $(GEN)/dispatch-guest.h $(GEN)/dispatch-host.h $(GEN)/dispatch-host.c $(GEN)/dispatch-exports.c
$(DISPATCH_GEN): $(GEN)/dispatch-%: tests/unit/dispatch.gpv $(SCANNER_SRCS)
	@mkdir -p $(@D)
	$(Q)$(SCANNER) $(patsubst %.h,%,$(patsubst %.c,%,$(subst host.h,host-header,$*))) $< -o $@
$(BUILD)/obj/tests/unit/test_dispatch.o: CPPFLAGS += -Itests/unit
$(BUILD)/obj/tests/unit/test_dispatch.o: $(DISPATCH_GEN)
$(BUILD)/tests/unit/test_dispatch: $(BUILD)/obj/tests/unit/test_dispatch.o
	$(call link,$@,$<,-lcmocka)

tests-build: $(BUILD)/tests/unit/test_dispatch

# Handlers of OpenGL's commands with a driver of the test's own. What they do not reach may be missing.
GL_COMMANDS_OBJECTS := $(call objects,$(addprefix host/gl/,buffer.c commands.c list.c memory.c names.c program.c query.c sync.c)) \
	$(BUILD)/obj/gen/gl-handlers.o $(BUILD)/obj/gen/gl-host.o
$(BUILD)/obj/tests/unit/test_gl_commands.o: CPPFLAGS += -Ihost/gl -Ilibgpuvchan/protocol/gl
$(BUILD)/obj/tests/unit/test_gl_commands.o: $(GEN)/gl-guest.h $(GEN)/gl-host.h $(GL_HEADERS)
$(BUILD)/tests/unit/test_gl_commands: $(BUILD)/obj/tests/unit/test_gl_commands.o $(GL_COMMANDS_OBJECTS)
	$(call link,$@,$(filter %.o,$^),-Wl$(comma)--unresolved-symbols=ignore-in-object-files -lcmocka -lpthread)

tests-build: $(BUILD)/tests/unit/test_gl_commands
