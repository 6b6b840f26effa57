#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The programs under test run in Dom0 and in a guest, each by itself over the local transport: nothing that they need
# is missing there.
#
# timeout: 600
# guest: pv
# takes: 15

. /src/tests/xen/lib.sh

run 120 gpuvchan-host --run 'gpuvchan-run vectoradd'
is "Dom0: vectoradd: status" "$status" 0
like "Dom0: vectoradd" "$output" PASS
run 60 gpuvchan-host --run 'hello-client Dom0'
like "Dom0: hello" "$status $output" 'Hello, Dom0'
ok "a host in Dom0" host_start
run 60 gpuvchan-run matmul
like "Dom0: matmul, by that host" "$status $output" PASS
host_stop
is "the host ends" $? 0

ok "a guest" guest_shared pv || bail "there is no guest"
run_in pv1 "gpuvchan-host --run 'gpuvchan-run vectoradd'"
is "guest: vectoradd: status" "$status" 0
like "guest: vectoradd" "$output" PASS
run_in pv1 "gpuvchan-host --run 'hello-client guest'"
like "guest: hello" "$output" 'Hello, guest'
for program in gpuvchan-host gpuvchan-run gpuvchan-bench; do
    run_in pv1 "$program --version"
    is "guest: $program --version" "$status" 0
done
GUEST_SECONDS=500 run_in pv1 "TEST_SLOW=10 TEST_SECONDS=480 TEST_ROUNDS=10 /opt/gpuvchan/tests/conformance/conformance"
is "guest: the conformance suite" "$status" 0
[ "$status" -eq 0 ] || diag "$output"
not_ok "guest: no complaint in its kernel's log" guest_complaints pv1
done_testing
