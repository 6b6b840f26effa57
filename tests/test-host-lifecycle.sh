#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gpuvchan-host from its start to its end: who may come, what happens to the others when one of them dies,
# and that nothing stays behind.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
[ -x "$host" ] || skip_all "$host is not built"
command -v "${CC:-cc}" >/dev/null || skip_all "no C compiler"
unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG GPUVCHAN_ADDRESS NOTIFY_SOCKET LISTEN_FDS LISTEN_PID JOURNAL_STREAM
cd "$work" || bail "cannot enter $work"

mkdir plugins sockets
compile "$work/probe" "$top/tests/probe.c" || bail "the test's guest does not compile"
compile "$work/plugins/probe.so" "$top/tests/probe.c" -DPROBE_PLUGIN -fPIC -shared ||
    bail "the test's plugin does not compile"
export GPUVCHAN_ADDRESS="$work/sockets/host.sock"
printf '[host]\naddress = %s\nplugin-dir = %s/plugins\nlog = stderr\n' "$GPUVCHAN_ADDRESS" "$work" >host.conf

# start_host NAME OPTIONS...: returns when guests can connect; $host_pid.
start_host() {
    host_name=$1
    shift
    start "$host_name" "$host" -c host.conf "$@"
    host_pid=$pid
    within 10 grep -q "listens at" "$host_name.err" || bail "the host does not start: $(cat "$host_name.err")"
}

# stop_host: by SIGTERM; $status.
stop_host() {
    kill -TERM "$host_pid"
    finish 8 "$host_pid"
    status=$?
}

# The workers that a host's log names.
workers() {
    sed -n 's/.*: worker \([0-9]*\) serves .*/\1/p' "$1.err"
}

none_left() {
    for worker in $(workers "$1"); do
        gone "$worker" || return 1
    done
}

# start_guest NAME WHAT: returns when it is served; tell_guest NAME lets it go on. $guest_pid.
start_guest() {
    mkfifo "$1.in"
    : >"$1.out"
    # Opened both ways: opening never waits for a partner, and the guest never reads an end.
    "$work/probe" "$2" <>"$1.in" >"$1.out" 2>"$1.err" &
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

# ---- --run -------------------------------------------------------------------------------------

captive() {
    run 20 env -u GPUVCHAN_ADDRESS "$host" -c plain.conf --run "$@"
}
printf '[host]\nplugin-dir = %s/plugins\n' "$work" >plain.conf

captive 'exit 0'
is "run: status 0" "$status$errors" 0
captive 'exit 42'
is "run: status 42" "$status" 42
captive 'kill -9 $$'
is "run: signal" "$status" 137
captive 'no-such-command-anywhere'
is "run: no such command" "$status" 127
captive './probe echo'
is "run: a guest is served" "$output" "ready
done"
is "run: quietly" "$errors" ""
captive 'echo $GPUVCHAN_ADDRESS'
like "run: at a private address" "$output" '/gpuvchan-[A-Za-z0-9]{6}/host.sock$'
not_ok "run: which is removed" test -e "$(dirname "$output")"
captive 'echo $GPUVCHAN_ADDRESS' -a "$work/sockets/given.sock"
is "run: at a given address" "$output" "$work/sockets/given.sock"
not_ok "run: which is removed, too" test -e "$work/sockets/given.sock"
captive 'env' -v
unlike "run: nothing of the service manager's" "$output" 'NOTIFY_SOCKET|LISTEN_FDS'
run 20 sh -c 'ls /proc/self/fd | wc -l'
usual=$output
captive 'ls /proc/self/fd | wc -l'
is "run: the command inherits nothing of the host" "$output" "$usual"
start captive env -u GPUVCHAN_ADDRESS "$host" -c plain.conf --run 'echo $$; exec sleep 30'
within 10 test -s captive.out
kill -TERM "$pid"
finish 8 "$pid"
is "run: SIGTERM ends the command" $? 143
ok "run: nothing of it stays" gone "$(cat captive.out)"

# ---- Start and stop ----------------------------------------------------------------------------

start_host first --pidfile host.pid
is "pidfile" "$(cat host.pid)" "$host_pid"
is "socket-mode" "$(stat -c %a "$GPUVCHAN_ADDRESS")" 660
run 20 ./probe echo
is "a guest is served" "$output" "ready
done"
within 5 has_line first.err 'worker [0-9]* (probe, uid [0-9]*) ended'
like "the log names the guest" "$(cat first.err)" "worker [0-9]+ serves probe \(process [0-9]+, uid $(id -u)\)"
like "the log tells of its end" "$(cat first.err)" "worker [0-9]+ \(probe, uid $(id -u)\) ended"
run 10 "$host" -c host.conf
is "a second host at the same address: status" "$status" 1
like "a second host at the same address: message" "$errors" "another gpuvchan-host listens at $GPUVCHAN_ADDRESS"
run 20 ./probe echo
is "the first one still serves" "$status" 0
start_guest held hold
stop_host
is "SIGTERM: status" "$status" 0
ok "SIGTERM: workers end" none_left first
not_ok "SIGTERM: the socket is removed" test -e "$GPUVCHAN_ADDRESS"
not_ok "SIGTERM: the pidfile is removed" test -e host.pid
tell_guest held
finish 8 "$guest_pid"
is "SIGTERM: a guest gets an error" $? 1
like "SIGTERM: in words" "$(cat held.out)" "error: the worker on the host has ended"

start_host interrupted
kill -INT "$host_pid"
finish 8 "$host_pid"
is "SIGINT: status" $? 0
not_ok "SIGINT: the socket is removed" test -e "$GPUVCHAN_ADDRESS"

run 10 "$host" -c host.conf -a "$work/missing/deeper/host.sock"
is "no folder for the socket: status" "$status" 1
like "no folder for the socket: message" "$errors" "cannot listen at $work/missing/deeper/host.sock"
run 10 "$host" -c host.conf --pidfile "$work/missing/host.pid"
is "no folder for the pidfile: status" "$status" 1
not_ok "no folder for the pidfile: no socket stays" test -e "$GPUVCHAN_ADDRESS"
start_host both -a "$work/sockets/one.sock" -a "local:$work/sockets/two.sock"
like "two addresses: the log" "$(cat both.err)" "listens at $work/sockets/one.sock"
for name in one two; do
    run 20 env GPUVCHAN_ADDRESS="$work/sockets/$name.sock" ./probe echo
    is "two addresses: $name" "$status" 0
done
stop_host
is "two addresses: none stays" "$(find sockets -mindepth 1)" ""
run 10 "$host" -c host.conf -a "$work/sockets/one.sock" -a "$work/missing/deeper/host.sock"
is "one of two addresses cannot be: status" "$status" 1
is "one of two addresses cannot be: none stays" "$(find sockets -mindepth 1)" ""
start_host mode --socket-mode=0600 -a "$work/made/mode.sock"
is "socket-mode 0600" "$(stat -c %a made/mode.sock)" 600
stop_host

# ---- Background --------------------------------------------------------------------------------

cp host.conf daemon.conf
run 20 "$host" -c daemon.conf --daemon --pidfile host.pid --log=null
is "daemon: status" "$status" 0
daemon_pid=$(cat host.pid)
tap_started="$tap_started $daemon_pid"
ok "daemon: runs" alive "$daemon_pid"
is "daemon: ready when the command returns" "$(./probe echo | tail -n 1)" "done"
is "daemon: in a session of its own" "$(ps -o sid= -p "$daemon_pid" | tr -d ' ')" "$daemon_pid"
is "daemon: holds no folder" "$(readlink "/proc/$daemon_pid/cwd")" /
run 20 "$host" -c host.conf --daemon --log=stderr
is "daemon: a second one: status" "$status" 1
like "daemon: a second one: message" "$errors" "another gpuvchan-host listens"
printf 'max-arena = 4K\n' >>daemon.conf
kill -HUP "$daemon_pid"
refused() { ./probe echo | grep -q "this host allows 4096"; }
ok "daemon: SIGHUP reads the same file, though its path was relative" within 5 refused
kill -TERM "$daemon_pid"
ok "daemon: SIGTERM ends it" within 8 gone "$daemon_pid"
not_ok "daemon: the socket is removed" test -e "$GPUVCHAN_ADDRESS"
not_ok "daemon: the pidfile is removed" test -e host.pid

# ---- Parent ------------------------------------------------------------------------------------

# The shell between the test and the host is the parent that ends.
sh -c '"$1" -c host.conf --exit-with-parent 2>parent.err & echo $! >parent.pid
    n=0; until grep -q "listens at" parent.err || [ $n -ge 100 ]; do sleep 0.1; n=$((n + 1)); done' sh "$host"
tap_started="$tap_started $(cat parent.pid)"
ok "exit-with-parent" within 8 gone "$(cat parent.pid)"
not_ok "exit-with-parent: the socket is removed" test -e "$GPUVCHAN_ADDRESS"

# ---- Policy ------------------------------------------------------------------------------------

start_host full --max-processes=1
start_guest one hold
run 20 ./probe echo
is "max-processes: status" "$status" 1
like "max-processes: the guest learns why" "$output" \
    "error: .*the host serves its limit of 1 guest processes: end one, or have"
like "max-processes: the log, too" "$(cat full.err)" "refused: the host serves its limit"
tell_guest one
finish 8 "$guest_pid"
is "max-processes: the one inside is undisturbed" $? 0
failures=0
for i in 1 2 3 4 5; do
    ./probe echo >"again.$i" || failures=$((failures + 1))
done
is "max-processes: one guest right after another" "$failures" 0
stop_host

if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    chmod 755 "$work" sockets
    start_host users --allow-uids=0 --socket-mode=0666
    run 20 ./probe echo
    is "allow-uids: who is in it" "$status" 0
    run 20 setpriv --reuid=12345 --regid=12345 --clear-groups ./probe echo
    is "allow-uids: who is not: status" "$status" 1
    like "allow-uids: who is not: message" "$output" "error: .*uid 12345 may not use this host"
    stop_host
    start_host groups --allow-gids=12345 --socket-mode=0666
    run 20 setpriv --reuid=12345 --regid=12345 --clear-groups ./probe echo
    is "allow-gids: who is in it" "$status" 0
    run 20 ./probe echo
    is "allow-gids: who is not" "$status" 1
    stop_host
else
    skip "allow-uids and allow-gids" "needs root and setpriv"
fi

start_host arena --max-arena=64K
run 20 ./probe echo
like "max-arena" "$output" "error: .*this host allows 65536"
stop_host

# ---- Accidents ---------------------------------------------------------------------------------

start_host accidents --spare-workers=0 # one that comes and goes has descriptors, too
start_guest bystander hold
run 20 ./probe crash
is "a worker's crash: its guest gets an error" "$status" 1
like "a worker's crash: in words" "$output" "error: the worker on the host has ended"
within 5 has_line accidents.err 'killed by signal 11'
like "a worker's crash: the log" "$(cat accidents.err)" \
    "error: worker [0-9]+ \(probe, uid $(id -u)\) killed by signal 11 \(Segmentation fault\)"
bystander=$guest_pid
start_guest victim hold
kill -KILL "$(workers accidents | tail -n 1)"
tell_guest victim
finish 8 "$guest_pid"
is "a worker's SIGKILL: its guest gets an error" $? 1
within 5 has_line accidents.err 'killed by signal 9'
like "a worker's SIGKILL: the log" "$(cat accidents.err)" "worker [0-9]+ \(probe, uid [0-9]+\) killed by signal 9"
ok "the host lives on" alive "$host_pid"
tell_guest bystander
finish 8 "$bystander"
is "another guest notices nothing" $? 0

start_guest killed hold
worker=$(workers accidents | tail -n 1)
ok "a guest's worker runs" alive "$worker"
if [ "$(id -u)" -eq 0 ]; then
    is "it has nothing of the supervisor's" \
        "$(find "/proc/$worker/fd" -printf '%l\n' | grep -c 'eventpoll\|signalfd')" 0
else
    skip "it has nothing of the supervisor's" "needs root to look"
fi
is "it can gain no privileges" "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' "/proc/$worker/status")" 1
is "it leaves no core" "$(sed -n 's/^Max core file size *\([0-9]*\) .*/\1/p' "/proc/$worker/limits")" 0
kill -KILL "$guest_pid"
ok "a guest's SIGKILL: its worker ends within a second" within 1 gone "$worker"

worker_fds=$(find "/proc/$host_pid/fd" -mindepth 1 | wc -l)
for i in 1 2 3; do ./probe echo >/dev/null; done
within 5 none_left accidents
is "the host keeps no descriptors of guests" "$(find "/proc/$host_pid/fd" -mindepth 1 | wc -l)" "$worker_fds"

start_guest stuck hang
worker=$(workers accidents | tail -n 1)
kill -KILL "$guest_pid"
ok "a guest that dies while a handler hangs: its worker ends" within 6 gone "$worker"
stop_host
is "accidents: status" "$status" 0

start_host closing probe.close=hang
run 20 ./probe echo
is "a plugin that does not close: the guest has done its work" "$status" 0
worker=$(workers closing | tail -n 1)
ok "a plugin that does not close: the worker ends all the same" within 6 gone "$worker"
like "a plugin that does not close: the log" "$(cat closing.err)" "a plugin did not close in time"
start_guest late hold
before=$(date +%s)
stop_host
is "a plugin that does not close: SIGTERM" "$status" 0
ok "a plugin that does not close: the host waits 2 s for it" [ $(($(date +%s) - before)) -le 4 ]
ok "a plugin that does not close: no worker stays" none_left closing
tell_guest late
finish 8 "$guest_pid"

# ---- The host dies -----------------------------------------------------------------------------

start_host dying
start_guest orphan hold
orphan=$guest_pid
worker=$(workers dying | tail -n 1)
kill -KILL "$host_pid"
finish 8 "$host_pid"
ok "host killed: the socket is left" test -S "$GPUVCHAN_ADDRESS"
ok "host killed: the worker lives" alive "$worker"
start_host heir
run 20 ./probe echo
is "host killed: a new one takes the address" "$status" 0
tell_guest orphan
finish 8 "$orphan"
is "host killed: its guest was served on" $? 0
is "host killed: to the end" "$(tail -n 1 orphan.out)" "done"
ok "host killed: the worker ends with its guest" within 3 gone "$worker"
stop_host

# ---- New configuration -------------------------------------------------------------------------

cp host.conf reload.conf
start reload "$host" -c reload.conf
host_pid=$pid
within 10 has_line reload.err "listens at"
printf 'max-processes = none\n' >>reload.conf
kill -HUP "$host_pid"
ok "SIGHUP: a wrong file" within 5 has_line reload.err "max-processes: 'none' is not.*; the old configuration stays"
run 20 ./probe echo
is "SIGHUP: changes nothing then" "$status" 0
cp host.conf reload.conf
printf 'max-arena = 4K\nsocket-mode = 0600\n' >>reload.conf
kill -HUP "$host_pid"
ok "SIGHUP: a right file" within 5 has_line reload.err "has read its configuration anew"
like "SIGHUP: what needs a new start" "$(cat reload.err)" "the new socket-mode takes effect when the host is started anew"
run 20 ./probe echo
like "SIGHUP: new sessions get it" "$output" "this host allows 4096"
stop_host
is "SIGHUP: and SIGTERM after it" "$status" 0

# ---- Service manager ---------------------------------------------------------------------------

if command -v python3 >/dev/null; then
    cat >manager.py <<'EOF'
import os, socket, sys, signal
signal.alarm(40)
kind, name = sys.argv[1], sys.argv[2]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0" + name[1:] if name[0] == "@" else name)
print("bound", flush=True)
while True:
    text = s.recv(4096).decode()
    print(text, flush=True)
    if "STOPPING=1" in text:
        break
EOF
    for name in "$work/notify.sock" "@gpuvchan-test-$$"; do
        start manager python3 manager.py notify "$name"
        manager=$pid
        within 10 has_line manager.out bound
        start notified env NOTIFY_SOCKET="$name" "$host" -c host.conf
        host_pid=$pid
        ok "notify: READY=1 at $name" within 10 has_line manager.out '^READY=1$'
        ok "notify: the socket is there then" test -S "$GPUVCHAN_ADDRESS"
        is "notify: MAINPID" "$(sed -n 's/^MAINPID=//p' manager.out)" "$host_pid"
        ./probe echo >/dev/null
        ok "notify: STATUS" within 5 has_line manager.out '^STATUS=0 guests served now, 1 in all'
        kill -HUP "$host_pid"
        ok "notify: RELOADING=1" within 5 has_line manager.out '^RELOADING=1$'
        ok "notify: its time" within 5 has_line manager.out '^MONOTONIC_USEC=[0-9]'
        stop_host
        ok "notify: STOPPING=1" within 5 has_line manager.out '^STOPPING=1$'
        finish 5 "$manager"
    done

    cat >activate.py <<'EOF'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(sys.argv[1])
s.listen(8)
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
EOF
    start activated python3 activate.py "$GPUVCHAN_ADDRESS" "$host" -c host.conf
    host_pid=$pid
    within 10 test -S "$GPUVCHAN_ADDRESS"
    run 20 ./probe echo
    is "socket activation: a guest is served" "$status" 0
    like "socket activation: the log" "$(cat activated.err)" \
        "listens at $GPUVCHAN_ADDRESS, a socket of the service manager"
    stop_host
    is "socket activation: status" "$status" 0
    ok "socket activation: the manager's socket stays" test -S "$GPUVCHAN_ADDRESS"
    rm -f "$GPUVCHAN_ADDRESS"
else
    skip "service manager" "needs python3"
fi

# ---- Log ---------------------------------------------------------------------------------------

start_host traced --trace
./probe echo >/dev/null
stop_host
like "trace: each record" "$(cat traced.err)" "worker [0-9]+: .*echo"
start_host quiet -v
stop_host
like "verbose" "$(cat quiet.err)" "gpuvchan-host: "
: >journal.err
start journal sh -c 'exec 2>>journal.err; exec env JOURNAL_STREAM="$(stat -L -c %d:%i journal.err)" "$1" -c host.conf' \
    sh "$host"
host_pid=$pid
ok "journal: lines begin with their level" within 10 has_line journal.err '^<6>gpuvchan-host: listens at'
stop_host

ok "no worker is left" none_left accidents
is "no sanitizer complains" "$(cat ./*.err | grep 'Sanitizer\|runtime error\|ended with status')" ""
is "no socket is left" "$(find sockets -mindepth 1)" ""

done_testing
