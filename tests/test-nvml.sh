#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The guest's libnvidia-ml.so.1 through a host: over the simulated device, which must be the one that CUDA has, and
# over a fake library whose every answer is told from all others.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
guest=$build/lib/gpuvchan/guest
fake=$build/tests/fake/libnvidia-ml.so.1
limit=${TEST_SECONDS:-60}

for file in "$host" "$guest/libnvidia-ml.so.1" "$build/lib/gpuvchan/plugins/nvml.so" "$fake"; do
    [ -e "$file" ] || skip_all "$file is not built"
done
unset GPUVCHAN_ADDRESS GPUVCHAN_SYNC GPUVCHAN_LOG CUDA_VISIBLE_DEVICES

nvml_compile() {
    "${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra ${SANITIZE:+"-fsanitize=$SANITIZE"} \
        -I"$top/libgpuvchan/protocol/nvml" -I"$top/libgpuvchan/protocol/cuda" -I"$top/tests/fake" -I"$top/guest/nvml" \
        "$top/tests/nvml/$1.c" -o "$work/$1" -L"$guest" -l:libnvidia-ml.so.1 -l:libcuda.so.1 \
        -Wl,--unresolved-symbols=ignore-in-shared-libs -lpthread 2>"$work/$1.log" || { cat "$work/$1.log" >&2; return 1; }
}

# forwarded SETTINGS PROGRAM [ARGUMENT...]: through a host of its own.
forwarded() {
    settings=$1
    shift
    # shellcheck disable=SC2086 # words
    timeout -k 2 "$limit" "$host" -c /dev/null --address="$work/nvml.sock" --log=stderr --log-level=warning $settings \
        --run "env -u CUDA_VISIBLE_DEVICES LD_LIBRARY_PATH=$guest $work/$*" >"$work/out" 2>"$work/err" </dev/null
}

check() {
    what=$1
    shift
    if "$@"; then pass "$what: $(grep -c '^ok' "$work/out") checks"; else
        fail "$what"
        grep -A1 '^not ok\|^Bail' "$work/out" | head -n 20 | sed 's/^/# /'
        tail -n 5 "$work/err" | sed 's/^/# /'
    fi
}

for name in devices forwarded; do
    nvml_compile "$name" || bail "$name does not compile"
done

check "the simulated device" forwarded nvml.driver=simulated devices
check "every entry point" forwarded "nvml.driver=$fake" forwarded
check "serial numbers, where the host shows them" forwarded "nvml.driver=$fake nvml.serials=yes" forwarded serials

# A guest with stubs of its own.
"$top/libgpuvchan/protocol/scanner/gpuvchan-scanner" guest "$top/libgpuvchan/protocol/nvml/nvml.gpv" -o "$work/nvml-guest.h" ||
    bail "no stubs"
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra ${SANITIZE:+"-fsanitize=$SANITIZE"} -I"$work" \
    -I"$top/libgpuvchan/include" -I"$top/libgpuvchan/protocol/nvml" -I"$top/tests/fake" -I"$top/guest/nvml" \
    "$top/tests/nvml/hostile.c" -o "$work/hostile" -L"$guest" -l:libnvidia-ml.so.1 -L"$build/lib" -l:libgpuvchan.so.0 \
    -Wl,-rpath,"$build/lib" || bail "hostile does not compile"
check "a hostile guest" forwarded "nvml.driver=$fake" hostile

# The same questions natively and forwarded, as tests/h200/run asks them on a GPU.
nvml_compile report || bail "report does not compile"
LD_LIBRARY_PATH=$(dirname "$fake") "$work/report" >"$work/native" 2>"$work/err"
if forwarded "nvml.driver=$fake" report; then pass "report"; else fail "report"; fi
is "natively and forwarded NVML says the same" "$(sed 's/^cuda - ok .*/cuda - ok 13000/' "$work/native" |
    diff - "$work/out" | head -n 5)" ""
like "and says much" "$(wc -l <"$work/out")" '^ *[2-9][0-9][0-9]'

# The list of the test is the protocol's.
sed -n 's/^ *export \(nvml[A-Z]\)/\1/p' "$top"/libgpuvchan/protocol/nvml/*.gpv | LC_ALL=C sort >"$work/exported"
tr ' ,()' '\n' <"$top/tests/nvml/forwarded.h" | grep -x 'nvml\(Device\|System\)[A-Za-z0-9_]*' |
    grep -Ev '_t$' | LC_ALL=C sort -u >"$work/tested"
is "every forwarded entry point is tested" "$(diff "$work/exported" "$work/tested")" ""

# Which devices a guest gets.
visible() {
    CUDA_VISIBLE_DEVICES=$1 forwarded "nvml.driver=$fake" devices list
    is "CUDA_VISIBLE_DEVICES=$1" "$(cat "$work/out")" "$2"
}
forwarded "nvml.driver=$fake" devices list
is "all devices of the host" "$(cat "$work/out")" "Fake GPU 1, Fake GPU 2, Fake GPU 3"
visible 2,0 "Fake GPU 3, Fake GPU 1"
visible GPU-00000002 "Fake GPU 2"
visible 1,9,0 "Fake GPU 2"
visible GPU-0000000 "Driver Not Loaded"
visible 1,1 "Driver Not Loaded"
visible "" "Driver Not Loaded"

# What is wrong is said.
for setting in driver=somewhere serials=perhaps; do
    run 10 "$host" -c /dev/null --address="$work/wrong.sock" "nvml.$setting" --run true
    not_ok "a wrong setting: $setting" test "$status" -eq 0
    like "$setting is named" "$errors" "${setting#*=}"
done
run 10 "$host" -c /dev/null --dump-plugin nvml "nvml.driver=$fake"
like "--dump-plugin: devices" "$output" '^devices=3$'
like "--dump-plugin: names" "$output" '^device_2=Fake GPU 3$'
run 10 env LD_LIBRARY_PATH="$guest" GPUVCHAN_ADDRESS="$work/nobody.sock" "$work/devices" list
is "without a host there is no driver" "$output" "Driver Not Loaded"
is "and one line says so" "$(printf '%s\n' "$errors" | grep -c 'libnvidia-ml.so.1')" 1
forwarded "nvml.driver=$guest/libnvidia-ml.so.1" devices list
like "the guest's own library does not serve as the host's" "$(cat "$work/err")" "gpuvchan's library for guests"
forwarded "--plugins=cuda" devices list
is "a host without the plugin" "$(cat "$work/out")" "NVML Shared Library Not Found"

# Programs find it as they find libcuda.so.1.
run 20 "$host" -c /dev/null --address="$work/run.sock" nvml.driver=simulated --run "$build/bin/gpuvchan-run $work/devices list"
is "gpuvchan-run" "$output" "gpuvchan simulated device (CPU)"

done_testing
