#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The conformance suite from one guest to another that is the host: a PV and a PVH guest of a PV host.
#
# timeout: 3600
# takes: 150

# shellcheck source=tests/xen/suites.sh
. /src/tests/xen/suites.sh

# between HOST GUEST
between() {
    suite_before=$(leaks)
    ok "$1: the tests' host" test_host_start "$1" || return
    suite "$2 to $1" "$2" 1500 "$tests/conformance/conformance xen:$(guest_domid "$1")"
    guest_run "$1" 'cat /run/test-host.log' >"/results/32.$1-$2.log"
    test_host_stop "$1"
    is "$1: the host ends" $? 0
    nothing_left "$1" "$2"
}

ok "a PV guest for the host" guest_start server1 pv 'memory = 320' || bail "there is no guest"
ok "a PV guest" guest_start pv1 pv 'memory = 400' 'extra+ = gntalloc=28000' || bail "there is no guest"
between server1 pv1
ok "pv1 ends" guest_destroy pv1
ok "a PVH guest" guest_start pvh1 pvh 'memory = 400' 'extra+ = gntalloc=28000' || bail "there is no guest"
between server1 pvh1
done_testing
