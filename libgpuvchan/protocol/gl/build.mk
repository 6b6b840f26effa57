# SPDX-License-Identifier: MIT
# gl.gpv and what the registry's commands become lie together in the build tree, for their parts to be found.
GL_GEN := $(GEN)/gl
GL_GPV := $(GL_GEN)/gl.gpv $(GL_GEN)/window.gpv $(GL_GEN)/commands.gpv $(GL_GEN)/gl-commands.gpv
$(GL_GEN)/gl.gpv $(GL_GEN)/window.gpv $(GL_GEN)/commands.gpv: $(GL_GEN)/%: libgpuvchan/protocol/gl/%
	@mkdir -p $(@D)
	$(Q)cp $< $@

# Made from the registry: sources of the two sides, and the headers that must be there before anything is compiled.
GL_XML ?= /usr/share/khronos-api/gl.xml
GL_REGISTRY := $(wildcard libgpuvchan/protocol/gl/*.py) libgpuvchan/protocol/gl/overlay.txt
GL_HOST_GEN := $(GEN)/gl-handlers.c
GL_GUEST_GEN := $(GEN)/gl-entries.c
GL_HEADERS := $(addprefix $(GEN)/,gl-entries.h gl-lookup.h gl-extensions.h gl-enums.h gl-functions.h gl-function-names.h)
GL_MADE := $(GL_GEN)/gl-commands.gpv $(GL_HOST_GEN) $(GL_GUEST_GEN) $(GL_HEADERS)
$(GL_XML):
	@echo "$@ is missing: install Debian's khronos-api, or say GL_XML=/path/of/gl.xml" >&2; exit 1
$(GEN)/gl-made: $(GL_REGISTRY) $(GL_XML)
	$(call say,SCAN,$@)
	@mkdir -p $(GL_GEN) $(BUILD)/doc
	$(Q)python3 libgpuvchan/protocol/gl/registry.py $(GL_XML) libgpuvchan/protocol/gl/overlay.txt $(GL_GEN)
	$(Q)mv $(GL_GEN)/*.c $(GL_GEN)/*.h $(GEN)/ && mv $(GL_GEN)/gl-coverage.md $(BUILD)/doc/
	@touch $@
$(GL_MADE): $(GEN)/gl-made ;
