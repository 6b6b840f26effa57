# SPDX-License-Identifier: MIT
"""The command line: reads one protocol file, writes one output."""

import argparse
import os
import sys
import tempfile

import emit_export
import emit_guest
import emit_host
import emit_table
import model
import syntax

VERSION = "0.1.0"  # the library's; the tests compare it with gpuvchan.h

OUTPUTS = {
    "guest": (emit_guest.header, "NAME-guest.h: opcodes, wire structs, a stub per call and post"),
    "host-header": (emit_host.header, "NAME-host.h: what the plugin implements, and its dispatch table"),
    "host": (emit_host.source, "NAME-host.c: the checks of every record, and the dispatch table"),
    "symbols": (emit_table.symbols, "an X-macro list of the api lines"),
    "exports": (emit_export.source, "C source of the functions that export lines name"),
    "coverage": (emit_table.coverage, "a Markdown table of the functions and how each is served"),
}


def usage():
    parser = argparse.ArgumentParser(
        prog="gpuvchan-scanner",
        description="Turns a protocol file into guest stubs, host dispatch and tables.",
        epilog="outputs:\n" + "".join(f"  {name:<12} {text}\n" for name, (_, text) in OUTPUTS.items())
        + "\nThe language is described in gpuvchan-protocol(5).",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", choices=list(OUTPUTS), metavar="OUTPUT", help="what to write, see below")
    parser.add_argument("file", metavar="FILE.gpv", help="the protocol file")
    parser.add_argument("-o", dest="out", metavar="OUT", required=True, help="where to write it; - is stdout")
    parser.add_argument("--version", action="version", version=f"gpuvchan-scanner {VERSION}")
    return parser


def write_whole(path, text):
    """Writes @path in one step, so that a build that is interrupted never sees half of it."""
    folder = os.path.dirname(path) or "."
    if os.path.exists(path) and not os.path.isfile(path):  # /dev/null and the like
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return
    number, temporary = tempfile.mkstemp(prefix=".gpuvchan-scanner-", dir=folder)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as out:
            out.write(text)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def main(arguments):
    """Returns the exit status: 0, 1 for a file that is wrong or cannot be read or written; argparse exits with 2."""
    options = usage().parse_args(arguments)
    try:
        protocol = model.build(options.file, syntax.read_statements(options.file))
        output = OUTPUTS[options.output][0](protocol)
        if options.out == "-":
            sys.stdout.write(output)
        else:
            write_whole(options.out, output)
    except syntax.ScanError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"gpuvchan-scanner: {error.filename or options.file}: {error.strerror}", file=sys.stderr)
        return 1
    return 0
