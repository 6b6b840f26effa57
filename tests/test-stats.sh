#!/bin/sh
# SPDX-License-Identifier: MIT
#
# GPUVCHAN_STATS=1: what a program has sent and waited for is counted by kind, and a steady state can be told.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
guest=$build/lib/gpuvchan/guest
[ -x "$host" ] && [ -x "$build/bin/hello-client" ] || skip_all "$host is not built"
unset GPUVCHAN_ADDRESS GPUVCHAN_SYNC GPUVCHAN_LOG GPUVCHAN_STATS CUDA_VISIBLE_DEVICES

# with COMMAND: $output, $errors
with() {
    run "${TEST_SECONDS:-60}" env -u DISPLAY "$host" -c /dev/null --address="$work/socket" --log=stderr --log-level=warning \
        ${setting:+"$setting"} --run "$1"
}

with "$build/bin/hello-client"
is "nobody asks: nothing is printed" "$errors" ""
with "GPUVCHAN_STATS=0 $build/bin/hello-client"
is "0 is no" "$errors" ""

# Its source says: greet, 1000 times count, counter, sum, upper.
with "GPUVCHAN_STATS=1 $build/bin/hello-client"
is "hello: runs" "$status" 0
like "hello: the sum" "$errors" '^gpuvchan stats: process [0-9]+, [0-9.]+ s: [0-9]+ calls, 1001 posts; waited [0-9.]+ ms$'
like "hello: posts" "$errors" '^gpuvchan stats: +0 +0\.000 +1000  hello [0-9]+$'
like "hello: calls, with the time that they waited" "$errors" '^gpuvchan stats: +[1-9][0-9]* +[0-9]+\.[0-9]{3} +0  hello [0-9]+$'
sum=$(printf '%s\n' "$errors" | sed -n 's/.* s: \([0-9]*\) calls, \([0-9]*\) posts.*/\1 \2/p')
is "hello: the lines add up to it" \
    "$(printf '%s\n' "$errors" | awk '$NF ~ /^[0-9]+$/ && $(NF-1) == "hello" { c += $3; p += $5 } END { print c, p }')" "$sum"

with "GPUVCHAN_STATS=1 GPUVCHAN_SYNC=1 $build/bin/hello-client"
like "with GPUVCHAN_SYNC=1 posts are calls" "$errors" ' s: 1004 calls, 0 posts'

with "$build/bin/gpuvchan-run --stats $build/bin/vectoradd"
is "gpuvchan-run --stats" "$status" 0
like "entries have their names" "$errors" '^gpuvchan stats: +0 +0\.000 +1  cuda launch_kernel$'
is "the runner's own connection is not told" "$(printf '%s\n' "$errors" | grep -c ' s: .* calls')" 1

"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra ${SANITIZE:+"-fsanitize=$SANITIZE"} \
    -I"$top/libgpuvchan/protocol/cuda" "$top/tests/cuda/steady.c" -o "$work/steady" \
    -L"$build/lib/gpuvchan/sim" -l:libcuda.so.1 -ldl || bail "steady does not compile"
with "GPUVCHAN_STATS=1 LD_LIBRARY_PATH=$guest $work/steady"
is "steady: runs" "$status" 0
steady=$(printf '%s\n' "$errors" | sed '1,/^steady:/d' | sed '/ s: /,$!d' | sed '2,${/ s: /,$d}')
like "steady: each round's launch is there" "$steady" '^gpuvchan stats: +0 +0\.000 +100  cuda launch_kernel$'
like "steady: launches, copies, fills and events wait for nothing" "$steady" ' s: 0 calls, [0-9]+ posts'
unlike "steady: what was printed is forgotten" "$steady" "module_load"
like "steady: and the rest is printed at the end" "$(printf '%s\n' "$errors" | tail -n 3)" 'calls|completion words'

with "LD_LIBRARY_PATH=$guest $work/steady"
is "gpuvchan_stats_print() prints nothing where nothing is counted" "$errors" "steady: driver API, 100"

# A child that forks and ends tells nothing of its parent's.
with "GPUVCHAN_STATS=1 sh -c 'LD_LIBRARY_PATH=$guest $work/steady 2>&1 | grep -c \"process [0-9]*,\"'"
is "one table per print" "$output" 3

done_testing
