#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""registry.py GL.XML OVERLAY FOLDER: writes all that is made of the registry of GL."""

import os
import sys

import emit_coverage
import emit_entries
import emit_handlers
import emit_records
import glxml
import plan


def outputs(planner):
    plans = [planner.plans[name] for name in sorted(planner.plans)]
    return {
        "gl-commands.gpv": emit_records.text(plans),
        "gl-entries.h": emit_entries.header(plans),
        "gl-entries.c": emit_entries.source(plans),
        "gl-lookup.h": emit_entries.lookup(planner),
        "gl-extensions.h": emit_entries.extensions(planner),
        "gl-enums.h": emit_entries.enums(planner.registry),
        "gl-functions.h": emit_handlers.functions_header(plans),
        "gl-function-names.h": emit_handlers.functions_source(plans),
        "gl-handlers.c": emit_handlers.source(plans),
        "gl-coverage.md": emit_coverage.text(planner),
    }


def main(arguments):
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    registry, overlay, folder = arguments
    try:
        planner = plan.Planner(glxml.read(registry), plan.read_overlay(overlay))
    except (plan.OverlayError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    os.makedirs(folder, exist_ok=True)
    for name, text in outputs(planner).items():
        temporary = os.path.join(folder, f".{name}.new")
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, os.path.join(folder, name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
