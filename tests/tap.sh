# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# The test anything protocol for shell scripts. A test begins with
#
#     . "$(dirname "$0")/tap.sh"
#
# and ends with done_testing. It finds:
#
#     $top $build            the repository, and the tree under test (GPUVCHAN_BUILD)
#     $work                  a folder of its own, removed at the end
#     ok NAME COMMAND...     passes if the command succeeds
#     not_ok NAME COMMAND... passes if it fails
#     is NAME GOT WANTED     passes if they are the same text
#     like NAME GOT REGEX    passes if an extended regular expression is found in it
#     unlike NAME GOT REGEX  the opposite
#     skip NAME REASON       counts as passed
#     skip_all REASON        ends the test: nothing can be tested here
#     bail REASON            ends it as failed
#     diag TEXT              a comment
#     run SECONDS COMMAND... runs it to its end: $status, $output and $errors
#     within SECONDS COMMAND...  tries the command until it succeeds, or fails
#     start NAME COMMAND...  starts it in the background: $pid; its output goes to $work/NAME.out and .err
#     alive PID, gone PID    is there such a process (a zombie does not count)?
#     finish SECONDS PID     waits for a started process: its exit status, or 124 after killing it
#
# What was started and still runs at the end is killed, by process number.

top=$(cd "$(dirname "$0")/.." && pwd)
build=${GPUVCHAN_BUILD:-$top/build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
work=$(mktemp -d "${TMPDIR:-/tmp}/gpuvchan-test.XXXXXX") || exit 1
tap_count=0
tap_failed=0
tap_started=

tap_cleanup() {
    for tap_pid in $tap_started; do
        kill -KILL "$tap_pid" 2>/dev/null
    done
    rm -rf "$work"
}
trap tap_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

diag() {
    printf '%s\n' "$*" | sed 's/^/# /'
}

pass() {
    tap_count=$((tap_count + 1))
    printf 'ok %d - %s\n' "$tap_count" "$1"
}

fail() {
    tap_count=$((tap_count + 1))
    tap_failed=$((tap_failed + 1))
    printf 'not ok %d - %s\n' "$tap_count" "$1"
}

ok() {
    tap_name=$1
    shift
    if "$@"; then pass "$tap_name"; else fail "$tap_name"; fi
}

not_ok() {
    tap_name=$1
    shift
    if "$@"; then fail "$tap_name"; else pass "$tap_name"; fi
}

is() {
    if [ "$2" = "$3" ]; then
        pass "$1"
    else
        fail "$1"
        diag "got:    $2"
        diag "wanted: $3"
    fi
}

like() {
    if printf '%s\n' "$2" | grep -Eq -e "$3"; then
        pass "$1"
    else
        fail "$1"
        diag "got: $2"
        diag "should match: $3"
    fi
}

unlike() {
    if printf '%s\n' "$2" | grep -Eq -e "$3"; then
        fail "$1"
        diag "got: $2"
        diag "should not match: $3"
    else
        pass "$1"
    fi
}

skip() {
    tap_count=$((tap_count + 1))
    printf 'ok %d - %s # SKIP %s\n' "$tap_count" "$1" "$2"
}

skip_all() {
    printf '1..0 # SKIP %s\n' "$*"
    exit 0
}

bail() {
    printf 'Bail out! %s\n' "$*"
    exit 1
}

done_testing() {
    printf '1..%d\n' "$tap_count"
    [ "$tap_failed" -eq 0 ]
    exit
}

run() {
    tap_limit=$1
    shift
    timeout -k 2 "$tap_limit" "$@" >"$work/run.out" 2>"$work/run.err" </dev/null
    # shellcheck disable=SC2034 # for the tests
    status=$? output=$(cat "$work/run.out") errors=$(cat "$work/run.err")
}

within() {
    tap_tries=$(($1 * 20))
    shift
    while ! "$@"; do
        tap_tries=$((tap_tries - 1))
        [ "$tap_tries" -gt 0 ] || return 1
        sleep 0.05
    done
}

start() {
    tap_name=$1
    shift
    : >"$work/$tap_name.out"
    : >"$work/$tap_name.err"
    "$@" >"$work/$tap_name.out" 2>"$work/$tap_name.err" </dev/null &
    pid=$!
    tap_started="$tap_started $pid"
}

alive() {
    case $(sed -n 's/^State:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null) in
    '' | Z* | X*) return 1 ;;
    esac
}

gone() {
    ! alive "$1"
}

finish() {
    if ! within "$1" gone "$2"; then
        kill -KILL "$2" 2>/dev/null
        wait "$2" 2>/dev/null
        return 124
    fi
    wait "$2"
}

# ---- Programs of the tests --------------------------------------------------------------------

# compile OUTPUT SOURCE FLAGS...: a program or plugin against the tree under test, which was built with
# SANITIZE if that is set.
compile() {
    tap_output=$1
    tap_source=$2
    shift 2
    "${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall ${SANITIZE:+"-fsanitize=$SANITIZE"} -I"$top/libgpuvchan/include" "$tap_source" -o "$tap_output" "$@" \
        -L"$build/lib" -lgpuvchan -Wl,-rpath,"$build/lib"
}
