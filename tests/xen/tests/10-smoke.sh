#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Xen is there, PV and PVH guests start, and commands in them do what they should: the rig can be relied on.
#
# timeout: 600
# takes: 40

. /src/tests/xen/lib.sh

like "xl list has Dom0" "$(xl list)" '^Domain-0 +0 '
like "this is Xen" "$(cat /sys/hypervisor/type)" '^xen$'
is "nothing is a zombie" "$(zombies)" 0
before=$(leaks)
diag "before: $before"

check() {
    ok "$1: starts" guest_start "$1" "$2" || return
    diag "domain $(guest_domid "$1")"
    run_in "$1" 'echo one; echo two >&2; exit 7'
    is "$1: output and exit status" "$status $output" "7 one
two"
    run_in "$1" 'kill -9 $$'
    is "$1: a signal" "$status" 137
    run_in "$1" "cat /sys/hypervisor/guest_type"
    is "$1: it is what it should be" "$output" "$(echo "$2" | tr '[:lower:]' '[:upper:]')"
    is "$1: 60 KiB of output are intact" "$(guest_run "$1" 'seq 1 12000' | md5sum)" "$(seq 1 12000 | md5sum)"
    run_in "$1" 'ls /dev/xen/gntalloc /dev/xen/gntdev /dev/xen/evtchn'
    is "$1: Xen's devices" "$status" 0
    is "$1: a long command" "$(guest_run "$1" ": $(seq 1 2000 | tr '\n' ' '); echo done")" "done"
    not_ok "$1: no complaint in its kernel's log" guest_complaints "$1"
}
check pv1 pv
check pvh1 pvh

# ---- Both at once ------------------------------------------------------------------------------

guest_run pv1 'sleep 2; hostname; seq 1 5000' >"$work/pv1" &
first=$!
guest_run pvh1 'sleep 2; hostname; seq 1 5000' >"$work/pvh1" &
second=$!
guest_run pv1 'sleep 1; seq 1 3000' >"$work/again"
is "two commands in one guest" "$(md5sum <"$work/again")" "$(seq 1 3000 | md5sum)"
ok "two guests: the first" wait "$first"
ok "two guests: the second" wait "$second"
is "two guests: the output of the first" "$(wc -l <"$work/pv1")" 5001
is "two guests: the output of the second" "$(wc -l <"$work/pvh1")" 5001

# ---- Jobs --------------------------------------------------------------------------------------

ok "a job is started" guest_spawn pv1 sleeper 'echo begun; sleep 1000; echo never'
begun() { [ "$(guest_output pv1 sleeper)" = begun ]; }
ok "it prints" within 30 begun
is "it runs" "$(guest_job pv1 sleeper)" running
ok "it is sent a signal" guest_kill_job pv1 sleeper TERM
output=$(guest_wait pv1 sleeper)
is "its end" "$? $output" "143 begun"
is "it is forgotten" "$(guest_job pv1 sleeper)" none
GUEST_SECONDS=3 run_in pv1 'echo slow; sleep 1000'
like "a command that hangs" "$status $output" '^124 .*not done in time'
run_in nobody true
is "a guest that is not there" "$status" 126

# ---- The end -----------------------------------------------------------------------------------

ok "pv1 is destroyed" guest_destroy pv1
run_in pv1 true
is "it does not answer any more" "$status" 126
ok "pvh1 is destroyed" guest_destroy pvh1
settled() { [ "$(leaks)" = "$before" ]; }
within 20 settled
is "nothing is left" "$(leaks)" "$before"
done_testing
