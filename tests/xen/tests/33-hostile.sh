#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Guests that lie, from a PV and a PVH guest to Dom0, and from one guest to another: wrong hellos and records as on the
# local transport, and what only Xen has.
#
# timeout: 3600

# shellcheck source=tests/xen/suites.sh
. /src/tests/xen/suites.sh

# lie GUEST HOST-DOMAIN
lie() {
    suite "$1 to $2: records" "$1" 1500 "$tests/hostile/hostile_guest xen:$2"
    suite "$1 to $2: grants and nodes" "$1" 1500 "$tests/hostile/hostile_xen xen:$2"
}

ok "a PV guest" guest_start pv1 pv 'extra+ = gntalloc=28000 grant_table.free_per_iteration=0' || bail "there is no guest"
suite_before=$(leaks)
ok "the tests' host in Dom0" test_host_start || bail "there is no host"
lie pv1 0
ok "a PVH guest" guest_start pvh1 pvh 'extra+ = gntalloc=28000 grant_table.free_per_iteration=0' || bail "there is no guest"
lie pvh1 0
guest_destroy pvh1
test_host_stop
is "the host ends" $? 0
nothing_left pv1

ok "a guest for the host" guest_start server1 pv 'extra+ = gntalloc=28000 grant_table.free_per_iteration=0' || bail "there is no guest"
suite_before=$(leaks)
ok "the tests' host in it" test_host_start server1 || bail "there is no host"
lie pv1 "$(guest_domid server1)"
guest_run server1 'cat /run/test-host.log' >/results/33.server1.log
test_host_stop server1
is "the host ends" $? 0
nothing_left pv1 server1
done_testing
