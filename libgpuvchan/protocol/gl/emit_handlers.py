# SPDX-License-Identifier: MIT
"""The host's side: gl-handlers.c, which gives the driver what records say, and the table of the driver's functions."""

from glxml import TYPES
from emit_records import entries

_BANNER = "/* generated from Khronos's registry and overlay.txt; do not edit */"


def _functions(plans):
    """Commands that handlers may call: all that are served."""
    return [plan.command for plan in plans if plan.kind not in ("todo", "vector")]


def functions_header(plans):
    lines = [_BANNER, "#ifndef GL_FUNCTIONS_H", "#define GL_FUNCTIONS_H", "", "#include <stdint.h>", "",
             "/** The driver's functions; NULL: it has none of that name. */", "struct gl_functions {"]
    for command in _functions(plans):
        result = command.result_ctype
        parameters = ", ".join(param.declare() for param in command.params) or "void"
        lines.append(f"    {result}{'' if result.endswith('*') else ' '}(*{command.short})({parameters});")
    return "\n".join(lines + ["};", "", "#endif", ""])


def functions_source(plans):
    """Names by the table's order; other names of the same follow in the same string."""
    lines = [_BANNER, "static const char *const function_names[] = {"]
    for command in _functions(plans):
        lines.append('    "' + "\\0".join([command.name, *command.aliases]) + '\\0",')
    return "\n".join(lines + ["};", ""])


class _Handler:
    def __init__(self, plan, name, offset):
        self.plan, self.command, self.name, self.offset = plan, plan.command, name, offset
        self.declared, self.lines, self.after = [], [], []

    def add(self, *lines):
        self.lines += [f"    {line}" for line in lines]

    def parameters(self):
        for param in self.command.params:
            array = self.plan.arrays.get(param.name)
            if array is None:
                yield f"{TYPES[param.base][0]} {param.name}"
            elif array.length.kind == "offset" or (array.length.in_arena and self.offset):
                yield f"uint64_t {param.name}"
            elif array.length.in_arena:
                if not self.plan.downloads:
                    yield from ("uint32_t upload_source", "uint64_t upload_offset")
                yield from (f"void *{param.name}", f"size_t {param.name}_bytes")
            elif array.length.kind == "string":
                yield f"const char *{param.name}"
            elif param.is_in or self.plan.kind == "gen":
                yield from (f"const {self.element(param)} *{param.name}", f"size_t {param.name}_count")
            else:
                yield from (f"{self.element(param)} *{param.name}", f"size_t *{param.name}_count")
        if self.plan.returns:
            yield f"{TYPES[self.command.result][0]} *value"

    @staticmethod
    def element(param):
        return {"char": "int8_t"}.get(param.element, param.element)

    def need(self, array):
        """How many elements the driver reads or writes, as C, or None if nobody can tell."""
        length = array.length
        if length.kind == "fixed":
            return str(length.times)
        if length.kind == "param":
            scale = f" * {length.times}" if length.times != 1 else f" / {length.over}" if length.over != 1 else ""
            return f"gl_count({length.param}){scale}"
        return None

    def prepare_in(self, array):
        """The value that the driver gets for an array of inputs."""
        name, need = array.name, self.need(array)
        if array.length.kind in ("values", "pixel"):
            room = 64 if array.length.kind == "pixel" else 16
            element = self.element(array.param)
            self.declared.append(f"    {element} {name}_all[{room}] = {{0}};")
            self.add(f"if ({name}_count != 0)",
                     f"    memcpy({name}_all, {name}, {name}_count * sizeof(*{name}));")
            return f"{name}_count != 0 ? {name}_all : NULL" if array.length.kind == "pixel" else f"{name}_all"
        self.add(f"if ({name}_count < {need})",
                 f"    return gl_short(request, \"{self.command.name}: {name}\", {name}_count, {need});")
        if name in self.plan.spaces:
            space = self.plan.spaces[name]
            self.declared.append(f"    const uint32_t *{name}_driver;")
            self.add(f"{name}_driver = gl_name_array(context, request, GL_SPACE_{space}, {name}, {name}_count);",
                     f"if ({name}_driver == NULL)", "    return -ENOMEM;")
            return f"{name}_driver"
        return f"(const char *){name}" if array.param.element == "char" else name

    def prepare_out(self, array, number):
        """The driver writes where there is room for all that it can; the guest gets what has changed there."""
        name, need = array.name, self.need(array)
        element = self.element(array.param)
        room = array.maximum
        self.declared.append(f"    {element} *{name}_all = gl_scratch(request, {number}, {room} * sizeof(*{name}_all));")
        if need:
            self.add(f"if (*{name}_count != 0 && {need} > *{name}_count)",
                     f"    return gl_short(request, \"{self.command.name}: {name}\", *{name}_count, {need});")
        self.add(f"if ({name}_all == NULL)", "    return -ENOMEM;",
                 f"gl_canary({name}_all, {room} * sizeof(*{name}_all));")
        copy = f"gl_changed({name}, {name}_count, {name}_all, {room}, sizeof(*{name}));"
        self.after.append(f"    {copy}")
        if name in self.plan.spaces:
            self.after.append(f"    gl_names_back(context, GL_SPACE_{self.plan.spaces[name]}, {name}, *{name}_count);")
        if self.plan.gives_names:
            pname = "pname" if self.command.param("pname") else "target"
            self.declared.append("    enum gl_space space;")
            self.after += [f"    if (gl_pname_space({pname}, &space))",
                           f"        for (size_t i = 0; i < *{name}_count; i++)",
                           f"            {name}[i] = ({element})gl_name_back(context, space, (uint32_t){name}[i]);"]
        cast = "(char *)" if array.param.element == "char" else ""
        value = f"{cast}{name}_all"
        # A pointer that is NULL in the program is NULL for the driver, too, where it may be.
        return f"*{name}_count != 0 ? {value} : NULL" if array.length.kind == "fixed" or need else value

    def prepare_offset(self, array):
        """Without a buffer it would be an address."""
        name = array.name
        if array.length.param == "array":
            return f"({array.param.ctype})(uintptr_t)gl_array_offset(context, {name})"
        self.add(f"if (!gl_{array.length.param}_bound(context))", "    return 0;")
        return f"({array.param.ctype})(uintptr_t){name}"

    def prepare_memory(self, array):
        name, length = array.name, array.length
        if self.offset:
            self.add("if (!gl_pack_bound(context))", "    return 0;")
            return f"(void *)(uintptr_t){name}"
        of = ", ".join(length.of if length.of else (length.param,))
        if self.plan.downloads:
            self.add(f"if (!gl_download_fits(context, request, gl_{length.kind}_packed(context, {of}), {name}_bytes))",
                     "    return 0;")
            return name
        self.declared.append(f"    const void *{name}_memory;")
        self.add(f"if (!gl_upload_{'pixels' if length.in_buffer else 'memory'}(context, request, upload_source, upload_offset, {name}, "
                 f"{name}_bytes, gl_{length.kind}_unpacked(context, {of}), {str(self.plan.null_ok).lower()}, "
                 f"&{name}_memory))", "    return 0;")
        return f"{name}_memory"

    def arguments(self):
        number = 0
        for param in self.command.params:
            array = self.plan.arrays.get(param.name)
            space = self.plan.spaces.get(param.name)
            if array is None and space and param.name == self.command.params[self.first_name()].name and self.plan.bind:
                yield f"gl_name_bind(context, GL_SPACE_{space}, {param.name})"
            elif array is None and space:
                yield f"gl_name(context, GL_SPACE_{space}, {param.name})"
            elif array is None or array.length.kind == "string":
                yield param.name
            elif array.length.kind == "offset":
                yield self.prepare_offset(array)
            elif array.length.in_arena:
                yield self.prepare_memory(array)
            elif param.is_in:
                yield self.prepare_in(array)
            else:
                yield self.prepare_out(array, number)
                number += 1

    def first_name(self):
        return next(number for number, param in enumerate(self.command.params) if param.name in self.plan.spaces)

    def names(self):
        *ahead, last = self.command.params
        space = f"GL_SPACE_{self.plan.spaces[last.name]}"
        count = next(param.name for param in ahead if param.base == "GLsizei")
        driver = ", ".join([*(param.name for param in ahead), "driver"])
        self.declared.append(f"    uint32_t *driver = gl_scratch(request, 0, {last.name}_count * sizeof(*driver) + 4);")
        self.add(f"if ({last.name}_count != gl_count({count}))",
                 f"    return gl_short(request, \"{self.command.name}\", {last.name}_count, gl_count({count}));",
                 "if (driver == NULL)", "    return -ENOMEM;")
        if self.plan.kind == "gen":
            self.add(f"memset(driver, 0, {last.name}_count * sizeof(*driver));",
                     f"gl_functions->{self.command.short}({driver});",
                     f"return gl_names_made(context, request, {space}, {last.name}, driver, {last.name}_count);")
        else:
            self.add(f"gl_names_gone(context, {space}, {last.name}, driver, {last.name}_count);",
                     f"gl_functions->{self.command.short}({driver});", "return 0;")

    def text(self):
        parameters = ", ".join(["struct gpuvchan_request *request", *self.parameters()])
        nothing = [f"    *{array.name}_count = 0;" for array in self.plan.arrays.values()
                   if self.plan.kind == "call" and not array.param.is_in and not array.length.in_arena]
        self.add(f"if (context == NULL || !GL_HAS(request, {self.command.short})) {{", *nothing, "    return 0;", "}")
        if self.plan.touches_arrays or self.plan.kind == "delete":
            self.add("context->commands.arrays_checked = false;")
        if self.plan.transfers:
            self.add("context->commands.transfers = true;")
        if self.plan.draws:
            self.add("if (!gl_draw_ready(context))", "    return 0;")
        if self.plan.kind in ("gen", "delete"):
            self.names()
        else:
            arguments = ", ".join(self.arguments())
            call = f"gl_functions->{self.command.short}({arguments});"
            self.add(f"*value = {call}" if self.plan.returns else call)
            self.lines += self.after
            self.add("return 0;")
        head = ["    struct gl_context_host *context = gl_context_of(request);", *self.declared, ""]
        return "\n".join(["int", f"gl_host_{self.name}({parameters})", "{", *head, *self.lines, "}", ""])


def source(plans):
    lines = [_BANNER, "#include <errno.h>", "#include <string.h>", "", '#include "gl-host.h"', '#include "commands.h"',
             '#include "gl-functions.h"', '#include "gl-enums.h"', ""]
    for plan, name, offset in entries(plans):
        if not plan.host_by_hand:
            lines.append(_Handler(plan, name, offset).text())
    return "\n".join(lines)


