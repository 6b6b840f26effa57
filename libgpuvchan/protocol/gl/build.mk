# SPDX-License-Identifier: MIT
# gl.gpv and what the registry's commands become lie together in the build tree, for their parts to be found.
GL_GEN := $(GEN)/gl
GL_GPV := $(GL_GEN)/gl.gpv $(GL_GEN)/window.gpv $(GL_GEN)/gl-commands.gpv
$(GL_GEN)/gl.gpv $(GL_GEN)/window.gpv: $(GL_GEN)/%: libgpuvchan/protocol/gl/%
	@mkdir -p $(@D)
	$(Q)cp $< $@

# Made from the registry: sources of the two sides, and the headers that must be there before anything is compiled.
GL_HOST_GEN :=
GL_GUEST_GEN :=
GL_HEADERS :=
