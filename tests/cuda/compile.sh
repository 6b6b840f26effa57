# shellcheck shell=sh disable=SC2154 # it is sourced after tap.sh
# SPDX-License-Identifier: MIT
# For scripts that run the programs here; sourced after tap.sh.

# cuda_compile NAME [FLAG...]
cuda_compile() {
    cuda_name=$1
    shift
    "${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra ${SANITIZE:+"-fsanitize=$SANITIZE"} \
        -I"$top/libgpuvchan/protocol/cuda" "$top/tests/cuda/$cuda_name.c" -o "$work/$cuda_name" \
        "$@" -L"$build/lib/gpuvchan/sim" -l:libcuda.so.1 -lpthread 2>"$work/$cuda_name.log" ||
        { cat "$work/$cuda_name.log" >&2; return 1; }
}
