#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Commands and jobs in guests outlive pausing, saving and restoring the guest.
#
# timeout: 900

. /src/tests/xen/lib.sh

for type in pv pvh; do
    ok "$type: starts" guest_start guest "$type" 'memory = 128' || continue
    before=$(guest_domid guest)
    ok "$type: a job" guest_spawn guest job 'echo begun; sleep 4; echo done; exit 5'
    xl pause guest
    guest_run guest 'echo through' >"$work/through" &
    caller=$!
    sleep 2
    is "$type: paused, it does not answer" "$(cat "$work/through")" ""
    xl unpause guest
    wait $caller
    is "$type: and then it does" "$? $(cat "$work/through")" "0 through"
    ok "$type: is saved" guest_save guest /run/saved
    run_in guest true
    is "$type: is not there then" "$status" 126
    ok "$type: is restored" guest_restore guest /run/saved
    rm -f /run/saved
    ok "$type: is another domain" [ "$(guest_domid guest)" != "$before" ]
    output=$(guest_wait guest job)
    is "$type: the job has gone on" "$? $output" "5 begun
done"
    run_in guest 'seq 1 20000 | tail -n 1'
    is "$type: it runs commands" "$status $output" "0 20000"
    not_ok "$type: no complaint in its kernel's log" guest_complaints guest
    guest_destroy guest
done
is "nothing is a zombie" "$(zombies)" 0
done_testing
