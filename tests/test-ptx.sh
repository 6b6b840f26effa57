#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Kernels as nvcc makes them, of every sort that the simulated device executes: natively on it, and forwarded
# to a host. The same program runs on a real GPU, see h200/run.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
native=$build/lib/gpuvchan/sim
guest=$build/lib/gpuvchan/guest
limit=${TEST_SECONDS:-120}

for file in "$host" "$guest/libcuda.so.1" "$native/libcuda.so.1"; do
    [ -e "$file" ] || skip_all "$file is not built"
done
unset GPUVCHAN_ADDRESS GPUVCHAN_SYNC GPUVCHAN_LOG CUDA_VISIBLE_DEVICES

"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -g ${SANITIZE:+"-fsanitize=$SANITIZE"} -I"$top/libgpuvchan/protocol/cuda" \
    "$top/tests/ptx/run.c" -o "$work/run" -L"$native" -l:libcuda.so.1 -lm -lpthread 2>"$work/log" ||
    { cat "$work/log" >&2; bail "tests/ptx/run.c does not compile"; }

# One line of ours for each of the program's.
relay() {
    while IFS= read -r line; do
        case $line in
        *"# skip"*) line=${line#ok * - }; skip "$1: ${line% \# skip*}" "${line#*\# skip }" ;;
        "ok "*) pass "$1: ${line#ok * - }" ;;
        "not ok "*) fail "$1: ${line#not ok * - }" ;;
        "1.."*) ;;
        *) printf '%s\n' "$line" | sed 's/^#* */# /' ;;
        esac
    done <"$work/out"
}

ok "natively: ran to its end" sh -c \
    "LD_LIBRARY_PATH=$native timeout -k 2 $limit $work/run $top/tests/ptx >$work/out 2>$work/err </dev/null"
relay natively
tail -n 5 "$work/err" | sed 's/^/# /'

# The driver's allocations: the rest of a chunk is memory too, where a kernel's stray access is not found.
ok "forwarded: ran to its end" sh -c \
    "timeout -k 2 $limit $host -c /dev/null --address=$work/ptx.sock --log=stderr --log-level=error \
    --run 'env LD_LIBRARY_PATH=$guest GPUVCHAN_CUDA_ALLOC=driver $work/run $top/tests/ptx' >$work/out 2>$work/err </dev/null"
relay forwarded
tail -n 5 "$work/err" | sed 's/^/# /'

done_testing
