#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Module images that a host keeps: the second process sends none and runs the same; what is not its own it does not get.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
guest=$build/lib/gpuvchan/guest
[ -x "$host" ] && [ -e "$guest/libcuda.so.1" ] || skip_all "$host is not built"
unset GPUVCHAN_ADDRESS GPUVCHAN_SYNC GPUVCHAN_LOG GPUVCHAN_STATS CUDA_VISIBLE_DEVICES
cd "$work" || bail "cannot enter $work"
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra ${SANITIZE:+"-fsanitize=$SANITIZE"} \
    -I"$top/libgpuvchan/protocol/cuda" "$top/tests/cuda/large.c" -o "$work/large" \
    -L"$build/lib/gpuvchan/sim" -l:libcuda.so.1 || bail "large does not compile"
export GPUVCHAN_ADDRESS="$work/host.sock"

# start_host NAME OPTIONS...: $host_pid
start_host() {
    host_name=$1
    shift
    start "$host_name" "$host" -c /dev/null --address="$GPUVCHAN_ADDRESS" --socket-mode=0666 --plugins=cuda \
        cuda.driver=simulated --log=stderr --log-level=debug "$@"
    host_pid=$pid
    within 10 grep -q "listens at" "$host_name.err" || bail "the host does not start: $(cat "$host_name.err")"
}

stop_host() {
    kill -TERM "$host_pid"
    finish 8 "$host_pid"
}

# load MEBIBYTES SEED [module] [COMMAND...]: what it says, and whether it has sent its image: "right sent", "right named"
load() {
    image="$1 $2 ${3#-}"
    shift 3
    # shellcheck disable=SC2086 # words
    run "${TEST_SECONDS:-60}" "$@" env GPUVCHAN_STATS=1 LD_LIBRARY_PATH="$guest" "$work/large" $image
    case $errors in
    *"cuda image_part"*) sent=sent ;;
    *) sent=named ;;
    esac
    said="$(printf '%s\n' "$output" | tail -n 1) $sent"
}

kept() {
    [ "$(grep -c 'an image of [0-9]* bytes is kept' "$host_name.err")" -eq "$1" ]
}

# ---- One process after the other ---------------------------------------------------------------

start_host usual
load 3 1 -
is "the first process sends its image" "$said" "right sent"
ok "which is kept" within 10 kept 1
load 3 1 -
is "the second one does not" "$said" "right named"
like "but asks for the size, and for the digest" "$errors" '^gpuvchan stats: +2 +[0-9.]+ +0  cuda image_kept$'
load 3 1 module
is "nor if it loads a module" "$said" "right named"
load 3 2 -
is "another image of that size is sent" "$said" "right sent"
ok "and kept, too" within 10 kept 2
load 3 2 -
is "so that its second process does not send it" "$said" "right named"
load 3 1 -
is "and the first one is there still" "$said" "right named"
load 4 1 -
is "an image of another size is sent" "$said" "right sent"
like "and no digest is made for it" "$errors" '^gpuvchan stats: +1 +[0-9.]+ +0  cuda image_kept$'
load 1 1 -
is "a small one goes as a whole, and is not asked for" "$said" "right named"
unlike "not at all" "$errors" "image_kept"
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null && id nobody >/dev/null 2>&1; then
    chmod 755 "$work"
    load 3 1 - setpriv --reuid=nobody --clear-groups
    is "what another user has brought is not given away" "$said" "right sent"
    like "not even its size" "$errors" '^gpuvchan stats: +1 +[0-9.]+ +0  cuda image_kept$'
    load 3 1 -
    is "and stays what it was" "$said" "right named"
else
    skip "another user" "needs root"
fi

# ---- The end, and another host -----------------------------------------------------------------

kill -KILL "$host_pid"
finish 8 "$host_pid"
start_host heir
load 3 1 -
is "a new host has nothing" "$said" "right sent"
ok "and keeps" within 10 kept 1
load 3 1 -
is "the same again" "$said" "right named"
stop_host

# ---- How much ----------------------------------------------------------------------------------

start_host none --keep=0
load 3 1 -
load 3 1 -
is "keep=0: nothing is kept" "$said" "right sent"
stop_host

start_host small --keep=2M
load 3 1 -
load 3 1 -
is "what is larger than all that may be is sent each time" "$said" "right sent"
stop_host

start_host full --keep=7M
for seed in 1 2; do
    load 3 "$seed" -
    within 10 kept "$seed"
done
load 3 1 -
is "full: two have room" "$said" "right named"
load 3 3 -
ok "full: a third one is kept" within 10 kept 3
load 3 1 -
is "full: what was used last stays" "$said" "right named"
load 3 2 -
is "full: what was not has gone" "$said" "right sent"
stop_host

# A worker that cannot have a file's worth of memory serves all the same.
start_host limited
prlimit --pid "$host_pid" --nofile=64:64 2>/dev/null || skip "few descriptors" "no prlimit"
load 3 1 -
is "few descriptors: a program runs" "${said%% *}" right
stop_host

# Of a worker with a guest of another configuration, or without a spare one: the same way.
start_host cold --spare-workers=0
load 3 1 -
within 10 kept 1
load 3 1 -
is "without spare workers" "$said" "right named"
stop_host

done_testing
