#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds for a fuzzer of records: one for each call and post of a protocol, with arguments that are good as far as
the protocol says what that is, so that a new entry is reached without anybody's help.

    seeds.py PROTOCOL.gpv FOLDER

A seed is a list of records: entry (2 bytes, from the name: what number it has changes), lane (1), payload bytes (2),
payload. Before the entry's own stand those that create what its handles name, except what fuzz_cuda_dispatch.c begins with.
"""

import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../libgpuvchan/protocol/scanner"))
import model  # noqa: E402
import syntax  # noqa: E402

FURNISHED = {"context": 16, "module": 17, "function": 18, "stream": 19, "event": 20}
ADDRESS = 0xa110c000 << 32  # of the first memory that the fuzzer has allocated
ELEMENTS = {"string": 2, "array": 1, "bytes": 16}
STRING = b"k3"


def number_of(name):
    value = 0x811c9dc5
    for byte in name.encode():
        value = (value ^ byte) * 0x01000193 & 0xffffffff
    return value & 0xffff


def scalar(argument):
    name = argument.name
    if argument.type.name == "CUdeviceptr" or name in ("address", "to", "from", "start", "pointer"):
        return ADDRESS if argument.type.size == 8 else 0
    if any(word in name for word in ("bytes", "count", "width", "height", "size", "pitch", "depth")):
        return 64
    return 0 if "flags" in name or argument.type.wire == "bool" else 1


def fixed(member, handles):
    argument = member.argument
    if argument is None:
        return bytes(member.size)
    if argument.is_variable:
        return struct.pack("<I", ELEMENTS[argument.shape] if argument.is_input else 8)
    if argument.shape == "handle":
        return struct.pack("<I", handles[argument.direction == "create", argument.type.name])
    if argument.shape == "reference":
        return struct.pack("<QQ", 65536, 4096)
    if argument.shape == "scalar":
        value = scalar(argument)
        return struct.pack("<d" if argument.type.size == 8 else "<f", value) if argument.type.wire in ("f32", "f64") \
            else value.to_bytes(argument.type.size, "little")
    return bytes(member.size)


def variable(argument, handles):
    if argument.shape == "string":
        return STRING + b"\0"
    if argument.is_handles:
        return struct.pack("<I", handles[False, argument.type.name])
    if argument.shape == "array" and argument.type.name == "CUdeviceptr":
        return struct.pack("<Q", ADDRESS)
    if not isinstance(argument.element_bytes, int):
        return bytes(64)
    return bytes(ELEMENTS[argument.shape] * argument.element_bytes)


def payload(entry, handles):
    """A C struct whose size the compiler alone knows ends what can be laid out: zeros from there."""
    data = bytearray()
    for member in entry.request.members:
        if not isinstance(member.offset, int) or not isinstance(member.size, int):
            return bytes(data) + bytes(256)
        data += bytes(member.offset - len(data)) + fixed(member, handles)
    for argument in entry.request.parts:
        data += bytes(-len(data) % 8) + variable(argument, handles)
    return bytes(data) + bytes(-len(data) % 8)


def record(entry, handles, lane=0):
    data = payload(entry, handles)
    return struct.pack("<HBH", number_of(entry.name), lane, len(data)) + data


class Kinds:
    """Which entry creates objects of which kind."""

    def __init__(self, protocol):
        self.creators = {}
        for entry in protocol.records:
            made = entry.find("create")
            if made and (made.type.name not in self.creators or
                         len(entry.arguments) < len(self.creators[made.type.name].arguments)):
                self.creators[made.type.name] = entry
        self.handles = {}
        for number, handle in enumerate(protocol.handles):
            self.handles[False, handle.name] = FURNISHED.get(handle.name, 100 + number)
            self.handles[True, handle.name] = 200 + number

    def before(self, entry, under=()):
        """Records that create what @entry names."""
        found = b""
        for argument in entry.arguments:
            if argument.type is None or argument.type.kind != "handle" or argument.direction == "create":
                continue
            kind = argument.type.name
            if kind in FURNISHED or kind in under or kind not in self.creators:
                continue
            creator = self.creators[kind]
            found += self.before(creator, (*under, kind))
            found += record(creator, {**self.handles, (True, kind): self.handles[False, kind]})
        return found


def main(path, folder):
    protocol = model.build(path, syntax.read_statements(path))
    numbers = {}
    for entry in protocol.records:
        if numbers.setdefault(number_of(entry.name), entry.name) != entry.name:
            sys.exit(f"{path}: {entry.name} and {numbers[number_of(entry.name)]} have one number, rename one")
    kinds = Kinds(protocol)
    os.makedirs(folder, exist_ok=True)
    for entry in protocol.records:
        own = record(entry, kinds.handles)
        with open(os.path.join(folder, entry.name), "wb") as seed:
            seed.write(kinds.before(entry) + own + own)  # twice: a handle may be used up
    print(f"{len(protocol.records)} seeds in {folder}")


if __name__ == "__main__":
    main(*sys.argv[1:])
