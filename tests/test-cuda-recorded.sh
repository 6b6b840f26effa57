#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a guest's calls become at the host's driver: programs run forwarded over a driver that records its calls, and
# the records are compared with tests/cuda/golden/. It computes nothing, so programs may say that their results are
# wrong. Where the library serves CUDA's runtime, NVIDIA's libraries run as well: cuBLAS, cuFFT, cuRAND.
#
#     UPDATE_GOLDEN=1 tests/test-cuda-recorded.sh     writes the files instead; git diff then shows what has changed

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
guest=$build/lib/gpuvchan/guest
golden=$top/tests/cuda/golden
toolkit=${CUDA_HOME:-/usr/local/cuda}
[ -x "$host" ] && [ -e "$guest/libcuda.so.1" ] && [ -x "$build/bin/vectoradd" ] || skip_all "$host is not built"
unset GPUVCHAN_ADDRESS GPUVCHAN_SYNC GPUVCHAN_LOG CUDA_VISIBLE_DEVICES

pkg-config --exists liblz4 libzstd || skip_all "liblz4 and libzstd, for compressed kernels, are not installed"

python3 "$top/tests/cuda/fake/generate.py" "$top/libgpuvchan/protocol/cuda/cuda_api.h" \
    "$top/tests/cuda/fake/recorder.c" >"$work/functions.c" || bail "the driver's functions are not generated"
mkdir "$work/driver"
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -fPIC -shared ${SANITIZE:+"-fsanitize=$SANITIZE"} \
    -I"$top/tests/cuda/fake" -I"$top/libgpuvchan/protocol/cuda" "$top/tests/cuda/fake/recorder.c" "$work/functions.c" \
    -o "$work/driver/libcuda.so.1" -llz4 -lzstd -lpthread 2>"$work/log" || { cat "$work/log" >&2; bail "the driver does not compile"; }
is "it compiles without a warning" "$(cat "$work/log")" ""
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -g ${SANITIZE:+"-fsanitize=$SANITIZE"} -I"$top/libgpuvchan/protocol/cuda" \
    "$top/tests/cuda/calls.c" -o "$work/calls" -L"$build/lib/gpuvchan/sim" -l:libcuda.so.1 || bail "calls does not compile"

# Libraries unload their modules in the order of addresses.
fixed=
! setarch "$(uname -m)" -R true 2>/dev/null || fixed="setarch $(uname -m) -R"

# The host does not wait for what its worker takes down, but the record is to have it: the last line is "end".
cat >"$work/run" <<'EOF'
"$@"
status=$?
for try in 1 2 3 4 5 6 7 8 9 10; do
    ! grep -qs '^end$' "$RECORDER_LOG" || exit "$status"
    sleep 0.1
done
exit "$status"
EOF

# record COMMAND...: what the driver was called with, in $work/record
record() {
    rm -f "$work/record"
    # shellcheck disable=SC2086 # words
    (cd "$top" && RECORDER_LOG=$work/record timeout -k 2 "${TEST_SECONDS:-90}" $fixed "$host" -c /dev/null \
        --address="$work/socket" --plugins=cuda --log=stderr --log-level=warning "cuda.driver=$work/driver/libcuda.so.1" \
        --run "sh $work/run env LD_LIBRARY_PATH=$guest:$toolkit/lib64 $*") >"$work/out" 2>&1 </dev/null
    record_status=$?
}

# compare NAME: with what is kept
compare() {
    if [ -n "${UPDATE_GOLDEN:-}" ]; then
        cp "$work/record" "$golden/$1.txt"
    fi
    if [ ! -e "$golden/$1.txt" ]; then
        skip "$1: its calls" "no golden file; UPDATE_GOLDEN=1 makes it"
    elif diff -u "$golden/$1.txt" "$work/record" >"$work/diff"; then
        pass "$1: its calls are those of before ($(grep -c . "$work/record"))"
    else
        fail "$1: its calls are those of before"
        diag "$(head -n 60 "$work/diff")"
        diag "$(tail -n 5 "$work/out")"
    fi
}

for name in vectoradd matmul; do
    record "$build/bin/$name"
    like "$name: runs on the recording device" "$(cat "$work/out")" 'device: recording device'
    compare "$name"
done

record "$work/calls"
is "calls: all succeed" "$record_status$(cat "$work/out")" 0
compare calls
cp "$work/record" "$work/record-calls"

# The same kernels as a cubin: parameters are laid out as in the PTX.
if [ -x "$toolkit/bin/ptxas" ]; then
    {
        echo '#include <stdio.h>'
        echo '#include "kernels.h"'
        echo 'int main(void) { fputs(kernels, stdout); return 0; }'
    } >"$work/print.c"
    "${CC:-cc}" -I"$top/tests/cuda" "$work/print.c" -o "$work/print" && "$work/print" >"$work/kernels.ptx"
    if "$toolkit/bin/ptxas" -arch=sm_90 "$work/kernels.ptx" -o "$work/kernels.cubin" 2>"$work/log"; then
        record "$work/calls" "$work/kernels.cubin"
        is "calls, with a cubin: all succeed" "$record_status$(cat "$work/out")" 0
        is "and are the same" "$(grep -v '^cuModuleLoad' "$work/record")" "$(grep -v '^cuModuleLoad' "$work/record-calls")"
    else
        skip "kernels as a cubin" "ptxas: $(head -n 1 "$work/log")"
    fi
fi

# Programs of CUDA's runtime, which start only if the library has its private tables.
if [ -x "$toolkit/bin/nvcc" ] && [ -z "${SANITIZE:-}" ]; then
    for name in runtime libraries; do
        libraries=
        [ "$name" = runtime ] || libraries="-lcublas -lcufft -lcurand"
        # shellcheck disable=SC2086 # words
        if ! "$toolkit/bin/nvcc" -O2 -arch=sm_90 --no-compress -o "$work/$name" "$top/tests/h200/$name.cu" $libraries \
            >"$work/log" 2>&1; then
            skip "$name" "it is not built: $(head -n 1 "$work/log")"
            continue
        fi
        record "$work/$name"
        if grep -q 'make CUDART_COMPAT=1' "$work/out"; then
            skip "$name" "this libcuda.so.1 is built without CUDART_COMPAT=1"
            continue
        fi
        like "$name: the runtime starts" "$(cat "$work/record" 2>/dev/null)" '^cu(Library|Module)Load'
        compare "$name"
    done
fi

done_testing
