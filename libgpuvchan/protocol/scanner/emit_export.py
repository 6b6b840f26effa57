# SPDX-License-Identifier: MIT
"""C source of the exported functions that need nothing but a stub."""

from emit_common import banner, declarations, guest_parameters, includes, note, wrap


def _parameters(argument):
    if argument.shape == "handle":
        return [(argument.type.ctype, argument.name)]
    return guest_parameters(argument)


def _function(protocol, entry):
    parameters = [parameter for argument in entry.arguments for parameter in _parameters(argument)]
    handles = [argument for argument in entry.arguments if argument.shape == "handle"]
    lines = note(entry) + [f"GPUVCHAN_EXPORT {protocol.result}"]
    lines += wrap(entry.export, declarations(parameters) or ["void"], "") + ["{"]
    for argument in handles:
        lines.append(f"    uint32_t {argument.name}_handle{' = 0' if argument.null_ok else ''};")
    lines += ["    int result;", ""]
    lines.append(f"    {protocol.upper}_ENTER({entry.export});")
    for argument in handles:
        convert = (f"{protocol.upper}_HANDLE({argument.type.name}, {argument.name}, &{argument.name}_handle);")
        if argument.null_ok:
            lines += [f"    if ({argument.name} != NULL) {{", f"        {convert}", "    }"]
        else:
            lines.append(f"    {convert}")
    names = [f"{name}_handle" if any(name == argument.name for argument in handles) else name
             for _, name in parameters]
    lines += wrap(f"    result = {protocol.name}_{entry.name}", ["client"] + names, ";")
    return lines + [f"    return {protocol.upper}_RESULT({entry.export}, result);", "}", ""]


def source(protocol):
    lines = [banner(protocol), f'#include "{protocol.name}-guest.h"'] + includes(protocol.export_includes)
    if not protocol.export_includes:
        lines.append("")
    for entry in protocol.records:
        if entry.export:
            lines += _function(protocol, entry)
    return "\n".join(lines)
