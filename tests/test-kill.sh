#!/bin/sh
# SPDX-License-Identifier: MIT
#
# SIGKILL for the guest, its worker and the supervisor at each step of connecting, calling, copying and
# closing. Who survives gets an error within a second, and nothing stays: no process, descriptor, shared
# memory or socket.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
guest=$build/tests/helpers/kill_guest
[ -x "$host" ] || skip_all "$host is not built"
[ -x "$guest" ] || skip_all "$guest is not built: make tests-build"
unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG NOTIFY_SOCKET LISTEN_FDS LISTEN_PID JOURNAL_STREAM
cd "$work" || bail "cannot enter $work"
export GPUVCHAN_ADDRESS="$work/host.sock"
printf '[host]\naddress = %s\nplugin-dir = %s\nlog = stderr\nspare-workers = 0\n' "$GPUVCHAN_ADDRESS" "$build/tests/plugins" >host.conf

start_host() {
    start "$1" "$host" -c host.conf
    host_pid=$pid
    within 10 grep -q "listens at" "$1.err" || bail "gpuvchan-host does not start: $(cat "$1.err")"
}

workers() {
    cat "/proc/$host_pid/task/$host_pid/children"
}

no_workers() {
    [ -z "$(workers)" ]
}

stopped() {
    grep -q "^State:.T" "/proc/$1/status" 2>/dev/null && grep -q "^at " "$2"
}

# start_guest NAME STEP: returns when it has stopped there; $guest_pid, $worker.
start_guest() {
    start "$1" "$guest" "$2"
    guest_pid=$pid
    within 10 stopped "$guest_pid" "$1.out" || bail "the guest does not come to $2: $(cat "$1.out" "$1.err")"
    sleep 0.05
    worker=$(workers)
}

descriptors() {
    find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l
}

# What a host has in hand: descriptors, regions that it maps or holds, connections at its address.
belongings() {
    echo "descriptors $(descriptors "$host_pid")," \
        "regions $(grep -c 'memfd:gpuvchan\|memfd:raw' "/proc/$host_pid/maps")," \
        "held $(find "/proc/$host_pid/fd" -lname '*memfd:raw*' -o -lname '*memfd:gpuvchan *' 2>/dev/null | wc -l)," \
        "sockets $(grep -c "$GPUVCHAN_ADDRESS" /proc/net/unix)," \
        "shm $(find /dev/shm -name '*gpuvchan*' 2>/dev/null | wc -l)"
}

as_before() {
    [ "$(belongings)" = "$before" ]
}

# gets_error NAME: the guest ends with status 1 and says so within a second.
gets_error() {
    finish 5 "$guest_pid"
    gets_status=$?
    is "$1: the guest ends with an error" "$gets_status" 1
    like "$1: in words" "$(cat "$2")" "^error: .+ \(after [0-9]{1,3} ms\)$"
}

start_host host
"$guest" none || bail "the guest does not work"
within 5 no_workers
before=$(belongings)
diag "before: $before"

# ---- The guest ---------------------------------------------------------------------------------

for step in started socket hello connected opened posted called bulk closed; do
    start_guest "guest-$step" "$step"
    case $step in
    started | closed) within 2 no_workers && worker= ;; # a worker ends when the channel is closed, not when the guest ends
    esac
    case $step in
    started | closed) is "guest killed, $step: no worker" "$worker" "" ;;
    *) ok "guest killed, $step: has a worker" [ -n "$worker" ] ;;
    esac
    kill -KILL "$guest_pid"
    wait "$guest_pid" 2>/dev/null
    ok "guest killed, $step: its worker ends within a second" within 1 no_workers
    ok "guest killed, $step: nothing stays" within 2 as_before
done
ok "the host lives" alive "$host_pid"

# ---- The worker --------------------------------------------------------------------------------

for step in socket hello connected opened posted called bulk; do
    start_guest "worker-$step" "$step"
    # shellcheck disable=SC2086 # one process
    kill -KILL $worker || bail "there is no worker at $step"
    within 2 no_workers
    kill -CONT "$guest_pid"
    gets_error "worker killed, $step" "worker-$step.out"
    ok "worker killed, $step: nothing stays" within 2 as_before
done
ok "the host lives" alive "$host_pid"
run 20 "$guest" none
is "a guest is served after all that" "$status" 0
unlike "no worker ended in another way" "$(grep -v 'killed by signal 9' host.err)" 'killed by signal'
kill -TERM "$host_pid"
finish 8 "$host_pid"
is "the host ends" $? 0
not_ok "its socket is removed" test -e "$GPUVCHAN_ADDRESS"

# ---- The supervisor ----------------------------------------------------------------------------

for step in started socket hello connected opened posted called bulk closed; do
    start_host "supervisor-$step"
    start_guest "orphan-$step" "$step"
    kill -KILL "$host_pid"
    finish 5 "$host_pid"
    kill -CONT "$guest_pid"
    finish 5 "$guest_pid"
    status=$?
    if [ "$step" = started ]; then
        is "supervisor killed, $step: the guest ends with an error" "$status" 1
        like "supervisor killed, $step: in words" "$(cat "orphan-$step.out")" "^error: connect: no host answers"
    else
        # A guest that has its worker keeps it.
        is "supervisor killed, $step: the guest is served to its end" "$status" 0
    fi
    for process in $worker; do
        ok "supervisor killed, $step: no worker stays" within 2 gone "$process"
    done
    is "supervisor killed, $step: no connection stays" "$(grep -c "$GPUVCHAN_ADDRESS" /proc/net/unix)" 0
done

start_host last
run 20 "$guest" none
is "a new host takes the place" "$status" 0
kill -TERM "$host_pid"
finish 8 "$host_pid"
is "and ends" $? 0
done_testing
