#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/h200/run, which a machine with a GPU is for, works: here with the simulated device in the GPU's place. What
# it runs is compared, a program that fails or is not forwarded is told, and samples are chosen by their sources.

. "$(dirname "$0")/tap.sh"

sim=$build/lib/gpuvchan/sim
for file in "$build/bin/gpuvchan-host" "$build/bin/vectoradd" "$sim/libcuda.so.1"; do
    [ -e "$file" ] || skip_all "$file is not built"
done
unset GPUVCHAN_ADDRESS GPUVCHAN_SYNC GPUVCHAN_LOG CUDA_VISIBLE_DEVICES CUDA_SAMPLES BUDGET
export PYTHONDONTWRITEBYTECODE=1

# ---- The script --------------------------------------------------------------------------------

for file in "$top"/tests/h200/*.py "$top/tests/h200/run"; do
    ok "${file##*/} is Python" python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$file"
done

run 200 env BUILD="$build" OUT="$work/out" LD_LIBRARY_PATH="$sim" "$top/tests/h200/run" examples calls kept samples
table=$(cat "$work/out/table.txt")
like "native and forwarded are compared" "$table" '^examples +vectoradd +passed +passed +yes '
like "matmul as well" "$table" '^examples +matmul +passed +passed +yes '
like "steady states are counted" "$table" '^calls +driver API +passed'
like "by the step" "$table" '^driver API: 0 calls and 6 posts a step, waits [0-9.]+ ms$'
like "the host keeps an image" "$table" '^kept +4 MiB of PTX +passed'
like "what is not there is skipped" "$table" '^samples +skipped$'
like "the simulated device is no GPU" "$table" '^plugin .* simulated$'
is "so one has failed" "$status" 1
is "the results say so" \
    "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["failed"])' "$work/out/results.json")" 1
like "the logs are kept" "$(tar -tJf "$work/out/logs.tar.xz")" 'examples-matmul-forwarded\.log'
run 10 "$top/tests/h200/run" nothing
like "a stage that does not exist" "$errors" 'no such stage: nothing'

# ---- Running forwarded -------------------------------------------------------------------------

cat >"$work/forward.py" <<'EOP'
import sys
sys.path.insert(0, sys.argv[1])
import forward
for command in sys.argv[3:]:
    print(forward.outcome(forward.forwarded(["sh", "-c", command], 4, sys.argv[2])))
EOP
run 60 env BUILD="$build" python3 "$work/forward.py" "$top/tests/h200" "$work/forward.log" true false 'sleep 60' \
    "cd '$top'; exec '$build/bin/vectoradd'"
is "a program without CUDA, a failing one, an endless one, and a good one" \
    "$(printf '%s\n' "$output" | tr '\n' ',')" "not forwarded,failed,timeout,passed,"
unlike "no host is left" "$(ps -e -o args)" "[g]puvchan-host .*--address=/tmp/gpuvchan-[^ ]*/socket .*sleep 60"

# ---- Samples -----------------------------------------------------------------------------------

# sample NAME CMAKE SOURCE
sample() {
    mkdir -p "$work/samples/Samples/$1"
    printf 'cmake_minimum_required(VERSION 3.20)\nproject(%s LANGUAGES C)\n%s\nadd_executable(%s main.c)\n' \
        "$1" "$2" "$1" >"$work/samples/Samples/$1/CMakeLists.txt"
    printf '%s\n' "$3" >"$work/samples/Samples/$1/main.c"
}
mkdir -p "$work/samples/Common" "$work/samples/cmake"
echo '{"both": {"runs": [{"args": ["1"]}, {"args": ["2"]}]}, "many": {"min_gpus": 2}}' >"$work/samples/test_args.json"
link="link_directories($sim)
link_libraries(-l:libcuda.so.1)"
program='int cuInit(unsigned); int main(int n, char **v) { if (n != 2 || cuInit(0)) return 1; return 0; }'
sample both "$link" "$program"
sample native "$link" '#include <stdlib.h>
int cuInit(unsigned); int main(void) { return cuInit(0) || getenv("GPUVCHAN_ADDRESS") ? EXIT_FAILURE : 0; }'
sample window 'find_package(OpenGL)' "$program"
sample silent '' 'int main(void) { return 0; }'
sample many '' "$program"
sample text "$link" '#include <stdio.h>
int cuInit(unsigned); int main(void) { puts("Result = FAIL"); return cuInit(0) ? 1 : 0; } /* EXIT_FAILURE */'
list=$(python3 "$top/tests/h200/samples.py" list "$work/samples")
is "samples are chosen by their sources" "$list" "Samples/both: taken
Samples/many: needs several GPUs
Samples/native: taken
Samples/silent: does not check itself
Samples/text: taken
Samples/window: needs OpenGL
3 of 6"
ok "they are packed" python3 "$top/tests/h200/samples.py" pack "$work/samples" "$work/samples.tar.xz"
if command -v cmake >/dev/null; then
    run 120 env BUDGET=100 JOBS=2 python3 "$top/tests/h200/samples.py" build "$work/samples.tar.xz" "$work/built"
    is "and built" "$output" "3 of 3 built"
    run 60 env BUDGET=50 JOBS=2 BUILD="$build" LD_LIBRARY_PATH="$sim" \
        python3 "$top/tests/h200/samples.py" run "$work/built" "$work/samples.json"
    is "natively and forwarded" "$output" "  native: native passed, forwarded failed
  text: native failed
result: of 3 samples 3 built, native 2, forwarded 1"
    is "and a difference fails" "$status" 1
else
    skip "samples are built" "no cmake"
fi

done_testing
