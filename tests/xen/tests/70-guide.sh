#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gpuvchan-xen(7), followed word by word: its commands in their order, each with status 0, until an unmodified CUDA program runs.
#
# boot: grants
# timeout: 900
# takes: 60

. /src/tests/xen/lib.sh

# The page's source; literal blocks look the same in it and on paper, see tests/test-guide.sh.
guide=/src/libgpuvchan/gpuvchan-xen.7.scd
[ -e "$guide" ] || bail "$guide is missing"
GUEST_SECONDS=300

# ---- What differs here -------------------------------------------------------------------------

# Of the guide:
#   /etc/gpuvchan   the tree is built for a prefix of its own, and that is where its host reads its configuration.
#   build/bin       is not below the current folder: the tree under test lies at /opt/gpuvchan, in place of sources.
conf=$(gpuvchan-host --help | sed -n 's/^ *\(\/[^ ]*\)\/gpuvchan-host\.conf .*/\1/p')
here() {
    sed -e "s#/etc/gpuvchan/#$conf/#g" -e "s#\bbuild/bin/#$build/bin/#g" "$1"
}

# Of the guest's configuration: what the guide calls "as ever". The guest has a kernel and an initramfs, and no disk. Its
# memory is 256 MiB and not 512, since Dom0, which has 1024 MiB and no disk either, keeps it in a file when it is saved.
more_config() {
    sed 's/^memory = 512$/memory = 256/' "$1"
    printf '%s\n' 'kernel = "/run/images/vmlinux"' 'ramdisk = "/run/images/domu.cpio"' \
        "extra = \"console=hvc0 loglevel=5 $kernel_words\"" 'on_reboot = "destroy"' 'tsc_mode = "native"'
}

# Of the guest: what its init has done, and a new Debian has not, is undone; there is alice; what 'make install' puts
# there is there. udevadm, groupadd and usermod are no part of the image: these do what they would do, udevadm by the
# rules that are installed.
# shellcheck disable=SC2016 # it is the guest that expands them
prepare='rmmod xen_gntalloc && [ ! -e /dev/xen/gntalloc ] || exit 1
mkdir -p /etc/modprobe.d /etc/modules-load.d /usr/lib/udev/rules.d
echo "alice:x:1001:1001::/tmp:/bin/sh" >>/etc/passwd
echo "alice:x:1001:" >>/etc/group
cat >/bin/groupadd <<"END"
#!/bin/sh
[ "$1 $2" = "--force --system" ] || exit 2
grep -q "^$3:" /etc/group || echo "$3:x:901:" >>/etc/group
END
cat >/bin/usermod <<"END"
#!/bin/sh
[ "$1" = -aG ] && grep -q "^$2:" /etc/group && grep -q "^$3:" /etc/passwd || exit 2
sed -i "s/^\($2:.*:\)\$/\1$3/" /etc/group
END
cat >/bin/udevadm <<"END"
#!/bin/sh
case "$*" in
"control --reload") ;;
"trigger --settle --subsystem-match=misc")
    sed -n "s/^SUBSYSTEM==\"misc\", KERNEL==\"\([^\"]*\)\", GROUP=\"\([^\"]*\)\", MODE=\"\([^\"]*\)\"\$/\1 \2 \3/p" \
        /usr/lib/udev/rules.d/60-gpuvchan.rules | while read -r name group mode; do
        [ ! -e "/dev/$name" ] || { chgrp "$group" "/dev/$name" && chmod "$mode" "/dev/$name"; } || exit 1
    done ;;
*) exit 2 ;;
esac
END
chmod 755 /bin/groupadd /bin/usermod /bin/udevadm'

# ---- The page's blocks -------------------------------------------------------------------------

# $work/N.what has what stands in the comment before the N-th block, and $work/N.text the block.
awk -v folder="$work" '
    /^; (run|file): / || /^; show$/ { what = substr($0, 3); next }
    /^```$/ && inside { inside = 0; close(out); next }
    /^```$/ {
        inside = 1
        count++
        out = sprintf("%s/%02d.text", folder, count)
        name = sprintf("%s/%02d.what", folder, count)
        print what > name
        close(name)
        printf "" > out
        what = ""
        next
    }
    inside { print > out }
' "$guide"

# in_dom0 FILE, in_guest FILE, as_alice FILE: $status and $output.
in_dom0() {
    here "$1" >"$work/commands"
    output=$(timeout 300 sh -e "$work/commands" 2>&1 </dev/null)
    status=$?
}
in_guest() {
    run_in web "set -e
$(here "$1")"
}
as_alice() {
    run_in web "cat >/tmp/commands <<'RIG-END'
$(here "$1")
RIG-END
su alice -c 'sh -e /tmp/commands'"
}

new_guest() {
    rig_guests="$rig_guests web"
    ok "the guest comes up" guest_wait_up web || bail "$(guest_console web | tail -n 30)"
    run_in web "$prepare
cat >/usr/lib/udev/rules.d/60-gpuvchan.rules <<'RIG-END'
$(cat /src/host/ctl/60-gpuvchan.rules)
RIG-END"
    is "the guest is as a new one" "$status $output" "0 "
}

# What a block is to have done, besides its status; and what is waited for, which a person would see on the screen.
after() {
    case $1 in
    *--dump-config*)
        like "the host reads what was written" "$output" '^allow-domains = web$'
        like "with the guest's section" "$output" '^\[domain web\]$'
        ;;
    *--daemon*)
        rig_hosts="$rig_hosts gpuvchan-host"
        like "doctor sees the host" "$output" '^ok +gpuvchan-host: serves guests of Xen in domain 0'
        ;;
    *"xl create"*) new_guest ;;
    *"modprobe -a"*gntalloc*)
        is "the limit is what modprobe.d says" "$output" 126976
        run_in web "su alice -c 'gpuvchan-run vectoradd'"
        like "alice may not yet" "$status $output" '^125 .*cannot reach xenstore: Permission denied .*group gpuvchan'
        ;;
    *udevadm*) like "doctor has no complaint" "$output" '^[0-9]+ ok, 0 to look at, 0 failed$' ;;
    *"xl save"*)
        ok "the guest comes back" guest_wait_up web
        rm -f /var/lib/xen/web.save
        ;;
    *vectoradd*) like "it says PASS" "$output" '^PASS$' ;;
    esac
}

# ---- Following it ------------------------------------------------------------------------------

within 300 test -e /run/images/ready || bail "the guests' images are not there"
nothing_yet=$(leaks)
mkdir -p /etc/xen /var/lib/xen
root_passes=0
alice_passes=0
for text in "$work"/[0-9]*.text; do
    what=$(cat "${text%.text}.what")
    first=$(head -n 1 "$text")
    case $what in
    show) continue ;;
    "file: /etc/xen/web.cfg")
        more_config "$text" >"${what#file: }"
        guest_console_mark web
        continue
        ;;
    "run: dom0") in_dom0 "$text" ;;
    "run: guest") in_guest "$text" ;;
    "run: user") as_alice "$text" ;;
    *)
        fail "the guide has a block '$first' marked '$what'"
        continue
        ;;
    esac
    is "$what: $first" "$status" 0
    diag "$output"
    [ "$status" -eq 0 ] || break
    case $what:$output in
    "run: guest:"*PASS*) root_passes=$((root_passes + 1)) ;;
    "run: user:"*PASS*) alice_passes=$((alice_passes + 1)) ;;
    esac
    after "$(cat "$text")"
done
is "root has run the CUDA program in the guest" "$root_passes" 1
is "and alice has: at first, after a pause, and after a restore" "$alice_passes" 3

# ---- What the guide says besides ---------------------------------------------------------------

if [ "$status" -eq 0 ]; then
    run_in web 'grep -c "^gpuvchan:.*alice" /etc/group; stat -c "%a %G" /dev/xen/gntalloc /dev/xen/privcmd'
    is "the devices: the group's, but privcmd is root's" "$output" "1
660 gpuvchan
600 root"
    is "the host tells how many frames there are" \
        "$(xenstore-read "/local/domain/$(guest_domid web)/data/gpuvchan/frames")" 256
    sed -i 's/^allow-domains = web$/allow-domains = other/' "$conf/gpuvchan-host.d/xen.conf"
    kill -HUP "$(cat /run/gpuvchan-host.pid)"
    refused() {
        run_in web 'gpuvchan-run vectoradd'
        [ "$status" -eq 125 ]
    }
    ok "another policy, after SIGHUP: the guest is refused" within 20 refused
    like "with the reason" "$output" "domain [0-9]+ \(web\) may not use this host: .* allow-domains"
    not_ok "no complaint in the guest's kernel's log" guest_complaints web
fi
pid=$(cat /run/gpuvchan-host.pid 2>/dev/null)
kill "$pid" 2>/dev/null
ok "the host ends" within 30 gone "$pid"
rig_hosts=
if [ -n "$(guest_domid web)" ]; then
    run_in web 'gpuvchan-run vectoradd'
    like "without a host: what troubleshooting begins with" "$status $output" '^125 .*(no host answers at|no gpuvchan-host serves)'
    ok "the guest is destroyed" guest_destroy web
fi
settled() { [ "$(leaks)" = "$nothing_yet" ]; }
within 20 settled
is "nothing is left" "$(leaks)" "$nothing_yet"
done_testing
