#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What needs a real NVIDIA GPU: the CUDA examples and tests, native and forwarded, and the CUDA benchmark with
# native and forwarded runs alternating. Uses the build in BUILD (default: build), which it makes if there is
# none. Results go to OUT (default: a new folder).
#
#     tests/gpu.sh [quick|full]

set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
OUT=${OUT:-$(mktemp -d)}
mode=${1:-full}
failed=0

heading() {
    printf '\n== %s\n' "$*"
}

# NAME COMMAND...: says whether it succeeded, and goes on.
check() {
    name=$1
    shift
    if timeout 120 "$@" >"$OUT/step.log" 2>&1; then
        echo "ok - $name"
    else
        echo "not ok - $name (exit status $?)"
        tail -n 15 "$OUT/step.log" | sed 's/^/    /'
        failed=$((failed + 1))
    fi
    cat "$OUT/step.log" >>"$OUT/gpu.log"
}

forwarded() {
    "$BUILD/bin/gpuvchan-host" --plugins cuda --run "$BUILD/bin/gpuvchan-run $*"
}
export -f forwarded
export BUILD

[ -x "$BUILD/bin/gpuvchan-host" ] || make -j"$(nproc)" BUILD="$BUILD" all || exit 1
if ! nvidia-smi -L; then
    echo "no NVIDIA GPU here: nothing to do"
    exit 1
fi

heading "the plugin"
"$BUILD/bin/gpuvchan-host" --dump-plugin cuda

heading "examples"
for program in vectoradd matmul; do
    check "$program, native" "$BUILD/bin/$program"
    check "$program, forwarded" bash -c "forwarded $BUILD/bin/$program"
done

# The driver that programs find by themselves here, for the native half.
driver=$("$BUILD/bin/gpuvchan-host" --dump-plugin cuda | sed -n 's/^driver=//p')

heading "kernels of every sort"
cc -std=gnu11 -D_GNU_SOURCE -O2 -Ilibgpuvchan/protocol/cuda tests/ptx/run.c -o "$OUT/ptx" -L"$BUILD/lib/gpuvchan/sim" \
    -l:libcuda.so.1 -lm -lpthread || exit 1
check "ptx, native" "$OUT/ptx" tests/ptx
# The driver's allocations: in a lent chunk the use of freed memory need not fault.
check "ptx, forwarded" bash -c "GPUVCHAN_CUDA_ALLOC=driver forwarded $OUT/ptx tests/ptx"
rm -f "$OUT/ptx"

heading "tests"
CUDA_NATIVE=$driver GPUVCHAN_BUILD=$BUILD sh tests/test-cuda.sh >"$OUT/cuda.tap" 2>&1 || failed=$((failed + 1))
grep -v '^ok' "$OUT/cuda.tap" | head -n 60
echo "$(grep -c '^ok' "$OUT/cuda.tap") passed, $(grep -c '^not ok' "$OUT/cuda.tap") failed"

heading "NVML"
# Every answer's status must be the native one; values that differ are shown, for some change all the time.
"$BUILD/bin/gpuvchan-host" --dump-plugin nvml | sed -n '/^driver=/,$p'
cc -std=gnu11 -D_GNU_SOURCE -O1 -Ilibgpuvchan/protocol/nvml tests/nvml/report.c -o "$OUT/report" \
    -L"$BUILD/lib/gpuvchan/guest" -l:libnvidia-ml.so.1 -Wl,--unresolved-symbols=ignore-in-shared-libs || exit 1
"$OUT/report" >"$OUT/nvml.native"
"$BUILD/bin/gpuvchan-host" --plugins nvml --run "$BUILD/bin/gpuvchan-run $OUT/report" >"$OUT/nvml.forwarded"
statuses() {
    sed 's/ ok .*/ ok/' "$1"
}
check "NVML: the same functions answer, $(wc -l <"$OUT/nvml.native") answers" \
    diff <(statuses "$OUT/nvml.native") <(statuses "$OUT/nvml.forwarded")
diff "$OUT/nvml.native" "$OUT/nvml.forwarded" | grep '^[<>]' | head -n 40
"$BUILD/bin/gpuvchan-host" --plugins nvml --run "$BUILD/bin/gpuvchan-run nvidia-smi" 2>&1 | head -n 30
rm -f "$OUT/report"

heading "benchmark"
if [ "$mode" = quick ]; then
    "$BUILD/bin/gpuvchan-bench" cuda --quick --native-too --json "$OUT/cuda.json" 2>"$OUT/bench.log" || failed=$((failed + 1))
else
    "$BUILD/bin/gpuvchan-bench" cuda --native-too --json "$OUT/cuda.json" --plot "$OUT/cuda.svg" 2>"$OUT/bench.log" ||
        failed=$((failed + 1))
fi
grep -v '^\[' "$OUT/bench.log" | tail -n 20

echo
echo "$failed failed; logs and results are in $OUT"
[ "$failed" -eq 0 ]
