# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# The test programs of the library on Xen: tests/helpers/test_host in one domain, the programs in others. Each result
# of a program becomes one of the rig's.

# shellcheck source=tests/xen/lib.sh
. /src/tests/xen/lib.sh

# How many times as long as on an idle machine all may take.
slow=${TEST_SLOW:-10}
suite_environment="TEST_SLOW=$slow TEST_SECONDS=1500 TEST_ROUNDS=${TEST_ROUNDS:-10} GPUVCHAN_TRANSPORTS=/opt/gpuvchan/lib/gpuvchan"
tests=/opt/gpuvchan/tests

# test_host_start [GUEST]: in Dom0, or in a guest.
test_host_start() {
    suite_log=/results/$(basename "$0" .sh).test-host.log
    if [ -n "${1:-}" ]; then
        guest_spawn "$1" test-host "exec env $suite_environment $tests/helpers/test_host xen: /run/test-host.log" || return 1
        test_host_ready() { guest_output "$1" test-host | grep -q READY; }
        within 60 test_host_ready "$1" && return 0
        diag "$(guest_output "$1" test-host)"
        return 1
    fi
    # shellcheck disable=SC2086 # assignments
    env $suite_environment "$tests/helpers/test_host" xen: "$suite_log" >/run/test-host.out 2>&1 &
    suite_host=$!
    within 60 grep -q READY /run/test-host.out && return 0
    diag "$(cat /run/test-host.out)"
    return 1
}

# test_host_stop [GUEST]: its exit status.
test_host_stop() {
    if [ -n "${1:-}" ]; then
        guest_kill_job "$1" test-host TERM
        guest_wait "$1" test-host >/dev/null
        return
    fi
    kill -TERM "$suite_host"
    finish 60 "$suite_host"
}

# suite NAME GUEST SECONDS COMMAND...: runs it in the guest; its TAP is counted here.
suite() {
    suite_name=$1 suite_guest=$2
    suite_seconds=$3
    shift 3
    suite_out=/results/$(basename "$0" .sh).$(echo "$suite_name" | tr -c "a-zA-Z0-9\n" -).out
    guest_spawn "$suite_guest" suite "env $suite_environment $*"
    GUEST_SECONDS=$suite_seconds guest_wait "$suite_guest" suite >"$suite_out" 2>&1
    suite_status=$?
    suite_count=0
    while IFS= read -r suite_line; do
        case $suite_line in
        *'# SKIP'*) # cmocka writes it as "not ok"
            suite_count=$((suite_count + 1))
            skip "$suite_name: ${suite_line#* - }" "the program says so"
            ;;
        'ok '*)
            suite_count=$((suite_count + 1))
            pass "$suite_name: ${suite_line#* - }"
            ;;
        'not ok '*)
            suite_count=$((suite_count + 1))
            fail "$suite_name: ${suite_line#* - }"
            ;;
        *) diag "$suite_line" ;;
        esac
    done <"$suite_out"
    suite_planned=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$suite_out")
    is "$suite_name: exit status" "$suite_status" 0
    is "$suite_name: all of them ran" "$suite_count" "$suite_planned"
}

# lie_in_records, lie_to_xen GUEST HOST-DOMAIN: as on the local transport; and with grants, event channels and nodes.
lie_in_records() {
    suite "$1 to $2: records" "$1" 1500 "$tests/hostile/hostile_guest xen:$2"
}
lie_to_xen() {
    suite "$1 to $2: grants and nodes" "$1" 1500 "$tests/hostile/hostile_xen xen:$2"
}

# Asking takes a while, so it is not done often.
suite_settled() {
    [ "$(leaks)" = "$suite_before" ] || { sleep 1; false; }
}

# nothing_left GUEST...: compares with $suite_before, taken from `leaks` before the host was started.
nothing_left() {
    within 1 suite_settled
    is "no grant, channel, node or zombie is left" "$(leaks)" "$suite_before"
    for suite_guest in "$@"; do
        not_ok "$suite_guest: no complaint in its kernel's log" guest_complaints "$suite_guest"
    done
}
