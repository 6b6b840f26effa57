# SPDX-License-Identifier: MIT
"""The Khronos registry of GL, gl.xml: commands, their parameters, features and extensions, as Python objects."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Set

# GL's types as C has them without GL's headers, and their names on the wire.
TYPES = {
    "GLenum": ("uint32_t", "u32"), "GLuint": ("uint32_t", "u32"), "GLbitfield": ("uint32_t", "u32"),
    "GLint": ("int32_t", "i32"), "GLsizei": ("int32_t", "i32"), "GLfixed": ("int32_t", "i32"),
    "GLclampx": ("int32_t", "i32"), "GLfloat": ("float", "f32"), "GLclampf": ("float", "f32"),
    "GLdouble": ("double", "f64"), "GLclampd": ("double", "f64"), "GLshort": ("int16_t", "i16"),
    "GLushort": ("uint16_t", "u16"), "GLhalfNV": ("uint16_t", "u16"), "GLbyte": ("int8_t", "i8"),
    "GLubyte": ("uint8_t", "u8"), "GLboolean": ("uint8_t", "u8"), "GLchar": ("char", "i8"),
    "GLcharARB": ("char", "i8"), "GLuint64": ("uint64_t", "u64"), "GLuint64EXT": ("uint64_t", "u64"),
    "GLint64": ("int64_t", "i64"), "GLint64EXT": ("int64_t", "i64"), "GLintptr": ("int64_t", "i64"),
    "GLintptrARB": ("int64_t", "i64"), "GLsizeiptr": ("int64_t", "i64"), "GLsizeiptrARB": ("int64_t", "i64"),
    "GLhandleARB": ("uint32_t", "u32"), "GLvdpauSurfaceNV": ("int64_t", "i64"), "void": ("void", "u8"),
}
BYTES = {"u8": 1, "i8": 1, "u16": 2, "i16": 2, "u32": 4, "i32": 4, "f32": 4, "u64": 8, "i64": 8, "f64": 8}


@dataclass
class Param:
    name: str
    base: str  # GLenum, void, ...; "" if it is no type of GL's
    pointers: int
    const: bool
    len: Optional[str]
    cls: Optional[str]

    @property
    def is_in(self):
        return self.pointers == 0 or self.const

    @property
    def known(self):
        return self.base in TYPES

    @property
    def wire(self):
        return TYPES[self.base][1]

    @property
    def ctype(self):
        """As C has it, for a prototype."""
        base = TYPES[self.base][0] if self.known else "void"
        if self.base.startswith("GLsync"):
            return "void *" if self.pointers == 0 else "void **"
        if not self.known:
            return "void *"
        if self.pointers == 0:
            return base
        if self.pointers == 2:
            return f"const {base} *const *" if self.const else f"{base} **"
        return f"{'const ' if self.const else ''}{base} *"

    @property
    def element(self):
        """The C type of an array's elements, bytes where GL says void."""
        return "uint8_t" if self.base == "void" else TYPES[self.base][0]

    def declare(self):
        return f"{self.ctype}{'' if self.ctype.endswith('*') else ' '}{self.name}"


@dataclass
class Command:
    name: str
    result: str  # base type, void, or a pointer type
    params: List[Param]
    alias: str = ""
    vecequiv: str = ""
    aliases: List[str] = field(default_factory=list)

    @property
    def short(self):
        return self.name[2:]

    @property
    def entry(self):
        """glTexImage2D -> tex_image2d."""
        text = re.sub(r"([a-z0-9])([A-Z][a-z])", r"\1_\2", self.short)
        text = re.sub(r"([a-z])([A-Z])", r"\1_\2", text)
        return text.lower()

    @property
    def result_ctype(self):
        if self.result in TYPES:
            return TYPES[self.result][0]
        return {"const GLubyte *": "const uint8_t *", "GLsync": "void *"}.get(self.result, "void *")

    def param(self, name):
        return next((param for param in self.params if param.name == name), None)


@dataclass
class Extension:
    name: str
    apis: Set[str]
    commands: List[str]


@dataclass
class Registry:
    commands: Dict[str, Command]
    features: Dict[str, Set[str]]  # api -> names
    extensions: List[Extension]
    enums: Dict[str, str]


def _param(node):
    text = "".join(node.itertext())
    ptype = node.find("ptype")
    base = ptype.text if ptype is not None else ("void" if re.match(r"(const )?void\b", text) else "")
    length = node.get("len")
    return Param(_safe(node.find("name").text), base, text.count("*"), "const" in text,
                 length.replace(" ", "") if length else None, node.get("class"))


def _safe(name):
    """Names that C, the scanner, or our own functions use otherwise."""
    taken = ("near far string client lane request wire payload answer answer_bytes back end result table each "
             "context gl status array handle f functions value_of index time remainder access ref exp y1 y0 j0").split()
    return name + "_" if name in taken else name


def _command(node):
    proto = node.find("proto")
    name = proto.find("name").text
    result = "".join(proto.itertext())
    result = result[:result.rindex(name)].strip()
    alias, vector = node.find("alias"), node.find("vecequiv")
    return Command(name, result, [_param(param) for param in node.findall("param")],
                   alias.get("name") if alias is not None else "",
                   vector.get("name") if vector is not None else "")


def read(path):
    root = ElementTree.parse(path).getroot()
    commands = {}
    for node in root.find("commands"):
        command = _command(node)
        commands[command.name] = command
    features = {}
    for node in root.findall("feature"):
        names = features.setdefault(node.get("api"), set())
        names.update(each.get("name") for require in node.findall("require") for each in require.findall("command"))
    extensions = []
    for node in root.find("extensions"):
        names = [each.get("name") for require in node.findall("require") for each in require.findall("command")]
        extensions.append(Extension(node.get("name"), set(node.get("supported").split("|")), names))
    enums = {}
    for group in root.findall("enums"):
        for node in group.findall("enum"):
            if node.get("api") in (None, "gl"):
                enums[node.get("name")] = node.get("value") + (node.get("type") or "")
    return Registry(commands, features, extensions, enums)
