#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The whole driver API has an entry, and libcuda.so.1 exports it: compared with the headers and the stub library of
# CUDA 13.0, where they are installed. CUDA_HOME chooses the toolkit's folder.

. "$(dirname "$0")/tap.sh"

guest=$build/lib/gpuvchan/guest/libcuda.so.1
[ -e "$guest" ] || skip_all "$guest is not built"

toolkit=
for folder in ${CUDA_HOME:+"$CUDA_HOME"} /usr/local/cuda-13.0 /usr/local/cuda /opt/cuda; do
    if grep -qs '^#define CUDA_VERSION 13000' "$folder/include/cuda.h"; then
        toolkit=$folder
        break
    fi
done
[ -n "$toolkit" ] || skip_all "no toolkit of CUDA 13.0 is installed"
for folder in lib64/stubs lib/stubs; do
    [ ! -e "$toolkit/$folder/libcuda.so" ] || stub=$toolkit/$folder/libcuda.so
done
[ -n "${stub:-}" ] || skip_all "$toolkit has no stub library"

"$top/libgpuvchan/protocol/scanner/gpuvchan-scanner" symbols "$top/libgpuvchan/protocol/cuda/cuda.gpv" \
    -o "$work/symbols.h" || bail "the protocol is not scanned"
python3 "$top/tests/cuda/coverage.py" "$toolkit" "$work/symbols.h" "$guest" "$stub"
