# SPDX-License-Identifier: MIT
"""How each command is served: from what the registry says of it and the overlay adds."""

import re
from dataclasses import dataclass, field
from typing import Dict, List

import glxml

SPACES = {"texture": "TEXTURE", "buffer": "BUFFER", "renderbuffer": "RENDERBUFFER", "program": "PROGRAM",
          "shader": "PROGRAM", "sampler": "SAMPLER", "framebuffer": "FRAMEBUFFER", "vertex array": "VERTEX_ARRAY",
          "query": "QUERY", "program pipeline": "PIPELINE", "transform feedback": "FEEDBACK",
          "program arb": "PROGRAM_ARB"}

NAMES_MAX = 4096      # of a record that makes or deletes objects
OUT_MAX = 1024        # numbers that come back
TEXT_MAX = 8192       # characters that come back
IN_BYTES_MAX = 60000  # of a record's arrays, together
PIXEL_MAX = 32        # bytes of a pixel
VALUES_MAX = 16       # numbers of a vector whose length a pname says
CLAMPED = ("bufSize", "maxLength", "maxCount", "count", "maxlength")


class OverlayError(Exception):
    pass


@dataclass
class Length:
    """
    How much there is behind a pointer. Arrays: fixed, param (times or through a number), values (a pname says), string,
    pixel (one, of a format). Memory of the arena: memory (as many bytes as a parameter says), and what can be an offset
    into a buffer, too: image (as the pixel store lays it out), stored (as many bytes as a parameter says), level (a
    texture's), compressed (the same, as it is stored). And offset: into the buffer that is bound for that.
    """
    kind: str
    param: str = ""
    times: int = 1
    over: int = 1
    of: tuple = ()  # C expressions, of image and level

    @property
    def in_arena(self):
        return self.kind == "memory" or self.in_buffer

    @property
    def in_buffer(self):
        """A buffer can be bound in whose place it is."""
        return self.kind in ("image", "stored", "level", "compressed")


UNKNOWN = Length("unknown")


@dataclass
class Overlay:
    classes: Dict[str, set] = field(default_factory=dict)  # command -> hand, guest, host, todo
    reasons: Dict[str, str] = field(default_factory=dict)
    lengths: Dict[tuple, str] = field(default_factory=dict)
    spaces: Dict[tuple, str] = field(default_factory=dict)
    binds: set = field(default_factory=set)
    arrays: set = field(default_factory=set)
    draws: set = field(default_factory=set)
    transfers: set = field(default_factory=set)
    names: set = field(default_factory=set)
    aliases: Dict[str, str] = field(default_factory=dict)
    extensions: set = field(default_factory=set)
    never: set = field(default_factory=set)


def read_overlay(path):
    """Lines as overlay.txt describes them."""
    overlay = Overlay()
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            try:
                _overlay_line(overlay, words)
            except (IndexError, KeyError, ValueError) as error:
                raise OverlayError(f"{path}:{number}: cannot be understood: {line.strip()}") from error
    return overlay


def _overlay_line(overlay, words):
    word, rest = words[0], words[1:]
    if word in ("hand", "guest", "host", "todo"):
        for name in rest:
            overlay.classes.setdefault(name, set()).add(word)
    elif word == "len":
        overlay.lengths[rest[0], rest[1]] = rest[2]
    elif word == "space":
        overlay.spaces[rest[0], rest[1]] = " ".join(rest[2:])
    elif word in ("bind", "arrays", "draw", "transfer", "names"):
        {"bind": overlay.binds, "arrays": overlay.arrays, "draw": overlay.draws, "transfer": overlay.transfers,
         "names": overlay.names}[word].update(rest)
    elif word == "same":
        overlay.aliases[rest[0]] = rest[1]
    elif word == "extension":
        overlay.extensions.update(rest)
    elif word == "never":
        overlay.never.update(rest)
    else:
        raise ValueError(word)


@dataclass
class Array:
    """A parameter that is an array."""
    param: glxml.Param
    length: Length
    maximum: int = 0

    @property
    def name(self):
        return self.param.name


@dataclass
class Plan:
    command: glxml.Command
    kind: str = ""  # post, call, gen, delete, vector, hand, todo
    guest_by_hand: bool = False
    host_by_hand: bool = False
    why: str = ""  # it is todo
    arrays: Dict[str, Array] = field(default_factory=dict)
    spaces: Dict[str, str] = field(default_factory=dict)  # parameter -> name space
    scalar: "Plan" = None  # of a vector: the command that takes its elements one by one
    bind: bool = False
    touches_arrays: bool = False
    draws: bool = False
    transfers: bool = False
    gives_names: bool = False

    @property
    def has_record(self):
        return self.kind in ("post", "call", "gen", "delete")

    @property
    def null_ok(self):
        """May its memory be NULL? Then there is an image or a buffer without contents."""
        return bool(re.match(r"gl(Compressed)?(Tex|Named|Buffer|Bitmap)(?!.*Sub)", self.command.name))

    @property
    def memory(self):
        """The array that goes through the arena, or None."""
        return next((array for array in self.arrays.values() if array.length.in_arena), None)

    @property
    def downloads(self):
        return self.memory is not None and not self.memory.param.is_in

    @property
    def done(self):
        return self.kind != "todo"

    @property
    def returns(self):
        return self.command.result != "void"


class Planner:
    def __init__(self, registry, overlay):
        self.registry, self.overlay = registry, overlay
        self.plans: Dict[str, Plan] = {}
        self.all_names: Dict[str, str] = {}  # every name -> the command that serves it
        self._choose()

    # ---- Which commands there are

    def _root(self, name):
        """What the command is another name of."""
        seen = set()
        while name not in seen:
            seen.add(name)
            target = self.overlay.aliases.get(name) or self.registry.commands[name].alias
            if not target or target not in self.registry.commands:
                return name
            name = target
        return name

    def _choose(self):
        wanted = set()
        for api in ("gl", "gles1", "gles2"):
            wanted |= self.registry.features.get(api, set())
        for extension in self.registry.extensions:
            if extension.name in self.overlay.extensions:
                wanted |= set(extension.commands)
        roots = {self._root(name) for name in wanted}
        for name in self.registry.commands:
            root = self._root(name)
            if root in roots:
                self.all_names[name] = root
        for name in self.overlay.classes:
            if name not in self.registry.commands:
                raise OverlayError(f"{name} is no command of the registry")
        for root in sorted(roots):
            self.plans[root] = self._plan(self.registry.commands[root])
        for name, root in self.all_names.items():
            if name != root:
                self.plans[root].command.aliases.append(name)
        self._vectors()

    # ---- Lengths

    def _length(self, command, param):
        text = self.overlay.lengths.get((command.name, param.name), param.len)
        if text is None or text.startswith("COMPSIZE"):
            if param.base in ("GLchar", "GLcharARB") and param.is_in:
                return Length("string")
            if not param.is_in and param.base != "void":
                return Length("values")
            match = re.match(r"COMPSIZE\((pname|buffer|id)\)\Z", text or "")
            return Length("values", match.group(1)) if match and command.param(match.group(1)) else UNKNOWN
        if text == "0":
            return UNKNOWN
        if text.isdigit():
            return Length("fixed", times=int(text))
        match = re.match(r"(values|memory|stored)\((\w+)\)\Z", text)
        if match:
            return Length(match.group(1), match.group(2))
        match = re.match(r"(image[123]|level|compressed|pixel)\(([\w,]+)\)\Z", text)
        if match:
            kind, of = match.group(1), tuple(match.group(2).split(","))
            return Length("image", of=(kind[-1], *of, "1", "1")[:6]) if kind.startswith("image") else Length(kind, of=of)
        match = re.match(r"offset\((array|element|indirect|parameter)\)\Z", text)
        if match:
            return Length("offset", match.group(1))
        match = re.match(r"(\w+)(?:\*(\d+)|/(\d+))?\Z", text)
        if match and command.param(match.group(1)):
            if param.base == "void" and match.group(1) == text:
                return Length("memory" if param.is_in else "stored", text)
            return Length("param", match.group(1), int(match.group(2) or 1), int(match.group(3) or 1))
        return UNKNOWN

    def _maximum(self, param, length, in_arrays):
        size = glxml.BYTES[param.wire]
        if length.kind == "pixel":
            return PIXEL_MAX
        if param.is_in:
            if length.kind == "values":
                return VALUES_MAX
            if length.kind == "fixed":
                return length.times
            if length.kind == "string":
                return IN_BYTES_MAX // in_arrays
            return IN_BYTES_MAX // in_arrays // size
        if length.kind == "fixed":
            return length.times
        return TEXT_MAX if size == 1 and length.kind == "param" else OUT_MAX

    # ---- A command

    def _plan(self, command):
        overlay = self.overlay
        plan = Plan(command, bind=command.name in overlay.binds, touches_arrays=command.name in overlay.arrays,
                    draws=command.name in overlay.draws, transfers=command.name in overlay.transfers,
                    gives_names=command.name in overlay.names)
        words = overlay.classes.get(command.name, ())
        for word in ("hand", "todo"):
            if word in words:
                plan.kind = word
                return plan
        plan.guest_by_hand, plan.host_by_hand = "guest" in words, "host" in words
        for param in command.params:
            cls = overlay.spaces.get((command.name, param.name), param.cls)
            if cls in SPACES:
                plan.spaces[param.name] = SPACES[cls]
        self._classify(plan)
        return plan

    def _classify(self, plan):
        command = plan.command
        pointers = [param for param in command.params if param.pointers]
        if command.result not in glxml.TYPES or any(not param.known or param.pointers > 1 for param in command.params):
            plan.kind, plan.why = "todo", "pointers or types that a record cannot have"
            return
        in_arrays = sum(param.is_in for param in pointers) or 1
        for param in pointers:
            length = self._length(command, param)
            if length.kind == "unknown":
                plan.kind, plan.why = "todo", f"the length of {param.name} is not known"
                return
            plan.arrays[param.name] = Array(param, length, self._maximum(param, length, in_arrays))
        outs = [array for array in plan.arrays.values() if not array.param.is_in]
        last = command.params[-1] if command.params else None
        if re.match(r"gl(Gen|Create)[A-Z]", command.name) and len(outs) == 1 and last.name in plan.spaces:
            plan.kind = "gen"
        elif command.name.startswith("glDelete") and last.pointers == 1 and last.name in plan.spaces:
            plan.kind = "delete"
        else:
            plan.kind = "call" if plan.returns or any(array.length.kind != "offset" for array in outs) else "post"

    def _vectors(self):
        """glVertex3fv(v) is glVertex3f(v[0], v[1], v[2])."""
        for plan in list(self.plans.values()):
            vector = self.plans.get(self.all_names.get(plan.command.vecequiv, ""))
            if plan.kind != "post" or vector is None or vector.kind != "post" or vector.guest_by_hand:
                continue
            arrays = list(vector.arrays.values())
            ahead = len(vector.command.params) - 1
            spread = plan.command.params[ahead:]
            same = [param.base for param in plan.command.params[:ahead]] == \
                   [param.base for param in vector.command.params[:-1]]
            if (len(arrays) == 1 and arrays[0].length.kind == "fixed" and arrays[0].length.times == len(spread) and same
                    and all(param.base == arrays[0].param.base for param in spread) and not plan.guest_by_hand):
                vector.kind, vector.scalar = "vector", plan

    # ---- Extensions

    def supported_extensions(self):
        """Those whose commands are all there; some need nothing but the driver's word."""
        names = []
        for extension in self.registry.extensions:
            if extension.name in self.overlay.never:
                continue
            roots = [self.all_names.get(name) for name in extension.commands]
            if all(root is not None and self.plans[root].done for root in roots):
                names.append(extension)
        return names


