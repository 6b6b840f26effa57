# SPDX-License-Identifier: MIT
"""Where the fields of a record lie, how large it may become, and the hash over all of that.

A record's payload is a C struct, the fixed part, and behind it the variable parts. The fixed part has the
fields in the order of the arguments, each at its natural alignment, then a 32-bit count per variable part,
and is a multiple of 8 bytes. Variable parts begin at multiples of 8, in the order of the arguments.

The size of a C struct whose declaration gives no size is known to the compiler alone. Sizes and offsets are
therefore int, or str where they are a C expression; the functions below calculate with both.
"""

import re
from dataclasses import dataclass, field
from typing import List, Union

RECORD_UNIT = 16
RECORD_MAX = 65536 - 16  # GPUVCHAN_RECORD_MAX
REFERENCE = ("struct gpuvchan_reference", 16, 8)

Expression = Union[int, str]


def add(first: Expression, second: Expression) -> Expression:
    if isinstance(first, int) and isinstance(second, int):
        return first + second
    if first == 0 or second == 0:
        return second if first == 0 else first
    sum_of = re.fullmatch(r"(.*\)) \+ (\d+)", str(first))
    if sum_of and isinstance(second, int):  # "x + 1" and 2 make "x + 3"
        return f"{sum_of.group(1)} + {int(sum_of.group(2)) + second}"
    return f"{first} + {second}"


def times(number: int, size: Expression) -> Expression:
    return number * size if isinstance(size, int) else f"{number} * {size}"


def round_up(protocol, size: Expression, unit: int = 8) -> Expression:
    if isinstance(size, int):
        return (size + unit - 1) // unit * unit
    return f"{protocol.upper}_ROUND({size}, {unit})"


@dataclass
class Member:
    """A member of a wire struct; @argument is None for padding."""
    name: str
    ctype: str
    offset: Expression
    size: Expression
    argument: object = None
    aligned: bool = False  # needs _Alignas(8): it is a C struct or lies behind one

    def declaration(self):
        return f"{'_Alignas(8) ' if self.aligned else ''}{self.ctype} {self.name}"


@dataclass
class Record:
    struct: str
    members: List[Member] = field(default_factory=list)
    parts: list = field(default_factory=list)  # arguments of variable size
    fixed: Expression = 0
    largest: Expression = 0

    @property
    def empty(self):
        return not self.members

    @property
    def padding(self):
        return [member for member in self.members if member.argument is None]


class _Builder:
    def __init__(self, protocol, struct):
        self.protocol = protocol
        self.record = Record(struct)
        self.at = 0
        self.since = 0  # bytes since the last C struct of unknown size
        self.behind_struct = False

    def _pad(self, unit):
        """Explicit padding up to the next multiple of @unit; behind a C struct the compiler does it."""
        if self.behind_struct or self.at % unit == 0:
            return
        missing = unit - self.at % unit
        number = len(self.record.padding)
        self.record.members.append(Member(f"pad{number}[{missing}]", "uint8_t", self.at, missing))
        self.at += missing

    def _member(self, name, ctype, size, align, argument, is_struct=False):
        # Offsets behind a C struct are multiples of 8 again: sizes of structs are rounded up.
        if isinstance(self.at, int):
            self._pad(8 if is_struct else align)
        elif not self.behind_struct:
            self._pad_expression(8 if is_struct else align)
        self.record.members.append(Member(name, ctype, self.at, size, argument, is_struct or self.behind_struct))
        self.at = add(self.at, round_up(self.protocol, size) if is_struct else size)
        self.behind_struct = is_struct
        if not isinstance(self.at, int):
            self.since = 0 if is_struct else self.since + size

    def _pad_expression(self, unit):
        """The same behind a C struct of unknown size: self.since counts from the last multiple of 8."""
        missing = -self.since % unit
        if missing:
            number = len(self.record.padding)
            self.record.members.append(Member(f"pad{number}[{missing}]", "uint8_t", self.at, missing))
            self.at = add(self.at, missing)
            self.since += missing

    def fixed(self, argument):
        if argument.shape == "scalar":
            self._member(argument.name, argument.wire_ctype, argument.type.size, argument.type.size, argument)
        elif argument.shape == "handle":
            self._member(argument.name, "uint32_t", 4, 4, argument)
        elif argument.shape == "reference":
            self._member(argument.name, *REFERENCE, argument)
        elif argument.shape == "struct":
            self._member(argument.name, argument.type.ctype, argument.type.bytes, 8, argument, is_struct=True)

    def count(self, name, argument):
        self._member(name, "uint32_t", 4, 4, argument)

    def finish(self):
        if self.record.members:
            if isinstance(self.at, int):
                self._pad(8)
            elif not self.behind_struct:
                self._pad_expression(8)
        self.record.fixed = self.record.largest = self.at
        for part in self.record.parts:
            self.record.largest = add(round_up(self.protocol, self.record.largest), part.bytes_max)
        return self.record


def request(protocol, entry):
    """The payload that the guest sends."""
    builder = _Builder(protocol, f"struct {protocol.name}_{entry.name}_request")
    for argument in entry.arguments:
        if argument.is_input and not argument.is_variable:
            builder.fixed(argument)
    for argument in entry.arguments:
        if argument.is_variable:
            builder.count(argument.wire_count if argument.is_input else argument.wire_room, argument)
            if argument.is_input:
                builder.record.parts.append(argument)
    return builder.finish()


def reply(protocol, entry):
    """The payload of the answer to a call."""
    builder = _Builder(protocol, f"struct {protocol.name}_{entry.name}_reply")
    for argument in entry.arguments:
        if argument.is_output and not argument.is_variable:
            builder.fixed(argument)
    for argument in entry.arguments:
        if argument.is_output and argument.is_variable:
            builder.count(argument.wire_count, argument)
            builder.record.parts.append(argument)
    return builder.finish()


def fnv1a(text):
    value = 0xcbf29ce484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return value


def _shape(argument):
    words = [argument.direction, argument.shape, argument.name]
    if argument.shape in ("scalar", "array") and argument.type.kind == "scalar":
        words.append(argument.type.wire)
    elif argument.type is not None:
        words.append(argument.type.name)
    if argument.type is not None and argument.type.kind == "handle":
        words.append(str(argument.type.number))
    if argument.type is not None and argument.type.kind == "struct":
        words.append(str(argument.type.size))
    if argument.is_variable:
        words.append(str(argument.maximum))
    return " ".join(words)


def protocol_hash(protocol):
    """The terms of a C expression. Sizes that only the compiler knows enter it as sizeof: they must agree too."""
    lines = [f"layout 1 {protocol.name} {protocol.version}"]
    unsized = {}
    for entry in protocol.records:
        lines.append(f"{entry.opcode} {entry.kind} {entry.name}")
        for argument in entry.arguments:
            lines.append(_shape(argument))
            if argument.type is not None and isinstance(argument.type.bytes, str) and argument.type.kind == "struct":
                unsized[argument.type.ctype] = fnv1a(argument.type.name) | 1
    terms = [f"0x{fnv1a(chr(10).join(lines)):016x}ull"]
    terms += [f"sizeof({ctype}) * 0x{factor:016x}ull" for ctype, factor in sorted(unsized.items())]
    return terms
