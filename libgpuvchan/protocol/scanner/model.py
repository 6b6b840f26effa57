# SPDX-License-Identifier: MIT
"""What a protocol file says: types, entries and their arguments, checked."""

import os
import re
from dataclasses import dataclass, field
from typing import Dict, List, Optional

import layout
from syntax import ScanError

SCALARS = {  # wire type: (C type, bytes)
    "u8": ("uint8_t", 1), "u16": ("uint16_t", 2), "u32": ("uint32_t", 4), "u64": ("uint64_t", 8),
    "i8": ("int8_t", 1), "i16": ("int16_t", 2), "i32": ("int32_t", 4), "i64": ("int64_t", 8),
    "f32": ("float", 4), "f64": ("double", 8), "bool": ("bool", 1),
}

# An array of handles is translated on the host thread's stack.
HANDLE_ARRAY_MAX = 1024
OPCODE_MAX = 4095

API_FLAGS = {"ptds": "GPUVCHAN_API_PTDS", "ptsz": "GPUVCHAN_API_PTSZ"}

KEYWORDS = frozenset("""
    auto break case char const continue default do double else enum extern float for goto if inline int long
    register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    _Alignas _Alignof _Atomic _Bool _Complex _Generic _Imaginary _Noreturn _Static_assert _Thread_local
    asm typeof bool true false NULL errno linux unix i386 stdin stdout stderr assert offsetof
    """.split())

# Names that the generated functions use themselves.
TAKEN = frozenset("client lane request wire payload answer answer_bytes back end result table each".split())

# Names that NAME_ is put before, besides the entries'.
TAKEN_ENTRIES = frozenset("protocol dispatch handles opcode handle_kind limits failure".split())

_LOWER = re.compile(r"[a-z][a-z0-9_]*\Z")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NUMBER = re.compile(r"-?(0[xX][0-9a-fA-F]+|[0-9]+)\Z")


def _value(number):
    return int(number, 16 if "x" in number.lower() else 10)


@dataclass(frozen=True)
class Type:
    kind: str  # scalar, struct, handle
    name: str  # in the file
    ctype: str
    size: Optional[int] = None  # of scalars, and of structs that say it
    wire: str = ""  # scalar
    number: int = 0  # handle: its kind
    invalid: str = ""  # handle: status of a failed look-up

    @property
    def bytes(self):
        """Size in memory, an int or a C expression."""
        return self.size if self.size is not None else f"sizeof({self.ctype})"


BYTE = Type("scalar", "u8", "uint8_t", 1, wire="u8")


@dataclass
class Argument:
    line: int
    direction: str  # in, out, inout, create, destroy
    shape: str  # scalar, struct, handle, string, array, bytes, reference
    name: str
    type: Optional[Type] = None
    maximum: int = 0
    null_ok: bool = False

    @property
    def is_variable(self):
        return self.shape in ("string", "array", "bytes")

    @property
    def is_input(self):
        return self.direction != "out" or self.shape == "reference"

    @property
    def is_output(self):
        return self.direction in ("out", "inout") and self.shape != "reference"

    @property
    def is_handles(self):
        return self.shape == "array" and self.type.kind == "handle"

    @property
    def element(self):
        """C type of an element as the guest and the wire have it."""
        return "uint32_t" if self.type.kind == "handle" else self.type.ctype

    @property
    def element_bytes(self):
        return 4 if self.type.kind == "handle" else self.type.bytes

    @property
    def bytes_max(self):
        if self.shape == "string":
            return self.maximum + 1
        return layout.times(self.maximum, self.element_bytes)

    @property
    def wire_ctype(self):
        """A bool is a byte until it has been checked: no other value may ever be in a C bool."""
        return "uint8_t" if self.type.wire == "bool" else self.type.ctype

    @property
    def wire_count(self):
        return f"{self.name}_{dict(string='length', array='count', bytes='bytes')[self.shape]}"

    @property
    def wire_room(self):
        return f"{self.name}_room"

    @property
    def size_name(self):
        """The C argument that goes with this one: how many elements, or how large a string's buffer is."""
        return f"{self.name}_size" if self.shape == "string" else self.wire_count

    def names(self):
        """All identifiers that generated functions derive from this argument."""
        if self.is_variable:
            return {self.name, self.size_name, self.wire_count, self.wire_room, f"{self.name}_at",
                    f"{self.name}_handles", f"{self.name}_filled"}
        if self.shape == "reference":
            return {self.name, f"{self.name}_bytes"}
        if self.shape == "handle":
            return {self.name, f"{self.name}_handle", f"{self.name}_object"}
        return {self.name, f"{self.name}_value"}


@dataclass
class Api:
    line: int
    name: str
    since: int
    flags: str
    symbol: str


@dataclass
class Entry:
    line: int
    kind: str  # call, post, local, refused
    name: str
    note: str = ""
    opcode: int = 0
    arguments: List[Argument] = field(default_factory=list)
    host: str = ""
    export: str = ""
    apis: List[Api] = field(default_factory=list)
    request: object = None
    reply: object = None

    @property
    def is_record(self):
        return self.kind in ("call", "post")

    def find(self, direction):
        return next((argument for argument in self.arguments if argument.direction == direction), None)


@dataclass
class Protocol:
    file: str
    name: str = ""
    version: int = 0
    includes: List[str] = field(default_factory=list)
    host_includes: List[str] = field(default_factory=list)
    export_includes: List[str] = field(default_factory=list)
    result: str = ""
    types: Dict[str, Type] = field(default_factory=dict)
    entries: List[Entry] = field(default_factory=list)

    @property
    def upper(self):
        return self.name.upper()

    @property
    def records(self):
        """Entries that cross to the host, by opcode."""
        return sorted((entry for entry in self.entries if entry.is_record), key=lambda entry: entry.opcode)

    @property
    def opcodes(self):
        """The highest opcode and 1: the size of a table by opcode."""
        return max((entry.opcode for entry in self.records), default=0) + 1

    def declared(self, kind):
        return [kind_type for name, kind_type in self.types.items()
                if kind_type.kind == kind and name not in SCALARS]

    @property
    def handles(self):
        return self.declared("handle")

    @property
    def created(self):
        """Handle kinds that entries create, in the order of declaration."""
        names = {entry.find("create").type.name for entry in self.records if entry.find("create")}
        return [handle for handle in self.handles if handle.name in names]

    def opcode_name(self, entry):
        return f"{self.upper}_OPCODE_{entry.name.upper()}"

    def kind_name(self, handle):
        return f"{self.upper}_HANDLE_{handle.name.upper()}"


class _Words:
    """Takes the words of a statement one after the other; every failure names the line."""

    def __init__(self, file, statement):
        self.file, self.line, self.rest = file, statement.line, list(statement.words)

    def fail(self, message):
        raise ScanError(self.file, self.line, message)

    def take(self, what):
        if not self.rest:
            self.fail(f"the line ends where {what} must be, add it")
        return self.rest.pop(0)

    def bare(self, what):
        word = self.take(what)
        if word.quoted:
            self.fail(f'"{word.text}" is a string where {what} must be, write it without quotes')
        return word.text

    def identifier(self, what, pattern=_IDENTIFIER):
        text = self.bare(what)
        if not pattern.match(text):
            rule = "a-z, 0-9 and _, a letter first" if pattern is _LOWER else "a C identifier"
            self.fail(f"'{text}' cannot be {what}, use {rule}")
        return text

    def number(self, what, low, high):
        text = self.bare(what)
        if not _NUMBER.match(text):
            self.fail(f"'{text}' where {what} must be, write a number")
        value = _value(text)
        if not low <= value <= high:
            self.fail(f"{what} is {value}, it must be {low} to {high}")
        return value

    def string(self, what):
        word = self.take(what)
        if not word.quoted:
            self.fail(f'{word.text} where {what} must be, write it as "string"')
        return word.text

    def next_is(self, text):
        return bool(self.rest) and not self.rest[0].quoted and self.rest[0].text == text

    def accept(self, text):
        if self.next_is(text):
            self.rest.pop(0)
            return True
        return False

    def expect(self, text):
        word = self.take(f"'{text}'")
        if word.quoted or word.text != text:
            self.fail(f"'{word.text}' where '{text}' must be")

    def end(self):
        if self.rest:
            self.fail(f"'{self.rest[0].text}' is too much here, remove it")


class _Builder:
    def __init__(self, path):
        self.path = path
        self.protocol = Protocol(os.path.basename(path))
        self.next_opcode = 1
        self.by_name, self.by_opcode, self.by_export, self.by_api, self.by_kind = {}, {}, {}, {}, {}
        for name, (ctype, size) in SCALARS.items():
            self.protocol.types[name] = Type("scalar", name, ctype, size, wire=name)

    def build(self, statements):
        top = {"protocol": self.protocol_line, "include": self.include_line, "scalar": self.scalar_line,
               "struct": self.struct_line, "handle": self.handle_line, "result": self.result_line,
               "host": self.side_include_line, "export": self.side_include_line}
        for statement in statements:
            words = _Words(self.path, statement)
            word = words.bare("a keyword")
            if not self.protocol.name and word != "protocol":
                words.fail(f"'{word}' before the protocol line, begin with: protocol NAME VERSION")
            if word in ("call", "post", "local", "refused"):
                self.entry(word, words, statement)
                continue
            if word not in top:
                words.fail(f"'{word}' is no keyword here, use one of {', '.join(top)}, part, call, post, local, refused "
                           "(lines of an entry are indented)")
            if statement.body:
                raise ScanError(self.path, statement.body[0].line,
                                f"an indented line under '{word}', which has none: remove the indentation")
            top[word](word, words) if word in ("host", "export") else top[word](words)
            words.end()
        if not self.protocol.name:
            raise ScanError(self.path, 1, "no protocol line, begin with: protocol NAME VERSION")
        self.check_names()
        return self.protocol

    # ---- Top level

    def protocol_line(self, words):
        if self.protocol.name:
            words.fail("a second protocol line, remove it")
        self.protocol.name = words.identifier("the protocol's name", _LOWER)
        if len(self.protocol.name) > 31:
            words.fail(f"'{self.protocol.name}' is longer than 31 characters, shorten it")
        self.protocol.version = words.number("the protocol's version", 1, 0xffffffff)

    def include_line(self, words):
        self.protocol.includes.append(words.string("the header's name"))

    def side_include_line(self, side, words):
        words.expect("include")
        headers = self.protocol.host_includes if side == "host" else self.protocol.export_includes
        headers.append(words.string("the header's name"))

    def result_line(self, words):
        if self.protocol.result:
            words.fail("a second result line, remove it")
        self.protocol.result = words.identifier("the C type of results")

    def declare(self, words, new):
        if new.name in self.protocol.types:
            words.fail(f"'{new.name}' is declared already, remove one of the two")
        if new.name in KEYWORDS or new.name in ("string", "array", "bytes", "reference", "null"):
            words.fail(f"'{new.name}' is a word of C or of this language, choose another name")
        self.protocol.types[new.name] = new

    def scalar_line(self, words):
        name = words.identifier("a C type")
        wire = words.bare("its wire type")
        if wire not in SCALARS or wire == "bool":
            words.fail(f"'{wire}' is no wire type of a scalar, use one of "
                       f"{', '.join(scalar for scalar in SCALARS if scalar != 'bool')}")
        self.declare(words, Type("scalar", name, name, SCALARS[wire][1], wire=wire))

    def struct_line(self, words):
        name = words.identifier("a struct's name")
        ctype = f"struct {name}" if words.accept("tag") else name
        size = words.number("the struct's size", 1, layout.RECORD_MAX) if words.accept("bytes") else None
        self.declare(words, Type("struct", name, ctype, size))

    def handle_line(self, words):
        name = words.identifier("the handle's name", _LOWER)
        ctype = words.identifier("the C type of its objects")
        words.expect("kind")
        number = words.number("the kind", 1, 0xffff)
        words.expect("invalid")
        invalid = words.bare("the status of a failed look-up")
        if not _NUMBER.match(invalid) and not _IDENTIFIER.match(invalid):
            words.fail(f"'{invalid}' cannot be a status, use a number or a C identifier")
        if _NUMBER.match(invalid) and _value(invalid) == 0:
            words.fail("status 0 means success, use another for a failed look-up")
        if number in self.by_kind:
            words.fail(f"kind {number} belongs to '{self.by_kind[number]}' already, use another number")
        self.by_kind[number] = name
        self.declare(words, Type("handle", name, ctype, number=number, invalid=invalid))

    # ---- Entries

    def entry(self, kind, words, statement):
        name = words.identifier("the entry's name", _LOWER)
        entry = Entry(statement.line, kind, name)
        if name in TAKEN_ENTRIES:
            words.fail(f"'{name}' is taken by generated code ({self.protocol.name}_{name}), choose another name")
        for other in (name, name[:-3] if name.endswith("_on") else name, name + "_on"):
            if other in self.by_name:
                words.fail(f"'{name}' clashes with the entry '{other}' of line {self.by_name[other]}, "
                           "choose another name" if other != name else
                           f"'{name}' is an entry already, in line {self.by_name[name]}: choose another name")
        self.by_name[name] = statement.line
        if words.rest:
            entry.note = words.string("a note")
        words.end()
        explicit = 0
        for line in statement.body:
            line_words = _Words(self.path, line)
            word = line_words.bare("a keyword")
            if word == "api":
                self.api(entry, line_words)
            elif not entry.is_record:
                line_words.fail(f"'{word}' in a {kind} entry, which has api lines only: "
                                "remove the line or make the entry a call or post")
            elif word in ("in", "out", "inout", "create", "destroy"):
                entry.arguments.append(self.argument(word, line_words))
            elif word == "host":
                entry.host = (entry.host + "\n" if entry.host else "") + line_words.string("a C expression")
            elif word == "export":
                if entry.export:
                    line_words.fail("a second export line, remove it")
                entry.export = line_words.identifier("a C function's name")
                if entry.export in self.by_export:
                    line_words.fail(f"'{entry.export}' is exported in line {self.by_export[entry.export]} already")
                self.by_export[entry.export] = line.line
                export_line = line_words
            elif word == "opcode":
                explicit = line_words.number("the opcode", 1, OPCODE_MAX)
            else:
                line_words.fail(f"'{word}' is no keyword of an entry, use in, out, inout, create, destroy, opcode, "
                                "host, export or api")
            line_words.end()
            if line.body:
                raise ScanError(self.path, line.body[0].line, "too much indentation")
        if entry.is_record:
            self.number_entry(entry, explicit)
            self.check_arguments(entry)
            self.lay_out(entry)
        if entry.export:
            self.check_export(entry, export_line)
        self.protocol.entries.append(entry)

    def number_entry(self, entry, explicit):
        """As in a C enum: explicitly, or one more than the entry above."""
        entry.opcode = explicit or self.next_opcode
        if entry.opcode > OPCODE_MAX:
            raise ScanError(self.path, entry.line, f"opcode {entry.opcode} is larger than {OPCODE_MAX}, "
                                                   "give the entry one with an opcode line")
        if entry.opcode in self.by_opcode:
            raise ScanError(self.path, entry.line, f"opcode {entry.opcode} belongs to "
                            f"'{self.by_opcode[entry.opcode]}' already, give one of them another opcode line")
        self.by_opcode[entry.opcode] = entry.name
        self.next_opcode = entry.opcode + 1

    def api(self, entry, words):
        name = words.identifier("a function's name")
        words.expect("since")
        since = words.number("the version that has it first", 0, 0xffffffff)
        flags = "0"
        for word, flag in API_FLAGS.items():
            if words.accept(word):
                flags = flag
        words.expect("symbol")
        symbol = words.bare("the symbol, or -")
        if symbol != "-" and not _IDENTIFIER.match(symbol):
            words.fail(f"'{symbol}' cannot be a symbol, use a C identifier, or - for none")
        if symbol == "-" and entry.kind != "refused":
            words.fail(f"no symbol in a {entry.kind} entry, name it: only refused entries have none")
        before = self.by_api.setdefault((name, since, flags), (symbol, words.line))
        if before[0] != symbol:
            words.fail(f"'{name}' since {since} has the symbol {before[0]} in line {before[1]}, make them agree")
        entry.apis.append(Api(words.line, name, since, flags, symbol))

    def check_names(self):
        """Names of the generated C that two different entries could share."""
        limits = {}
        for entry in self.protocol.records:
            if f"host_{entry.name}" in self.by_name:
                raise ScanError(self.path, self.by_name[f"host_{entry.name}"], f"'host_{entry.name}' clashes with the "
                                f"handler of the entry '{entry.name}', choose another name")
            for argument in entry.arguments:
                name = f"{entry.name}_{argument.name}"
                if argument.is_variable and limits.setdefault(name, entry) is not entry:
                    raise ScanError(self.path, argument.line, f"'{argument.name}' gives C the limit {name}_max as "
                                    f"'{limits[name].name}' does in line {limits[name].line}, rename the argument")
        for handle in self.protocol.created:
            if f"discard_{handle.name}" in self.by_name:
                raise ScanError(self.path, self.by_name[f"discard_{handle.name}"], f"'discard_{handle.name}' is what "
                                "the plugin implements for the handle, choose another name")

    # ---- Arguments

    def type_of(self, words, kinds, context):
        name = words.bare("a type")
        found = self.protocol.types.get(name)
        if found is None:
            words.fail(f"'{name}' is no type, declare it above with scalar, struct or handle, or use one of "
                       f"{', '.join(SCALARS)}, string, bytes, array, reference")
        if found.kind not in kinds:
            words.fail(f"'{name}' is a {found.kind}, which cannot be {context}")
        return found

    def argument(self, direction, words):
        argument = Argument(words.line, direction, "", "")
        if direction in ("create", "destroy"):
            argument.shape, argument.type = "handle", self.type_of(words, ("handle",), f"{direction}d: name a handle")
        elif words.accept("string"):
            argument.shape = "string"
        elif words.accept("bytes"):
            argument.shape, argument.type = "bytes", BYTE
        elif words.accept("reference"):
            argument.shape = "reference"
        elif words.accept("array"):
            argument.shape = "array"
            kinds = ("struct",) if words.accept("struct") else ("scalar", "struct", "handle")
            argument.type = self.type_of(words, kinds, "here: name a struct")
            if argument.type.wire == "bool":
                words.fail("an array of bool does not exist, use an array of u8")
        elif words.accept("struct"):
            argument.shape = "struct"
            argument.type = self.type_of(words, ("struct",), "here: name a struct")
        else:
            argument.type = self.type_of(words, ("scalar", "struct", "handle"), "here")
            argument.shape = argument.type.kind
        argument.name = words.identifier("the argument's name")
        if argument.is_variable:
            words.expect("max")
            argument.maximum = words.number(f"the largest {'length' if argument.shape == 'string' else 'count'}",
                                            1, layout.RECORD_MAX)
        if words.accept("null"):
            words.expect("ok")
            argument.null_ok = True
        self.check_argument(argument, words)
        return argument

    def check_argument(self, argument, words):
        handles = argument.type is not None and argument.type.kind == "handle"
        if argument.direction in ("out", "inout") and handles:
            words.fail("the host gives no handles out, the guest assigns them: use create")
        if argument.direction == "inout" and argument.is_variable:
            words.fail(f"an inout {argument.shape} does not exist, use an in and an out argument or a reference")
        if argument.is_handles and argument.maximum > HANDLE_ARRAY_MAX:
            words.fail(f"an array of handles has at most {HANDLE_ARRAY_MAX} elements, lower max")
        if argument.null_ok and not (argument.shape == "reference" or handles):
            words.fail("'null ok' is for handles and references, remove it")
        if argument.null_ok and argument.direction in ("create", "destroy"):
            words.fail(f"'null ok' with {argument.direction} has no meaning, remove it")

    def check_arguments(self, entry):
        types = {kind_type.ctype for kind_type in self.protocol.types.values()}
        names = {}
        for argument in entry.arguments:
            if argument.name in KEYWORDS:
                raise ScanError(self.path, argument.line, f"'{argument.name}' is a word of C, rename the argument")
            if argument.name in TAKEN or argument.name.startswith("__") or re.match(r"pad\d+\Z", argument.name):
                raise ScanError(self.path, argument.line,
                                f"'{argument.name}' is a name that generated code uses itself, rename the argument")
            if argument.name in types:
                raise ScanError(self.path, argument.line, f"'{argument.name}' is a type, rename the argument")
            for name in sorted(argument.names()):
                if name in names:
                    raise ScanError(self.path, argument.line, f"'{argument.name}' clashes with the argument "
                                    f"'{names[name]}' (both give C the name {name}), rename one")
                names[name] = argument.name
            if entry.kind == "post" and argument.is_output:
                raise ScanError(self.path, argument.line, f"'{argument.name}' goes {argument.direction}, but a post "
                                "has no reply: make the entry a call")
        for direction in ("create", "destroy"):
            both = [argument for argument in entry.arguments if argument.direction == direction]
            if len(both) > 1:
                raise ScanError(self.path, both[1].line, f"a second {direction} in one entry, use two entries")

    def lay_out(self, entry):
        entry.request = layout.request(self.protocol, entry)
        entry.reply = layout.reply(self.protocol, entry)
        for what, record in (("request", entry.request), ("reply", entry.reply)):
            if isinstance(record.largest, int) and record.largest > layout.RECORD_MAX:
                raise ScanError(self.path, entry.line, f"the {what} of '{entry.name}' may have {record.largest} bytes, "
                                f"more than the {layout.RECORD_MAX} of a record: lower a max or use a reference")

    def check_export(self, entry, words):
        if not self.protocol.result:
            words.fail("an export line, but no result line above: add 'result TYPE'")
        for argument in entry.arguments:
            if argument.direction in ("create", "destroy") or argument.shape == "reference" or argument.is_handles:
                what = {"reference": "a reference", "array": "an array of handles"}.get(argument.shape,
                                                                                        argument.direction)
                words.fail(f"'{argument.name}' is {what}, which an exported function must treat by hand: "
                           "remove the export line and write the function")


def build(path, statements):
    """The protocol that the @statements of the file @path describe. Raises ScanError."""
    return _Builder(path).build(statements)
