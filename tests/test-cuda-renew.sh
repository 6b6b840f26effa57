#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Programs of the CUDA driver API whose worker is renewed again and again while they run: they must not notice. Some of
# it is refused, as while a stream is captured; then the program goes on as well. With CUDA_NATIVE=FILE on that driver.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
ctl=$build/bin/gpuvchanctl
guest=$build/lib/gpuvchan/guest
limit=${TEST_SECONDS:-270}

for file in "$host" "$ctl" "$guest/libcuda.so.1" "$build/lib/gpuvchan/plugins/cuda.so"; do
    [ -e "$file" ] || skip_all "$file is not built"
done
[ "$(id -u)" -eq 0 ] || skip_all "only root may have workers renewed"
unset GPUVCHAN_ADDRESS GPUVCHAN_SYNC GPUVCHAN_LOG CUDA_VISIBLE_DEVICES
. "$top/tests/cuda/compile.sh"

# What the programs call between their checks: all workers of their host that are there.
cat >"$work/renew" <<END
#!/bin/sh
unset LD_LIBRARY_PATH
for worker in \$(sed -n 's/.*: worker \([0-9]*\) serves .*/\1/p' "$work/err"); do
    [ -d "/proc/\$worker" ] || continue
    if timeout 60 "$ctl" renew "\$worker" >>"$work/said" 2>&1; then echo renewed; else echo refused; fi >>"$work/count"
done
END
chmod +x "$work/renew"

# renewed NAME EVERY: renewed after each EVERY checks.
renewed() {
    : >"$work/count"
    : >"$work/said"
    timeout -k 2 "$limit" "$host" -c /dev/null --address="$work/$1.sock" --log=stderr --log-level=info \
        ${CUDA_NATIVE:+"cuda.driver=$CUDA_NATIVE"} cuda.renew=yes \
        --run "env LD_LIBRARY_PATH=$guest TEST_RENEW=$work/renew TEST_RENEW_EVERY=$2 $work/$1" \
        >"$work/out" 2>"$work/err" </dev/null
}

explain() {
    grep -A1 '^not ok\|^Bail' "$work/out" | sed 's/^/# /'
    grep -q '^1\.\.\|^Bail' "$work/out" || tail -n 1 "$work/out" | sed 's/^/# ended behind: /'
    grep 'error:\|warning:' "$work/err" | tail -n 5 | sed 's/^/# /'
}

all=0
for name in ${CUDA_PROGRAMS:-contexts settings modules libraries launches memory allocations pools virtual managed \
    registered rows arrays batches textures devices pageable fills streams threads graphs captures callbacks odds \
    prints}; do
    cuda_compile "$name" || bail "$name does not compile"
    if renewed "$name" "${TEST_RENEW_EVERY:-7}"; then pass "$name"; else fail "$name"; explain; fi
    count=$(grep -c renewed "$work/count")
    echo "# $name: $count times renewed, $(grep -c refused "$work/count") times refused"
    sed -n 's/.*is not renewed: /# /p' "$work/said" | sort | uniq -c | sed 's/^ *\([0-9]*\) # /#   \1: /'
    all=$((all + count))
done
ok "workers were renewed while programs ran" [ "$all" -ge "${CUDA_RENEWALS:-50}" ]

done_testing
