#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A third domain cannot attach to another guest's channel: neither by xenstore nor by guessing numbers.
#
# timeout: 1200
# guest: pv
# takes: 40

# shellcheck source=tests/xen/suites.sh
. /src/tests/xen/suites.sh

# spied HOST-DOMAIN: a guest with a channel there, and one that wants to see it.
spied() {
    ok "a channel to domain $1" guest_spawn pv1 channel \
        "env $suite_environment GPUVCHAN_ADDRESS=xen:$1/plain $tests/helpers/kill_guest posted"
    at_posted() { guest_output pv1 channel | grep -q 'at posted'; }
    ok "it is open" within 60 at_posted || diag "$(guest_output pv1 channel)"
    victim=$(guest_domid pv1)
    node=$(xenstore-ls -f "/local/domain/$victim/data/gpuvchan" | sed -n 's|^\([^ ]*\)/ring-ref = .*|\1|p' | head -n 1)
    reference=$(xenstore-read "$node/ring-ref")
    port=$(xenstore-read "$node/event-channel")
    diag "$node: grant $reference, port $port"
    suite "a third domain" pv2 600 "$tests/hostile/third_domain $victim $1 $node $reference $port"
    is "the channel is still there" "$(xenstore-read "$node/ring-ref")" "$reference"
    guest_kill_job pv1 channel KILL
    guest_wait pv1 channel >/dev/null
}

ok "a guest" guest_shared pv || bail "there is no guest"
ok "another one" guest_start pv2 pv 'extra+ = gntalloc=28000' || bail "there is no guest"
suite_before=$(leaks)
ok "the tests' host in Dom0" test_host_start || bail "there is no host"
spied 0
test_host_stop
is "the host ends" $? 0
nothing_left pv1 pv2

ok "a guest for the host" guest_start server1 pv 'extra+ = gntalloc=28000' || bail "there is no guest"
suite_before=$(leaks)
ok "the tests' host in it" test_host_start server1 || bail "there is no host"
spied "$(guest_domid server1)"
test_host_stop server1
is "the host ends" $? 0
nothing_left pv1 pv2 server1
done_testing
