#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A PV guest that lies to another guest, which is the host.
#
# timeout: 1800
# takes: 160

# shellcheck source=tests/xen/suites.sh
. /src/tests/xen/suites.sh

ok "a guest for the host" guest_start server1 pv 'extra+ = gntalloc=28000' || bail "there is no guest"
ok "a guest" guest_start pv1 pv 'extra+ = gntalloc=28000' || bail "there is no guest"
suite_before=$(leaks)
ok "the tests' host in the first one" test_host_start server1 || bail "there is no host"
lie_in_records pv1 "$(guest_domid server1)"
lie_to_xen pv1 "$(guest_domid server1)"
guest_run server1 'cat /run/test-host.log' >/results/35.server1.log
test_host_stop server1
is "the host ends" $? 0
nothing_left pv1 server1
done_testing
