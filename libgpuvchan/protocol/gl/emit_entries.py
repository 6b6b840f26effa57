# SPDX-License-Identifier: MIT
"""The guest's functions gl*: gl-entries.h declares them all, gl-entries.c has those that are not written by hand."""

from glxml import TYPES
from plan import CLAMPED, NAMES_MAX

_BANNER = "/* generated from Khronos's registry and overlay.txt; do not edit */"


def _parameters(command):
    return ", ".join(param.declare() for param in command.params) or "void"


def prototype(command):
    return f"{command.result_ctype}{'' if command.result_ctype.endswith('*') else ' '}{command.name}" \
           f"({_parameters(command)})"


def header(plans):
    lines = [_BANNER, "#ifndef GL_ENTRIES_H", "#define GL_ENTRIES_H", "", "#include <stdint.h>", ""]
    lines += [f"{prototype(plan.command)};" for plan in plans]
    return "\n".join(lines + ["", "#endif", ""])


class _Function:
    def __init__(self, plan):
        self.plan, self.command = plan, plan.command
        self.declared, self.lines = ["    struct gl_context *gl = gl_current;"], []

    def add(self, *lines):
        self.lines += [f"    {line}" for line in lines]

    def leave(self):
        return "return 0;" if self.plan.returns else "return;"

    # ---- Arguments of the stub

    def count(self, array):
        """The C expression of how many elements there are."""
        length = array.length
        if length.kind == "fixed":
            return str(length.times)
        if length.kind == "values":
            return f"gl_values({length.param})" if array.param.is_in else str(array.maximum)
        if length.kind == "pixel":
            return f"{array.name} != NULL ? gl_pixel_bytes({', '.join(length.of)}) : 0"
        scale = f" * {length.times}" if length.times != 1 else f" / {length.over}" if length.over != 1 else ""
        return f"gl_count({length.param}){scale}"

    def arguments(self, offset):
        for param in self.command.params:
            array = self.plan.arrays.get(param.name)
            if array is None:
                yield param.name
            elif array.length.kind == "offset":
                yield f"(uint64_t)(uintptr_t){param.name}"
            elif array.length.in_arena:
                if offset:
                    yield f"(uint64_t)(uintptr_t){param.name}"
                elif self.plan.downloads:
                    yield "download.memory"
                else:
                    yield from ("upload.source", "upload.offset", "upload.memory")
            elif array.length.kind == "string":
                yield param.name
            elif param.is_in:
                cast = "(const int8_t *)" if param.element == "char" else ""
                yield from (f"{cast}{param.name}", self.count(array))
            else:
                cast = "(int8_t *)" if param.element == "char" else ""
                yield from (f"{cast}{param.name}", f"&{param.name}_count")
        if self.plan.returns:
            yield "&value"

    def send(self, suffix="", offset=False):
        arguments = ", ".join(["&gl->client", "gl->lane", *self.arguments(offset)])
        return f"gl_{self.command.entry}{suffix}_on({arguments})"

    def checked(self, send=""):
        return [f"status = {send or self.send()};", "if (__builtin_expect(status != 0, 0))",
                f'    gl_failed(gl, "{self.command.name}", status);']

    # ---- Bodies

    def outputs(self):
        """Room of arrays that come back; lengths that are larger than a reply are brought down to it."""
        for array in self.plan.arrays.values():
            if array.param.is_in or array.length.in_arena or array.length.kind == "offset":
                continue
            length, room = array.length, f"{array.name}_count"
            if length.kind == "param" and length.param in CLAMPED:
                scale = length.over if length.over != 1 else 1
                self.add(f"if ({length.param} > {array.maximum * scale})",
                         f"    {length.param} = {array.maximum * scale};")
            elif length.kind == "param":
                self.add(f"if ({self.count(array)} > {array.maximum}) {{",
                         f'    gl_failed(gl, "{self.command.name}", -E2BIG);', f"    {self.leave()}", "}")
            self.declared.append(f"    size_t {room};")
            self.add(f"{room} = {array.name} != NULL ? {self.count(array)} : 0;")

    def enter(self, more=""):
        self.add(f"if (gl == NULL{more})", f"    {self.leave()}")

    def record(self):
        self.enter()
        if self.plan.bind:
            name = next(param.name for param in self.command.params if param.name in self.plan.spaces)
            self.add(f"gl_names_use(gl, GL_SPACE_{self.plan.spaces[name]}, {name});")
        self.outputs()
        if self.plan.returns:
            self.declared.append(f"    {TYPES[self.command.result][0]} value = 0;")
        self.declared.append("    int status;")
        self.add(*self.checked())
        if self.plan.returns:
            self.add("return value;")

    def memory_arguments(self, array):
        length = array.length
        return ", ".join(length.of if length.of else (length.param,))

    def upload(self):
        array = self.plan.memory
        self.declared.append("    struct gl_upload upload;")
        self.enter(f" || !gl_upload_{array.length.kind}(gl, &upload, {array.name}, {self.memory_arguments(array)})")
        self.declared.append("    int status;")
        self.add(*self.checked())

    def download(self):
        array = self.plan.memory
        self.declared += ["    struct gl_download download;", "    int status;"]
        self.enter()
        self.outputs()
        if array.length.in_buffer:
            self.add("if (gl_packs(gl)) {", f"    status = {self.send('_offset', True)};", "    if (status != 0)",
                     f'        gl_failed(gl, "{self.command.name}", status);', "    return;", "}")
        self.add(f"if (!gl_download_{array.length.kind}(gl, &download, {array.name}, "
                 f"{self.memory_arguments(array)}))", "    return;",
                 f"status = {self.send()};",
                 "gl_download_end(gl, &download, status == 0);",
                 "if (status != 0)", f'    gl_failed(gl, "{self.command.name}", status);')

    def names(self):
        """Making and deleting objects: names are the guest's, in portions that fit a record."""
        *ahead, last = self.command.params
        space = f"GL_SPACE_{self.plan.spaces[last.name]}"
        count = ahead[0].name if ahead[0].name == "n" else next(p.name for p in ahead if p.base == "GLsizei")
        others = [param.name for param in ahead]
        self.enter()
        if self.plan.kind == "gen":
            self.add(f"if ({count} > 0 && !gl_names_gen(gl, {space}, {count}, {last.name}))", "    return;")
        self.declared += ["    int32_t done = 0;", "    int status;"]
        sent = ", ".join(["&gl->client", "gl->lane",
                          *("portion" if name == count else name for name in others),
                          f"{last.name} + done", "gl_count(portion)"])
        self.add("do {",
                 f"    int32_t portion = {count} - done > {NAMES_MAX} ? {NAMES_MAX} : {count} - done;", "",
                 *(f"    {line}" for line in self.checked(f"gl_{self.command.entry}_on({sent})")),
                 "    done += portion;", f"}} while (done < {count});")
        if self.plan.kind == "delete":
            self.add(f"gl_names_free(gl, {space}, {count}, {last.name});")

    def vector(self):
        *ahead, last = self.command.params
        scalar = self.plan.scalar.command
        values = [param.name for param in ahead] + [f"{last.name}[{number}]"
                                                   for number in range(len(scalar.params) - len(ahead))]
        self.enter()
        self.declared.append("    int status;")
        self.add(*self.checked(f"gl_{scalar.entry}_on({', '.join(['&gl->client', 'gl->lane', *values])})"))

    def todo(self):
        self.declared = []
        unused = [f"(void){param.name};" for param in self.command.params]
        self.add(*unused, "static atomic_flag said = ATOMIC_FLAG_INIT;", "",
                 f'gl_unserved("{self.command.name}", &said);')
        if self.plan.returns:
            self.add("return 0;")

    def text(self):
        if self.plan.kind == "todo":
            self.todo()
        elif self.plan.kind == "vector":
            self.vector()
        elif self.plan.kind in ("gen", "delete"):
            self.names()
        elif self.plan.downloads:
            self.download()
        elif self.plan.memory is not None:
            self.upload()
        else:
            self.record()
        return "\n".join([prototype(self.command), "{", *self.declared, *([""] if self.declared else []), *self.lines,
                          "}", ""])


def source(plans):
    lines = [_BANNER, "#include <errno.h>", "#include <stdatomic.h>", "#include <stddef.h>", "",
             '#include "gl-entries.h"', '#include "gl_guest.h"', ""]
    for plan in plans:
        if plan.kind != "hand" and not plan.guest_by_hand:
            lines.append(_Function(plan).text())
    return "\n".join(lines)


def lookup(planner):
    """All names in order, with the functions that serve them."""
    lines = [_BANNER, "static const struct lookup {", "    const char *name;", "    void (*function)(void);",
             "} lookups[] = {"]
    for name in sorted(planner.all_names):
        lines.append(f'    {{"{name}", (void (*)(void)){planner.all_names[name]}}},')
    return "\n".join(lines + ["};", ""])


def extensions(planner):
    lines = [_BANNER, "static const char *const served_extensions[] = {"]
    lines += [f'    "{extension.name}",' for extension in sorted(planner.supported_extensions(), key=lambda e: e.name)]
    return "\n".join(lines + ["};", ""])


def enums(registry):
    lines = [_BANNER, "#ifndef GL_ENUMS_H", "#define GL_ENUMS_H", ""]
    for name, value in registry.enums.items():
        lines.append(f"#define {name} {value}")
    return "\n".join(lines + ["", "#endif", ""])
