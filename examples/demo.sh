#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What `make demo` shows: unmodified CUDA programs, two backends of one's own and a measurement, all between
# a guest and a host on this machine. Fails with the first thing that is not as it should be.

set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
bin=$build/bin
unset GPUVCHAN_ADDRESS GPUVCHAN_ARENA GPUVCHAN_SYNC GPUVCHAN_LOG LD_LIBRARY_PATH

folder=$(mktemp -d "${TMPDIR:-/tmp}/gpuvchan-demo.XXXXXX") || exit 1
host=
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
    if [ -n "$host" ]; then
        kill "$host" 2>/dev/null
        wait "$host" 2>/dev/null
    fi
    rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

heading() {
    printf '\n---- %s\n\n' "$*"
}

fail() {
    printf '\nThe demonstration has failed: %s\n' "$*" >&2
    if [ -s "$folder/host.log" ]; then
        echo "The host's last lines:" >&2
        tail -n 15 "$folder/host.log" | sed 's/^/    /' >&2
    fi
    exit 1
}

# show COMMAND...: prints it, runs it, and keeps what it prints in $output.
show() {
    printf '$ %s\n' "$*"
    output=$(timeout 90 "$@" 2>&1)
    local status=$?
    printf '%s\n\n' "$output"
    [ "$status" -eq 0 ] || fail "$1 ended with status $status"
}

# prints TEXT: the last command has.
prints() {
    case $output in
    *"$1"*) ;;
    *) fail "'$1' was not printed" ;;
    esac
}

for file in gpuvchan-host gpuvchan-run gpuvchan-bench vectoradd matmul hello-client sharpen-client; do
    [ -x "$bin/$file" ] || fail "$bin/$file is not built; call 'make'"
done

heading "A host at a socket of its own"
export GPUVCHAN_ADDRESS=$folder/host.sock
"$bin/gpuvchan-host" -c /dev/null --address="$GPUVCHAN_ADDRESS" --log=stderr >"$folder/host.log" 2>&1 &
host=$!
for _ in $(seq 100); do
    [ -S "$GPUVCHAN_ADDRESS" ] && break
    kill -0 "$host" 2>/dev/null || fail "the host does not start"
    sleep 0.1
done
[ -S "$GPUVCHAN_ADDRESS" ] || fail "the host does not listen"
grep 'offers plugin\|listens' "$folder/host.log" | sed 's/^gpuvchan-host: //'

heading "CUDA programs that know nothing of it"
library=$("$bin/gpuvchan-run" ldd "$bin/vectoradd" | sed -n 's/.*libcuda\.so\.1 => \([^ ]*\).*/\1/p')
[ "$(realpath -q "$library")" = "$(realpath "$build/lib/gpuvchan/guest/libcuda.so.1")" ] ||
    fail "gpuvchan-run gives programs another libcuda.so.1: ${library:-none}"
for program in vectoradd matmul; do
    show "$bin/gpuvchan-run" "$bin/$program"
    prints PASS
done
nvcc=${CUDA_HOME:-/usr/local/cuda}/bin/nvcc
[ -x "$nvcc" ] || nvcc=$(command -v nvcc)
if [ "$(cat "$build/cudart-compat" 2>/dev/null)" != yes ]; then
    echo "Programs of the CUDA runtime need a build with 'make CUDART_COMPAT=1'; README.md tells why."
elif [ -z "$nvcc" ]; then
    echo "There is no nvcc here to build a program of the CUDA runtime with."
else
    show "$nvcc" -arch=compute_75 -o "$folder/saxpy" examples/cuda/saxpy.cu
    show "$bin/gpuvchan-run" "$folder/saxpy"
    prints PASS
fi
driver=$(sed -n 's/.*: cuda: driver //p' "$folder/host.log" | tail -n 1)
case $driver in
*simulated*) echo "There is no NVIDIA driver here: the host's simulated device has executed their PTX on the CPU." ;;
*) echo "The host has executed them by its NVIDIA driver." ;;
esac
echo "Driver: ${driver:-the log of the host names none}"

heading "A backend in a hundred lines: examples/hello"
show "$bin/hello-client" "you there"
prints "Hello, you there"
prints "THIS WENT THROUGH SHARED MEMORY"
prints "counted to 2000"

heading "A backend that works in the guest's own memory: examples/sharpen"
show "$bin/sharpen-client" --amount=2 examples/sharpen/scene.png "$folder/sharp.png"
prints "480 x 320 pixels"
[ -s "$folder/sharp.png" ] || fail "there is no picture"
! cmp -s examples/sharpen/scene.png "$folder/sharp.png" || fail "the picture is as it was"

kill "$host"
wait "$host" || fail "the host ended with status $?"
host=

heading "Calls and posts between two processes"
timeout 100 "$bin/gpuvchan-bench" ring --quick 2>"$folder/bench.log" ||
    fail "gpuvchan-bench ended with status $?: $(tail -n 1 "$folder/bench.log")"

heading "All of it worked. Next: README.md, and 'make check'."
