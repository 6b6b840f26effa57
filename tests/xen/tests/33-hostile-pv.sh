#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A PV guest that lies to Dom0: wrong hellos and records as on the local transport, and what only Xen has.
#
# timeout: 1800
# guest: pv
# takes: 100

# shellcheck source=tests/xen/suites.sh
. /src/tests/xen/suites.sh

ok "a guest" guest_shared pv || bail "there is no guest"
suite_before=$(leaks)
ok "the tests' host in Dom0" test_host_start || bail "there is no host"
lie_in_records pv1 0
lie_to_xen pv1 0
test_host_stop
is "the host ends" $? 0
nothing_left pv1
done_testing
