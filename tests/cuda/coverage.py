#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares what the protocol and the guest's library have with what CUDA's headers and stub library declare.

    coverage.py CUDA GENERATED LIBRARY [STUB]

CUDA is a toolkit's folder, GENERATED the scanner's output `symbols`, LIBRARY ours. Prints TAP, and under each
failure what is missing. A function's versions are those of its PFN_ types in cudaTypedefs.h. In the order of
their numbers they are the symbols name, name_v2, name_v3...; the same for each kind of default stream.
"""

import collections
import os
import re
import subprocess
import sys

HEADERS = ("cuda.h", "cudaProfiler.h", "cudaGL.h", "cudaVDPAU.h", "cudaEGL.h")
TYPEDEFS = ("cudaTypedefs.h", "cudaProfilerTypedefs.h", "cudaGLTypedefs.h", "cudaVDPAUTypedefs.h", "cudaEGLTypedefs.h")
OURS = {"gpuvchan_guest_libcuda"}  # by which the host's plugin knows the guest's library
ELSEWHERE = {"cuWGLGetDevice"}  # Windows alone has it
FLAGS = {"0": "", "GPUVCHAN_API_PTDS": "ptds", "GPUVCHAN_API_PTSZ": "ptsz"}


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    names = {line.split()[2].split("@")[0] for line in lines.splitlines()}
    return {name for name in names if not name.startswith("__")}  # a sanitizer's


def declared(include):
    """Names of functions in cuda.h as they are after its macros, without their version."""
    text = subprocess.run([os.environ.get("CC", "cc"), "-E", "-P", f"-I{include}", "-include", "cuda.h", "-xc",
                           "/dev/null"], check=True, capture_output=True, text=True).stdout
    return {re.sub(r"_v\d+$", "", name) for name in re.findall(r"\b(cu[A-Z]\w*)\s*\(", text)}


def versions(include):
    """{(name, flag): sorted versions}"""
    found = collections.defaultdict(set)
    for header in TYPEDEFS:
        path = os.path.join(include, header)
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as text:
                for name, version, flag in re.findall(r"\*\s*PFN_(cu\w+?)_v(\d+)(?:_(pt[sd][zs]))?\)", text.read()):
                    found[name, flag].add(int(version))
    return {key: sorted(value) for key, value in found.items()}


def symbol(name, number, flag):
    return name + (f"_v{number}" if number > 1 else "") + (f"_{flag}" if flag else "")


def split(exported_name):
    """(name, flag), number"""
    name, number, flag = re.match(r"(\w+?)(?:_v(\d+))?(?:_(pt[sd][zs]))?\Z", exported_name).groups()
    return (name, flag or ""), int(number or 1)


def wanted(include, stub):
    """{(name, version, flag): symbol}"""
    numbers = collections.defaultdict(list)
    for exported_name in stub:
        key, number = split(exported_name)
        numbers[key].append(number)
    result, all_versions = {}, versions(include)
    for (name, flag), known in all_versions.items():
        # What the stub lacks, OpenGL's and the like: a variant for a default stream has the newest types.
        have = sorted(numbers.get((name, flag), range(1, len(all_versions.get((name, ""), known)) + 1)))
        for version, number in zip(known, have[len(have) - len(known):]):
            result[name, version, flag] = symbol(name, number, flag)
    return result


def api_lines(generated):
    """{(name, version, flag): symbol} and the symbols that refused entries have."""
    with open(generated, encoding="utf-8") as text:
        rows = re.findall(r"^    X\((\w+), (\d+), (\w+), (\w+)\)", text.read(), re.M)
    return {(name, int(version), FLAGS[flag]): api_symbol for name, version, flag, api_symbol in rows}


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def none(self, name, wrong):
        """Passes if the list @wrong is empty."""
        self.count += 1
        self.failed += bool(wrong)
        print(f"{'not ' if wrong else ''}ok {self.count} - {name}" + (f": {len(wrong)} are not" if wrong else ""))
        for item in sorted(wrong):
            print("#   " + (item if isinstance(item, str) else " ".join(str(part) for part in item if part != "")))


def main(cuda, generated, library, stub_path):
    include = os.path.join(cuda, "include")
    stub, ours, api = exported(stub_path), exported(library), api_lines(generated)
    want = wanted(include, stub)
    names = {name for name, _, _ in api}
    tap = Tap()
    tap.none(f"every function of cuda.h has an entry ({len(declared(include))})", declared(include) - names)
    tap.none(f"every function of the other headers has an entry ({len({name for name, _, _ in want})} in all)",
             {name for name, _, _ in want} - declared(include) - names - ELSEWHERE)
    tap.none(f"every version of a function has its api line ({len(want)})",
             [key + (value,) for key, value in want.items() if api.get(key) != value
              and key[0] in names and key[0] not in ELSEWHERE])
    tap.none("every api line is a version that the headers have",
             [key + (value,) for key, value in api.items() if want.get(key) != value and key not in want])
    tap.none(f"every symbol of the stub library is exported ({len(stub)})", stub - ours)
    tap.none(f"every api line's symbol is exported ({len(set(api.values()))})", set(api.values()) - ours)
    tap.none("nothing else is exported", ours - stub - set(api.values()) - OURS)
    print(f"1..{tap.count}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    home = sys.argv[1]
    stubs = sys.argv[4:] or [os.path.join(home, lib, "stubs/libcuda.so") for lib in ("lib64", "lib")]
    sys.exit(main(*sys.argv[1:4], next(path for path in stubs if os.path.exists(path))))
