#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A program of the CUDA runtime, built by nvcc with the runtime inside and beside it, PTX compressed and not:
# forwarded to a host, and with CUDA_NATIVE=FILE natively on that libcuda.so.1 too, where it must say the same.
# CUDA_HOME chooses the toolkit.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
guest=$build/lib/gpuvchan/guest
limit=${TEST_SECONDS:-90}
toolkit=${CUDA_HOME:-/usr/local/cuda}
nvcc=$toolkit/bin/nvcc

for file in "$host" "$guest/libcuda.so.1" "$build/lib/gpuvchan/plugins/cuda.so"; do
    [ -e "$file" ] || skip_all "$file is not built"
done
unset GPUVCHAN_ADDRESS GPUVCHAN_SYNC GPUVCHAN_LOG CUDA_VISIBLE_DEVICES
[ -x "$nvcc" ] || nvcc=$(command -v nvcc) || skip_all "there is no nvcc"
toolkit=$(dirname "$(dirname "$(readlink -f "$nvcc")")")

# compile NAME OPTION OR SOURCE...
compile() {
    compile_name=$1
    shift
    "$nvcc" -gencode arch=compute_75,code=compute_75 -std=c++17 -o "$work/$compile_name" "$@" >"$work/log" 2>&1 ||
        { cat "$work/log" >&2; return 1; }
}

build_as() {
    compile "$@" "$top/tests/cuda/runtime.cu"
}

forwarded() {
    forwarded_name=$1
    shift
    timeout -k 2 "$limit" "$host" -c /dev/null --address="$work/$forwarded_name.sock" --log=stderr --log-level=warning \
        --run "env LD_LIBRARY_PATH=$guest:$toolkit/lib64 $* $work/$forwarded_name" >"$work/out" 2>"$work/err" </dev/null
}

results() {
    grep -v '^#' "$work/out"
}

explain() {
    grep -A1 '^not ok' "$work/out" | sed 's/^/# /'
    tail -n 5 "$work/err" | sed 's/^/# /'
}

check() {
    if "$@"; then pass "$*"; else fail "$*"; explain; fi
}

[ -z "${SANITIZE:-}" ] || skip_all "programs that nvcc builds have no sanitizer"

build_as static -cudart static || bail "runtime.cu does not compile"

if [ "$(cat "$build/cudart-compat" 2>/dev/null)" != yes ]; then
    forwarded static && fail "without the tables no program of the runtime runs"
    is "without the tables one line says what is missing" "$(grep -c 'CUDART_COMPAT=1' "$work/err")" 1
    done_testing
    exit
fi

check forwarded static
results >"$work/first"
build_as shared -cudart shared && check forwarded shared
build_as plain -cudart static --no-compress && check forwarded plain
build_as lz4 -cudart static -Xfatbin=--compress-mode=speed && check forwarded lz4
check forwarded static GPUVCHAN_SYNC=1
compile linked -rdc=true "$top/tests/cuda/linked.cu" "$top/tests/cuda/linked_other.cu" && check forwarded linked
if [ -n "${CUDA_NATIVE:-}" ]; then
    LD_LIBRARY_PATH=$(dirname "$CUDA_NATIVE") timeout -k 2 "$limit" "$work/static" >"$work/out" 2>"$work/err" </dev/null
    is "natively static" $? 0
    explain
    results >"$work/native"
    ok "both say the same" cmp -s "$work/first" "$work/native"
fi

done_testing
