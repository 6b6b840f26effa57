# SPDX-License-Identifier: MIT
"""NAME-guest.h: a stub per call and post that marshals its arguments straight into the lane's ring."""

from emit_common import (banner, declarations, guest_parameters, includes, note, opcodes, protocol_fields, quote,
                         variables, wire, wrap)

_CONTRACT = """\
/*
 * Stubs return 0, a negative errno value (-EINVAL: a NULL, -E2BIG: longer than the protocol allows, or
 * the channel's error), or a positive status of the protocol. They set outputs only when they return 0.
 * The _on variants are for callers that hold the calling thread's lane already.
 */
"""

STUB = "static inline __attribute__((unused)) int"


class _Stub:
    """The body of one stub, in the order in which it runs."""

    def __init__(self, protocol, entry):
        self.protocol, self.entry = protocol, entry
        self.declared, self.lines = [], []
        self.inputs = [argument for argument in entry.arguments if argument.is_input]
        self.outputs = [argument for argument in entry.arguments if argument.is_output]

    def declare(self, ctype, *names):
        self.declared += [(ctype, name) for name in names]

    def add(self, *lines):
        self.lines += [f"    {line}" if line else "" for line in lines]

    def refuse(self, condition, error):
        self.add(f"if ({condition})", f"    return -{error};")

    # ---- Checks that need no host

    def check(self, argument):
        name, largest = argument.name, argument.maximum
        if argument.is_variable and not argument.is_output:
            if argument.shape == "string":
                self.refuse(f"{name} == NULL", "EINVAL")
                self.add(f"{argument.wire_count} = strlen({name});")
                self.refuse(f"{argument.wire_count} > {largest}", "E2BIG")
            else:
                self.refuse(f"{name} == NULL && {argument.size_name} != 0", "EINVAL")
                self.refuse(f"{argument.size_name} > {largest}", "E2BIG")
        elif argument.shape == "string":
            self.refuse(f"{name} == NULL || {argument.size_name} == 0", "EINVAL")
            self.add(f"{argument.wire_room} = {argument.size_name} < {largest + 1} ? {argument.size_name} : "
                     f"{largest + 1};")
        elif argument.is_variable:
            count = argument.size_name
            self.refuse(f"{count} == NULL || ({name} == NULL && *{count} != 0)", "EINVAL")
            self.add(f"{argument.wire_room} = *{count} < {largest} ? *{count} : {largest};")
        elif argument.is_output or argument.shape == "struct":
            self.refuse(f"{name} == NULL", "EINVAL")

    # ---- The request

    def part_bytes(self, argument, count):
        if argument.shape == "string":
            return f"{count} + 1"
        return count if argument.shape == "bytes" else f"{count} * sizeof({argument.element})"

    def measure(self):
        """Sets payload, and X_at for every variable part but the first, which begins behind the fixed part."""
        at = "sizeof(*wire)"
        for number, argument in enumerate(self.entry.request.parts):
            if number > 0:
                at = f"{argument.name}_at"
                self.add(f"{at} = {self.protocol.upper}_ROUND(payload, 8u);")
            self.add(f"payload = {at} + {self.part_bytes(argument, argument.wire_count)};")

    def fill(self):
        for member in self.entry.request.members:
            argument = member.argument
            if argument is None:
                name = member.name.partition("[")[0]
                self.add(f"memset(wire->{name}, 0, sizeof(wire->{name}));")
            elif argument.is_variable:
                self.add(f"wire->{member.name} = (uint32_t){member.name};")
            else:
                by_pointer = argument.shape == "struct" or argument.is_output
                self.add(f"wire->{member.name} = {'*' if by_pointer else ''}{argument.name};")
        for number, argument in enumerate(self.entry.request.parts):
            to = "wire + 1" if number == 0 else f"(unsigned char *)wire + {argument.name}_at"
            count = argument.wire_count
            if argument.shape == "string":
                start = "(char *)(wire + 1)" if number == 0 else f"(char *)wire + {argument.name}_at"
                self.add(f"memcpy({to}, {argument.name}, {count});", f"({start})[{count}] = '\\0';")
            else:
                self.add(f"if ({count} != 0)",
                         f"    memcpy({to}, {argument.name}, {self.part_bytes(argument, count)});")

    # ---- The reply

    def corrupt(self, *conditions):
        self.lines += wrap("    if ", conditions, "", " || ")
        self.add(f'    return {self.protocol.name}_failure(gpuvchan_stub_corrupt(client->channel, '
                        f'"{self.entry.name}", answer_bytes));')

    def take(self):
        self.add("back = answer;")
        conditions = ["answer_bytes < sizeof(*back)"]
        for argument in self.outputs:
            if argument.is_variable:
                beyond = ">=" if argument.shape == "string" else ">"
                conditions.append(f"back->{argument.wire_count} {beyond} {argument.wire_room}")
            elif argument.shape == "scalar" and argument.type.wire == "bool":
                conditions.append(f"back->{argument.name} > 1")
        self.corrupt(*conditions)
        at = "sizeof(*back)"
        for number, argument in enumerate(self.entry.reply.parts):
            if number > 0:
                at = f"{argument.name}_at"
                self.add(f"{at} = {self.protocol.upper}_ROUND(end, 8u);")
            self.add(f"end = {at} + {self.part_bytes(argument, f'(size_t)back->{argument.wire_count}')};")
        if self.entry.reply.parts:
            self.corrupt("answer_bytes < end")
        for argument in self.outputs:
            if not argument.is_variable:
                self.add(f"*{argument.name} = back->{argument.name};")
        for number, argument in enumerate(self.entry.reply.parts):
            source = "back + 1" if number == 0 else f"(const unsigned char *)answer + {argument.name}_at"
            count = f"back->{argument.wire_count}"
            if argument.shape == "string":
                self.add(f"memcpy({argument.name}, {source}, {count});", f"{argument.name}[{count}] = '\\0';")
            else:
                size = self.part_bytes(argument, f"(size_t){count}" if argument.shape == "array" else count)
                self.add(f"if ({argument.name} != NULL)", f"    memcpy({argument.name}, {source}, {size});",
                         f"*{argument.size_name} = {count};")

    # ---- All of it

    def body(self):
        request, reply = self.entry.request, self.entry.reply
        opcode = self.protocol.opcode_name(self.entry)
        sizes = [argument.wire_count for argument in request.parts if argument.shape == "string"]
        sizes += [argument.wire_room for argument in reply.parts]
        sizes += [f"{argument.name}_at" for parts in (request.parts, reply.parts) for argument in parts[1:]]
        sizes += (["payload"] if request.parts else []) + (["end"] if reply.parts else [])
        if not request.empty:
            self.declare(f"{request.struct} *", "wire")
        if not reply.empty:
            self.declare(f"const {reply.struct} *", "back")
        if self.entry.kind == "call":
            self.declare("const void *", "answer")
            self.declare("uint32_t", "answer_bytes")
        if sizes:
            self.declare("size_t", *sizes)
        if not reply.empty:
            self.declare("int", "result")

        for argument in self.entry.arguments:
            self.check(argument)
        self.measure()
        payload = "payload" if request.parts else "0" if request.empty else "sizeof(*wire)"
        reserve = "gpuvchan_reserve_call" if self.entry.kind == "call" else "gpuvchan_reserve"
        if request.empty:
            self.add(f"if ({reserve}(lane, {payload}) == NULL)")
        else:
            self.add(f"wire = {reserve}(lane, {payload});", "if (wire == NULL)")
        self.add(f"    return {self.protocol.name}_failure(gpuvchan_stub_error(client->channel));")
        self.fill()
        if self.entry.kind == "post":
            self.add(f"return gpuvchan_post(lane, client->slot, {opcode}, {payload});")
            return
        call = f"gpuvchan_call(lane, client->slot, {opcode}, {payload}, &answer, &answer_bytes);"
        if reply.empty:
            self.add(f"return {call}")
            return
        self.add(f"result = {call}", "if (result != 0)", "    return result;")
        self.take()
        self.add("return 0;")

    def text(self):
        protocol, entry = self.protocol, self.entry
        parameters = [parameter for argument in entry.arguments for parameter in guest_parameters(argument)]
        names = [name for _, name in parameters]
        self.body()
        lines = note(entry) + [STUB]
        lines += wrap(f"{protocol.name}_{entry.name}_on",
                      ["const struct gpuvchan_client *client", "struct gpuvchan_lane *lane"]
                      + declarations(parameters), "")
        lines += ["{"] + variables(self.declared) + self.lines + ["}", ""]
        lines += [STUB] + wrap(f"{protocol.name}_{entry.name}",
                               ["const struct gpuvchan_client *client"] + declarations(parameters), "")
        lines += ["{", "    struct gpuvchan_lane *lane = gpuvchan_lane_current(client->channel);", "",
                  "    if (lane == NULL)",
                  f"        return {protocol.name}_failure(gpuvchan_stub_error(client->channel));"]
        lines += wrap(f"    return {protocol.name}_{entry.name}_on", ["client", "lane"] + names, ";")
        return lines + ["}", ""]


def entry_names(protocol):
    lines = ["/* By opcode, for gpuvchan_client_name_entries(). */",
             f"static const char *const {protocol.name}_names[{protocol.upper}_OPCODES] __attribute__((unused)) = {{"]
    lines += [f"    [{protocol.opcode_name(entry)}] = {quote(entry.name)}," for entry in protocol.records]
    return lines + ["};", ""]


def header(protocol):
    guard = f"{protocol.upper}_GUEST_H"
    lines = [banner(protocol), f"#ifndef {guard}", f"#define {guard}", "",
             "#include <errno.h>", "#include <stdbool.h>", "#include <stddef.h>", "#include <stdint.h>",
             "#include <string.h>", "", "#include <gpuvchan/gpuvchan.h>", "#include <gpuvchan/protocol.h>", ""]
    lines += includes(protocol.includes) + opcodes(protocol) + wire(protocol)
    lines += [f"static const struct gpuvchan_protocol {protocol.name}_protocol __attribute__((unused)) = {{"]
    lines += [f"    {text}" for text in protocol_fields(protocol)] + ["};", ""]
    lines += entry_names(protocol)
    lines += _CONTRACT.split("\n")
    lines += ["/* Never 0, which would tell callers, and the compiler, that outputs are set. */", STUB,
              f"{protocol.name}_failure(int error)", "{", "    return error != 0 ? error : -EIO;", "}", ""]
    for entry in protocol.records:
        lines += _Stub(protocol, entry).text()
    return "\n".join(lines + ["#endif", ""])
