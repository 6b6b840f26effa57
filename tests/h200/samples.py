#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""NVIDIA's cuda-samples, natively and forwarded.

    samples.py list FOLDER               which samples run headless and say whether they passed, and why the others do not
    samples.py pack FOLDER OUT.tar.xz    those alone, with what they need, to be taken to another machine
    samples.py build FOLDER WORK         built for one architecture, in WORK
    samples.py run WORK OUT.json         each natively, and forwarded if that passed

FOLDER is a checkout of the samples or a packed archive of them. ARCH (90) and JOBS (all processors) are taken
from the environment; BUDGET, in seconds, bounds building and running. Which samples are taken is decided by their sources.
"""

import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time

from forward import forwarded, outcome, run_limited

ARCH = os.environ.get("ARCH", "90")
JOBS = int(os.environ.get("JOBS", os.cpu_count() or 1))
SOURCES = (".cu", ".cuh", ".cpp", ".c", ".h", ".hpp", ".inl")
# What a sample needs besides the toolkit. A window or another API's objects: not headless.
PACKAGES = re.compile(r"find_package\(\s*(OpenGL|GLUT|EGL|X11|NVSCI|Vulkan|FreeImage|MPI|LLVM|GLFW)", re.I)
HEADERS = re.compile(r"#\s*include\s*[<\"](GL/|helper_gl\.h|GLFW|EGL/|vulkan/|d3d|FreeImage\.h|mpi\.h|nvsci)", re.I)
# Its exit status or a line says whether what it has computed is right, or at least that no call has failed.
CHECKS = re.compile(r"checkCudaErrors|EXIT_FAILURE|exit\s*\(\s*-?1\s*\)|return\s+-?1\s*;|\bassert\s*\(|sdkCompare|compareL2fe|"
                    r"[Tt]est\s+(passed|PASSED)|Result\s*=\s*PASS", re.S)
# Its output says so though the status is 0.
FAILED = re.compile(r"Result = FAIL|Test FAILED|TEST FAILED|Test failed|\bFAILED\s*$|!!!! .* (error|failed)", re.M)
WAIVED = 2
RUN_SECONDS = 40


def read(path):
    with open(path, encoding="utf-8", errors="replace") as text:
        return text.read()


def unpacked(folder, work):
    """The samples' folder, taken out of an archive if it is one."""
    if os.path.isdir(folder):
        return folder
    target = os.path.join(work, "source")
    with tarfile.open(folder) as archive:
        archive.extractall(target, filter="data")
    return target


def samples(folder):
    """{name: (path from the folder, None or why it is left out)}"""
    found = {}
    arguments = json.loads(read(os.path.join(folder, "test_args.json")))
    for root, folders, files in os.walk(os.path.join(folder, "Samples")):
        folders.sort()
        if "CMakeLists.txt" not in files:
            continue
        cmake = read(os.path.join(root, "CMakeLists.txt"))
        if "project(" not in cmake or "add_executable(" not in cmake:
            continue
        name = os.path.basename(root)
        found[name] = (os.path.relpath(root, folder), left_out(root, cmake, arguments.get(name, {})))
    return found


def left_out(root, cmake, arguments):
    package = PACKAGES.search(cmake)
    text = "\n".join(read(os.path.join(path, file)) for path, _, files in os.walk(root) for file in files
                     if file.endswith(SOURCES))
    header = HEADERS.search(text)
    if "8_Platform_Specific" in root:
        return "another platform's"
    if arguments.get("skip"):
        return "skipped by the samples' own list"
    if arguments.get("min_gpus", 1) > 1:
        return "needs several GPUs"
    if package or header:
        return "needs " + (package or header).group(1).rstrip("/")
    if not CHECKS.search(text):
        return "does not check itself"
    return None


def taken(folder):
    return {name: path for name, (path, why) in sorted(samples(folder).items()) if why is None}


# ---- Commands --------------------------------------------------------------------------------------


def show(folder):
    found = samples(folder)
    for name, (path, why) in sorted(found.items(), key=lambda item: item[1][0]):
        print(f"{path}: {why or 'taken'}")
    print(f"{sum(why is None for _, why in found.values())} of {len(found)}")


def pack(folder, out):
    """Without documents and pictures of them, which are most of the bytes."""
    def wanted(entry):
        parts = entry.name.split("/")
        return None if "doc" in parts or entry.name.endswith((".pdf", ".docx", ".doc")) else entry

    with tarfile.open(out, "w:xz", preset=6) as archive:
        for path in ["Common", "cmake", "test_args.json", *taken(folder).values()]:
            archive.add(os.path.join(folder, path), path, filter=wanted)
    print(f"{out}: {os.path.getsize(out) >> 20} MiB")


def build_one(source, path, work, deadline):
    """True, or the reason why it has not been built."""
    name = os.path.basename(path)
    target = os.path.join(work, "build", name)
    log = os.path.join(work, "log", f"build-{name}.log")
    steps = (["cmake", "-S", os.path.join(source, path), "-B", target, "-DCMAKE_BUILD_TYPE=Release", "-Wno-dev",
              *(["-G", "Ninja"] if shutil.which("ninja") else [])],
             ["cmake", "--build", target, "--parallel", "2"])
    for step in steps:
        left = deadline - time.monotonic()
        status = run_limited(step, min(left, 150), log) if left > 1 else 124
        if status != 0:
            return "no time" if status == 124 else "not built"
    return True


def build(folder, work):
    deadline = time.monotonic() + float(os.environ.get("BUDGET", 180))
    os.makedirs(os.path.join(work, "log"), exist_ok=True)
    given = unpacked(folder, work)
    source = os.path.join(work, "tree")
    shutil.copytree(given, source, dirs_exist_ok=True)
    chosen = taken(source)
    for path in chosen.values():
        lists = os.path.join(source, path, "CMakeLists.txt")
        with open(lists, "r+", encoding="utf-8") as text:
            changed = re.sub(r"set\(CMAKE_CUDA_ARCHITECTURES [^)]*\)", f"set(CMAKE_CUDA_ARCHITECTURES {ARCH})", text.read())
            text.seek(0)
            text.truncate()
            text.write(changed)
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        results = dict(zip(chosen, pool.map(lambda path: build_one(source, path, work, deadline), chosen.values())))
    with open(os.path.join(work, "built.json"), "w", encoding="utf-8") as out:
        json.dump({"paths": chosen, "built": results}, out, indent=1)
    print(f"{sum(result is True for result in results.values())} of {len(results)} built")
    for name, result in results.items():
        if result is not True:
            print(f"  {name}: {result}")


def program(work, name):
    """Executables lie where the sample's folder is mirrored in the build folder."""
    for root, _, files in os.walk(os.path.join(work, "build", name)):
        if name in files and "CMakeFiles" not in root and os.access(os.path.join(root, name), os.X_OK):
            return os.path.join(root, name)
    return None


def passed(status, log):
    if status == WAIVED:
        return "waived"
    result = outcome(status)
    return "failed" if result == "passed" and FAILED.search(read(log)) else result


def run_one(work, name, path, runs):
    """[native, forwarded], each passed, failed, waived, timeout or missing; and seconds."""
    found = program(work, name)
    if not found:
        return {"native": "missing"}
    # Samples look for their data from where they are: beside the program, in ./data and the like.
    cwd = os.path.dirname(found)
    for entry in os.listdir(os.path.join(work, "tree", path)):
        origin = os.path.join(work, "tree", path, entry)
        if not entry.endswith(SOURCES + (".txt", ".md")) and not os.path.lexists(os.path.join(cwd, entry)):
            os.symlink(os.path.abspath(origin), os.path.join(cwd, entry))
    result = {}
    for how in ("native", "forwarded"):
        begin, worst = time.monotonic(), "passed"
        for number, arguments in enumerate(runs):
            log = os.path.join(work, "log", f"{how}-{name}-{number}.log")
            command = [found, *arguments]
            status = (run_limited(command, RUN_SECONDS, log, cwd=cwd) if how == "native" else
                      forwarded(command, RUN_SECONDS, log, cwd=cwd))
            verdict = passed(status, log)
            worst = verdict if worst == "passed" else worst
        result[how] = worst
        result[how + "_seconds"] = round(time.monotonic() - begin, 2)
        if worst != "passed":
            break
    return result


def run(work, out):
    deadline = time.monotonic() + float(os.environ.get("BUDGET", 180))
    built = json.loads(read(os.path.join(work, "built.json")))
    arguments = json.loads(read(os.path.join(work, "tree", "test_args.json")))

    def one(name):
        given = arguments.get(name, {})
        runs = [each.get("args", []) for each in given.get("runs", [])] or [given.get("args", [])]
        if time.monotonic() > deadline:
            return {"native": "no time"}
        return run_one(work, name, built["paths"][name], runs)

    names = [name for name, result in built["built"].items() if result is True]
    # Several at a time share one GPU, which most of them leave idle most of the time.
    with concurrent.futures.ThreadPoolExecutor(max(1, min(6, JOBS // 2))) as pool:
        results = dict(zip(names, pool.map(one, names)))
    native = [name for name in names if results[name]["native"] == "passed"]
    both = [name for name in native if results[name].get("forwarded") == "passed"]
    summary = {"taken": len(built["paths"]), "built": len(names), "native": len(native), "forwarded": len(both),
               "differences": {name: results[name].get("forwarded") for name in native if name not in both},
               "native_not": {name: results[name]["native"] for name in names if name not in native},
               "not_built": {name: why for name, why in built["built"].items() if why is not True}, "samples": results}
    with open(out, "w", encoding="utf-8") as file:
        json.dump(summary, file, indent=1)
    for name, how in summary["differences"].items():
        print(f"  {name}: native passed, forwarded {how}")
    for name, how in summary["native_not"].items():
        print(f"  {name}: native {how}")
    print(f"result: of {summary['taken']} samples {len(names)} built, native {len(native)}, forwarded {len(both)}")
    return 0 if native and both == native else 1


COMMANDS = {"list": show, "pack": pack, "build": build, "run": run}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    sys.exit(COMMANDS[sys.argv[1]](*sys.argv[2:]))
