#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A supervisor is killed, and a new one takes over its workers: what they count for, how they end, and what it makes
# of files that tell of none.

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
state=$work/run/workers
printf '[host]\naddress = %s\nplugin-dir = %s/plugins\nlog = stderr\n' "$GPUVCHAN_ADDRESS" "$work" >host.conf

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

kill_host() {
    kill -KILL "$host_pid"
    finish 8 "$host_pid"
}

# start_guest NAME WHAT: returns when it is served; tell_guest NAME lets it go on. $guest_pid, $worker.
start_guest() {
    mkfifo "$1.in"
    : >"$1.out"
    ./probe "$2" <>"$1.in" >"$1.out" 2>"$1.err" &
    guest_pid=$!
    tap_started="$tap_started $guest_pid"
    within 10 grep -q "ready\|error" "$1.out" || bail "guest $1 is not served: $(cat "$1.out" "$1.err")"
    worker=$(sed -n 's/.*: worker \([0-9]*\) serves .*/\1/p' "$host_name.err" | tail -n 1)
}

tell_guest() {
    echo go 1<>"$1.in"
}

has_line() {
    grep -q "$2" "$1"
}

files() {
    find "$state" -mindepth 1 -printf '%f\n' 2>/dev/null | sort | tr '\n' ' '
}

# The descriptor of a worker's file.
lock_of() {
    find "/proc/$1/fd" -lname "$state/*" -printf '%f\n'
}

no_files() {
    [ -z "$(files)" ]
}

# ---- What a host leaves for another ------------------------------------------------------------

start_host first
is "the folder is private" "$(stat -c %a "$state")" 700
start_guest one hold
is "each worker has a file" "$(files)" "$worker "
is "which is private" "$(stat -c %a "$state/$worker")" 600
not_ok "and locked" flock -n "$state/$worker" true
if [ "$(id -u)" -eq 0 ]; then
    is "the worker cannot write to it" \
        "$(sed -n 's/^flags:[[:space:]]*//p' "/proc/$worker/fdinfo/$(lock_of "$worker")" | sed 's/.*\(.\)$/\1/')" 0
else
    skip "the worker cannot write to it" "needs root to look"
fi
run 20 ./probe echo
within 5 has_line first.err 'ended'
is "a worker that ends takes its file along" "$(files)" "$worker "
one=$guest_pid first_worker=$worker

# ---- The new one -------------------------------------------------------------------------------

kill_host
ok "host killed: the worker lives" alive "$first_worker"
start_host second --max-processes=1
like "adopted" "$(cat second.err)" "adopted worker $first_worker \(probe, uid $(id -u)\)"
unlike "without a complaint" "$(cat second.err)" "warning"
run 20 ./probe echo
is "it counts: another guest is refused" "$status" 1
like "it counts: in words" "$output" "the host serves its limit of 1 guest processes"
tell_guest one
finish 8 "$one"
is "its guest goes on" $? 0
is "to its end" "$(tail -n 1 one.out)" "done"
ok "its end is noticed" within 5 has_line second.err "adopted worker $first_worker (probe, uid [0-9]*) ended"
ok "its file is removed" within 2 no_files
run 20 ./probe echo
is "its place is free" "$status" 0
start_guest two hold
two_worker=$worker two=$guest_pid
kill_host

start_host third
start_guest three hold
three=$guest_pid three_worker=$worker
kill_host
start_host fourth
ok "twice: the first" has_line fourth.err "adopted worker $two_worker "
ok "twice: the second" has_line fourth.err "adopted worker $three_worker "
stop_host
is "SIGTERM: status" "$status" 0
ok "SIGTERM ends adopted workers" gone "$two_worker"
ok "SIGTERM ends all of them" gone "$three_worker"
not_ok "SIGTERM: the folder is removed" test -e "$state"
for name in two three; do tell_guest "$name"; done
finish 8 "$two"
is "SIGTERM: their guests get an error" $? 1
finish 8 "$three"

start_host fifth probe.close=hang
start_guest stuck hold
kill_host
start_host sixth
before=$(date +%s)
stop_host
is "an adopted worker that does not end: status" "$status" 0
ok "an adopted worker that does not end: SIGKILL after 2 s" gone "$worker"
ok "an adopted worker that does not end: not later" [ $(($(date +%s) - before)) -le 4 ]
tell_guest stuck
finish 8 "$guest_pid"

start_host seventh
start_guest killed hold
kill_host
start_host eighth
kill -KILL "$worker"
ok "an adopted worker is killed: noticed" within 5 has_line eighth.err "adopted worker $worker .* ended"
tell_guest killed
finish 8 "$guest_pid"
is "an adopted worker is killed: its guest gets an error" $? 1
kill_host

# ---- Files that tell of none -------------------------------------------------------------------

start_host ninth
start_guest gone hold
kill_host
cp "$state/$worker" copy
kill -KILL "$worker" "$guest_pid"
within 5 gone "$worker"
sleep 60 &
sleeper=$!
tap_started="$tap_started $sleeper"
cp copy "$state/$sleeper"              # its number is another's now
cp copy "$state/99999999"              # there is no such process
sed 's/^uid=.*/uid=/' copy >"$state/7" # damaged
head -c 40 copy >"$state/8"
: >"$state/9"
head -c 5000 /dev/zero >"$state/10"
: >"$state/.11"
echo theirs >"$state/README"
start_host tenth
unlike "stale files: nobody is adopted" "$(cat tenth.err)" "adopted"
is "stale files are removed, and others are not" "$(files)" "README "
for name in 7 8 9 10; do
    like "damaged file $name: a warning" "$(cat tenth.err)" "warning: the file $name about a worker is damaged"
done
ok "the process that has the number lives" alive "$sleeper"
run 20 ./probe echo
is "the host serves" "$status" 0
kill_host
sed "s/^started=.*/started=1/" copy >"$state/$sleeper"
flock "$state/$sleeper" sleep 20 &
tap_started="$tap_started $!"
printf 'rubbish\n' >"$state/6"
flock "$state/6" sleep 20 &
tap_started="$tap_started $!"
sleep 0.3
start_host eleventh
unlike "locked by another process than it names: not adopted" "$(cat eleventh.err)" "adopted"
ok "locked by another process than it names: that lives" alive "$sleeper"
like "locked and damaged: a warning" "$(cat eleventh.err)" "file 6 about a worker is damaged: it is ignored"
ok "locked and damaged: stays" test -e "$state/6"
kill -KILL "$sleeper"
stop_host
rm -rf "$state"

# ---- Two hosts ---------------------------------------------------------------------------------

mkdir shared
start_host north --state-dir="$work/shared"
start_guest northern hold
north_worker=$worker
kill_host
start_host south -a "$work/run/south.sock" --state-dir="$work/shared"
like "another address: the worker is another's" "$(cat south.err)" \
    "worker $north_worker belongs to a host at $GPUVCHAN_ADDRESS, not to this one"
stop_host
ok "another address: it lives on" alive "$north_worker"
start_host heir --state-dir="$work/shared"
like "the right address: adopted" "$(cat heir.err)" "adopted worker $north_worker "
tell_guest northern
finish 8 "$guest_pid"
is "the right address: its guest goes on" $? 0
ok "the folder was removed under it: guests are served" rm -rf "$work/shared"
run 20 ./probe echo
is "the folder was removed under it: status" "$status" 0
unlike "the folder was removed under it: no warning" "$(cat heir.err)" "warning"
stop_host
start_host named -a "$work/run/named.sock"
ok "a folder beside each socket" test -d "$work/run/named.workers"
stop_host
not_ok "which is removed" test -e "$work/run/named.workers"

# ---- Service manager ---------------------------------------------------------------------------

if command -v python3 >/dev/null; then
    cat >activate.py <<'EOF2'
import os, socket, sys
path = os.environ["GPUVCHAN_ADDRESS"]
if os.path.exists(path):
    os.unlink(path)
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(path)
s.listen(8)
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
EOF2
    for host_name in activated again; do
        start "$host_name" python3 activate.py "$host" -c host.conf
        host_pid=$pid
        within 10 has_line "$host_name.err" "listens at" || bail "the host does not start: $(cat "$host_name.err")"
        [ "$host_name" = again ] || start_guest served hold
        [ "$host_name" = again ] || kill_host
    done
    ok "a socket of the service manager is the same address" within 5 has_line again.err "adopted worker $worker "
    stop_host
    tell_guest served
    finish 8 "$guest_pid"
    rm -f "$GPUVCHAN_ADDRESS"
else
    skip "a socket of the service manager is the same address" "needs python3"
fi

# ---- Without a folder --------------------------------------------------------------------------

# serves NAME REGEX OPTIONS...: with a warning.
serves() {
    name=$1 regex=$2
    shift 2
    start_host without "$@"
    like "$name: a warning" "$(cat without.err)" "warning: .*$regex: if this host is killed, no new one will know"
    run 20 ./probe echo
    is "$name: guests are served" "$status" 0
    stop_host
    is "$name: status" "$status" 0
}
serves "no such folder" "No such file or directory" --state-dir="$work/missing/deeper/workers"
: >file
serves "a file for a folder" "Not a directory" --state-dir="$work/file"
mkdir -m 777 open
serves "a folder for everybody" "others may write there" --state-dir="$work/open"
ln -s "$work/run" link
serves "a link" "Not a directory" --state-dir="$work/link"
if [ "$(id -u)" -eq 0 ]; then
    mkdir -m 700 theirs
    chown 12345 theirs
    serves "somebody else's" "it belongs to somebody else" --state-dir="$work/theirs"
else
    skip "somebody else's" "needs root"
fi
if [ "$(id -u)" -eq 0 ] && mkdir full && mount -t tmpfs -o size=4k,mode=700 tmpfs full 2>/dev/null; then
    head -c 4096 /dev/zero >full/ballast 2>/dev/null
    start_host filled --state-dir="$work/full"
    run 20 ./probe echo
    is "a full folder: guests are served" "$status" 0
    ok "a full folder: a warning" within 5 has_line filled.err \
        "warning: worker [0-9]* leaves no file behind, and will not be adopted: No space left"
    stop_host
    umount full
else
    skip "a full folder" "needs a file system of its own"
fi

# ---- --run -------------------------------------------------------------------------------------

run 20 env -u GPUVCHAN_ADDRESS "$host" -c /dev/null -p plugins --run 'ls -a $(dirname $GPUVCHAN_ADDRESS); echo $GPUVCHAN_ADDRESS'
like "run: in its private folder" "$output" '^workers$'
not_ok "run: which is removed" test -e "$(dirname "$(printf '%s\n' "$output" | tail -n 1)")"

is "no sanitizer complains" "$(cat ./*.err | grep 'Sanitizer\|runtime error\|ended with status')" ""
done_testing
