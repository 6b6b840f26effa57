#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Our programs from guest to Dom0: the real gpuvchan-host, an unmodified CUDA program, a backend of one's own.
#
# guest: pv
# takes: 25

. /src/tests/xen/lib.sh

guest_shared pv || bail "no guest"

run_in pv1 'GPUVCHAN_ADDRESS=xen: hello-client'
is "without a host a guest fails at once" "$status" 1
like "and says what is missing" "$output" "no gpuvchan-host serves 'default' in domain 0"

HOST_READY='listens at xen:' host_start --address=xen: --user=nobody || bail "no host"
no_leaks=$(leaks)
run_in pv1 'GPUVCHAN_ADDRESS=xen: hello-client'
is "hello runs from the guest" "$status" 0
diag "$output"
like "and has its answers" "$output" "Hello, world"
run_in pv1 'gpuvchan-run vectoradd'
is "an unmodified CUDA program runs, with no address told" "$status" 0
like "and its result is right" "$output" PASS
diag "$output"
run_in pv1 'gpuvchan-run --address=xen:0/default matmul'
is "another one, with the host's address in full" "$status" 0
diag "$(tail -n 20 "$host_log")"
worker() { sed -n 's/.*worker \([0-9]*\) serves domain.*/\1/p' "$host_log" | tail -n 1; }
of_worker() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$(worker)/status" | tr -s '\t ' '  '; }
last=$(worker)
guest_spawn pv1 held 'gpuvchan-run matmul 512'
another() { [ "$(worker)" != "$last" ]; }
ok "another program is served" within 60 another
is_nobody() { [ "$(of_worker Uid)" = "65534 65534 65534 65534" ]; }
ok "its worker is nobody, as the host was told" within 60 is_nobody || diag "$(of_worker Uid)"
has_none() { [ "$(of_worker CapEff)" = 0000000000000000 ]; }
ok "and has no capabilities" within 60 has_none || diag "$(of_worker CapEff)"
serves() { [ "$(grants_mapped "$(guest_domid pv1)")" -gt 1000 ]; }
ok "it serves" within 60 serves
guest_run pv1 'kill -KILL $(pidof matmul)'
guest_wait pv1 held >/dev/null 2>&1
no_more() { [ "$(leaks)" = "$no_leaks" ]; }
within 20 no_more || :
is "nothing is left: grants, maps, channels, nodes, zombies" "$(leaks)" "$no_leaks"
host_stop
is "the host ends" $? 0
diag "$(guest_complaints pv1)"
ok "the guest's kernel has no complaints" eval '! guest_complaints pv1'
done_testing
