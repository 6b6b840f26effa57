#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A host in Dom0 that lies: wrong welcomes, replies, positions and faults. Guests get a named error, and nothing hangs.
#
# timeout: 1200
# guest: pvh
# takes: 60

# shellcheck source=tests/xen/suites.sh
. /src/tests/xen/suites.sh

for type in pvh pv; do
    ok "a $type guest" guest_shared $type || bail "there is no guest"
    suite_before=$(leaks)
    # shellcheck disable=SC2086 # assignments
    env $suite_environment "$tests/hostile/hostile_host" --lie xen: >/run/liar.out 2>&1 &
    liar=$!
    ok "the liar in Dom0" within 60 grep -q READY /run/liar.out || diag "$(cat /run/liar.out)"
    suite "a lying host, $type" "${type}1" 500 "$tests/hostile/hostile_host xen:0"
    kill -TERM $liar
    finish 60 $liar
    is "the liar ends, and no lie has failed it" $? 0
    diag "$(cat /run/liar.out)"
    nothing_left "${type}1"
done
done_testing
