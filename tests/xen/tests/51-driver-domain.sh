#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gpuvchan-host in a driver domain that has a card by PCI: it serves other guests, without Dom0's rights.
#
# boot: iommu
# timeout: 900
# takes: 70

# shellcheck disable=SC2016,SC2034,SC2154,SC2317 # tests/tap.sh sets $status and others; `eval` and `within` come later
# shellcheck source=tests/xen/lib.sh
. /src/tests/xen/lib.sh

gpu=0000:00:04.0 # see run.sh

# Dom0's console shall not be there, should an earlier test have loaded the card's driver.
grep -l 'frame buffer' /sys/class/vtconsole/*/name | sed 's/name$/bind/' | while read -r bind; do echo 0 >"$bind"; done
echo 'type = "pv"' >/run/driver-domain.cfg
run 120 gpuvchanctl pci assign $gpu --config=/run/driver-domain.cfg
is "the display card is assigned" "$status $errors" "0 "
before_all=$(leaks)

# host_in DOMAIN: $host_job, of which a domain may have several one after the other.
hosts=0
host_in() {
    hosts=$((hosts + 1))
    host_job=host$hosts
    guest_spawn "$1" "$host_job" 'exec gpuvchan-host -c /dev/null --address=xen: --log=stderr' || return 1
    within 120 said "$1" 'listens at xen:'
}
said() { guest_output "$1" "$host_job" | grep -q "$2"; }
# What it has said is kept for those who look.
host_log() { guest_output "$1" "$host_job" >"/results/51-driver-domain.$host_job.log"; }

ok "a driver domain" guest_start driver pv 'memory = 288' "$(grep '^pci' /run/driver-domain.cfg)" || bail "no driver domain"
ok "a guest" guest_start pv1 pv 'memory = 192' || bail "no guest"
ok "another one" guest_start pv2 pv 'memory = 192' || bail "no guest"
driver=$(guest_domid driver)
one=$(guest_domid pv1)
two=$(guest_domid pv2)
ok "the driver domain loads PCI's frontend" guest_run driver 'modprobe xen-pcifront'
ok "and has the card" guest_sees_card driver 0x1111
ok "and its driver" guest_run driver 'modprobe bochs'
ok "/dev/dri/card0" within 30 guest_run driver 'test -c /dev/dri/card0'

# ---- Serving

run_in pv1 "GPUVCHAN_ADDRESS=xen:$driver hello-client"
like "without a host there is a clear error" "$status $output" "no gpuvchan-host serves 'default' in domain $driver"
ok "gpuvchan-host in the driver domain" host_in driver || bail "no host"
idle=$(leaks)
no_more() { [ "$(leaks)" = "$idle" ]; }
is_clean() {
    within 60 no_more || :
    is "$1: grants, maps, event channels, nodes and zombies are as before" "$(leaks)" "$idle"
}

run_in pv1 "GPUVCHAN_ADDRESS=xen:$driver hello-client"
is "hello runs from the guest, with the domain's number" "$status" 0
like "and has its answers" "$output" "Hello, world"
run_in pv1 "GPUVCHAN_ADDRESS=xen:$driver gpuvchan-run vectoradd"
is "and so does a CUDA program" "$status" 0
like "with the right result" "$output" PASS
is_clean "two programs"

run_in pv1 'gpuvchan-run --address=xen: vectoradd'
like "plain xen: is Dom0, where no host is" "$status $output" "no gpuvchan-host serves 'default' in domain 0"
for guest in $one $two; do xenstore-write "/local/domain/$guest/data/gpuvchan/host" "$driver"; done
idle=$(leaks)
ok "once Dom0 has written the number: two guests at once" eval \
    "guest_spawn pv1 cuda 'gpuvchan-run --address=xen: matmul 64' && guest_spawn pv2 cuda 'gpuvchan-run --address=xen: matmul 64'"
for guest in pv1 pv2; do
    output=$(guest_wait $guest cuda)
    is "$guest: its program ends well" $? 0
    like "$guest: and its result is right" "$output" PASS
done
is_clean "two guests"

# ---- The host starts anew

guest_kill_job driver "$host_job" KILL
guest_wait driver "$host_job" >/dev/null
ok "the host is killed, and a guest connects meanwhile" guest_spawn pv1 waits 'gpuvchan-run --address=xen: vectoradd'
waiting() { xenstore-ls -f "/local/domain/$one/data/gpuvchan" | grep -q '/to = '; }
ok "it waits" within 60 waiting
ok "a new host" host_in driver || bail "no host"
output=$(guest_wait pv1 waits)
is "finds who waits" $? 0
like "and serves it" "$output" PASS
is_clean "a new host"

# ---- A guest is destroyed

at_work() { [ "$(grants_mapped "$1" "$driver")" -gt 1000 ]; }
guest_spawn pv2 busy 'gpuvchan-run --address=xen: matmul 512'
ok "a program of the second guest is at work" within 120 at_work "$two"
guest_destroy pv2
begun=$(date +%s)
ended() { guest_output driver "$host_job" | sed -n "/domain $two is gone/,\$p" | grep -q "worker [0-9]* (domain $two)"; }
ok "its domain is destroyed: the worker ends" within 60 ended
diag "after $(($(date +%s) - begun)) s"
diag "$(guest_output driver "$host_job" | tail -n 3)"
no_zombie() { [ "$(zombies)" -eq 0 ]; }
ok "no zombie stays" within 60 no_zombie
run_in pv1 'gpuvchan-run --address=xen: vectoradd'
is "the other guest is served as before" "$status" 0
ok "the driver domain's kernel has no complaints" eval '! guest_complaints driver'
host_log driver

# ---- The driver domain is destroyed

ok "a program of the first guest is at work" eval "guest_spawn pv1 busy 'gpuvchan-run --address=xen: matmul 512' && within 120 at_work $one"
guest_destroy driver
begun=$(date +%s)
output=$(guest_wait pv1 busy)
isnt=$?
took=$(($(date +%s) - begun))
diag "$output"
diag "status $isnt after $took s"
ok "the driver domain is destroyed: the program ends with an error" eval '[ "$isnt" -ne 0 ] && [ "$isnt" -lt 124 ]'
like "which tells why" "$output" "the host's domain $driver has ended"
ok "within seconds" [ $took -le 60 ]
ok "no zombie stays of the driver domain" within 60 no_zombie
run_in pv1 'gpuvchan-run --address=xen: vectoradd'
like "another program fails at once" "$status $output" "no gpuvchan-host serves 'default' in domain $driver"
ok "the guest's kernel has no complaints" eval '! guest_complaints pv1'
ok "the guest can be destroyed, too" guest_destroy pv1
no_more() { [ "$(leaks)" = "$before_all" ]; }
within 60 no_more || :
is "nothing is left of the three" "$(leaks)" "$before_all"
run 120 gpuvchanctl pci release $gpu
is "Dom0 has its card back" "$status" 0
done_testing
