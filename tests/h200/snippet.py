# SPDX-License-Identifier: MIT
"""What the snippets share: lines that are compared between native and forwarded, and the exit status."""

import ctypes
import os
import sys
import time

_wrong = []


def result(name, *values):
    """A line that must be the same natively and forwarded. Floats lose the digits that order of summation changes."""
    print("result:", name, *(f"{value:.4g}" if isinstance(value, float) else value for value in values), flush=True)


def check(name, right, detail=""):
    print(f"{'ok' if right else 'not ok'} - {name}{'' if right else f' ({detail})'}", flush=True)
    if not right:
        _wrong.append(name)


def timed(name, function, repeat, wait):
    """Prints the best time of several of @function, each ended by @wait, in milliseconds."""
    best = float("inf")
    for _ in range(repeat):
        wait()
        begin = time.perf_counter()
        function()
        wait()
        best = min(best, time.perf_counter() - begin)
    print(f"time: {name} {best * 1000:.4f} ms", flush=True)


def steady(name, function, count, wait):
    """With GPUVCHAN_STATS: what @count of @function, which waits for nothing, send to the host behind the first ones."""
    if os.environ.get("GPUVCHAN_STATS") != "1":
        return
    print_stats = ctypes.CDLL("libgpuvchan.so.0", os.RTLD_NOW | os.RTLD_NOLOAD).gpuvchan_stats_print
    for _ in range(3):
        function()
    wait()
    print_stats()
    for _ in range(count):
        function()
    print(f"steady: {name}, {count}", flush=True)
    print_stats()
    wait()


def libraries():
    """The libcuda.so.1 that this process has."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return sorted({line.split()[-1] for line in maps if "/libcuda.so" in line})


def end():
    """Leaves; fails if something was wrong, or if the library is not the one that was to be tested."""
    found = libraries()
    forwarded = os.environ.get("SNIPPET_EXPECTS") == "forwarded"
    check("one libcuda.so.1", len(found) == 1, " ".join(found))
    check("it is " + ("gpuvchan's" if forwarded else "the driver's"),
          all(("/gpuvchan/guest/" in path) == forwarded for path in found), " ".join(found))
    print(f"{len(_wrong)} wrong", flush=True)
    sys.exit(1 if _wrong else 0)
