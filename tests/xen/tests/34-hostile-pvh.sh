#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A PVH guest that lies to Dom0: wrong hellos and records. What only Xen has is the same to the host as from a PV guest.
#
# timeout: 1800
# guest: pvh
# takes: 45

# shellcheck source=tests/xen/suites.sh
. /src/tests/xen/suites.sh

ok "a guest" guest_shared pvh || bail "there is no guest"
suite_before=$(leaks)
ok "the tests' host in Dom0" test_host_start || bail "there is no host"
lie_in_records pvh1 0
test_host_stop
is "the host ends" $? 0
nothing_left pvh1
done_testing
