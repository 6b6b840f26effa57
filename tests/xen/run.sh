#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Boots a real Xen with a Dom0 and guests in QEMU, emulated, and runs tests in there.
#
#     run.sh [TEST...]       the named tests (10-smoke, or 10), or all; TAP of all of them on standard output
#     run.sh --list          which there are
#     run.sh --shell [BOOT]  boots, and stays at a shell in Dom0
#     run.sh --self-test     what must make this fail does so
#     --keep                 keeps the results of the run before, as out.1, out.2 ...
#     --check                ends with a line as tests/check.sh does
#
# It boots once for each kind of boot that tests ask for; tests/xen/lib.sh tells how they are written. BUILD is the tree
# under test, which is to be built already; logs and results are in $BUILD/xen/out/BOOT. RIG_SLOW (default 1)
# stretches all time-outs, for machines that have much else to do.
#
# The exit status is 0 only if everything has passed. Where Xen's packages cannot be had all is skipped.

set -u -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
export BUILD=$build
out=$build/xen/out
slow=${RIG_SLOW:-1}
grace=${RIG_GRACE:-120} # seconds that a test may take above its own, for what Dom0 does besides
series=${GPUVCHAN_XEN_SERIES:-4.17}
cache=${GPUVCHAN_XEN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gpuvchan-xen}/$series
PATH=$PATH:/usr/sbin:/sbin

# ---- Boots -------------------------------------------------------------------------------------

# What a kind of boot adds: arguments of Xen, and devices.
boot() {
    xen_args=()
    devices=()
    case $1 in
    default) ;;
    grants) # more than Xen lets a domain grant and map by default: for regions of over 120 MiB
        xen_args=(gnttab_max_frames=256 gnttab_max_maptrack_frames=2048)
        ;;
    iommu) # devices for passing through: PV guests only, libxl does not do it for PVH ones
        xen_args=(iommu=verbose)
        devices=(-device "intel-iommu,intremap=on" -device "edu,addr=02.0"
            -device "e1000,netdev=net0,addr=03.0" -netdev "user,id=net0,restrict=on"
            -device "bochs-display,addr=04.0" -device "virtio-gpu-pci,addr=05.0")
        ;;
    *) return 1 ;;
    esac
}

# Why these: qemu64 has no SMAP, which QEMU emulates wrongly for a PV Dom0, and no XSAVE, whose lazy switching
# then loses registers; +npt is for PVH guests. Without bootscrub=0 Xen is busy for a minute.
qemu_command() {
    local mode=$1 folder=$2 level=all
    [ "$mode" != shell ] || level=warning
    command=(qemu-system-x86_64 -machine q35 -accel "tcg,thread=multi" -cpu "qemu64,+npt" -smp 2 -m 2048
        -nodefaults -display none -no-reboot "${devices[@]}"
        -device "isa-debug-exit,iobase=0xf4,iosize=0x04"
        -kernel "$cache/xen"
        -append "console=com1 com1=115200,8n1 dom0_mem=1024M,max:1024M dom0_max_vcpus=1 loglvl=$level guest_loglvl=$level bootscrub=0 conring_size=512k spec-ctrl=no,eager-fpu xpti=no ucode=no no-real-mode ${xen_args[*]}"
        -initrd "$build/xen/host/vmlinux console=hvc0 loglevel=5 mitigations=off panic=5 rig=$mode,$build/xen/images/dom0.cpio"
        -virtfs "local,path=$build/xen/host,mount_tag=host,security_model=none,id=host,readonly=on"
        -virtfs "local,path=$folder,mount_tag=results,security_model=none,id=work")
}

# ---- Results -----------------------------------------------------------------------------------

count=0
bad=0
passed=0
skipped=0

point() {
    count=$((count + 1))
    printf '%s %d - %s\n' "$1" "$count" "$2"
    case $1 in
    ok) [[ $2 =~ \#\ SKIP ]] && skipped=$((skipped + 1)) || passed=$((passed + 1)) ;;
    *) bad=$((bad + 1)) ;;
    esac
}

# report NAME FILE STATUS: a test's points, numbered anew, and one more if it has not kept to its plan.
report() {
    local name=$1 file=$2 status=$3 line plan="" seen=0 failed=0 done=""
    while IFS= read -r line || [ -n "$line" ]; do
        if [[ $line =~ ^(not\ )?ok\ [0-9]+(\ -)?\ ?(.*)$ ]]; then
            seen=$((seen + 1))
            [ -z "${BASH_REMATCH[1]}" ] || failed=$((failed + 1))
            point "${BASH_REMATCH[1]}ok" "$name: ${BASH_REMATCH[3]}"
        elif [[ $line =~ ^1\.\.([0-9]+)(.*)$ ]]; then
            [ -z "$plan" ] || done="it has two plans"
            plan=${BASH_REMATCH[1]}
            [ "$plan" != 0 ] || point ok "$name # SKIP ${BASH_REMATCH[2]##*SKIP }"
        else
            printf '# %s\n' "${line#\# }"
        fi
    done < <(tr -d '\r\0' <"$file")
    if [ "$status" = 124 ]; then
        done="it was not done in time"
    elif [ -z "$plan" ]; then
        done="it has not come to its end (exit status $status)"
    elif [ "$plan" -ne "$seen" ]; then
        done="it has planned $plan and run $seen"
    elif [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
        done="its exit status is $status"
    fi
    [ -z "$done" ] || point "not ok" "$name: $done"
}

# ---- One boot ----------------------------------------------------------------------------------

qemu=
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
    if [ -n "$qemu" ]; then
        kill -KILL "$qemu" 2>/dev/null
        { wait "$qemu"; } 2>/dev/null
    fi
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

header() {
    sed -n "s/^# $1: *\([^ ]*\).*/\1/p" "$here/$2" | head -n 1
}

tail_of() {
    printf '# the last lines of %s:\n' "$1"
    tail -n "${2:-40}" "$1" | tr -d '\r\0' | sed 's/^/#   /'
}

# seconds_of FOLDER N: what the test with that number may take, twice if need be, or 0 if there is none.
seconds_of() {
    local seconds
    seconds=$(sed -n "$2s/.* //p" "$1/tests.list")
    echo $((2 * ${seconds:-0}))
}

# watch FOLDER TEST...: reports the tests of a boot as they are done, until QEMU has ended. It is given so long for each
# step, and killed then. Sets $reported and $late.
watch() {
    local folder=$1 name up="" alive=1 limit=$((SECONDS + 400 * slow)) begun=$SECONDS
    shift
    reported=0
    late=
    while [ "$alive" -eq 1 ]; do
        kill -0 "$qemu" 2>/dev/null || alive=0
        name=$(basename "$1" .sh)
        if [ -z "$up" ] && [ -e "$folder/$name.tap" ]; then
            up=1
            printf '# up after %d s\n' $((SECONDS - begun))
            limit=$((SECONDS + $(seconds_of "$folder" 1) + grace * slow))
        fi
        while [ "$reported" -lt "$#" ]; do
            name=${*:reported + 1:1}
            name=$(basename "$name" .sh)
            [ -e "$folder/$name.status" ] || break
            report "$name" "$folder/$name.tap" "$(cat "$folder/$name.status")"
            reported=$((reported + 1))
            limit=$((SECONDS + $(seconds_of "$folder" $((reported + 1))) + grace * slow))
        done
        if [ "$alive" -eq 1 ] && [ "$SECONDS" -gt "$limit" ]; then
            late=1
            kill -KILL "$qemu" 2>/dev/null
        fi
        [ "$alive" -eq 0 ] || sleep 0.3
    done
}

complaints='Xen BUG|Xen WARN|WARNING: CPU|Oops|BUG: |general protection'

# run_boot BOOT TEST...: the tests' paths.
run_boot() {
    local name=$1 folder=$out/$1 path limit begun=$SECONDS status reported late died=""
    shift
    if ! boot "$name"; then
        point "not ok" "boot $name: there is no such"
        return
    fi
    mkdir -p "$folder"
    for path in "$@"; do
        limit=$(header timeout "$path")
        printf '%s %s\n' "$path" $((${limit:-300} * slow))
    done >"$folder/tests.list"
    qemu_command tests "$folder"
    printf '%q ' "${command[@]}" >"$folder/command"
    printf '# boot %s: %s\n' "$name" "$*"
    # It ends when this script does, however that ends.
    setpriv --pdeathsig KILL "${command[@]}" -serial "file:$folder/serial.log" </dev/null >"$folder/qemu.log" 2>&1 &
    qemu=$!
    watch "$folder" "$@"
    { wait "$qemu"; } 2>/dev/null
    status=$?
    qemu=

    # 33 and 35 come from Dom0's last words alone. QEMU ends with 0 when Xen panics.
    if [ -n "$late" ]; then
        died="no progress in time"
    elif [ "$status" -ne 33 ] && [ "$status" -ne 35 ]; then
        died="it has died (QEMU's exit status is $status)"
    elif [ "$reported" -lt "$#" ]; then
        died="not all tests have run"
    fi
    # The one that was running then.
    if [ "$reported" -lt "$#" ]; then
        path=${*:reported + 1:1}
        name=$(basename "$path" .sh)
        [ ! -e "$folder/$name.tap" ] || report "$name" "$folder/$name.tap" 137
        name=$(basename "$folder")
    fi
    if [ -n "$died" ]; then
        point "not ok" "boot $name: $died"
        [ ! -s "$folder/qemu.log" ] || tail_of "$folder/qemu.log" 10
        [ ! -s "$folder/serial.log" ] || tail_of "$folder/serial.log"
    elif grep -aEq "$complaints" "$folder/serial.log"; then
        point "not ok" "boot $name: neither Xen nor Dom0's kernel complains"
        grep -aE -A 20 "$complaints" "$folder/serial.log" | tr -d '\r\0' | head -n 40 | sed 's/^/#   /'
    else
        point ok "boot $name: neither Xen nor Dom0's kernel complains"
    fi
    printf '# boot %s: %d s\n' "$name" $((SECONDS - begun))
}

shell() {
    boot "$1" || { echo "run.sh: there is no boot '$1'" >&2; exit 2; }
    mkdir -p "$out/shell"
    qemu_command shell "$out/shell"
    echo "Booting Xen. To leave: 'quit' at the prompt, or Ctrl-A and X at any time."
    exec "${command[@]}" -serial mon:stdio
}

# ---- Self-test ---------------------------------------------------------------------------------

# self_test "TEST..." PATTERN...: they fail, with points that say so.
self_test() {
    local tests=$1 output status pattern
    shift
    # shellcheck disable=SC2086 # a list
    output=$(RIG_SELF_TEST=1 RIG_GRACE=30 "$0" $tests 2>&1)
    status=$?
    point "$([ "$status" -eq 1 ] && echo ok || echo not ok)" "$tests: the run fails"
    for pattern in "$@"; do
        point "$(grep -Eq "$pattern" <<<"$output" && echo ok || echo not ok)" "$tests: '$pattern'"
    done
    printf '%s\n' "$output" | sed 's/^/#   /'
}

# ---- The end -----------------------------------------------------------------------------------

end() {
    printf '1..%d\n' "$count"
    [ -z "$check" ] || printf '%d passed, %d failed, %d skipped\n' "$passed" "$bad" "$skipped"
    [ "$bad" -eq 0 ]
    exit
}

# ---- Arguments ---------------------------------------------------------------------------------

mode=run
keep=
check=
wanted=()
while [ "$#" -gt 0 ]; do
    case $1 in
    --shell | --list | --self-test) mode=${1#--} ;;
    --keep) keep=1 ;;
    --check) check=1 ;;
    --help | -h)
        sed -n '3,/^$/s/^# \?//p' "$0"
        exit 0
        ;;
    -*)
        echo "run.sh: there is no option $1" >&2
        exit 2
        ;;
    *) wanted+=("$1") ;;
    esac
    shift
done
cd "$here" || exit 1

if [ "$mode" = self-test ]; then
    self_test "faults fails no-plan hangs complains" '^not ok [0-9]+ - fails: two and two are five' '^ok [0-9]+ - fails: two and two are four' \
        '^not ok [0-9]+ - no-plan: it has not come to its end' '^not ok [0-9]+ - hangs: it was not done in time' '^ok [0-9]+ - faults: the second attempt' \
        '^not ok [0-9]+ - boot default: neither Xen nor'
    self_test panics '^not ok [0-9]+ - boot default: it has died' '^not ok [0-9]+ - panics: it has not come' '^#.*sysrq'
    self_test freezes '^not ok [0-9]+ - boot default: no progress in time' '^not ok [0-9]+ - freezes: it has not come'
    end
fi

folder=tests
[ -z "${RIG_SELF_TEST:-}" ] || folder=self-test out=$build/xen/out-self-test
tests=()
if [ "$mode" != shell ]; then
    for file in "$folder"/*.sh; do
        [ "${#wanted[@]}" -gt 0 ] || { tests+=("$file"); continue; }
        for name in "${wanted[@]}"; do
            base=$(basename "$file" .sh)
            if [ "$base" = "$(basename "$name" .sh)" ] || [ "${base%%-*}" = "$name" ]; then
                tests+=("$file")
                break
            fi
        done
    done
    if [ "${#tests[@]}" -lt "${#wanted[@]}" ]; then
        echo "run.sh: not all of these are tests: ${wanted[*]}" >&2
        exit 2
    fi
fi
if [ "$mode" = list ]; then
    for file in "${tests[@]}"; do
        printf '%-24s boot %-8s  %s\n' "$(basename "$file" .sh)" "$(header boot "$file" | grep . || echo default)" \
            "$(sed -n '4s/^# //p' "$file")"
    done
    exit 0
fi

# One run at a time in a tree.
mkdir -p "$build/xen" || exit 1
exec 8>"$build/xen/lock"
if ! flock -n 8; then
    echo "# waiting for another run in $build"
    flock 8
fi
"$here/images.sh" >"$build/xen/images.log" 2>&1 8>&-
case $? in
0) ;;
77)
    printf '1..0 # SKIP %s\n' "$(sed -n 's/^images.sh: //p' "$build/xen/images.log" | tail -n 1)"
    [ -z "$check" ] || echo "0 passed, 0 failed, 1 skipped"
    exit 0
    ;;
*)
    sed 's/^/# /' "$build/xen/images.log"
    echo "Bail out! the images cannot be made"
    exit 1
    ;;
esac
if [ -n "$keep" ] && [ -d "$out" ]; then
    number=1
    while [ -e "$out.$number" ]; do number=$((number + 1)); done
    mv "$out" "$out.$number"
fi
rm -rf "$out"
mkdir -p "$out"

[ "$mode" != shell ] || shell "${wanted[0]:-default}"

boots=$(for file in "${tests[@]}"; do header boot "$file" | grep . || echo default; done | awk '!seen[$0]++')
for name in $boots; do
    some=()
    for file in "${tests[@]}"; do
        [ "$(header boot "$file" | grep . || echo default)" != "$name" ] || some+=("$file")
    done
    run_boot "$name" "${some[@]}"
done
end
