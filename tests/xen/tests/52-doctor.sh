#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gpuvchanctl doctor in Dom0, in guests and in a driver domain: what it says is so, and what it advises helps.
#
# timeout: 400
# takes: 40

# shellcheck disable=SC2016,SC2034,SC2154,SC2317 # tests/tap.sh sets $status and others; `eval` and `within` come later
# shellcheck source=tests/xen/lib.sh
. /src/tests/xen/lib.sh

# says TEXT LEVEL WHAT [REGEX]: one of the doctor's lines.
says() {
    like "$1: $3 is $2" "$output" "^$2 +$3: .*${4:-}"
}

# ---- Dom0

run 60 gpuvchanctl doctor
is "Dom0 without a host: nothing fails" "$status" 0
diag "$output"
says Dom0 ok Xen 'version 4\..*; this is Dom0, PV'
says Dom0 ok /dev/xen/gntdev
says Dom0 ok transport
says Dom0 ok xenstored 'this is domain 0'
says Dom0 ok 'map tracking' '1024 frames, .* 512 MiB in all'
says Dom0 warn IOMMU 'none is in use.*Do: '
says Dom0 ok plugins cuda
says Dom0 warn gpuvchan-host 'Do: gpuvchan-host --daemon --address=xen:'
HOST_READY='listens at xen:' host_start --address=xen: || bail "no host"
run 60 gpuvchanctl doctor
says "Dom0 with a host" ok gpuvchan-host 'serves guests of Xen in domain 0'

# ---- A guest whose kernel lets it grant little

guest_start pv1 pv 'extra+ = gntalloc=default' || bail "no guest"
one=$(guest_domid pv1)
run_in pv1 'gpuvchanctl doctor'
is "a guest: nothing fails" "$status" 0
diag "$output"
says "a guest" ok Xen 'this is a guest, PV'
says "a guest" ok xenstored "this is domain $one"
says "a guest" ok gpuvchan-host 'serves guests of Xen in domain 0'
says "a guest" ok 'grant table' '64 frames, '
says "a guest" warn granting 'the arena of a program will have less than [0-9]+ KiB instead of 64 MiB: .*lets the programs of this domain grant 1024 pages'
most=$(echo "$output" | sed -n 's/.*the arena of a program will have less than \([0-9]*\) KiB.*/\1/p')
advice=$(echo "$output" | sed -n 's/^warn  *granting: .*Do: \([^;]*\);.*/\1/p')
is "and advises a command" "$advice" 'echo 28672 > /sys/module/xen_gntalloc/parameters/limit'
run_in pv1 hello-client
is "a program that needs little runs as it is" "$status" 0
like "and says that its arena is small, and what to do" "$output" 'the arena has [0-9]+ KiB instead of 65536: .*Do: echo 28672 > '
arena=$(echo "$output" | sed -n 's/.*the arena has \([0-9]*\) KiB.*/\1/p')
ok "as doctor has foretold" eval '[ "${arena:-0}" -gt 1024 ] && [ "$arena" -lt "${most:-0}" ]'
ok "the command is run" guest_run pv1 "$advice"
run_in pv1 'gpuvchanctl doctor'
says "after that" ok granting 'arenas of 112 MiB in all'
run_in pv1 'gpuvchan-run vectoradd'
is "a program runs" "$status" 0
unlike "and has no less than it wants" "$output" 'the arena has'
guest_spawn pv1 busy 'gpuvchan-run matmul 128'
all_of_it() { [ "$(grants_mapped "$one" 0)" -ge 16384 ]; }
ok "64 MiB are shared" within 120 all_of_it
guest_wait pv1 busy >/dev/null
is "by a program that ends well" $? 0

# ---- An ordinary user

as_user() { run_in pv1 "su -s /bin/sh user -c '$1'"; }
as_user 'gpuvchanctl doctor'
is "an ordinary user of the guest: something fails" "$status" 1
diag "$output"
for device in evtchn gntalloc xenbus; do
    says user FAIL "/dev/xen/$device" 'you may not open it .*groupadd --system gpuvchan; install /lib/udev/rules.d/60-gpuvchan.rules .*usermod -aG gpuvchan USER'
done
as_user 'gpuvchan-run vectoradd'
is "a program does not run" "$status" 125
like "and says what to do" "$output" 'group gpuvchan'
# What udev would do by the rules.
rules=$(sed -n 's|^SUBSYSTEM=="misc", KERNEL=="xen/\([a-z]*\)", GROUP="\([a-z]*\)", MODE="\([0-7]*\)"$|chgrp \2 /dev/xen/\1 \&\& chmod \3 /dev/xen/\1;|p' \
    /src/host/ctl/60-gpuvchan.rules)
is "the rules are for so many devices" "$(echo "$rules" | grep -c chmod)" 4
ok "the rules are applied, and the user is in the group" guest_run pv1 "echo gpuvchan:x:990:user >>/etc/group; $rules"
as_user 'gpuvchanctl doctor'
is "now nothing fails for the user" "$status" 0
says user ok /dev/xen/gntalloc 'can be opened'
says user ok /dev/xen/privcmd "is root's alone"
says user ok gpuvchan-host 'serves guests of Xen in domain 0'
as_user 'gpuvchan-run vectoradd'
is "and a program runs" "$status" 0
like "with the right result" "$output" PASS
unlike "and a whole arena" "$output" 'the arena has'
host_stop
is "the host ends" $? 0

# ---- A driver domain

run_in pv1 'gpuvchanctl doctor --host'
is "in a driver domain, with --host: nothing fails" "$status" 0
diag "$output"
says "driver domain" ok /dev/xen/gntdev 'can be opened'
says "driver domain" ok 'map tracking' "max_maptrack_frames=N in this domain's xl.cfg"
says "driver domain" ok NVIDIA 'the simulated device will serve'
says "driver domain" warn gpuvchan-host 'does not serve guests of Xen here. Do: gpuvchan-host --daemon --address=xen:'
ok "the host is started by that command" guest_run pv1 'gpuvchan-host --daemon --address=xen:'
run_in pv1 'gpuvchanctl doctor --host'
says "driver domain" ok gpuvchan-host "serves guests of Xen in domain $one"
ok "the guest's kernel has no complaints" eval '! guest_complaints pv1'
done_testing
