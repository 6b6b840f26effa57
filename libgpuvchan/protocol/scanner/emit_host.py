# SPDX-License-Identifier: MIT
"""NAME-host.h and NAME-host.c: the checks of every record, the calls of the plugin's handlers, the table."""

import re

from emit_common import (banner, declarations, declare, host_parameters, includes, note, opcodes, pointer,
                         protocol_fields, quote, variables, wire, wrap)
from layout import RECORD_UNIT, round_up


def header(protocol):
    guard = f"{protocol.upper}_HOST_H"
    lines = [banner(protocol), f"#ifndef {guard}", f"#define {guard}", "", "#include <stdbool.h>",
             "#include <stddef.h>", "#include <stdint.h>", "", "#include <gpuvchan/plugin.h>", ""]
    lines += includes(protocol.includes) + opcodes(protocol)
    lines += ["/** The plugin's .dispatch. */", f"extern const struct gpuvchan_dispatch {protocol.name}_dispatch;", ""]
    lines += ["/* The plugin implements what follows. Arguments have been checked; outputs are sent if it returns 0. */",
              ""]
    if protocol.handles:
        lines += ["/** The table of the guest process that the request comes from. */",
                  f"struct gpuvchan_handles *{protocol.name}_handles(struct gpuvchan_request *request);", ""]
    for handle in protocol.created:
        lines += [f"/** Destroys a new {handle.name} whose handle could not be entered into the table. */"]
        lines += wrap(f"void {protocol.name}_discard_{handle.name}",
                      ["struct gpuvchan_request *request", declare(handle.ctype, "object")], ";") + [""]
    for entry in protocol.records:
        if entry.host:
            continue
        parameters = [parameter for argument in entry.arguments for parameter in host_parameters(argument)]
        lines += note(entry)
        lines += wrap(f"int {protocol.name}_host_{entry.name}",
                      ["struct gpuvchan_request *request"] + declarations(parameters), ";") + [""]
    return "\n".join(lines + ["#endif", ""])


class _Execute:
    """One entry's function: all checks of the payload first, then handles, room for the reply, the handler."""

    def __init__(self, protocol, entry):
        self.protocol, self.entry = protocol, entry
        self.declared, self.lines = [], []
        self.outputs = [argument for argument in entry.arguments if argument.is_output]
        self.values = {}  # C expression of each host parameter, where it is not its own name
        self.locals = set()  # host parameters that are C variables already

    def declare(self, ctype, name, value=""):
        self.declared.append((ctype, name + (" = " + value if value else "")))

    def add(self, *lines):
        self.lines += [f"    {line}" for line in lines]

    def corrupt(self, condition, text, *values):
        """@text is a printf format without the entry's name; @values are its values, in C."""
        self.add(f"if ({condition})")
        items = ["request", f'"{self.entry.name}: {text}"'] + list(values)
        self.lines += wrap("        return gpuvchan_request_corrupt", items, ";")

    # ---- The payload

    def check_size(self):
        request = self.entry.request
        if request.empty:
            self.corrupt("!size_fits(request, 0)", "%u bytes for a record of none", "request->bytes")
            return
        self.declare(f"const {request.struct} *", "wire", "request->payload")
        if not request.parts:
            self.corrupt("!size_fits(request, sizeof(*wire))", "%u bytes for a record of %zu", "request->bytes",
                         "sizeof(*wire)")
            return
        self.declare("size_t", "end")
        self.corrupt("request->bytes < sizeof(*wire)", "%u bytes, fewer than the %zu of the fixed part",
                     "request->bytes", "sizeof(*wire)")
        for argument in request.parts:
            count = f"wire->{argument.wire_count}"
            what = {"string": "length", "array": "count", "bytes": "size"}[argument.shape]
            self.corrupt(f"{count} > {argument.maximum}",
                         f"{argument.name}: {what} %u exceeds {argument.maximum}", count)
        for number, argument in enumerate(request.parts):
            at = "sizeof(*wire)"
            if number > 0:
                at = f"{argument.name}_at"
                self.declare("size_t", at)
                self.add(f"{at} = {self.protocol.upper}_ROUND(end, 8u);")
            self.add(f"end = {at} + {self.part_bytes(argument, f'(size_t)wire->{argument.wire_count}')};")
        self.corrupt("!size_fits(request, end)", "%u bytes for a record of %zu", "request->bytes", "end")

    def part_bytes(self, argument, count):
        if argument.shape == "string":
            return f"{count} + 1"
        return count if argument.shape == "bytes" else f"{count} * sizeof({argument.element})"

    def part(self, argument):
        """Where a variable part of the request begins, as a C pointer to const void."""
        if argument is self.entry.request.parts[0]:
            return "(const void *)(wire + 1)"
        return f"(const void *)((const unsigned char *)request->payload + {argument.name}_at)"

    def check_contents(self):
        for argument in self.entry.arguments:
            name = argument.name
            if argument.shape == "string" and not argument.is_output:
                length = f"wire->{argument.wire_count}"
                self.declare("const char *", name)
                self.locals.add(name)
                self.add(f"{name} = {self.part(argument)};")
                self.corrupt(f"!ends_at({name}, {length})", f"{name}: no string of length %u", length)
            elif argument.shape in ("array", "bytes") and not argument.is_output:
                self.values[argument.size_name] = f"wire->{argument.wire_count}"
                if not argument.is_handles:
                    self.values[name] = self.part(argument)
            elif argument.is_variable:
                largest = argument.maximum + (argument.shape == "string")
                room = f"wire->{argument.wire_room}"
                condition = f"{room} > {largest}"
                if argument.shape == "string":
                    condition = f"{room} == 0 || {condition}"
                self.corrupt(condition, f"{name}: room for %u exceeds {largest}" if argument.shape != "string" else
                             f"{name}: room for %u is not 1 to {largest}", room)
            elif argument.shape == "scalar" and argument.type.wire == "bool" and argument.is_input:
                self.corrupt(f"wire->{name} > 1", f"{name}: %u is no bool", f"wire->{name}")
        for argument in self.entry.arguments:
            if argument.shape == "reference":
                self.resolve(argument)
            elif argument.direction == "create":
                self.corrupt(f"(wire->{argument.name} & 0xfffffu) < GPUVCHAN_HANDLES_RESERVED",
                             f"{argument.name}: handle %#x cannot be assigned", f"wire->{argument.name}")

    def resolve(self, argument):
        name = argument.name
        self.declare("void *", name, "NULL" if argument.null_ok else "")
        self.locals.add(name)
        self.values[f"{name}_bytes"] = f"wire->{name}.bytes"
        before = len(self.lines)
        if argument.null_ok:
            self.add(f"if (wire->{name}.offset != 0 || wire->{name}.bytes != 0) {{")
            before = len(self.lines)
        self.add(f"{name} = gpuvchan_session_resolve(request->session, wire->{name});")
        self.corrupt(f"{name} == NULL", f"{name}: %llu bytes at offset %llu are not in the arena",
                     f"(unsigned long long)wire->{name}.bytes", f"(unsigned long long)wire->{name}.offset")
        if argument.null_ok:
            self.lines[before:] = ["    " + line for line in self.lines[before:]]
            self.add("}")

    # ---- Handles

    def look_up(self):
        if any(argument.shape == "handle" or argument.is_handles for argument in self.entry.arguments):
            self.declare("struct gpuvchan_handles *", "table")
            self.add(f"table = {self.protocol.name}_handles(request);")
        for argument in self.entry.arguments:
            if argument.shape == "handle" and argument.direction == "in":
                self.look_up_one(argument)
            elif argument.is_handles:
                self.look_up_all(argument)

    def look_up_one(self, argument):
        name, kind = argument.name, self.protocol.kind_name(argument.type)
        self.declare(argument.type.ctype, name)
        self.locals.add(name)
        self.add(f"{name} = gpuvchan_handles_lookup(table, wire->{name}, {kind});",
                 f"if ({name} == NULL{f' && wire->{name} != 0' if argument.null_ok else ''})",
                 f"    return {argument.type.invalid};")

    def look_up_all(self, argument):
        name, kind = argument.name, self.protocol.kind_name(argument.type)
        self.declare(argument.type.ctype, f"{name}[{argument.maximum}]")
        self.declare("const uint32_t *", f"{name}_handles")
        self.locals.add(name)
        null = f" && {name}_handles[each] != 0" if argument.null_ok else ""
        self.add(f"{name}_handles = {self.part(argument)};",
                 f"for (uint32_t each = 0; each < wire->{argument.wire_count}; each++) {{",
                 f"    {name}[each] = gpuvchan_handles_lookup(table, {name}_handles[each], {kind});",
                 f"    if ({name}[each] == NULL{null})",
                 f"        return {argument.type.invalid};",
                 "}")

    def remove(self):
        argument = self.entry.find("destroy")
        if argument is None:
            return
        name = argument.name
        self.declare(argument.type.ctype, name)
        self.locals.add(name)
        self.add(f"{name} = gpuvchan_handles_remove(table, wire->{name}, {self.protocol.kind_name(argument.type)});",
                 f"if ({name} == NULL)", f"    return {argument.type.invalid};")

    def insert(self):
        argument = self.entry.find("create")
        if argument is None:
            return
        name, handle = argument.name, argument.type
        call = f"gpuvchan_handles_insert(table, wire->{name}, {self.protocol.kind_name(handle)}, {name}_object)"
        self.add(f"if ({name}_object == NULL) {{",
                 f'    gpuvchan_log(GPUVCHAN_LOG_ERROR, "{self.protocol.name}: {self.entry.name} succeeded and made no '
                 f'{handle.name}");',
                 "    return -EINVAL;",
                 "}",
                 f"result = {call};",
                 "if (result != 0) {",
                 f"    {self.protocol.name}_discard_{handle.name}(request, {name}_object);",
                 "    if (result == -ENOMEM)",
                 "        return result;")
        self.lines += wrap("        return gpuvchan_request_corrupt",
                           ["request", f'"{self.entry.name}: {name}: handle %#x cannot be assigned (%d)"',
                            f"wire->{name}", "result"], ";")
        self.add("}")

    # ---- The reply

    def reserve(self):
        """Room for the largest reply that the guest has asked for; outputs are written right there."""
        reply = self.entry.reply
        if reply.empty:
            return
        self.declare(f"{reply.struct} *", "answer")
        size = "sizeof(*answer)"
        for number, argument in enumerate(reply.parts):
            room = self.part_bytes_room(argument)
            if number + 1 < len(reply.parts):
                room = f"{self.protocol.upper}_ROUND({room}, 8u)"
                following = reply.parts[number + 1]
                self.declare("size_t", f"{following.name}_at")
                self.add(f"{following.name}_at = {size} + {room};")
                size = f"{following.name}_at"
            else:
                size = f"{size} + {room}"
        cast = f"(uint32_t)({size})" if reply.parts else size
        self.lines += wrap("    answer = gpuvchan_request_reply", ["request", cast], ";")
        self.add("if (answer == NULL)", "    return -EMSGSIZE;")
        for number, argument in enumerate(reply.parts):
            ctype = {"string": "char *", "bytes": "unsigned char *"}.get(argument.shape) or pointer(argument.element)
            self.declare(ctype, argument.name)
            start = "(void *)(answer + 1)" if number == 0 else f"(void *)((unsigned char *)answer + {argument.name}_at)"
            self.add(f"{argument.name} = {start};")
            self.locals.add(argument.name)
            if argument.shape == "string":
                self.values[argument.size_name] = f"wire->{argument.wire_room}"
            else:
                self.declare("size_t", f"{argument.name}_filled")
                self.add(f"{argument.name}_filled = wire->{argument.wire_room};")
                self.values[argument.size_name] = f"&{argument.name}_filled"

    def part_bytes_room(self, argument):
        room = f"(size_t)wire->{argument.wire_room}"
        return room if argument.shape in ("string", "bytes") else f"{room} * sizeof({argument.element})"

    def send(self):
        """Counts, and the variable parts moved together; the reply is trimmed to what there is."""
        for argument in self.outputs:
            if argument.shape == "scalar" and argument.type.wire == "bool":
                self.add(f"answer->{argument.name} = {argument.name}_value;")
        parts = self.entry.reply.parts
        for argument in parts:
            if argument.shape == "string":
                self.add(f"answer->{argument.wire_count} = (uint32_t)strnlen({argument.name}, "
                         f"wire->{argument.wire_room} - 1);",
                         f"{argument.name}[answer->{argument.wire_count}] = '\\0';")
                continue
            count = f"{argument.name}_filled"
            self.add(f"if ({count} > wire->{argument.wire_room}) {{")
            self.lines += wrap("        gpuvchan_log",
                               ["GPUVCHAN_LOG_ERROR",
                                f'"{self.protocol.name}: {self.entry.name} returned %zu {argument.name} '
                                'where %u had room"', count, f"wire->{argument.wire_room}"], ";")
            self.add("    gpuvchan_request_trim(request, 0);", "    return -EOVERFLOW;", "}",
                     f"answer->{argument.wire_count} = (uint32_t){count};")
        if not parts:
            return
        self.declare("size_t", "back")
        back = "sizeof(*answer)"
        for number, argument in enumerate(parts):
            size = self.part_bytes(argument, f"(size_t)answer->{argument.wire_count}")
            if number > 0:
                self.add(f"back = {self.protocol.upper}_ROUND(back, 8u);",
                         f"memmove((unsigned char *)answer + back, {argument.name}, {size});",
                         f"back += {size};")
            else:
                self.add(f"back = {back} + {size};")
        self.add("gpuvchan_request_trim(request, (uint32_t)back);")

    # ---- The handler

    def value(self, argument, name):
        """The C expression of a host parameter."""
        if name in self.values:
            return self.values[name]
        if name in self.locals:
            return name
        if argument.direction == "create":
            return f"&{name}_object"
        if argument.is_output:
            return f"&{name}_value" if argument.type.wire == "bool" else f"&answer->{name}"
        return f"&wire->{name}" if argument.shape == "struct" else f"wire->{name}"

    def prepare(self):
        """Variables that the handler writes and that do not lie in the reply, and what inout arguments begin with."""
        for argument in self.entry.arguments:
            if argument.direction == "create":
                self.declare(argument.type.ctype, f"{argument.name}_object", "NULL")
            elif argument.shape == "scalar" and argument.is_output and argument.type.wire == "bool":
                self.declare("bool", f"{argument.name}_value", "" if argument.is_input else "false")
                if argument.is_input:
                    self.add(f"{argument.name}_value = wire->{argument.name};")
            elif argument.direction == "inout" and argument.is_output:
                self.add(f"answer->{argument.name} = wire->{argument.name};")

    def expression(self):
        """The host line's expression, with its arguments as variables of their names."""
        unused = []
        for argument in self.entry.arguments:
            for ctype, name in host_parameters(argument):
                value = self.value(argument, name)
                if value != name:
                    self.add(f"{declare(ctype, name)} = {value};")
                if not re.search(rf"\b{name}\b", self.entry.host):
                    unused.append(f"(void){name};")
        self.add(*unused)
        return " ".join(line.strip() for line in self.entry.host.split("\n"))

    def call(self):
        finishes = self.entry.find("create") is not None or not self.entry.reply.empty
        if self.entry.host:
            expression = self.expression()
            self.add(f"{'result =' if finishes else 'return'} {expression};")
        else:
            items = ["request"] + [self.value(argument, name) for argument in self.entry.arguments
                                   for _, name in host_parameters(argument)]
            self.lines += wrap(f"    {'result =' if finishes else 'return'} "
                               f"{self.protocol.name}_host_{self.entry.name}", items, ";")
        if not finishes:
            return
        self.declare("int", "result")
        trim = [] if self.entry.reply.empty else ["    gpuvchan_request_trim(request, 0);"]
        self.add("if (result != 0) {" if trim else "if (result != 0)", *trim, "    return result;",
                 *(["}"] if trim else []))

    def text(self):
        self.check_size()
        self.check_contents()
        self.look_up()
        self.reserve()
        self.remove()
        self.prepare()
        self.call()
        self.insert()
        self.send()
        if self.entry.find("create") is not None or not self.entry.reply.empty:
            self.add("return 0;")
        return (["static int", f"execute_{self.entry.name}(struct gpuvchan_request *request)", "{"]
                + variables(self.declared) + self.lines + ["}", ""])


_SIZE_FITS = """\
/* Records come in units, so up to a unit less one byte may lie behind the last field. */
static bool
size_fits(const struct gpuvchan_request *request, size_t need)
{
    return request->bytes >= need && request->bytes - need < GPUVCHAN_RECORD_UNIT;
}
"""

_ENDS_AT = """\
/* Is the NUL at @length the first one? */
static bool
ends_at(const char *text, uint32_t length)
{
    return memchr(text, 0, (size_t)length + 1) == text + length;
}
"""


def _table(protocol):
    lines = [f"static const struct gpuvchan_entry entries[{protocol.upper}_OPCODES] = {{"]
    for entry in protocol.records:
        smallest = entry.request.fixed
        for argument in entry.request.parts:
            if argument.shape == "string":
                smallest = f"{smallest} + 1" if not isinstance(smallest, int) else smallest + 1
        lines.append(f"    [{protocol.opcode_name(entry)}] = {{")
        lines += [f"        .name = {quote(entry.name)},",
                  f"        .bytes_min = {smallest},",
                  f"        .bytes_max = {round_up(protocol, entry.request.largest, RECORD_UNIT)},",
                  f"        .execute = execute_{entry.name},", "    },"]
    lines += ["};", "", f"const struct gpuvchan_dispatch {protocol.name}_dispatch = {{", "    .protocol = {"]
    lines += [f"        {text}" for text in protocol_fields(protocol)]
    return lines + ["    },", "    .entries = entries,", "};", ""]


def source(protocol):
    functions = [line for entry in protocol.records for line in _Execute(protocol, entry).text()]
    body = "\n".join(functions)
    lines = [banner(protocol), f'#include "{protocol.name}-host.h"', "",
             "#include <errno.h>", "#include <string.h>", ""]
    lines += includes(protocol.host_includes) + wire(protocol)
    for name, helper in (("size_fits", _SIZE_FITS), ("ends_at", _ENDS_AT)):
        if f"{name}(" in body:
            lines += helper.split("\n")
    return "\n".join(lines + functions + _table(protocol))
