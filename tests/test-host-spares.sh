#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Spare workers: they wait for guests with their plugins warm, count for nothing, and hold what is promised of workers.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
[ -x "$host" ] || skip_all "$host is not built"
command -v "${CC:-cc}" >/dev/null || skip_all "no C compiler"
unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG GPUVCHAN_ADDRESS NOTIFY_SOCKET LISTEN_FDS LISTEN_PID JOURNAL_STREAM
cd "$work" || bail "cannot enter $work"

mkdir plugins run
compile "$work/probe" "$top/tests/probe.c" || bail "the test's guest does not compile"
compile "$work/plugins/probe.so" "$top/tests/probe.c" -DPROBE_PLUGIN -fPIC -shared ||
    bail "the test's plugin does not compile"
export GPUVCHAN_ADDRESS="$work/run/host.sock"
printf '[host]\naddress = %s\nplugin-dir = %s/plugins\nlog = stderr\nlog-level = debug\n' "$GPUVCHAN_ADDRESS" "$work" \
    >host.conf

# start_host NAME OPTIONS...: returns when guests can connect; $host_pid.
start_host() {
    host_name=$1
    shift
    start "$host_name" "$host" -c host.conf "$@"
    host_pid=$pid
    within 10 grep -q "listens at" "$host_name.err" || bail "the host does not start: $(cat "$host_name.err")"
}

stop_host() {
    kill -TERM "$host_pid"
    finish 8 "$host_pid"
    status=$?
}

# Numbers of the processes that have waited, and of those that have served, in their order.
spares() {
    sed -n 's/.*: worker \([0-9]*\) waits for a guest.*/\1/p' "$host_name.err"
}

servers() {
    sed -n 's/.*: worker \([0-9]*\) serves .*/\1/p' "$host_name.err"
}

# so_many NUMBER: spare workers have been started.
so_many() {
    [ "$(spares | wc -l)" -eq "$1" ]
}

# start_guest NAME: returns when it is served; tell_guest NAME lets it go on. $guest_pid.
start_guest() {
    mkfifo "$1.in"
    : >"$1.out"
    ./probe hold <>"$1.in" >"$1.out" 2>"$1.err" &
    guest_pid=$!
    tap_started="$tap_started $guest_pid"
    within 10 grep -q "ready\|error" "$1.out" || bail "guest $1 is not served: $(cat "$1.out" "$1.err")"
}

tell_guest() {
    echo go 1<>"$1.in"
}

has_line() {
    grep -q "$2" "$1"
}

ended() {
    [ "$(grep -c 'worker [0-9]* (probe, uid [0-9]*) ended' "$host_name.err")" -eq "$1" ]
}

# ---- One after the other -----------------------------------------------------------------------

start_host usual probe.warm=verbose --max-processes=1
ok "there is one from the beginning" within 10 so_many 1
first=$(spares)
ok "whose plugins get warm" within 10 has_line usual.err "worker $first: probe: is warm"
is "it can gain no privileges" "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' "/proc/$first/status")" 1
if [ "$(id -u)" -eq 0 ]; then
    is "it has nothing of the supervisor's" \
        "$(find "/proc/$first/fd" -printf '%l\n' | grep -c 'eventpoll\|signalfd')" 0
else
    skip "it has nothing of the supervisor's" "needs root to look"
fi
ticks() {
    sed 's/.*) //' "/proc/$first/stat" | cut -d ' ' -f 12,13
}
before=$(ticks)
sleep 1
is "while it waits it uses no processor" "$(ticks)" "$before"

start_guest one
is "a guest gets it" "$(servers)" "$first"
like "which the log tells as of others" "$(cat usual.err)" "worker $first serves probe \(process $guest_pid, uid $(id -u)\)"
ok "it has a file" test -e "run/workers/$first"
not_ok "which is locked" flock -n "run/workers/$first" true
ok "another one follows" within 10 so_many 2
second=$(spares | tail -n 1)
not_ok "and has no file yet" test -e "run/workers/$second"
run 20 ./probe echo
like "spare ones count for no guest, and those that serve do" "$output" "serves its limit of 1 guest processes"
tell_guest one
finish 8 "$guest_pid"
is "its guest is served well" "$?$(tail -n 1 one.out)" 0done
ok "it ends with its guest" within 5 gone "$first"
ok "its file too" within 5 [ ! -e "run/workers/$first" ]
for i in 1 2 3 4 5; do ./probe echo || echo failed; done >several.out
is "guests one right after another" "$(grep -c done several.out)" 5
ok "all their workers end" within 10 ended 6
stop_host
is "SIGTERM: status" "$status" 0
for pid in $(spares); do gone "$pid" || echo "$pid"; done >left
is "no spare worker is left" "$(cat left)" ""
not_ok "nor a folder" test -e run/workers
unlike "without a complaint" "$(cat usual.err)" "error|warning: [^p]*worker"

# ---- How many ----------------------------------------------------------------------------------

start_host none --spare-workers=0
run 20 ./probe echo
is "none: a guest is served" "$status" 0
sleep 0.5
is "none: there were none" "$(spares)" ""
stop_host

start_host three --spare-workers=3
ok "three" within 10 so_many 3
start_guest three_one
start_guest three_two
is "several guests get them" "$(servers | sort)" "$(spares | sort | grep -F "$(servers)")"
ok "and as many follow" within 10 so_many 5
for name in three_one three_two; do tell_guest "$name"; done
stop_host

start_host runner
within 10 so_many 1
run 20 "$build/bin/gpuvchan-run" ./probe echo
is "gpuvchan-run: it looks whether there is a host, and the program gets the spare worker" \
    "$status $(servers | wc -l) $(servers | tail -n 1)" "0 2 $(spares | head -n 1)"
stop_host

run 20 env -u GPUVCHAN_ADDRESS "$host" -c /dev/null -p plugins --log-level=debug --run './probe echo; sleep 0.5'
unlike "with --run: none" "$output$errors" "waits for a guest"
run 20 env -u GPUVCHAN_ADDRESS "$host" -c /dev/null -p plugins --log-level=debug --spare-workers=1 --run './probe echo; sleep 0.5'
like "with --run: unless they are asked for" "$output$errors" "waits for a guest"
run 20 "$host" -c host.conf --spare-workers=none
like "a wrong number is named" "$errors" "spare-workers"

# ---- Accidents ---------------------------------------------------------------------------------

start_host accidents
within 10 so_many 1
kill -KILL "$(spares)"
ok "one is killed: the log" within 5 has_line accidents.err "worker [0-9]* (spare) killed by signal 9"
sleep 0.5
ok "no other is started before a guest comes" so_many 1
run 20 ./probe echo
is "which is served" "$status" 0
ok "and then" within 10 so_many 2
stop_host

start_host crashing probe.warm=crash
ok "a plugin crashes: the log" within 10 has_line crashing.err "worker [0-9]* (spare) killed by signal 11"
run 20 ./probe echo
is "a plugin crashes before there is a guest: that is served" "$status" 0
ok "and it is tried once for each" within 10 so_many 2
stop_host

start_host hanging probe.warm=hang
within 10 so_many 1
sleep 3.5
run 20 ./probe echo
is "a plugin hangs before there is a guest: that is served" "$status" 0
like "a plugin hangs: the log" "$(cat hanging.err)" "spare worker [0-9]+ does not get ready: it is ended"
ok "a plugin hangs: it is ended" within 8 gone "$(spares | head -n 1)"
within 10 so_many 2
stop_host
is "a plugin hangs: the host ends" "$status" 0
ok "a plugin hangs: its worker ends" gone "$(spares | tail -n 1)"

# ---- The host dies -----------------------------------------------------------------------------

start_host dying
within 10 so_many 1
served=$(spares)
start_guest kept
within 10 so_many 2
waiting=$(spares | tail -n 1)
kill -KILL "$host_pid"
finish 8 "$host_pid"
ok "host killed: a spare worker ends" within 5 gone "$waiting"
ok "host killed: one that serves lives" alive "$served"
start_host heir
like "and is adopted" "$(cat heir.err)" "adopted worker $served \(probe, uid $(id -u)\)"
tell_guest kept
finish 8 "$guest_pid"
is "its guest goes on to its end" "$?$(tail -n 1 kept.out)" 0done
ok "its end is noticed" within 5 has_line heir.err "adopted worker $served (probe, uid [0-9]*) ended"
ok "and its file removed" within 5 [ ! -e "run/workers/$served" ]
stop_host

# ---- A new configuration -----------------------------------------------------------------------

cp host.conf reload.conf
start reload "$host" -c reload.conf
host_pid=$pid host_name=reload
within 10 so_many 1 || bail "no spare worker: $(cat reload.err)"
old=$(spares)
printf 'max-arena = 64K\n' >>reload.conf
kill -HUP "$host_pid"
ok "SIGHUP: there is a new one" within 10 so_many 2
ok "SIGHUP: the old one ends" within 5 gone "$old"
run 20 ./probe echo
like "SIGHUP: guests get what is configured now" "$output" "this host allows 65536"
printf 'spare-workers = 0\n' >>reload.conf
within 10 so_many 3
kill -HUP "$host_pid"
ok "SIGHUP: none any more" within 10 gone "$(spares | tail -n 1)"
stop_host

# ---- Another user ------------------------------------------------------------------------------

if [ "$(id -u)" -eq 0 ] && id nobody >/dev/null 2>&1; then
    chmod 755 "$work" run
    start_host dropping --user=nobody probe.warm=verbose
    ok "user: its plugins get warm" within 10 has_line dropping.err "probe: is warm"
    is "user: without the host's rights" "$(sed -n 's/^Uid:[[:space:]]*//p' "/proc/$(spares)/status" | tr '\t' ' ')" \
        "$(id -u nobody) $(id -u nobody) $(id -u nobody) $(id -u nobody)"
    start_guest dropped
    is "user: nor has it more with its guest" \
        "$(sed -n 's/^Uid:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$(servers)/status") $(servers)" "$(id -u nobody) $(spares | head -n 1)"
    is "user: and can gain none" "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' "/proc/$(servers)/status")" 1
    ok "user: it has a file" test -e "run/workers/$(servers)"
    not_ok "user: which is locked" flock -n "run/workers/$(servers)" true
    tell_guest dropped
    finish 8 "$guest_pid"
    is "user: the guest is served well" $? 0
    stop_host
else
    skip "user" "needs root"
fi

done_testing
