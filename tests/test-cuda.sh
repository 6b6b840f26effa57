#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Programs of the CUDA driver API, each on the simulated device natively and forwarded to a host: both must
# pass, and say the same. With CUDA_NATIVE=FILE natively on that libcuda.so.1 instead (a real GPU's).

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
guest=$build/lib/gpuvchan/guest
native=$(dirname "${CUDA_NATIVE:-$build/lib/gpuvchan/sim/libcuda.so.1}")
limit=${TEST_SECONDS:-270}

for file in "$host" "$guest/libcuda.so.1" "$build/lib/gpuvchan/plugins/cuda.so" "$native/libcuda.so.1"; do
    [ -e "$file" ] || skip_all "$file is not built"
done
unset GPUVCHAN_ADDRESS GPUVCHAN_SYNC GPUVCHAN_LOG CUDA_VISIBLE_DEVICES

. "$top/tests/cuda/compile.sh"

# forwarded NAME [VARIABLE=VALUE...]: through a host of its own.
forwarded() {
    forwarded_name=$1
    shift
    timeout -k 2 "$limit" "$host" -c /dev/null --address="$work/$forwarded_name.sock" --log=stderr --log-level=warning \
        ${plugin_setting:+"$plugin_setting"} \
        --run "env LD_LIBRARY_PATH=$guest $* $work/$forwarded_name" >"$work/out" 2>"$work/err" </dev/null
}

natively() {
    LD_LIBRARY_PATH=$native timeout -k 2 "$limit" "$work/$1" >"$work/out" 2>"$work/err" </dev/null
}

# What both say, less what only explains a failure.
results() {
    grep -v '^#' "$work/out"
}

explain() {
    grep -A1 '^not ok\|^Bail' "$work/out" | sed 's/^/# /'
    grep -q '^1\.\.\|^Bail' "$work/out" || tail -n 1 "$work/out" | sed 's/^/# ended behind: /'
    tail -n 5 "$work/err" | sed 's/^/# /'
}

check() {
    if "$@"; then pass "$2 $1"; else fail "$2 $1"; explain; fi
}

for name in contexts settings modules libraries launches memory allocations pools virtual managed registered rows arrays batches textures references sparse green devices pageable fills streams quiets asks handles faults threads order forks exits captures graphs callbacks odds prints; do
    if ! cuda_compile "$name"; then
        fail "$name compiles"
        continue
    fi
    # NVIDIA's driver follows the handles that it is given, wherever they lead.
    if [ "$name" = handles ] && [ -n "${CUDA_NATIVE:-}" ]; then
        check forwarded "$name"
        continue
    fi
    check natively "$name"
    results >"$work/native"
    check forwarded "$name"
    results >"$work/forwarded"
    ok "$name says the same" cmp -s "$work/native" "$work/forwarded"
done

# The rules of look-ups are the library's own, and so are launches of the first generation and ends of images.
for name in procaddr firsts images; do
    # Images made by hand are more than NVIDIA's driver bears.
    [ "$name" != images ] || [ -z "${CUDA_NATIVE:-}" ] || continue
    cuda_compile "$name" || bail "$name does not compile"
    check forwarded "$name"
done

# What the runtime asks for is there where it was built in.
if [ "$(cat "$build/cudart-compat" 2>/dev/null)" = yes ]; then
    cuda_compile tables || bail "tables does not compile"
    check forwarded tables
fi

# Images that the arena has no room for.
if forwarded libraries GPUVCHAN_ARENA=16M; then pass "libraries with a small arena"; else
    fail "libraries with a small arena"
    explain
fi
# In a worker that has waited, whose driver has made a context before.
plugin_setting=--spare-workers=1
for name in contexts settings modules devices memory registered faults exits; do
    if forwarded "$name"; then pass "$name in a warm context"; else
        fail "$name in a warm context"
        explain
    fi
done
plugin_setting=

# Two processes of one guest that share memory, unless the administrator forbids it.
for name in ipc shared; do
    if ! cuda_compile "$name"; then
        fail "$name compiles"
        continue
    fi
    check natively "$name"
    check forwarded "$name"
    plugin_setting=cuda.ipc=no
    forwarded "$name"
    plugin_setting=
    like "$name: nothing is shared where it is forbidden" "$(cat "$work/out")" "skip"
done

# A host that allows less than programs ask for by default, and one that allows next to nothing.
plugin_setting=--max-arena=300M
check forwarded memory
plugin_setting=--max-arena=64M
forwarded memory
like "a host that allows too little says so" "$(cat "$work/err")" "this host allows 67108864: lower GPUVCHAN_ARENA"
plugin_setting=

# Little shared memory, as Xen grants it by default, and next to none.
for arena in 4M 256K; do
    if forwarded pageable GPUVCHAN_ARENA=$arena; then pass "pageable memory through an arena of $arena"; else
        fail "pageable memory through an arena of $arena"
        explain
    fi
done

# Two devices, where they are simulated: natively they are as many as there are.
GPUVCHAN_SIM_DEVICES=2
export GPUVCHAN_SIM_DEVICES
if [ -z "${CUDA_NATIVE:-}" ]; then
    check natively devices
    results >"$work/native"
fi
check forwarded devices
results >"$work/forwarded"
[ -n "${CUDA_NATIVE:-}" ] || ok "devices says the same of two" cmp -s "$work/native" "$work/forwarded"
if cuda_compile gpus; then
    check natively gpus
    results >"$work/native"
    check forwarded gpus
    results >"$work/forwarded"
    ok "gpus says the same" cmp -s "$work/native" "$work/forwarded"
else
    fail "gpus compiles"
fi

# sees NAME WANTED [VARIABLE=VALUE...]: the devices by their UUIDs' last byte, behind cuInit's result.
sees() {
    sees_name=$1 sees_wanted=$2
    shift 2
    forwarded visible "$@"
    is "$sees_name" "$(cat "$work/out")" "$sees_wanted"
}
if [ -n "${CUDA_NATIVE:-}" ]; then
    skip "which devices are visible" "their number is not known here"
elif cuda_compile visible; then
    uuid=GPU-67707576-6368-616e-2d73-696d2d0000
    sees "both devices are visible" "0: 00 01"
    sees "also in the order of the bus" "0: 00 01" CUDA_DEVICE_ORDER=PCI_BUS_ID
    sees "one by its number" "0: 01" CUDA_VISIBLE_DEVICES=1
    sees "both in another order" "0: 01 00" CUDA_VISIBLE_DEVICES=1,0
    sees "what does not exist ends the list" "0: 01" CUDA_VISIBLE_DEVICES=1,7,0
    sees "nothing is no device" "100:" CUDA_VISIBLE_DEVICES=
    sees "-1 neither" "100:" CUDA_VISIBLE_DEVICES=-1
    sees "a device that is named twice neither" "100:" CUDA_VISIBLE_DEVICES=0,0
    sees "one by its UUID" "0: 01" CUDA_VISIBLE_DEVICES=${uuid}01
    sees "both so, and by number" "0: 01 00" CUDA_VISIBLE_DEVICES=${uuid}01,0
    sees "the beginning of two UUIDs names none" "100:" CUDA_VISIBLE_DEVICES=$uuid
else
    fail "visible compiles"
fi
unset GPUVCHAN_SIM_DEVICES


# What it refuses is its own as well; the list comes from the protocol.
"$top/libgpuvchan/protocol/scanner/gpuvchan-scanner" symbols "$top/libgpuvchan/protocol/cuda/cuda.gpv" \
    -o "$work/cuda-symbols.h" || bail "the protocol is not scanned"
cuda_compile refusals -I"$work" -L"$guest" || bail "refusals does not compile"
check forwarded refusals GPUVCHAN_LOG=debug
is "a managed variable is refused aloud, once" "$(grep -c 'warning: cuda: variable both is __managed__' "$work/err")" 1
is "each reason is told once" "$(grep -c 'cuGLInit is refused: OpenGL' "$work/err")" 1

# Every post waits: errors come at once, results stay.
for name in launches memory streams order captures graphs callbacks; do
    if forwarded "$name" GPUVCHAN_SYNC=1; then pass "$name with GPUVCHAN_SYNC=1"; else
        fail "$name with GPUVCHAN_SYNC=1"
        explain
    fi
done

for name in memory allocations; do
    if forwarded "$name" GPUVCHAN_CUDA_ALLOC=driver; then pass "$name with the driver's allocations"; else
        fail "$name with the driver's allocations"
        explain
    fi
done

# Memory that the arena has no room for: CUDA's own error, and one line that says what helps.
cat >"$work/large.c" <<'EOC'
#include <stdio.h>
#include <stdlib.h>
#include "cuda_api.h"
int main(void)
{
    static char more[64 << 20];
    CUcontext context;
    CUdeviceptr memory;
    int first, second, third;

    if (cuInit(0) || cuCtxCreate_v2(&context, 0, 0))
        return 1;
    first = cuMemAllocManaged(&memory, 64 << 20, CU_MEM_ATTACH_GLOBAL);
    second = cuMemHostRegister_v2(more, sizeof(more), 0);
    third = cuMemAllocManaged(&memory, 1 << 20, CU_MEM_ATTACH_GLOBAL);
    printf("%d %d %d\n", first, second, third);
    return 0;
}
EOC
"${CC:-cc}" ${SANITIZE:+"-fsanitize=$SANITIZE"} -I"$top/libgpuvchan/protocol/cuda" "$work/large.c" -o "$work/large" \
    -L"$build/lib/gpuvchan/sim" -l:libcuda.so.1
forwarded large GPUVCHAN_ARENA=32M
is "an arena that is too small gives CUDA_ERROR_OUT_OF_MEMORY" "$(cat "$work/out")" "2 2 0"
is "and one line says what helps" "$(grep -c GPUVCHAN_ARENA "$work/err")" 1

# Without a host: CUDA's own error, and one line that says why.
cat >"$work/alone.c" <<'EOC'
#include <stdio.h>
#include "cuda_api.h"
int main(void)
{
    int first = cuInit(0), second = cuInit(0), version = 0;

    cuDriverGetVersion(&version);
    printf("%d %d %d\n", first, second, version >= 12000);
    return 0;
}
EOC
"${CC:-cc}" ${SANITIZE:+"-fsanitize=$SANITIZE"} -I"$top/libgpuvchan/protocol/cuda" "$work/alone.c" -o "$work/alone" \
    -L"$build/lib/gpuvchan/sim" -l:libcuda.so.1
run 10 env LD_LIBRARY_PATH="$guest" GPUVCHAN_ADDRESS="$work/nobody.sock" "$work/alone"
is "without a host there is no device" "$output" "100 100 1"
is "and one line says so" "$(printf '%s\n' "$errors" | grep -c 'libcuda.so.1')" 1

# A worker that dies: an error that lasts, and no hang.
cat >"$work/orphan.c" <<'EOC'
#include <stdio.h>
#include <unistd.h>
#include "cuda_api.h"
int main(void)
{
    CUcontext context;
    CUdeviceptr memory;
    char line[8];
    int before, after, again;

    if (cuInit(0) || cuCtxCreate_v2(&context, 0, 0) || cuMemAlloc_v2(&memory, 64))
        return 1;
    before = cuCtxSynchronize();
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin))
        return 2;
    after = cuMemsetD8_v2(memory, 0, 64); /* or there is nothing to wait for */
    if (after == 0)
        after = cuCtxSynchronize();
    again = cuMemAlloc_v2(&memory, 64);
    printf("%d %d %d\n", before, after, again);
    return 0;
}
EOC
"${CC:-cc}" ${SANITIZE:+"-fsanitize=$SANITIZE"} -I"$top/libgpuvchan/protocol/cuda" "$work/orphan.c" -o "$work/orphan" \
    -L"$build/lib/gpuvchan/sim" -l:libcuda.so.1
start orphan-host "$host" -c /dev/null --address="$work/orphan.sock" --log=stderr
host_pid=$pid
mkfifo "$work/input"
within 5 test -S "$work/orphan.sock" || bail "the host does not start"
(LD_LIBRARY_PATH=$guest GPUVCHAN_ADDRESS=$work/orphan.sock timeout 20 "$work/orphan" <"$work/input" >"$work/orphan.txt" 2>/dev/null) &
orphan_pid=$!
exec 9>"$work/input"
within 10 grep -q ready "$work/orphan.txt" || bail "the program does not start"
for worker in $(cat "/proc/$host_pid/task/$host_pid/children"); do
    kill -KILL "$worker"
done
echo go >&9
exec 9>&-
wait "$orphan_pid"
is "a program whose worker dies gets CUDA_ERROR_DEVICE_UNAVAILABLE, and keeps it" \
    "$(tail -n 1 "$work/orphan.txt")" "0 46 46"
kill "$host_pid"

# A program that ends while the device waits for its function: the host does not wait.
cat >"$work/leaver.c" <<'EOC'
#include <stdio.h>
#include <unistd.h>
#include "cuda_api.h"
static void forever(void *unused)
{
    (void)unused;
    for (;;)
        pause();
}
int main(void)
{
    CUcontext context;

    if (cuInit(0) || cuCtxCreate_v2(&context, 0, 0) || cuLaunchHostFunc(NULL, forever, NULL))
        return 1;
    puts("launched");
    fflush(stdout);
    usleep(200000);
    _exit(0);
}
EOC
"${CC:-cc}" ${SANITIZE:+"-fsanitize=$SANITIZE"} -I"$top/libgpuvchan/protocol/cuda" "$work/leaver.c" -o "$work/leaver" \
    -L"$build/lib/gpuvchan/sim" -l:libcuda.so.1
run 20 "$host" -c /dev/null --address="$work/leaver.sock" --log=stderr --log-level=warning \
    --run "env LD_LIBRARY_PATH=$guest $work/leaver"
is "a program may leave the device waiting for its function" "$status $output" "0 launched"
unlike "and the host does not wait for it" "$errors" "does not end"

done_testing
