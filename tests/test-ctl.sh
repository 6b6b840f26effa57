#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gpuvchanctl: the doctor and PCI devices, in trees of files that stand for systems with Xen. A fake xl and a
# fake kernel, below, do in the tree what the real ones would do.

. "$(dirname "$0")/tap.sh"

ctl=$build/bin/gpuvchanctl
[ -x "$ctl" ] || skip_all "$ctl is not built"
unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG GPUVCHAN_ADDRESS XDG_RUNTIME_DIR NO_COLOR
umask 022

# put FILE TEXT: in the tree.
put() {
    folder=$tree/$1
    folder=${folder%/*}
    [ -d "$folder" ] || mkdir -p "$folder"
    printf '%s\n' "$2" >"$tree/$1"
}
doctor() {
    run 60 "$ctl" --root "$tree" doctor "$@"
}
# line LEVEL WHAT REGEX: the doctor has said this of something.
line() {
    like "$case: $2: $1" "$output" "^$1 +$2: .*$3"
}

# ---- Words ---------------------------------------------------------------------------------------

run 10 "$ctl" help
is "help: status" "$status" 0
like "help: names doctor" "$output" '^  doctor '
like "help: names pci" "$output" '^  pci '
like "help: names renew" "$output" '^  renew '
run 10 "$ctl" --version
like "version" "$output" '^gpuvchanctl [0-9]+\.[0-9]+\.[0-9]+$'
for words in "help doctor" "doctor --help" "help pci" "help renew" "renew --help" "pci --help" "pci assign --help" "pci list -h"; do
    # shellcheck disable=SC2086 # words
    run 10 "$ctl" $words
    is "$words: status" "$status" 0
    like "$words: usage" "$output" '^Usage: gpuvchanctl '
    is "$words: no line is wider than a terminal" "$(printf '%s\n' "$output" | awk 'length > 100')" ""
done
# refuses NAME REGEX WORDS...
refuses() {
    name=$1 regex=$2
    shift 2
    run 30 "$ctl" "$@"
    is "$name: status" "$status" 1
    like "$name: message" "$errors" "$regex"
}
refuses "no command" "a command is missing"
refuses "a slip" "there is no command 'docter'; did you mean 'doctor'\?" docter
refuses "nonsense" "'gpuvchanctl help' lists them" xyzzyxyzzy
refuses "a slip of an action" "there is no action 'asign'; did you mean 'assign'\?" pci asign
refuses "help of nothing" "there is no command 'nothing'" help nothing
refuses "no action" "an action is missing" pci
refuses "an option that is none" "gpuvchanctl doctor: unrecognized option '--hots'" doctor --hots
refuses "too many words" "'now' is too much" doctor now
refuses "no address" "the address of a card is missing" pci assign
refuses "no such address" "'01:00' is no address" pci release 01:00
refuses "a wrong function" "'01:00.8' is no address" pci release 01:00.8

# ---- No Xen --------------------------------------------------------------------------------------

case="no Xen"
tree=$work/none
mkdir "$tree"
doctor
is "$case: status" "$status" 0
is "$case: stderr" "$errors" ""
line ok Xen "not here"
line ok NVIDIA "no NVIDIA driver: the simulated device will serve"
line warn socket "no gpuvchan-host listens .* Do: gpuvchan-host --daemon"
line ok "shared memory" works
unlike "$case: nothing about Xen's devices" "$output" '/dev/xen'
unlike "$case: no colours in a pipe" "$output" "$(printf '\033')"
doctor --guest
unlike "$case, guest: nothing about GPUs" "$output" 'NVIDIA|plugins'

if [ -x "$build/bin/gpuvchan-host" ]; then
    doctor
    like "$case: plugins" "$output" '^ok +plugins: .*cuda'
    start host "$build/bin/gpuvchan-host" -c /dev/null --address "$work/host.sock" --log=stderr
    ok "$case: a host starts" within 20 test -S "$work/host.sock"
    run 60 env GPUVCHAN_ADDRESS="local:$work/host.sock" "$ctl" doctor
    line ok socket "listens at $work/host.sock"
    kill -KILL "$pid"
    finish 10 "$pid"
    run 60 env GPUVCHAN_ADDRESS="$work/host.sock" "$ctl" doctor
    line warn socket "nobody listens .* any more"
fi

# ---- A host --------------------------------------------------------------------------------------

# The fake xl: `xl info` is a file of the tree, and FAIL_AT=N makes its Nth change fail, with FAIL_HOW
# before anything is done (the default) or after.
mkdir "$work/bin"
cat >"$work/bin/xl" <<'XL'
#!/bin/sh
devices=$TREE/sys/bus/pci/devices drivers=$TREE/sys/bus/pci/drivers
bind() {
    rm -f "$devices/$1/driver"
    [ -z "$2" ] || ln -s "../../drivers/$2" "$devices/$1/driver"
}
echo "$*" >>"$TREE/xl.log"
case $1 in
help) exit 0 ;;
info) exec cat "$TREE/xl.info" ;;
domid) exec cat "$TREE/domains/$2" ;;
esac
count=$(($(cat "$TREE/count" 2>/dev/null || echo 0) + 1))
echo $count >"$TREE/count"
failing=
if [ "${FAIL_AT:-0}" -eq $count ]; then
    failing=yes
    if [ "${FAIL_HOW:-before}" = before ]; then
        echo "libxl: error: this is step $count" >&2
        exit 1
    elif [ "$FAIL_HOW" = unbound ]; then
        bind "$2" ""
        exit 1
    fi
fi
case $1 in
pci-assignable-add)
    basename "$(readlink "$devices/$2/driver")" >"$TREE/was-$2"
    bind "$2" pciback
    [ -z "${SIGNAL_AT:-}" ] || [ "$SIGNAL_AT" -ne $count ] || kill -TERM "$PPID"
    ;;
pci-assignable-remove)
    if [ "$2" = -r ]; then bind "$3" "$(cat "$TREE/was-$3")"; else bind "$2" ""; fi
    ;;
pci-attach) mkdir -p "$TREE/xenstore/local/domain/0/backend/pci/7/0"
    echo "$3" >"$TREE/xenstore/local/domain/0/backend/pci/7/0/dev-$count" ;;
pci-detach) rm -f "$(grep -l "^$3" "$TREE"/xenstore/local/domain/0/backend/pci/7/0/dev-*)" ;;
*) exit 3 ;;
esac
if [ -n "$failing" ]; then
    echo "failed to quarantine" >&2
    exit 1
fi
XL
cat >"$work/bin/modprobe" <<'MODPROBE'
#!/bin/sh
echo "modprobe $*" >>"$TREE/xl.log"
[ -z "${FAIL_MODPROBE:-}" ] || { echo "modprobe: FATAL: Module $1 not found" >&2; exit 1; }
case "$*" in
xen-pciback) mkdir -p "$TREE/sys/bus/pci/drivers/pciback" ;;
"-r xen-pciback") rm -rf "$TREE/sys/bus/pci/drivers/pciback" ;;
esac
MODPROBE
chmod +x "$work/bin/xl" "$work/bin/modprobe"

# The kernel's part in changing drivers, for where there is no xl: kernel FILE VALUE.
fake_kernel() {
    cat >"$tree/kernel" <<'KERNEL'
#!/bin/sh
TREE=$(dirname "$0") devices=$(dirname "$0")/sys/bus/pci/devices
bind() {
    rm -f "$devices/$1/driver"
    [ ! -d "$TREE/sys/bus/pci/drivers/${2:-.none}" ] || ln -s "../../drivers/$2" "$devices/$1/driver"
}
echo "$1 $2" >>"$TREE/kernel.log"
count=$(wc -l <"$TREE/kernel.log")
[ "${KERNEL_FAILS_AT:-0}" -ne "$count" ] || exit 1
case $1 in
*/unbind) bind "$2" "" ;;
*/drivers_probe)
    override=$(cat "$devices/$2/driver_override")
    bind "$2" "${override:-$(cat "$devices/$2/natural")}"
    ;;
*/driver_override) printf '%s' "$2" >"$TREE$1" ;;
*/bind) bind "$2" "$(basename "$(dirname "$1")")" ;;
esac
KERNEL
    chmod +x "$tree/kernel"
}

xen_tree() {
    tree=$work/$1
    rm -rf "$tree"
    mkdir "$tree"
    put sys/hypervisor/type xen
    put sys/hypervisor/version/major 4
    put sys/hypervisor/version/minor 17
    put sys/hypervisor/version/extra .7
    put sys/hypervisor/guest_type PV
    for device in evtchn gntdev gntalloc xenbus privcmd; do
        put dev/xen/$device ""
        chmod 660 "$tree/dev/xen/$device"
        put sys/module/xen_$device/initstate live
    done
    chmod 600 "$tree/dev/xen/privcmd"
    put sys/module/xen_gntdev/parameters/limit 65536
    put sys/module/xen_gntalloc/parameters/limit 28672
    put gnttab "5 64"
    put proc/interrupts "  24:  1  xen-percpu  -virq  timer0
  25:  1  xen-dyn  -event  xenbus"
    put xenstore/local/domain/0/name Domain-0
}
host_tree() {
    xen_tree "$1"
    put proc/xen/capabilities control_d
    put xenstore/domid 0
    put xenstore/local/domain/0/data/gpuvchan/default 1
    put xl.info "release                : 6.1.0
virt_caps              : pv hvm hvm_directio pv_directio hap
xen_commandline        : placeholder dom0_mem=1024M gnttab_max_maptrack_frames=2048 com1=115200,8n1"
    export TREE="$tree"
}
usual_path=$PATH
PATH=$work/bin:$PATH

case="good host"
host_tree host
put dev/nvidiactl ""
put dev/dri/renderD128 ""
put sys/module/nvidia/version 580.1
doctor
is "$case: status" "$status" 0
line ok Xen "version 4\.17\.7; this is Dom0, PV"
for device in evtchn gntdev xenbus; do
    line ok "/dev/xen/$device" opened
done
unlike "$case: gntalloc is for guests" "$output" 'gntalloc'
line ok xenstored "domain 0"
line ok mapping "256 MiB at a time"
line ok "map tracking" "2048 frames, for guests' arenas of 1024 MiB in all"
line ok "guests' grant tables" "at most 64 frames each, which is 128 MiB"
line ok IOMMU "can be given to a driver domain"
line ok /dev/dri "renderD128 can be opened"
line warn NVIDIA "no libcuda\.so\.1: the simulated device will serve"
line ok gpuvchan-host "serves guests of Xen in domain 0"
unlike "$case: nothing fails" "$output" '^FAIL'

case="poor host"
host_tree poor
put sys/hypervisor/version/minor 11
put xl.info "virt_caps              : pv hvm
xen_commandline        : gnttab_max_maptrack_frames=128"
put sys/module/xen_gntdev/parameters/limit 512
rm -r "$tree/sys/module/xen_evtchn" "$tree/dev/xen/evtchn" "$tree/xenstore"
chmod 666 "$tree/dev/xen/privcmd"
doctor
is "$case: status" "$status" 1
line warn Xen "4\.11\.7 is older"
line FAIL /dev/xen/evtchn "Do: modprobe xen-evtchn; .*modules-load\.d"
line FAIL xenstored "does not answer .*Do: systemctl start xenstored"
line warn /dev/xen/privcmd "mode 0666.*Do: chmod 0600"
line warn mapping "512 pages, and 1024 are needed. Do: echo 65536 > /sys/module/xen_gntdev/parameters/limit"
line warn "map tracking" "64 MiB in all. Do: put gnttab_max_maptrack_frames=4096 on Xen's command line"
line warn IOMMU "needed to give a GPU to a driver domain, and for nothing else.*iommu=1"

# ---- Guests --------------------------------------------------------------------------------------

guest_tree() {
    xen_tree "$1"
    put proc/xen/capabilities ""
    put xenstore/domid 5
    put xenstore/local/domain/0/data/gpuvchan/default 1
}

case="good guest"
guest_tree guest
doctor
is "$case: status" "$status" 0
line ok Xen "this is a guest, PV"
line ok /dev/xen/gntalloc opened
unlike "$case: gntdev is for hosts" "$output" 'gntdev|plugins|IOMMU'
line ok granting "arenas of 112 MiB in all"
line ok "grant table" "64 frames, for arenas of 112 MiB in all"
line ok "event channels" "2 in use, of at least 1023"
line ok gpuvchan-host "serves guests of Xen in domain 0"
like "$case: nothing to look at" "$output" ' 0 to look at, 0 failed$'
doctor --host
line ok Xen "this is a guest"
like "driver domain: gntdev counts" "$output" '^ok +/dev/xen/gntdev'
line warn gpuvchan-host "does not serve guests of Xen here"

case="guest with the kernel's limit"
put sys/module/xen_gntalloc/parameters/limit 1024
doctor
is "$case: status" "$status" 0
line warn granting "will have less than 4028 KiB instead of 64 MiB: .*grant 1024 pages in all, and 16416 are needed"
like "$case: what to do" "$output" 'Do: echo 28672 > /sys/module/xen_gntalloc/parameters/limit; '
like "$case: for the next start" "$output" "echo 'options xen-gntalloc limit=28672' > /etc/modprobe.d/"

case="guest with few frames"
put sys/module/xen_gntalloc/parameters/limit 20000
put gnttab "3 32"
doctor
line warn granting "grant table has 32 frames"
line warn "grant table" "32 frames, for arenas of 48 MiB in all. Do: put max_grant_frames=64 .*gnttab_max_frames=64"

case="guest with a limit above its frames"
put gnttab "3 64"
put sys/module/xen_gntalloc/parameters/limit 70000
doctor
is "$case: status" "$status" 0
line warn granting "70000 pages is above the 28672 that the grant table's 64 frames hold.*Do: echo 28672 >"

case="guest whose table is not known"
rm "$tree/gnttab"
put sys/module/xen_gntalloc/parameters/limit 28672
doctor
line ok "grant table" "64 frames \(Xen's default, for want of an answer: .*xenstore-write data/gpuvchan/frames N\)"

case="guest without gntalloc"
rm -r "$tree/sys/module/xen_gntalloc" "$tree/dev/xen/gntalloc"
doctor
is "$case: status" "$status" 1
line FAIL granting "Do: modprobe xen-gntalloc"
line FAIL /dev/xen/gntalloc "Do: modprobe xen-gntalloc"

case="guest without a host, many event channels"
guest_tree lonely
rm -r "$tree/xenstore/local/domain/0/data"
seq 1000 | sed 's/$/: 0 xen-dyn -event evtchn:x/' >"$tree/proc/interrupts"
doctor
line warn gpuvchan-host "does not serve in domain 0. Do: .*xenstore-write /local/domain/5/data/gpuvchan/host N"
line warn "event channels" "1000 in use, of 1023 .*event_channels=4096"
put xenstore/data/gpuvchan/host 3
put xenstore/local/domain/3/data/gpuvchan/default 1
doctor
line ok gpuvchan-host "in domain 3"
run 60 env GPUVCHAN_ADDRESS=xen:4/other "$ctl" doctor --root "$tree"
line warn gpuvchan-host "does not serve in domain 4"

# Permissions: as root by the mode alone, otherwise by opening.
case="guest with root's devices"
guest_tree closed
chmod 600 "$tree"/dev/xen/*
if [ "$(id -u)" -eq 0 ]; then
    doctor
    is "$case: root's status" "$status" 0
    line warn /dev/xen/gntalloc "root alone may open it.*60-gpuvchan\.rules"
    chmod 755 "$work"
    cp "$ctl" "$work/gpuvchanctl"
    run 60 setpriv --reuid=65534 --regid=65534 --clear-groups "$work/gpuvchanctl" --root "$tree" doctor
else
    chmod 000 "$tree"/dev/xen/*
    doctor
fi
is "$case: status" "$status" 1
line FAIL /dev/xen/gntalloc "you may not open it \(mode 0[06]00\). Do: as root: groupadd --system gpuvchan; install .*usermod"
put lib/udev/rules.d/60-gpuvchan.rules ""
chmod 660 "$tree/dev/xen/gntalloc"
if [ "$(id -u)" -eq 0 ]; then
    run 60 setpriv --reuid=65534 --regid=65534 --clear-groups "$work/gpuvchanctl" --root "$tree" doctor
    line FAIL /dev/xen/gntalloc "mode 0660.*Do: as root: usermod -aG gpuvchan USER, and log in anew"
    line FAIL /dev/xen/evtchn "udevadm trigger --subsystem-match=misc"
fi
rules=$(sed 's/#.*//' "$top/host/ctl/60-gpuvchan.rules")
for device in gntalloc gntdev evtchn xenbus; do
    like "rules: $device" "$rules" "KERNEL==\"xen/$device\", GROUP=\"gpuvchan\", MODE=\"0660\""
done
unlike "rules: never privcmd" "$rules" privcmd
like "rules: a comment says why" "$(cat "$top/host/ctl/60-gpuvchan.rules")" '^# privcmd '

# ---- PCI -----------------------------------------------------------------------------------------

# device ADDRESS CLASS VENDOR DEVICE DRIVER
device() {
    put "sys/bus/pci/devices/$1/class" "$2"
    put "sys/bus/pci/devices/$1/vendor" "$3"
    put "sys/bus/pci/devices/$1/device" "$4"
    put "sys/bus/pci/devices/$1/driver_override" ""
    put "sys/bus/pci/devices/$1/natural" "$5"
    [ -n "$5" ] || return 0
    put "sys/bus/pci/drivers/$5/bind" ""
    put "sys/bus/pci/drivers/$5/unbind" ""
    ln -s "../../drivers/$5" "$tree/sys/bus/pci/devices/$1/driver"
}
pci_template() {
    host_tree template
    fake_kernel
    mkdir -p "$tree/sys/bus/pci/drivers/pciback"
    : >"$tree/sys/bus/pci/drivers/pciback/unbind"
    : >"$tree/sys/bus/pci/drivers_probe"
    device 0000:00:00.0 0x060000 0x8086 0x29c0 ""
    device 0000:00:1f.2 0x010601 0x8086 0x2922 ahci
    device 0000:00:1f.0 0x060100 0x8086 0x2918 ""
    device 0000:01:00.0 0x030000 0x10de 0x2204 nouveau
    device 0000:01:00.1 0x040300 0x10de 0x1aef snd_hda_intel
    device 0000:02:00.0 0x030000 0x1234 0x1111 bochs-drm
    put sys/bus/pci/devices/0000:02:00.0/boot_vga 1
    put sys/bus/pci/devices/0000:02:00.0/graphics/fb0/name bochs
    put sys/bus/pci/devices/0000:01:00.0/boot_vga 0
    put sys/class/vtconsole/vtcon0/name "(S) dummy device"
    put sys/class/vtconsole/vtcon0/bind 0
    put sys/class/vtconsole/vtcon1/name "(M) frame buffer device"
    put sys/class/vtconsole/vtcon1/bind 1
    mkdir -p "$tree/sys/bus/pci/devices/0000:01:00.0/drm/card1" "$tree/sys/bus/pci/devices/0000:01:00.0/drm/renderD129" \
        "$tree/sys/bus/pci/devices/0000:01:00.1/sound/card1"
    mkdir -p "$tree/sys/class/sound/controlC1" "$tree/sys/class/sound/controlC10"
    printf '1234  QEMU\n\t1111  Other\n10de  NVIDIA Corporation\n\t1aef  GA102 Audio\n\t2204  GA102 [RTX 3090]\n\t\t10de 1  Sub\n' |
        { mkdir -p "$tree/usr/share/misc" && cat >"$tree/usr/share/misc/pci.ids"; }
}
pci_template
export TREE="$work/pci"
pci_tree() {
    tree=$TREE
    rm -rf "$tree"
    cp -a "$work/template" "$tree"
}
driver_of() {
    [ ! -L "$tree/sys/bus/pci/devices/$1/driver" ] || basename "$(readlink "$tree/sys/bus/pci/devices/$1/driver")"
}
drivers() {
    echo "$(driver_of 0000:01:00.0) $(driver_of 0000:01:00.1)"
}
pci() {
    rm -f "$tree/count" "$tree/xl.log" "$tree/kernel.log"
    run 60 "$ctl" --root "$tree" pci "$@"
}
records() {
    # shellcheck disable=SC2012 # their names are plain
    ls "$tree/run/gpuvchan/pci" 2>/dev/null | wc -l
}
holder() {
    put "proc/$1/comm" "$2"
    mkdir -p "$tree/proc/$1/fd"
    ln -sf "$3" "$tree/proc/$1/fd/5"
}

case="list"
pci_tree
holder 1234 Xorg /dev/dri/card1
pci list
is "$case: status" "$status" 0
like "$case: name" "$output" '^0000:01:00\.0  VGA  NVIDIA Corporation GA102 \[RTX 3090\] \[10de:2204\]$'
like "$case: user" "$output" '^    open by Xorg \(1234\)$'
like "$case: console" "$output" '^    driver bochs-drm, chosen by the firmware, shows the console$'
unlike "$case: GPUs alone" "$output" '01:00\.1|00:1f'
pci list --all
like "$case: all" "$output" '^0000:01:00\.1  audio  NVIDIA Corporation GA102 Audio'
like "$case: all, bridges too" "$output" '^0000:00:00\.0  bridge  \[8086:29c0\]'
rm -r "${tree:?}/usr"
pci list
like "$case: without names" "$output" '^0000:01:00\.0  VGA  \[10de:2204\]$'
mkdir "$work/bare"
run 10 "$ctl" --root "$work/bare" pci list
is "$case: no bus" "$status $output" "0 There is no PCI bus here."

# assign_refuses NAME REGEX WORDS...: and nothing is changed.
assign_refuses() {
    name=$1 regex=$2
    shift 2
    pci assign "$@"
    is "$name: status" "$status" 1
    like "$name: message" "$errors" "$regex"
    is "$name: nothing is changed" "$(drivers) $(records) $(cat "$tree/xl.log" 2>/dev/null | grep -c assignable)" \
        "nouveau snd_hda_intel 0 ${counted:-0}"
}
case="assign"
assign_refuses "in use" "0000:01:00\.0 is in use by Xorg \(1234\)\. Do: end these first" 01:00.0
rm -r "$tree/proc/1234"
holder 77 pulseaudio /dev/snd/controlC1
assign_refuses "audio in use" "0000:01:00\.1 is in use by pulseaudio \(77\)" 0000:01:00.0
holder 77 pulseaudio /dev/snd/controlC10
assign_refuses "the console" "02:00\.0 shows the console of Dom0.*Do: choose another card" 02:00.0
assign_refuses "a bridge" "is a bridge" 00:00.0
assign_refuses "a bridge in the same slot" "0000:00:1f\.0 is a bridge" 00:1f.2
assign_refuses "no such card" "there is no PCI function 0000:09:00\.0" 09:00.0
put pvh.cfg 'type = "pvh"'
assign_refuses "a PVH domain" 'PVH.*write type="pv", or "hvm"' 01:00.0 --config "$tree/pvh.cfg"
assign_refuses "no configuration" "none.cfg: No such file" 01:00.0 --config "$tree/none.cfg"
put xl.info "virt_caps : pv hvm"
assign_refuses "no IOMMU" "passthrough is not supported here.*iommu=1" 01:00.0
put proc/xen/capabilities ""
assign_refuses "not in Dom0" "this is not Dom0" 01:00.0
put sys/hypervisor/type ""
assign_refuses "not on Xen" "this is not Xen" 01:00.0

pci_tree
mv "$tree/xenstore" "$tree/away"
assign_refuses "no xenstored" "xenstored does not answer" 01:00.0
mv "$tree/away" "$tree/xenstore"
pci assign 01:00.0
is "$case: status" "$status" 0
is "$case: both functions" "$(drivers)" "pciback pciback"
is "$case: the old drivers are noted" "$(cat "$tree"/run/gpuvchan/pci/*)" "driver=nouveau
driver=snd_hda_intel"
like "$case: what to write" "$output" "^    pci = \['0000:01:00\.0', '0000:01:00\.1'\]$"
like "$case: the type" "$output" '^    type = "pv"'
is "$case: what xl was told" "$(grep pci- "$tree/xl.log")" "pci-assignable-add 0000:01:00.0
pci-assignable-add 0000:01:00.1"
pci list
like "$case: list" "$output" '^    assignable: held by pciback, given to no domain$'
pci assign 01:00.1
is "$case twice: status" "$status" 0
like "$case twice: says so" "$output" "^0000:01:00\.0 is assignable already$"
unlike "$case twice: nothing is done" "$(cat "$tree/xl.log" 2>&1)" 'pci-'
put xenstore/local/domain/0/backend/pci/3/0/dev-0 0000:01:00.0
put xenstore/local/domain/0/backend/pci/3/0/state-0 3
put xenstore/local/domain/3/name gpu
pci list
like "assigned: list" "$output" "^    assigned to domain 'gpu' \(3\)$"
pci assign 01:00.0
is "assigned: assign again" "$status $output" "0 0000:01:00.0 is assigned already, to domain 'gpu' (3)"
pci assign 01:00.0 --domain other
is "assigned: to another" "$status" 1
like "assigned: to another: says who" "$errors" "in use by domain 'gpu' \(3\). Do: xl shutdown gpu"

case="release"
pci release 01:00.1
is "$case in use: status" "$status" 1
like "$case in use: message" "$errors" "0000:01:00\.0 is in use by domain 'gpu' \(3\). Do: xl shutdown gpu, or xl pci-detach gpu 0000:01:00\.0"
is "$case in use: nothing is changed" "$(drivers) $(records)" "pciback pciback 2"
rm -r "$tree/xenstore/local/domain/0/backend"
pci release 01:00.0
is "$case: status" "$status" 0
is "$case: drivers" "$(drivers) $(records)" "nouveau snd_hda_intel 0"
like "$case: says so" "$output" '^0000:01:00\.1: bound to snd_hda_intel$'
pci release 01:00.0
is "$case twice" "$status $output" "0 0000:01:00.0 is not assigned: it is bound to nouveau"

# ---- Steps that fail -----------------------------------------------------------------------------

for how in before unbound after; do
    for step in 1 2; do
        pci_tree
        export FAIL_AT=$step FAIL_HOW=$how
        pci assign 01:00.0
        unset FAIL_AT FAIL_HOW
        is "xl fails at $step, $how: status" "$status" 1
        is "xl fails at $step, $how: all is as it was" "$(drivers) $(records)" "nouveau snd_hda_intel 0"
        like "xl fails at $step, $how: message" "$errors" "could not be made assignable"
    done
done
put domains/gpu 7
for step in 3 4; do
    pci_tree
    put domains/gpu 7
    export FAIL_AT=$step
    pci assign 01:00.0 --domain gpu
    unset FAIL_AT
    is "attaching fails at $step: status" "$status" 1
    is "attaching fails at $step: all is as it was" "$(drivers) $(records)" "nouveau snd_hda_intel 0"
    is "attaching fails at $step: nothing is attached" "$(find "$tree/xenstore" -name 'dev-*')" ""
done
# A domain that does not let go of what it has: pciback keeps it, and it is said what to do.
pci_tree
put domains/gpu 7
put xenstore/local/domain/0/backend/pci/7/0/dev-9 0000:01:00.1
put xenstore/local/domain/7/name gpu
rm "$tree/sys/bus/pci/devices/0000:01:00.1/driver"
ln -s ../../drivers/pciback "$tree/sys/bus/pci/devices/0000:01:00.1/driver"
put run/gpuvchan/pci/0000:01:00.1 driver=snd_hda_intel
pci release 01:00.0
is "in use by half: release refuses" "$status $(drivers)" "1 nouveau pciback"
for step in 1 2; do
    pci_tree
    export SIGNAL_AT=$step
    pci assign 01:00.0
    unset SIGNAL_AT
    is "SIGTERM in step $step: status" "$status" 1
    like "SIGTERM in step $step: message" "$errors" "stopped by a signal"
    is "SIGTERM in step $step: all is as it was" "$(drivers) $(records)" "nouveau snd_hda_intel 0"
done
pci_tree
rm -r "$tree/sys/bus/pci/drivers/pciback"
export FAIL_MODPROBE=1
assign_refuses "no xen-pciback" "modprobe xen-pciback: modprobe: FATAL.*CONFIG_XEN_PCIDEV_BACKEND" 01:00.0
unset FAIL_MODPROBE
export FAIL_AT=1
counted=1
assign_refuses "a failure after loading the module" "this is step 1" 01:00.0
unset FAIL_AT counted
like "what was loaded is unloaded" "$(cat "$tree/xl.log")" '^modprobe -r xen-pciback$'
pci_tree
put gpu.cfg 'pci = "x"'
counted=4
assign_refuses "a configuration that cannot be edited" "cannot be understood" 01:00.0 -c "$tree/gpu.cfg"
unset counted

case="attach"
pci_tree
put domains/gpu 7
put xenstore/local/domain/7/name gpu
pci assign 01:00.0 --domain gpu --permissive
is "$case: status" "$status" 0
is "$case: what xl was told" "$(grep pci-attach "$tree/xl.log")" "pci-attach gpu 0000:01:00.0,permissive=1
pci-attach gpu 0000:01:00.1,permissive=1"
pci assign 01:00.0 -d gpu
is "$case twice" "$status $output" "0 0000:01:00.0 is assigned already, to domain 'gpu' (7)"

# A crash leaves the record, and anything may be bound.
case="after a crash"
pci_tree
mkdir -p "$tree/run/gpuvchan/pci"
put run/gpuvchan/pci/0000:01:00.0 driver=nouveau
rm "$tree/sys/bus/pci/devices/0000:01:00.0/driver"
pci release 01:00.0
is "$case: release" "$status $(drivers) $(records)" "0 nouveau snd_hda_intel 0"
put run/gpuvchan/pci/0000:01:00.0 driver=nouveau
rm "$tree/sys/bus/pci/devices/0000:01:00.0/driver"
pci assign 01:00.0
is "$case: assign" "$status $(drivers)" "0 pciback pciback"
is "$case: the old driver is not forgotten" "$(cat "$tree/run/gpuvchan/pci/0000:01:00.0")" "driver=nouveau"
put run/gpuvchan/pci/0000:01:00.0 "driver=../../../etc"
put was-0000:01:00.0 nouveau
pci release 01:00.0
is "$case: a record that is none is not believed" "$status $(drivers)" "0 nouveau snd_hda_intel"

case="no driver before"
pci_tree
rm "$tree/sys/bus/pci/devices/0000:01:00.0/driver"
pci assign 01:00.0
is "$case: assign" "$status $(drivers)" "0 pciback pciback"
pci release 01:00.0
is "$case: release" "$status $(drivers) $(records)" "0  snd_hda_intel 0"

case="the old driver is gone"
pci_tree
pci assign 01:00.0
rm -r "$tree/sys/bus/pci/drivers/nouveau"
put was-0000:01:00.0 ""
pci release 01:00.0
is "$case: status" "$status" 1
like "$case: message" "$errors" "its driver nouveau is not loaded"
is "$case: the record stays" "$(records)" 1

# ---- Without xl ----------------------------------------------------------------------------------

case="without xl"
rm "$work/bin/xl"
mkdir "$work/few"
for program in sh cat rm ln basename dirname wc; do
    ln -s "$(command -v $program)" "$work/few/$program"
done
# gpuvchanctl looks into /usr/sbin, too.
if PATH=/usr/local/sbin:/usr/sbin:/sbin command -v xl >/dev/null; then
    skip "$case" "there is an xl here"
else
    alone() {
        rm -f "$tree/kernel.log"
        run 60 env PATH="$work/few" KERNEL_FAILS_AT="${fail_at:-0}" "$ctl" --root "$tree" pci "$@"
    }
    pci_tree
    alone assign 01:00.0
    is "$case: assign" "$status $(drivers)" "0 pciback pciback"
    like "$case: says what it does not know" "$errors" "whether there is an IOMMU is not known"
    is "$case: what was written" "$(sed -n 1,3p "$tree/kernel.log")" \
        "/sys/bus/pci/devices/0000:01:00.0/driver/unbind 0000:01:00.0
/sys/bus/pci/devices/0000:01:00.0/driver_override pciback
/sys/bus/pci/drivers_probe 0000:01:00.0"
    alone release 01:00.0
    is "$case: release" "$status $(drivers) $(records)" "0 nouveau snd_hda_intel 0"
    is "$case: no override stays" "$(cat "$tree"/sys/bus/pci/devices/0000:01:00.*/driver_override | tr -d '\n')" ""
    for step in 1 2 3 4 5 6; do
        pci_tree
        fail_at=$step
        alone assign 01:00.0
        fail_at=0
        is "$case, step $step fails: status" "$status" 1
        is "$case, step $step fails: all is as it was" "$(drivers) $(records)" "nouveau snd_hda_intel 0"
    done
fi

# ---- Configurations ------------------------------------------------------------------------------

# edited NAME BEFORE AFTER: what assign makes of a configuration.
edited() {
    pci_tree
    printf '%s' "$2" >"$work/gpu.cfg"
    chmod 640 "$work/gpu.cfg"
    rm -f "$work/gpu.cfg.bak"
    run 60 "$ctl" --root "$tree" pci assign 01:00.0 --config "$work/gpu.cfg"
    is "config, $1: status" "$status" 0
    is "config, $1" "$(cat "$work/gpu.cfg")" "$3"
    is "config, $1: mode" "$(stat -c %a "$work/gpu.cfg")" 640
}
ours="'0000:01:00.0', '0000:01:00.1'"
edited "without a list" 'name = "gpu"' "name = \"gpu\"
pci = [$ours]"
is "config: a copy of the old one" "$(cat "$work/gpu.cfg.bak")" 'name = "gpu"'
edited "an empty list" "pci=[]
memory = 512" "pci= [$ours]
memory = 512"
edited "others stay, ours are replaced" "a = 1
pci = [ '0000:03:00.0', # one
        \"01:00.1,permissive=1\", '0000:01:00.0@5' ] # end
# pci = ['x']
pci_permissive = 1" "a = 1
pci = ['0000:03:00.0', $ours] # end
# pci = ['x']
pci_permissive = 1"
rm -f "$work/gpu.cfg.bak"
run 60 "$ctl" --root "$tree" pci assign 01:00.0 --config "$work/gpu.cfg"
like "config: nothing to change" "$output" 'had the card already'
not_ok "config: nothing to change, no copy" test -e "$work/gpu.cfg.bak"
for bad in "pci = ['a'
b = 1" "pci = [ 'x
']" "pci = ['a']
pci = ['b']"; do
    pci_tree
    printf '%s\n' "$bad" >"$work/gpu.cfg"
    run 60 "$ctl" --root "$tree" pci assign 01:00.0 --config "$work/gpu.cfg"
    is "config, bad: status" "$status" 1
    is "config, bad: it stays" "$(cat "$work/gpu.cfg")" "$bad"
    is "config, bad: so does the card" "$(drivers) $(records)" "nouveau snd_hda_intel 0"
done
is "no temporary files are left" "$(find "$work" -name '*.??????' -path '*gpu.cfg.*')" ""
PATH=$usual_path

done_testing
