#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gpuvchan-host: what a worker is when it has a guest, and what it can do no more.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
[ -x "$host" ] || skip_all "$host is not built"
command -v "${CC:-cc}" >/dev/null || skip_all "no C compiler"
command -v setpriv >/dev/null || skip_all "no setpriv"
[ "$(id -u)" -eq 0 ] || skip_all "needs root"
unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG GPUVCHAN_ADDRESS NOTIFY_SOCKET LISTEN_FDS LISTEN_PID JOURNAL_STREAM
cd "$work" || bail "cannot enter $work"
# Who has become somebody else cannot be traced, which looking for leaks needs.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"

mkdir plugins
compile "$work/probe" "$top/tests/probe.c" || bail "the test's guest does not compile"
compile "$work/plugins/probe.so" "$top/tests/probe.c" -DPROBE_PLUGIN -fPIC -shared ||
    bail "the test's plugin does not compile"
export GPUVCHAN_ADDRESS="$work/host.sock"
printf '[host]\naddress = %s\nplugin-dir = %s/plugins\nlog = stderr\n' "$GPUVCHAN_ADDRESS" "$work" >host.conf
nobody=$(id -u nobody) nogroup=$(id -g nobody)

# served NAME OPTIONS...: a guest is served; $worker.
served() {
    name=$1
    shift
    start "$name" "$host" -c host.conf "$@"
    host_pid=$pid
    within 10 grep -q "listens at" "$name.err" || bail "the host does not start: $(cat "$name.err")"
    mkfifo "$name.in"
    : >"$name.guest"
    ./probe hold <>"$name.in" >"$name.guest" 2>&1 &
    guest_pid=$!
    tap_started="$tap_started $guest_pid"
    within 10 grep -q "ready\|error" "$name.guest" || bail "the guest is not served: $(cat "$name.guest" "$name.err")"
    worker=$(sed -n 's/.*: worker \([0-9]*\) serves .*/\1/p' "$name.err")
}

# ends NAME: the guest is served to its end, and then the host stops.
ends() {
    echo go 1<>"$1.in"
    finish 8 "$guest_pid"
    is "$1: the guest is served" $? 0
    kill -TERM "$host_pid"
    finish 8 "$host_pid"
    is "$1: status" $? 0
}

of_worker() {
    sed -n "s/^$1:[[:space:]]*//p" "/proc/$worker/status" | tr '\t' ' ' | sed 's/ *$//'
}

served usual
is "usual: as the host" "$(of_worker Uid)" "0 0 0 0"
is "usual: no new privileges" "$(of_worker NoNewPrivs)" 1
ends usual

served user --user=nobody
is "user: its number" "$(of_worker Uid)" "$nobody $nobody $nobody $nobody"
is "user: its group" "$(of_worker Gid)" "$nogroup $nogroup $nogroup $nogroup"
is "user: its groups" "$(of_worker Groups)" "$(id -G nobody)"
is "user: no capabilities" "$(of_worker CapEff) $(of_worker CapPrm)" "0000000000000000 0000000000000000"
is "user: no new privileges" "$(of_worker NoNewPrivs)" 1
ends user

served group --user="$nobody" --group=12345
is "group" "$(of_worker Gid)" "12345 12345 12345 12345"
ends group

run 10 "$host" -c host.conf --user=no-such-user
like "no such user" "$status $errors" "^1 .*error: user: there is no user 'no-such-user'"
run 10 "$host" -c host.conf --group=no-such-group
like "no such group" "$status $errors" "^1 .*error: group: there is no group 'no-such-group'"
run 10 setpriv --reuid=12345 --regid=12345 --clear-groups "$host" -c /dev/null --user=nobody
like "not as root" "$status $errors" "^1 .*error: user: only root can have its workers become somebody else"

cp host.conf changing.conf
start changing "$host" -c changing.conf
host_pid=$pid
within 10 grep -q "listens at" changing.err
printf 'user = no-such-user\n' >>changing.conf
kill -HUP "$host_pid"
ok "SIGHUP: a wrong user changes nothing" within 5 \
    grep -q "user: there is no user 'no-such-user'; the old configuration stays" changing.err
sed -i 's/no-such-user/nobody/' changing.conf
kill -HUP "$host_pid"
within 5 grep -q "has read its configuration anew" changing.err
run 20 ./probe echo
is "SIGHUP: a right one: a guest is served" "$status" 0
kill -TERM "$host_pid"
finish 8 "$host_pid"
is "SIGHUP: status" $? 0

is "no sanitizer complains" "$(cat ./*.err | grep 'Sanitizer\|runtime error\|ended with status')" ""
done_testing
