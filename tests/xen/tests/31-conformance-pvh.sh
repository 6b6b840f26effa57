#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The conformance suite from a PVH guest to Dom0.
#
# timeout: 1800
# guest: pvh
# takes: 60

# shellcheck source=tests/xen/suites.sh
. /src/tests/xen/suites.sh

ok "a guest" guest_shared pvh || bail "there is no guest"
suite_before=$(leaks)
ok "the tests' host in Dom0" test_host_start || bail "there is no host"
suite "conformance" pvh1 1500 "$tests/conformance/conformance xen:0"
test_host_stop
is "the host ends" $? 0
nothing_left pvh1
done_testing
