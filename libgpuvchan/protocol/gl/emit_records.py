# SPDX-License-Identifier: MIT
"""gl-commands.gpv: an entry for each command that crosses to the host."""

from glxml import TYPES
from plan import NAMES_MAX

FIRST_OPCODE = 256  # below are the entries that are written by hand


def _arguments(plan, offset):
    for param in plan.command.params:
        array = plan.arrays.get(param.name)
        if array is None:
            yield f"in {param.wire} {param.name}"
        elif array.length.kind == "offset":
            yield f"in u64 {param.name}"
        elif array.length.in_arena:
            if offset:
                yield f"in u64 {param.name}"
            elif plan.downloads:
                yield f"out reference {param.name}"
            else:
                yield from ("in u32 upload_source", "in u64 upload_offset", f"in reference {param.name} null ok")
        elif plan.kind in ("gen", "delete"):
            yield f"in array u32 {param.name} max {NAMES_MAX}"
        elif array.length.kind == "string":
            yield f"in string {param.name} max {array.maximum}"
        else:
            wire = "u8" if param.base == "void" else param.wire
            yield f"{'in' if param.is_in else 'out'} array {wire} {param.name} max {array.maximum}"
    if plan.returns:
        yield f"out {TYPES[plan.command.result][1]} value"


def entries(plans):
    """(plan, name of the entry, whether memory is an offset into a buffer), in the order of opcodes."""
    for plan in plans:
        if plan.has_record:
            yield plan, plan.command.entry, False
            if plan.downloads and plan.memory.length.in_buffer:
                yield plan, f"{plan.command.entry}_offset", True


def text(plans):
    lines = ["# generated from Khronos's registry and overlay.txt; do not edit", ""]
    for number, (plan, name, offset) in enumerate(entries(plans)):
        kind = "call" if plan.kind == "call" and not offset else "post"
        lines.append(f"{kind} {name}")
        if number == 0:
            lines.append(f"    opcode {FIRST_OPCODE}")
        lines += [f"    {line}" for line in _arguments(plan, offset)] + [""]
    return "\n".join(lines)
