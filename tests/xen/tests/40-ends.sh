#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What ends a connection, and what must be left then: nothing. And pause, which ends none.
# timeout: 900
# guest: pv
# takes: 90

. /src/tests/xen/lib.sh

guest_shared pv || bail "no guest"
no_more() { [ "$(leaks)" = "$no_leaks" ]; }
is_clean() {
    within 60 no_more || :
    is "$1: grants, maps, event channels, nodes and zombies are as before" "$(leaks)" "$no_leaks"
}
said() { grep -q "$1" "$host_log"; }
# In whatever way: one that was in the middle of a kernel is "stuck in a plugin", and ends after three seconds.
is_over() { grep -q "worker $1 (.*\(ended\|stuck\|killed\)" "$host_log"; }
worker_of() { sed -n "s/.*worker \([0-9]*\) serves domain.*/\1/p" "$host_log" | tail -n 1; }
# A CUDA program that is at work for as long as the test needs it.
busy='gpuvchan-run matmul 512'
at_work() { said "worker $(worker_of): cuda: driver" && [ "$(grants_mapped "$(guest_domid pv1)")" -gt 1000 ]; }

HOST_READY='listens at xen:' host_start --address=xen: || bail "no host"
run_in pv1 hello-client
is "the guest is served" "$status" 0
within 20 eval '[ "$(grants_given "$(guest_domid pv1)" 0)" -eq 0 ]'
no_leaks=$(leaks)

# ---- The guest's process is killed

guest_spawn pv1 busy "$busy"
ok "a CUDA program is at work" within 120 at_work
worker=$(worker_of)
guest_run pv1 'kill -KILL $(pidof matmul)'
ok "it is killed: its worker ends" within 60 is_over "$worker"
guest_wait pv1 busy >/dev/null 2>&1
is_clean "a killed guest process"

# ---- The worker is killed

guest_spawn pv1 busy "$busy"
ok "another program is at work" within 120 at_work
worker=$(worker_of)
kill -KILL "$worker"
output=$(guest_wait pv1 busy)
isnt=$?
ok "its worker is killed: the program ends with an error" [ "$isnt" -ne 0 ] 
[ "$isnt" -ne 124 ] || not_ok "and does not hang"
diag "$output"
is_clean "a killed worker"

# ---- The supervisor is killed, and another one comes

guest_spawn pv1 busy 'gpuvchan-run matmul 160'
ok "a third program is at work" within 120 at_work
worker=$(worker_of)
kill -KILL "$host_pid"
finish 10 "$host_pid"
ok "the supervisor is killed: the worker stays" kill -0 "$worker"
HOST_READY='listens at xen:' host_start --address=xen: || bail "no second host"
ok "the new supervisor takes it over" within 30 said "adopted worker $worker"
output=$(guest_wait pv1 busy)
is "the program comes to its end" $? 0
diag "$output"
ok "and the new supervisor sees its worker end" within 60 is_over "$worker"
run_in pv1 hello-client
is "the new supervisor serves others" "$status" 0
is_clean "a killed supervisor"

# ---- Pause, of a minute at least, during which others end

guest_spawn pv1 busy 'gpuvchan-run matmul 160'
ok "a fourth program is at work" within 120 at_work
paused=$(worker_of)
xl pause pv1
paused_at=$(date +%s)

no_leaks_before=$no_leaks
no_leaks=
steady() { last=$no_leaks no_leaks=$(leaks); [ "$no_leaks" = "$last" ]; }
ok "its grants stay as they are" within 20 steady

# ---- A guest is destroyed, and one crashes

guest_start pv2 pv || bail "no second guest"
second=$(guest_domid pv2)
guest_spawn pv2 busy "$busy"
at_work() { said "worker $(worker_of): cuda: driver" && [ "$(grants_mapped "$second")" -gt 1000 ]; }
ok "a program of another guest is at work" within 120 at_work
worker=$(worker_of)
guest_destroy pv2
ok "the guest is destroyed: its worker ends" within 30 is_over "$worker"
no_zombie() { [ "$(zombies)" -eq 0 ]; }
ok "and no zombie stays" within 30 no_zombie
is_clean "a destroyed guest"

guest_start pv3 pv || bail "no third guest"
second=$(guest_domid pv3)
guest_spawn pv3 busy "$busy"
ok "a program of a third guest is at work" within 120 at_work
worker=$(worker_of)
guest_spawn pv3 panic 'sleep 1; echo c >/proc/sysrq-trigger'
ok "the guest's kernel panics: its worker ends" within 60 is_over "$worker"
is "nothing of it is mapped" "$(grants_mapped "$second")" 0
guest_destroy pv3
ok "after its end no zombie stays" within 30 no_zombie
is_clean "a crashed guest"

# ---- The pause ends

while [ $(($(date +%s) - paused_at)) -lt 60 ]; do sleep 1; done
ok "the first guest was paused for a minute: its worker is still there" kill -0 "$paused"
xl unpause pv1
output=$(guest_wait pv1 busy)
is "its program goes on and comes to its end" $? 0
like "with the right result" "$output" PASS
no_leaks=$no_leaks_before
is_clean "a pause"

run_in pv1 'gpuvchan-run vectoradd'
is "the first guest is served as before" "$status" 0
is_clean "all of it"
host_stop
is "the host ends" $? 0
ok "the guest's kernel has no complaints" eval '! guest_complaints pv1'
done_testing
