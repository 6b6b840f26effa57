#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gpuvchanctl pci: a display card and a network card go from Dom0 to a driver domain that uses them, and come back.
#
# boot: iommu
# timeout: 600
# takes: 50

# shellcheck disable=SC2016,SC2034,SC2154,SC2317 # tests/tap.sh sets $status and others; `eval` and `within` come later
# shellcheck source=tests/xen/lib.sh
. /src/tests/xen/lib.sh

gpu=0000:00:04.0 # see run.sh
net=0000:00:03.0
driver_of() { basename "$(readlink "/sys/bus/pci/devices/$1/driver" || echo none)"; }

# Dom0's own drivers, which are to have them back.
modprobe e1000
modprobe bochs
within 10 test -e /sys/bus/pci/devices/$gpu/graphics/fb0 || :
is "Dom0 has the network card" "$(driver_of $net)" e1000
is "and the display card" "$(driver_of $gpu)" bochs-drm

# ---- list

run 60 gpuvchanctl pci list
is "pci list" "$status" 0
like "shows the display card" "$output" "^$gpu  display  .*\[1234:1111\]"
like "and its driver" "$output" "driver bochs-drm"
like "and a virtual one" "$output" "^0000:00:05.0  display  .*\[1af4:1050\]"
unlike "and no network card" "$output" "^$net"
run 60 gpuvchanctl pci list --all
like "with --all that, too" "$output" "^$net  network  .*\[8086:100e\]"

# ---- The console's card is not taken

# Linux moves its console there with the first words.
echo >/dev/tty0
bound() { grep -l 'frame buffer' /sys/class/vtconsole/*/name | sed 's/name$/bind/'; }
if [ -n "$(bound)" ] && [ "$(cat "$(bound)")" = 1 ]; then
    run 60 gpuvchanctl pci assign 00:04.0
    is "a card that shows the console is refused" "$status" 1
    like "and the reason is told" "$errors" "$gpu shows the console of Dom0"
    is "it stays with its driver" "$(driver_of $gpu)" bochs-drm
    echo 0 >"$(bound)"
else
    skip "a card that shows the console is refused" "the console is on no card here"
fi

# ---- Signals

# An xl that stops at a step, which $1 tells.
mkdir -p /run/slow
xl=$(command -v xl)
slow_xl() {
    cat >/run/slow/xl <<END
#!/bin/sh
[ "\$1" = pci-assignable-add ] || exec $xl "\$@"
$1
END
    chmod +x /run/slow/xl
    rm -f /run/slow/there
}
assign_slowly() {
    slow_xl "$1"
    start assign env PATH=/run/slow:"$PATH" gpuvchanctl pci assign $net
    assign=$pid
    within 60 test -e /run/slow/there
}

assign_slowly "$xl \"\$@\"; touch /run/slow/there; sleep 2"
ok "assign is at work" test -e /run/slow/there
kill -TERM "$assign"
finish 60 "$assign"
is "SIGTERM: it fails" $? 1
like "says why" "$(cat "$work/assign.err")" 'stopped by a signal; what was done is undone'
is "and has undone it" "$(driver_of $net)" e1000
is "the record is gone, too" "$(ls /run/gpuvchan/pci)" ""

assign_slowly "$xl \"\$@\"; touch /run/slow/there; exec sleep 600"
ok "assign is at work again" test -e /run/slow/there
kill -KILL "$assign"
finish 60 "$assign"
is "SIGKILL: half of it is done" "$(driver_of $net)" pciback
ok "release puts it right" gpuvchanctl pci release $net
is "the driver has it again" "$(driver_of $net)" e1000

assign_slowly "echo $net >/sys/bus/pci/devices/$net/driver/unbind; touch /run/slow/there; exec sleep 600"
ok "assign is at work for a third time" test -e /run/slow/there
kill -KILL "$assign"
finish 60 "$assign"
is "SIGKILL in the midst of the step: nothing is bound" "$(driver_of $net)" none

# ---- assign

echo 'type = "pv"' >/run/driver-domain.cfg
run 120 gpuvchanctl pci assign $net --config=/run/driver-domain.cfg
is "assign does the rest of it" "$status $errors" "0 "
is "pciback has it" "$(driver_of $net)" pciback
run 120 gpuvchanctl pci assign 00:04.0
is "the display card, which shows no console now" "$status $errors" "0 "
diag "$output"
like "the lines for xl.cfg name it" "$output" "^    pci = \['$gpu'\]"
run 120 gpuvchanctl pci assign $gpu --config=/run/driver-domain.cfg
is "a second time" "$status" 0
like "says that it was done" "$output" "is assignable already"
run 60 gpuvchanctl pci list --all
is "list tells of both" "$(echo "$output" | grep -c 'assignable: held by pciback')" 2

# ---- A driver domain

before=$(leaks)
ok "a domain with both of them starts" guest_start driver pv 'memory = 256' "$(grep '^pci' /run/driver-domain.cfg)" ||
    bail "there is no driver domain"
diag "$(grep '^pci' /run/driver-domain.cfg)"
run 60 gpuvchanctl pci list
like "list names it" "$output" "assigned to domain 'driver' \($(guest_domid driver)\)"
run 60 gpuvchanctl pci assign $gpu --domain=driver
like "and so does assign" "$status $output" "0 .*is assigned already, to domain 'driver'"
ok "its frontend is loaded" guest_run driver 'modprobe xen-pcifront'
ok "it sees the display card" guest_sees_card driver 0x1111
ok "and the network card" guest_sees_card driver 0x100e
ok "the drivers are there" guest_run driver 'modprobe bochs && modprobe e1000'
ok "the display card works" within 30 guest_run driver 'test -c /dev/dri/card0'
ok "its framebuffer can be written" guest_run driver 'head -c 65536 /dev/urandom >/run/picture && cat /run/picture >/dev/fb0 && head -c 65536 /dev/fb0 | cmp - /run/picture'
ok "the network card answers" guest_run driver 'ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0'
reached() { guest_run driver 'for try in 1 2 3 4 5 6 7 8 9 10; do ping -c 1 -W 5 10.0.2.2 >/dev/null && exit; done; exit 1'; }
ok "and sends and receives by DMA" reached
run_in driver 'ping -c 3 -s 1400 10.0.2.2'
diag "$output"

run 60 gpuvchanctl pci release $gpu
is "release while the domain runs is refused" "$status" 1
like "and it is named" "$errors" "$gpu is in use by domain 'driver' \($(guest_domid driver)\)"
is "nothing has changed" "$(driver_of $gpu)" pciback
ok "it works on" reached
ok "its kernel has no complaints" eval '! guest_complaints driver'

# ---- release

ok "the domain ends" guest_destroy driver
nothing() { [ "$(leaks)" = "$before" ]; }
within 60 nothing || :
is "nothing of it is left" "$(leaks)" "$before"
run 120 gpuvchanctl pci release $net
is "release" "$status $output" "0 $net: bound to e1000"
is "the driver has the network card again" "$(driver_of $net)" e1000
run 120 gpuvchanctl pci release 00:04.0
is "and that of the display card" "$status $output" "0 $gpu: bound to bochs-drm"
is "has it again" "$(driver_of $gpu)" bochs-drm
is "no record is left" "$(ls /run/gpuvchan/pci)" ""
run 60 gpuvchanctl pci release $net
like "release of what is not assigned says so" "$status $output" "0 $net is not assigned: it is bound to e1000"
ok "Dom0's network card is in order" eval 'ip link set eth0 up && ip addr add 10.0.2.16/24 dev eth0 && within 1 ping -c 1 -W 5 10.0.2.2 >/dev/null'
ip link set eth0 down
done_testing
