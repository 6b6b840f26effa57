#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A guest is saved and restored while one of its programs has a channel: the program gets a clear error and ends, the
# kernels have nothing to complain about, nothing is left on the host, and the restored guest is served.
# timeout: 900
# takes: 45

. /src/tests/xen/lib.sh

HOST_READY='listens at xen:' host_start --address=xen: || bail "no host"
said() { grep -q "$1" "$host_log"; }
worker_of() { sed -n "s/.*worker \([0-9]*\) serves domain.*/\1/p" "$host_log" | tail -n 1; }
at_work() { said "worker $(worker_of): cuda: driver" && [ "$(grants_mapped "$domid")" -gt 1000 ]; }
no_zombie() { [ "$(zombies)" -eq 0 ]; }
nothing_given() { [ "$(grants_given "$(guest_domid "$guest")" 0)" -eq 0 ]; }

for type in ${TYPES:-pv pvh}; do
    guest=${type}1
    guest_start "$guest" "$type" || bail "no guest"
    domid=$(guest_domid "$guest")
    guest_spawn "$guest" busy 'gpuvchan-run matmul 512'
    ok "$type: a CUDA program is at work" within 120 at_work
    ok "$type: the guest is saved" guest_save "$guest" /run/saved
    ok "$type: no zombie stays of it" within 30 no_zombie
    ok "$type: it is restored" guest_restore "$guest" /run/saved
    rm -f /run/saved
    output=$(guest_wait "$guest" busy)
    status=$?
    ok "$type: its program has ended with an error, and did not hang" test "$status" -ne 0 -a "$status" -ne 124
    diag "$output"
    like "$type: which says what happened" "$output" "saved and restored.*start the program again"
    run_in "$guest" 'gpuvchan-run vectoradd'
    is "$type: a new program runs" "$status" 0
    diag "$output"
    ok "$type: nothing stays granted" within 60 nothing_given
    diag "$(guest_complaints "$guest")"
    ok "$type: the guest's kernel has no complaints" eval '! guest_complaints "$guest"'
    guest_destroy "$guest"
    ok "$type: and no zombie after its end" within 30 no_zombie
done
host_stop
is "the host ends" $? 0
done_testing
