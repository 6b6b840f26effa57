#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the .ptx beside each .cu again; needs nvcc. The .ptx are kept in the
# tree because those who run the tests rarely have it.
cd "$(dirname "$0")" || exit 1
for name in integer bits floating math half control shared atomic memory fault warp; do
	nvcc -ptx -arch=sm_75 -fmad=false -o "$name.ptx" "$name.cu" || exit 1
done
nvcc -ptx -arch=sm_90 -o warp90.ptx warp.cu || exit 1
nvcc -ptx -arch=sm_90 -o half90.ptx half.cu || exit 1
nvcc -ptx -arch=sm_90 -o modern.ptx modern.cu || exit 1
