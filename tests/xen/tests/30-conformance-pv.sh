#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The conformance suite from a PV guest to Dom0.
#
# boot: smp
# timeout: 1800
# guest: pv
# takes: 60

# shellcheck source=tests/xen/suites.sh
. /src/tests/xen/suites.sh

ok "a guest" guest_shared pv || bail "there is no guest"
suite_before=$(leaks)
ok "the tests' host in Dom0" test_host_start || bail "there is no host"
suite "conformance" pv1 1500 "$tests/conformance/conformance xen:0"
test_host_stop
is "the host ends" $? 0
nothing_left pv1
done_testing
