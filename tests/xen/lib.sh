# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# What tests have that run in a real Dom0, and how to write one.
#
# A test is a file tests/xen/tests/NN-name.sh for busybox's shell, which run.sh finds by itself:
#
#     #!/bin/sh
#     # SPDX-License-Identifier: MIT
#     #
#     # boot: default         what it is booted with: a name from run.sh, see there; "default" if there is no such line
#     # timeout: 300          seconds that it may take; 300 if there is no such line. Be generous: all is emulated.
#     # takes: 30             seconds that it does take, for dealing tests out to machines; 30 if there is no such line
#     # guest: pv             it begins with `guest_shared pv` (or pvh), and may get the guest of the test before it
#
#     . /src/tests/xen/lib.sh
#
#     guest_start pv1 pv || bail "no guest"
#     ok "the guest can count" guest_run pv1 'expr 1 + 1'
#     run_in pv1 'echo hello; exit 3'
#     is "its output and status" "$status $output" "3 hello"
#     guest_destroy pv1
#     done_testing
#
# All of tests/tap.sh is there (ok, not_ok, is, like, unlike, skip, diag, bail, run, within, start, finish, $work,
# done_testing ...). The tree under test is at /opt/gpuvchan, in Dom0 and in guests: bin, lib, tests (the programs of
# $BUILD/tests) and the sources' examples; bin is in PATH, $build names it, and everything starts in that folder. Dom0
# has /src/tests besides. Files in /results are there after the end, in $BUILD/xen/out/BOOT. Guests and hosts that a test
# leaves are ended.

# shellcheck source-path=SCRIPTDIR source=../tap.sh
. /src/tests/tap.sh
# shellcheck disable=SC2034 # for the tests
top=/src build=/opt/gpuvchan
unset GPUVCHAN_ADDRESS GPUVCHAN_ARENA GPUVCHAN_SYNC GPUVCHAN_LOG LD_LIBRARY_PATH

# What a kernel does besides, for safety and statistics, is a twentieth of the instructions of a fork and an exec; and asking
# what time it is costs a call of Xen without the time stamp counter, which is as good here as on real machines.
kernel_words='mitigations=off init_on_alloc=0 audit=0 psi=0 lsm= clocksource=tsc tsc=reliable'
# Seconds for what takes long only if something is wrong.
GUEST_SECONDS=${GUEST_SECONDS:-120}
rig_guests=
rig_hosts=

# inside/run-tests ends the guests, or passes one on.
rig_cleanup() {
    for rig_name in $rig_hosts; do host_stop "$rig_name" >/dev/null 2>&1; done
    tap_cleanup
}
trap rig_cleanup EXIT

# ---- Guests ------------------------------------------------------------------------------------

# guest_start NAME TYPE [LINE...]: creates a guest, pv or pvh, and returns when it answers. LINE is one of xl.cfg, which
# replaces the default for the same key: 'memory = 128'. `extra+ = WORDS` adds to the kernel's arguments (init-domu
# tells which ones it knows). Fails with diagnostics. The time stamp counter is not emulated, as on real machines; Xen
# would do it here, since QEMU's is not said to be invariant, and each reading would be an exit.
guest_start() {
    rig_name=$1
    rig_type=$2
    shift 2
    rig_config=/run/$rig_name.cfg
    if ! within 300 test -e /run/images/ready; then
        diag "the guests' images are not there"
        return 1
    fi
    {
        printf '%s\n' "name = \"$rig_name\"" "type = \"$rig_type\"" 'memory = 256' 'vcpus = 1' \
            'kernel = "/run/images/vmlinux"' 'ramdisk = "/run/images/domu.cpio"' \
            "extra = \"console=hvc0 loglevel=5 $kernel_words\"" 'on_poweroff = "destroy"' 'on_reboot = "destroy"' \
            'on_crash = "preserve"' 'tsc_mode = "native"'
        printf '%s\n' "$@"
    } | awk -F ' *= *' '
        NF < 2 { other[++others] = $0; next }
        $1 == "extra+" { sub(/^[^=]*= */, ""); gsub(/"/, ""); more = more " " $0; next }
        { if (!($1 in line)) keys[++count] = $1; line[$1] = $0 }
        END {
            if (!("maxmem" in line)) { keys[++count] = "maxmem"; line["maxmem"] = line["memory"]; sub(/memory/, "maxmem", line["maxmem"]) }
            sub(/"$/, more "\"", line["extra"])
            for (i = 1; i <= count; i++) print line[keys[i]]
            for (i = 1; i <= others; i++) print other[i]
        }' >"$rig_config"
    guest_console_mark "$rig_name"
    if ! timeout 300 xl create "$rig_config" >"/run/$rig_name.log" 2>&1; then
        diag "xl create: $(cat "/run/$rig_name.log")"
        return 1
    fi
    rig_guests="$rig_guests $rig_name"
    if ! guest_wait_up "$rig_name"; then
        diag "$rig_name does not come up; its console:"
        diag "$(guest_console "$rig_name" | tail -n 30)"
        return 1
    fi
}

# guest_shared TYPE: a guest pv1 or pvh1 of 400 MiB that may grant 28000 pages: the one that the test before has left in
# order, or a new one. A booted guest costs a quarter of a minute. Tests that change it for good start one of their own.
guest_shared() {
    if [ -n "$(guest_domid "${1}1")" ]; then
        guest_console_mark "${1}1"
        rig_guests="$rig_guests ${1}1"
        guest_wait_up "${1}1"
    else
        guest_start "${1}1" "$1" 'memory = 400' 'extra+ = gntalloc=28000'
    fi
}

# guest_wait_up NAME: waits until its agent answers, for instance after a restore.
guest_wait_up() {
    xen-call -t 300 "$1" ping
}

# guest_run NAME COMMAND...: runs a shell command in the guest, with its output (standard error is in it) and its exit
# status; 124 if it takes longer than GUEST_SECONDS (it is killed, with its children), 125 if the guest does not answer,
# 126 if it is not there or has crashed. Guests, and commands in one, may be many at a time.
guest_run() {
    rig_name=$1
    shift
    xen-call -t "$GUEST_SECONDS" "$rig_name" run "$*"
}

# run_in NAME COMMAND...: guest_run that sets $status and $output, as `run` does here.
# shellcheck disable=SC2034 # for the tests
run_in() {
    output=$(guest_run "$@" 2>&1)
    status=$?
}

# guest_spawn NAME ID COMMAND...: starts it in the guest's background, under a name of your choice.
guest_spawn() {
    rig_name=$1 rig_id=$2
    shift 2
    xen-call -t "$GUEST_SECONDS" "$rig_name" spawn "$rig_id" "$*"
}

# guest_wait NAME ID: waits for its end; the rest is as with guest_run. The ID is free then.
guest_wait() {
    xen-call -t "$GUEST_SECONDS" "$1" wait "$2"
}

# guest_output NAME ID: what it has printed so far.
guest_output() {
    xen-call -t "$GUEST_SECONDS" "$1" output "$2"
}

# guest_job NAME ID: prints none, running or exited.
guest_job() {
    xen-call -t "$GUEST_SECONDS" "$1" state "$2"
}

# guest_kill_job NAME ID SIGNAL: a name or a number, to the job's process group.
guest_kill_job() {
    case $3 in
    [0-9]*) rig_signal=$3 ;;
    *) rig_signal=$(kill -l "$3") ;;
    esac
    xen-call -t "$GUEST_SECONDS" "$1" kill "$2" "$rig_signal"
}

# guest_destroy NAME: at once, as a crash of it; `guest_run NAME poweroff -f` is the gentle way.
guest_destroy() {
    rig_left=
    for rig_one in $rig_guests; do
        [ "$rig_one" = "$1" ] || rig_left="$rig_left $rig_one"
    done
    rig_guests=$rig_left
    timeout 120 xl destroy "$1"
}

# guest_save NAME FILE, guest_restore NAME FILE: the guest has another domain id then.
guest_save() {
    timeout 300 xl save "$1" "$2" >"/run/$1.log" 2>&1 || { diag "xl save: $(cat "/run/$1.log")"; return 1; }
}
guest_restore() {
    if ! timeout 300 xl restore "$2" >"/run/$1.log" 2>&1; then
        diag "xl restore: $(cat "/run/$1.log")"
        return 1
    fi
    guest_wait_up "$1"
}

# guest_domid NAME
guest_domid() {
    xl domid "$1" 2>/dev/null
}

# guest_console NAME: its console since guest_start, that is its kernel's log.
guest_console() {
    tail -c "+$(($(cat "/run/$1.console" 2>/dev/null || echo 0) + 1))" "/results/console/guest-$1.log" 2>/dev/null | tr -d '\r'
}

# guest_console_mark NAME: from here on.
guest_console_mark() {
    stat -c %s "/results/console/guest-$1.log" 2>/dev/null >"/run/$1.console" || echo 0 >"/run/$1.console"
}

# guest_complaints NAME: what its kernel has complained about, if it has; fails if it has not.
guest_complaints() {
    guest_console "$1" | grep -E 'WARNING: CPU|BUG:|Oops|general protection|Kernel panic|blocked for more than|segfault'
}

# guest_sees_card NAME DEVICE: waits until its PCI frontend has found the device with that number, as 0x1111. The frontend
# waits for two seconds for each of the backend's answers, and on a busy machine misses a card at first.
guest_sees_card() {
    guest_run "$1" "for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        grep -qs $2 /sys/bus/pci/devices/*/device && exit 0
        sleep 2
        echo 1 >/sys/bus/pci/rescan
    done; exit 1"
}

# ---- The host ----------------------------------------------------------------------------------

# host_start [OPTION...]: starts gpuvchan-host and returns when it listens: $host_pid, $host_log. Its local socket is
# $host_address, which GPUVCHAN_ADDRESS names, too. HOST_NAME tells several apart ("host"), HOST_READY is what the log says
# when it is ready, HOST_UNDER a command that it is started by.
host_start() {
    rig_name=${HOST_NAME:-host}
    host_log=/results/$(basename "$0" .sh).$rig_name.log
    host_address=/run/$rig_name.sock
    rm -f "$host_address"
    : >"$host_log"
    # shellcheck disable=SC2086 # a command and its arguments
    ${HOST_UNDER:-} "$build/bin/gpuvchan-host" -c /dev/null --address="$host_address" --log=stderr "$@" </dev/null >"$host_log" 2>&1 &
    host_pid=$!
    echo "$host_pid" >"/run/$rig_name.pid"
    rig_hosts="$rig_hosts $rig_name"
    export GPUVCHAN_ADDRESS="$host_address"
    rig_tries=1200
    until grep -Eq "${HOST_READY:-listens}" "$host_log"; do
        rig_tries=$((rig_tries - 1))
        if gone "$host_pid" || [ $rig_tries -eq 0 ]; then
            diag "gpuvchan-host does not come up; its log:"
            diag "$(tail -n 20 "$host_log")"
            return 1
        fi
        sleep 0.05
    done
}

# host_stop [NAME]: ends it by SIGTERM; its exit status, or 124 if it had to be killed.
host_stop() {
    rig_name=${1:-${HOST_NAME:-host}}
    rig_left=
    for rig_one in $rig_hosts; do
        [ "$rig_one" = "$rig_name" ] || rig_left="$rig_left $rig_one"
    done
    rig_hosts=$rig_left
    rig_pid=$(cat "/run/$rig_name.pid") || return 1
    kill "$rig_pid" 2>/dev/null
    finish 30 "$rig_pid"
}

# ---- What can be leaked ------------------------------------------------------------------------

# All of these ask Xen or xenstored itself. What a peer gives back may take a moment: `within 10 FUNCTION`.

# grants_given DOMID [PEER]: entries in its grant table, all or those for a domain.
grants_given() {
    xen-count | awk -v domid="$1" -v peer="$2" '$1 == "grant" && $2 == domid && (peer == "" || $3 == peer) { n += $4 } END { print n + 0 }'
}

# grants_mapped DOMID [PEER]: those of them that are mapped (by the peer) now.
grants_mapped() {
    xen-count | awk -v domid="$1" -v peer="$2" '$1 == "grant" && $2 == domid && (peer == "" || $3 == peer) { n += $5 } END { print n + 0 }'
}

# channels DOMID [PEER]: its event channels with other domains, bound or offered.
channels() {
    xen-count | awk -v domid="$1" -v peer="$2" '$1 == "channel" && $2 == domid && $3 != "-" && (peer == "" || $3 == peer) { n += $4 } END { print n + 0 }'
}

# zombies: how many domains are dying, since someone still has their memory.
zombies() {
    xen-count | awk '$1 == "domain" && $4 ~ /d/ { n++ } END { print n + 0 }'
}

# shellcheck disable=SC2120 # has a default
# store_nodes [DOMID]: nodes below data/gpuvchan of a domain, or of all of them; but what a host in Dom0 has told the guest
# of its grant table, which stays and is no channel's.
store_nodes() {
    for rig_domid in ${1:-$(xenstore-list /local/domain)}; do
        xenstore-ls -f "/local/domain/$rig_domid/data/gpuvchan" 2>/dev/null
    done | grep -vc '/data/gpuvchan/frames = ' || :
}

# leaks: all of the above in one line, for comparing before and after. A guest's own devices are in it.
# shellcheck disable=SC2119
leaks() {
    xen-count | awk -v nodes="$(store_nodes)" '
        $1 == "grant" { given += $4; mapped += $5 }
        $1 == "channel" && $3 != "-" { channels += $4 }
        $1 == "domain" { domains++; dying += $4 ~ /d/ }
        END { printf "domains %d zombies %d given %d mapped %d channels %d nodes %d\n", domains, dying, given, mapped, channels, nodes }'
}
