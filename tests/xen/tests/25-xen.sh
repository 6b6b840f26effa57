#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Our programs from guest to Dom0: the real gpuvchan-host, an unmodified CUDA program, a backend of one's own.

. /src/tests/xen/lib.sh

guest_start pv1 pv || bail "no guest"

run_in pv1 'GPUVCHAN_ADDRESS=xen: hello-client'
is "without a host a guest fails at once" "$status" 1
like "and says what is missing" "$output" "no gpuvchan-host serves 'default' in domain 0"

HOST_READY='listens at xen:' host_start --address=xen: || bail "no host"
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
no_more() { [ "$(leaks)" = "$no_leaks" ]; }
within 20 no_more || :
is "nothing is left: grants, maps, channels, nodes, zombies" "$(leaks)" "$no_leaks"
host_stop
is "the host ends" $? 0
diag "$(guest_complaints pv1)"
ok "the guest's kernel has no complaints" eval '! guest_complaints pv1'
done_testing
