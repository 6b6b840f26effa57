# SPDX-License-Identifier: MIT
# gpuvchanctl, which links neither the library nor anything of Xen: it must run where those are broken.
# This file is read before the Makefile's functions are defined, so its prerequisites are written out.
CTL_SRCS := $(addprefix host/ctl/, doctor.c doctor_gpu.c doctor_limits.c doctor_local.c doctor_xen.c files.c main.c \
	pci.c pci_assign.c pci_bind.c pci_check.c pci_command.c pci_list.c pci_record.c pci_release.c pci_users.c \
	process.c renew.c report.c xen_libs.c xl.c xl_config.c)
CTL_OBJS := $(CTL_SRCS:%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/libgpuvchan/xen/limits.o

flags_host/ctl = -Ihost/ctl -Ilibgpuvchan $(DIRS_CPPFLAGS)

.DEFAULT_GOAL := all

$(BUILD)/bin/gpuvchanctl: $(CTL_OBJS)
	$(call link,$@,$^,-ldl -lpthread)

$(CTL_SRCS:%.c=$(BUILD)/obj/%.o): $(BUILD)/folders

$(BUILD)/tests/unit/test_limits: $(BUILD)/obj/tests/unit/test_limits.o $(BUILD)/obj/libgpuvchan/xen/limits.o
	$(call link,$@,$^,-lcmocka -ldl)

tests-build: $(BUILD)/tests/unit/test_limits
