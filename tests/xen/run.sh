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
# It boots once for each kind of boot that tests ask for, and more for the one that most ask for; RIG_JOBS machines run
# at a time, by default one more than there are processors, up to 4: most have one processor, which often waits.
# tests/xen/lib.sh tells how tests are written. BUILD is the tree under test, which is to be built already; logs and
# results are in $BUILD/xen/out/BOOT. RIG_SLOW (default 2) stretches all time-outs, which are those of an idle machine.
#
# The exit status is 0 only if everything has passed. Where Xen's packages cannot be had all is skipped.

set -u -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
export BUILD=$build
out=$build/xen/out
slow=${RIG_SLOW:-2}
jobs=${RIG_JOBS:-$(($(nproc) < 3 ? $(nproc) + 1 : 4))}
grace=${RIG_GRACE:-120} # seconds that a test may take above its own, for what Dom0 does besides
series=${GPUVCHAN_XEN_SERIES:-4.17}
cache=${GPUVCHAN_XEN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gpuvchan-xen}/$series
PATH=$PATH:/usr/sbin:/sbin

# ---- Boots -------------------------------------------------------------------------------------

# What a kind of boot adds: arguments of Xen, processors, and devices. One processor is enough for most: of two one waits
# mostly, or polls, or spins for a lock of Xen's whose holder the machine outside does not run.
boot() {
    xen_args=()
    devices=()
    processors=1
    case $1 in
    default) ;;
    smp) # host and guest at the same time, and polling that can succeed
        processors=2
        ;;
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
    command=(qemu-system-x86_64 -machine q35 -accel "tcg,thread=multi" -cpu "qemu64,+npt" -smp "$processors" -m 2304
        -nodefaults -display none -no-reboot "${devices[@]}"
        -device "isa-debug-exit,iobase=0xf4,iosize=0x04"
        -kernel "$cache/xen"
        -append "console=com1 com1=115200,8n1 dom0_mem=1024M,max:1024M dom0_max_vcpus=1 loglvl=$level guest_loglvl=$level bootscrub=0 conring_size=512k spec-ctrl=no,eager-fpu xpti=no ucode=no no-real-mode ${xen_args[*]}"
        -initrd "$build/xen/host/vmlinux console=hvc0 loglevel=5 mitigations=off init_on_alloc=0 audit=0 psi=0 lsm= panic=5 rig=$mode,$build/xen/images/dom0.cpio"
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

# Counts and numbers anew what boots have printed; each numbers its own.
merge() {
    local line
    while IFS= read -r line; do
        if [[ $line =~ ^(ok|not\ ok)\ [0-9]+\ -\ (.*)$ ]]; then
            point "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
        else
            printf '%s\n' "$line"
        fi
    done
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
    local folder=$1 name up="" alive=1 limit=$((SECONDS + 400 * slow)) begun=$SECONDS test_begun=$SECONDS
    shift
    reported=0
    late=
    while [ "$alive" -eq 1 ]; do
        kill -0 "$qemu" 2>/dev/null || alive=0
        name=$(basename "$1" .sh)
        if [ -z "$up" ] && [ -e "$folder/$name.tap" ]; then
            up=1
            printf '# up after %d s\n' $((SECONDS - begun))
            test_begun=$SECONDS
            limit=$((SECONDS + $(seconds_of "$folder" 1) + grace * slow))
        fi
        while [ "$reported" -lt "$#" ]; do
            name=${*:reported + 1:1}
            name=$(basename "$name" .sh)
            [ -e "$folder/$name.status" ] || break
            flock 7
            report "$name" "$folder/$name.tap" "$(cat "$folder/$name.status")"
            printf '# %s: %d s\n' "$name" $((SECONDS - test_begun))
            flock -u 7
            test_begun=$SECONDS
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

# run_boot NAME BOOT TEST...: the tests' paths. The name is that of its folder.
run_boot() {
    local name=$1 folder=$out/$1 path guest limit begun=$SECONDS status reported late died=""
    if ! boot "$2"; then
        point "not ok" "boot $2: there is no such"
        return
    fi
    shift 2
    mkdir -p "$folder"
    for path in "$@"; do
        limit=$(header timeout "$path")
        guest=$(header guest "$path")
        printf '%s %s %s\n' "$path" "${guest:-own}" $((${limit:-300} * slow))
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
    flock 7
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
    flock -u 7
}

# ---- Several ---------------------------------------------------------------------------------

# plan TEST...: prints a line "NAME BOOT TEST..." for each machine to boot, the longest first. Tests that want nothing
# special are dealt out to as many as run at a time; those that share a guest follow each other.
plan() {
    local path boot guest
    for path in "$@"; do
        boot=$(header boot "$path")
        guest=$(header guest "$path")
        printf '%s %s %s %s\n' "${guest:-own}" "${boot:-default}" "$(header takes "$path" | grep . || echo 30)" "$path"
    done | sort -k 3,3nr -k 4 | awk -v jobs="$jobs" '
        function add(unit, boot, guest, path, takes) {
            if (!(unit in kind)) { kind[unit] = boot; order[++units] = unit }
            tests[unit] = tests[unit] "\n" guest " " path
            total[unit] += takes
        }
        $2 != "default" { add($2, $2, $1, $4, $3); next }
        {
            least = 1
            for (i = 2; i <= jobs; i++) if (total["default" i] < total["default" least]) least = i
            add("default" least, $2, $1, $4, $3)
        }
        END {
            for (i = 1; i <= units; i++) {
                unit = order[i]
                name = unit == "default1" ? "default" : unit
                count = split(tests[unit], paths, "\n")
                # In the order of their guests and names: a few numbers.
                for (a = 2; a <= count; a++) for (b = a + 1; b <= count; b++)
                    if (paths[b] < paths[a]) { swap = paths[a]; paths[a] = paths[b]; paths[b] = swap }
                printf "%d %s %s", total[unit], name, kind[unit]
                for (a = 2; a <= count; a++) { sub(/^[^ ]* /, "", paths[a]); printf " %s", paths[a] }
                printf "\n"
            }
        }' | sort -k 1,1nr | cut -d " " -f 2-
}

# Runs what plan() says. Each is a process of its own, and ends when this one does.
run_all() {
    local unit units=() running=()
    plan "$@" >"$out/plan"
    while read -r -a unit; do
        units+=("${unit[*]}")
    done <"$out/plan"
    for unit in "${units[@]}"; do
        while [ "${#running[@]}" -ge "$jobs" ]; do
            one_ends
        done
        # shellcheck disable=SC2086 # a list
        setpriv --pdeathsig TERM "$here/run.sh" --unit $unit 8>&- 9>&- &
        running+=("$!")
    done
    while [ "${#running[@]}" -gt 0 ]; do
        one_ends
    done
}

# Of $running one is over.
one_ends() {
    local ended status pid left=()
    wait -n -p ended "${running[@]}"
    status=$?
    for pid in "${running[@]}"; do
        [ "$pid" = "$ended" ] || left+=("$pid")
    done
    running=("${left[@]}")
    [ "$status" -eq 0 ] || printf 'not ok 0 - a machine ended with %d\n' "$status"
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
    printf '1..%d\n# %d s in all\n' "$count" "$SECONDS"
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
    --unit) # for itself: --unit NAME BOOT TEST...
        shift
        cd "$here" || exit 1
        [ -z "${RIG_SELF_TEST:-}" ] || out=$build/xen/out-self-test
        exec 7>"$out/lock" # boots that run at the same time say one thing after the other
        run_boot "$@"
        exit 0 # what failed is told
        ;;
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

exec 9>&1 > >(exec 9>&-; merge; end)
merger=$!
run_all "${tests[@]}"
exec >&9 9>&-
wait "$merger"
