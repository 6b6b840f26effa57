#!/bin/sh
# SPDX-License-Identifier: MIT
#
# 200 connections, of which most are killed somewhere between their first step and their last, on either side.
# timeout: 900
# guest: pv
# takes: 70

. /src/tests/xen/lib.sh

guest_shared pv || bail "no guest"
HOST_READY='listens at xen:' host_start --address=xen: || bail "no host"
run_in pv1 'GPUVCHAN_ARENA=256K hello-client'
is "the guest is served" "$status" 0
nothing_given() { [ "$(grants_given "$(guest_domid pv1)" 0)" -eq 0 ]; }
within 30 nothing_given
no_leaks=$(leaks)
descriptors=$(ls "/proc/$host_pid/fd" | wc -l)

guest_spawn pv1 many 'i=0
    export GPUVCHAN_ARENA=256K
    while [ $i -lt 200 ]; do
        i=$((i + 1))
        hello-client >/dev/null 2>&1 &
        if [ $((i % 4)) -ne 0 ]; then
            usleep $((RANDOM * 10))
            kill -KILL $! 2>/dev/null
        fi
        wait $!
    done 2>/dev/null
    echo "done: $i"'
# Meanwhile a worker is killed now and then.
while [ "$(guest_job pv1 many)" = running ]; do
    worker=$(sed -n "s/.*worker \([0-9]*\) serves domain.*/\1/p" "$host_log" | tail -n 1)
    ! grep -qs gpuvchan "/proc/$worker/comm" || kill -KILL "$worker"
    sleep 3
done
output=$(GUEST_SECONDS=60 guest_wait pv1 many)
like "200 connections came and went" "$output" "done: 200"
diag "$(grep -c ' serves domain' "$host_log") workers, of them $(grep -c 'killed by signal' "$host_log") killed"
run_in pv1 'gpuvchan-run vectoradd'
is "the guest is served" "$status" 0
no_more() { [ "$(leaks)" = "$no_leaks" ]; }
within 60 no_more || :
is "no grants, maps, event channels, nodes or zombies stay" "$(leaks)" "$no_leaks"
is "the supervisor's descriptors are as before" "$(ls "/proc/$host_pid/fd" | wc -l)" "$descriptors"
run_in pv1 'pidof gpuvchan-keeper'
is "no keeper stays" "$output" ""
host_stop
is "the host ends" $? 0
ok "the guest's kernel has no complaints" eval '! guest_complaints pv1'
done_testing
