#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Workers are renewed under programs that work, wait or block: nothing is lost, and nothing is executed twice. What
# cannot be renewed serves on; what fails half-way is an error, and no program hangs.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
ctl=$build/bin/gpuvchanctl
guest=$build/tests/helpers/renew_guest
[ -x "$host" ] || skip_all "$host is not built"
[ -x "$guest" ] || skip_all "$guest is not built: make tests-build"
[ "$(id -u)" -eq 0 ] || skip_all "only root may see what a worker says of its renewals"
unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG NOTIFY_SOCKET LISTEN_FDS LISTEN_PID JOURNAL_STREAM
cd "$work" || bail "cannot enter $work"
export GPUVCHAN_ADDRESS="$work/host.sock"
printf '[host]\naddress = %s\nplugin-dir = %s\nlog = stderr\n' "$GPUVCHAN_ADDRESS" "$build/tests/plugins" >host.conf

# start_host NAME OPTIONS...: returns when guests can connect; $host_pid.
start_host() {
    host_name=$1
    shift
    start "$host_name" "$host" -c host.conf "$@"
    host_pid=$pid
    within 20 grep -q "listens at" "$host_name.err" || bail "the host does not start: $(cat "$host_name.err")"
}

stop_host() {
    kill -TERM "$host_pid"
    finish 20 "$host_pid"
    is "$host_name: the host ends" $? 0
}

# start_guest NAME MODE...: returns when it is ready; $guest_pid, $worker. It reads what say_to writes.
start_guest() {
    guest_name=$1
    shift
    mkfifo "$guest_name.in"
    : >"$guest_name.out"
    "$guest" "$@" <"$guest_name.in" >"$guest_name.out" 2>"$guest_name.err" &
    guest_pid=$!
    tap_started="$tap_started $guest_pid"
    exec 9>"$guest_name.in"
    within 30 grep -q . "$guest_name.out" || bail "$guest_name is not served: $(cat "$guest_name.err" "$host_name.err")"
    worker=$(sed -n 's/.*: worker \([0-9]*\) serves .*/\1/p' "$host_name.err" | tail -n 1)
}

# works NAME [WORD]: the guest does something more, rightly.
works() {
    goods=$(grep -c good "$guest_name.out")
    echo "${2:-go}" >&9
    ok "$1" within 60 more_goods "$goods"
}

more_goods() {
    [ "$(grep -c good "$guest_name.out")" -gt "$1" ]
}

# ends NAME STATUS REGEX: its input ends, or it is at its end, and it says so.
ends() {
    exec 9>&-
    finish 90 "$guest_pid"
    is "$1: status" $? "$2"
    like "$1: in words" "$(cat "$guest_name.out" "$guest_name.err")" "$3"
}

# refused NAME REGEX: a renewal is, and the guest works on.
refused() {
    run 60 "$ctl" renew "$worker"
    is "$1: refused" "$status" 1
    like "$1: in words" "$errors" "^gpuvchanctl: worker $worker is not renewed: $2"
    like "$1: in the log" "$(cat "$host_name.err")" "warning: is not renewed, and serves on: $2"
    works "$1: the guest is served on"
}

# All workers of a system that has this one alone: others that run here are none of ours.
renew_all() {
    rm -rf system
    mkdir -p system/proc
    ln -s "/proc/$worker" "system/proc/$worker"
    run 60 "$ctl" --root "$work/system" renew all
}

descriptors() {
    find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l
}

# What of a process a renewal may not change.
identity() {
    echo "$1 parent $(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$1/status")" \
        "file $(readlink "/proc/$1/fd/6") name $(cat "/proc/$1/comm")"
}

# ---- Nothing is under way --------------------------------------------------------------------------

start_host usual --log-level=debug
start_guest idle hold
before=$(identity "$worker")
libraries=$(grep -c subject.so "/proc/$worker/maps")
run 60 "$ctl" renew "$worker"
is "idle: status" "$status" 0
is "idle: in words" "$output" "worker $worker is renewed"
is "idle: the process is the same" "$(identity "$worker")" "$before"
like "idle: in the log" "$(cat usual.err)" "worker $worker: has been renewed"
is "idle: it has loaded its plugin" "$(grep -c subject.so "/proc/$worker/maps")" "$libraries"
works "idle: the guest is served on"
count=$(descriptors "$worker")
for round in 1 2 3 4 5; do
    renew_all
    is "idle, again $round: status" "$status" 0
done
is "idle: no descriptor is left over" "$(descriptors "$worker")" "$count"
is "idle: no snapshot is left over" "$(stat -Lc %s "/proc/$worker/fd/8")" 0
works "idle: the guest is served on, after all of that"
kill -USR2 "$worker"
ok "a signal does" within 20 grep -q "has been renewed" usual.err
works "a signal does: the guest is served on"
kill -USR2 "$host_pid"
ends "idle" 0 '^done: '
ok "idle: the worker ends with its guest" within 10 gone "$worker"

# ---- Without pause -----------------------------------------------------------------------------

# renew_often COUNT: as often, one behind the other.
renew_often() {
    renewed=0
    while [ "$renewed" -lt "$1" ] && "$ctl" renew "$worker" >>renewals 2>>refusals; do
        renewed=$((renewed + 1))
    done
    [ "$renewed" -eq "$1" ]
}

rounds=$((20 * ${TEST_ROUNDS:-100} / 100))
for lanes in 1 2 6 24; do # doorbells come for sixteen lanes at a time
    start_guest "busy$lanes" busy "$lanes"
    ok "$lanes busy lanes: renewed $rounds times" renew_often "$rounds"
    ends "$lanes busy lanes" 0 '^done: '
done
GPUVCHAN_SYNC=1
export GPUVCHAN_SYNC
start_guest synchronous busy 2
ok "synchronous posts: renewed $rounds times" renew_often "$rounds"
ends "synchronous posts" 0 '^done: '
unset GPUVCHAN_SYNC
stop_host
start_host asleep --spin-us=-1
start_guest sleepy busy 3
ok "lanes that sleep: renewed $rounds times" renew_often "$rounds"
ends "lanes that sleep" 0 '^done: '
stop_host

# ---- The plugins that come along ---------------------------------------------------------------

# own NAME FLAGS...: a guest from what stands in NAME.c, over those plugins; it says "ready", reads a line, and goes on.
own() {
    own_name=$1
    shift
    if ! command -v "${CC:-cc}" >/dev/null; then
        skip "$own_name" "no C compiler"
        return
    fi
    compile "$own_name" "$own_name.c" "$@" || bail "$own_name.c does not compile"
    printf '[host]\naddress = %s\nplugin-dir = %s\nlog = stderr\n' "$GPUVCHAN_ADDRESS" "$build/lib/gpuvchan/plugins" >own.conf
    start "$own_name-host" "$host" -c own.conf nvml.driver=simulated
    host_pid=$pid host_name=$own_name-host
    within 20 grep -q "listens at" "$host_name.err" || bail "the host does not start: $(cat "$host_name.err")"
    guest=./$own_name
    start_guest "$own_name-guest" none
    run 60 "$ctl" renew "$worker"
    is "$own_name: status" "$status" 0
    is "$own_name: errors" "$errors" ""
    echo go >&9
    ends "$own_name" 0 '^good'
    stop_host
    guest=$build/tests/helpers/renew_guest
}

cat >hello.c <<'EOF2'
#include <stdio.h>
#include "hello-guest.h"
int
main(void)
{
    struct gpuvchan_channel *channel;
    struct gpuvchan_client client;
    uint64_t total = 0;
    char line[8];

    if (gpuvchan_channel_connect(NULL, NULL, &channel) != 0 ||
        gpuvchan_client_open(channel, &hello_protocol, &client) != 0)
        return 1;
    for (int i = 0; i < 1000; i++)
        hello_count(&client, 3);
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin))
        return 1;
    hello_count(&client, 4);
    if (hello_counter(&client, &total) != 0 || total != 3004)
        printf("bad: %llu, %s\n", (unsigned long long)total, gpuvchan_error_text());
    else
        puts("good");
    gpuvchan_channel_close(channel);
    return total != 3004;
}
EOF2
own hello "-I$build/gen"

cat >nvml.c <<'EOF2'
#include <stdio.h>
#include <string.h>
int nvmlInit_v2(void);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device);
int nvmlDeviceGetName(void *device, char *name, unsigned length);
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length);
int
main(void)
{
    char uuids[2][96] = {"", ""}, name[96] = "", line[8];
    void *device;

    if (nvmlInit_v2() != 0 || nvmlDeviceGetHandleByIndex_v2(0, &device) != 0 || nvmlDeviceGetUUID(device, uuids[0], 96))
        return 1;
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin) || nvmlDeviceGetName(device, name, 96) != 0 ||
        nvmlDeviceGetUUID(device, uuids[1], 96) != 0 || strcmp(uuids[0], uuids[1]) != 0)
        return 1;
    printf("good: %s\n", name);
    return 0;
}
EOF2
own nvml "-L$build/lib/gpuvchan/guest" "-Wl,-rpath,$build/lib/gpuvchan/guest" -l:libnvidia-ml.so.1

# ---- Something blocks --------------------------------------------------------------------------

start_host blocking
start_guest blocked block
run 60 "$ctl" renew "$worker"
is "a call that waits, and gives its record back: renewed" "$status" 0
works "a call that waits: the others are served"
run 60 "$ctl" renew "$worker"
is "a call that waits: renewed again" "$status" 0
works "a call that waits: it returns" release
ends "a call that waits" 0 '^done: '

start_guest numbered hold
run 60 "$ctl" renew "$worker"
echo corrupt >&9
ends "records are numbered on" 1 "lane 0, record [0-9]{4}: the subject says so"

start_guest sleeping sleep 9000
refused "a handler that takes long" "on lane 0 a handler has not returned within 3000 ms"
run 60 "$ctl" renew "$worker"
is "a handler that took long: renewed" "$status" 0
works "a handler that took long: the guest is served on"
ends "a handler that takes long" 0 '^done: '

# A hostile guest holds up its lanes' threads alone.
start_guest jammed jam
run 60 "$ctl" renew "$worker"
not_ok "jammed doorbells: who asks is answered" [ "$status" -eq 124 ]
run 60 "$ctl" renew "$worker"
not_ok "jammed doorbells: who asks again, too" [ "$status" -eq 124 ]
ends "jammed doorbells" 0 '^ready'
ok "jammed doorbells: the worker ends with its guest" within 20 gone "$worker"

# ---- What cannot be renewed --------------------------------------------------------------------

start_guest second hold second
refused "a plugin without suspend" "the plugin second, which is in use, has no suspend and resume"
ends "a plugin without suspend" 0 '^done: '
stop_host

start_host suspends subject.trouble=fail-suspend
start_guest suspending hold
refused "suspend fails" "the plugin subject could not suspend: Input/output error"
refused "suspend fails again" "the plugin subject could not suspend: Input/output error"
ends "suspend fails" 0 '^done: '
start_guest suspending-busy busy 4
run 60 "$ctl" renew "$worker"
is "suspend fails, busy: refused" "$status" 1
run 60 "$ctl" renew "$worker"
is "suspend fails, busy: refused again" "$status" 1
ends "suspend fails, busy" 0 '^done: '
stop_host

# ---- Plugins that were replaced meanwhile ------------------------------------------------------

mkdir upgraded
# replace [FLAGS...]: as a package does it, by another file.
replace() {
    compile upgraded/new "$top/tests/support/subject.c" "$@" -I"$top/tests/support" -fPIC -shared &&
        mv upgraded/new upgraded/subject.so
}
if command -v "${CC:-cc}" >/dev/null; then
    replace -DSUBJECT_PLUGIN || bail "the plugin does not compile"
    start_host upgrades -p "$work/upgraded"
    start_guest user hold
    replace -DSUBJECT_PLUGIN -DSUBJECT_HASH=77 || bail "the plugin does not compile"
    refused "another protocol" "the host's plugin was built from another version of the protocol"
    sed 's/, RENEWABLE//' "$top/tests/support/subject.c" >no-resume.c
    compile upgraded/new no-resume.c -I"$top/tests/support" -DSUBJECT_PLUGIN -fPIC -shared 2>/dev/null ||
        bail "the plugin does not compile"
    mv upgraded/new upgraded/subject.so
    refused "without resume" "the plugin subject that is here now has no resume"
    echo rubbish >upgraded/new
    mv upgraded/new upgraded/subject.so
    refused "a broken file" "this host has no plugin subject.*; .*subject.so: .*\(tried"
    rm upgraded/subject.so
    refused "removed" "this host has no plugin subject, or does not offer it"
    replace -DSUBJECT_PLUGIN || bail "the plugin does not compile"
    like "upgraded: the old file is in use" "$(cat "/proc/$worker/maps")" "subject.so \(deleted\)"
    run 60 "$ctl" renew "$worker"
    is "upgraded: status" "$status" 0
    unlike "upgraded: the old file is not in use any more" "$(cat "/proc/$worker/maps")" "deleted.*subject|subject.so \(deleted"
    works "upgraded: the guest is served on"
    ends "upgraded" 0 '^done: '
    stop_host
else
    skip "plugins that were replaced" "no C compiler"
fi

# ---- What fails half-way -----------------------------------------------------------------------

# fails TROUBLE REGEX: behind the point of no return; the guest is told.
fails() {
    start_host "$1" "subject.trouble=$1"
    start_guest "guest-$1" hold
    run 60 "$ctl" renew "$worker"
    is "$1: status" "$status" 1
    like "$1: in words" "$errors" "the guest has lost its worker, which could not go on: .*$2"
    echo go >&9
    ends "$1: the guest" 1 "^error: .*the host ended the channel: its worker was renewed, and could not go on: .*$2"
    ok "$1: the worker ends" within 10 gone "$worker"
    stop_host
}
fails fail-resume "the plugin subject could not resume: Input/output error"
fails less-resume "section subject: only [0-9]* bytes of it were read"
fails more-resume "the plugin subject could not resume: No data available"

# dies TROUBLE: killed in the middle.
dies() {
    start_host "$1" "subject.trouble=$1"
    start_guest "guest-$1" hold
    run 60 "$ctl" renew "$worker"
    is "$1: status" "$status" 1
    like "$1: in words" "$errors" "worker $worker has ended: see the log of gpuvchan-host"
    echo go >&9
    ends "$1: the guest" 1 "^error: .*the worker on the host has ended"
    ok "$1: the host saw it" within 10 grep -q "worker $worker .* killed by signal 9" "$1.err"
    stop_host
}
dies die-suspend
dies die-resume

# At whatever moment that is.
start_host killing
for delay in 0.01 0.02 0.03 0.05; do
    start_guest "killed-$delay" busy 2
    "$ctl" renew "$worker" >/dev/null 2>&1 &
    asking=$!
    tap_started="$tap_started $asking"
    sleep "$delay"
    kill -KILL "$worker"
    ends "killed after $delay s: the guest" 1 "^error: .*the worker on the host has ended"
    finish 20 "$asking"
    isnt_hanging=$?
    not_ok "killed after $delay s: who asked does not wait" [ "$isnt_hanging" -eq 124 ]
done
stop_host

# A worker by hand, that is left something else than a snapshot.
if command -v python3 >/dev/null; then
    cat >heir.py <<'EOF2'
import fcntl, os, socket, sys
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
def memory(name, text):
    fd = os.memfd_create(name, os.MFD_ALLOW_SEALING)
    os.write(fd, text)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
config = memory("config", b"[host]\nlog = stderr\n")
snapshot = memory("snapshot", sys.argv[2].encode())
fds = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (theirs.fileno(), config, theirs.fileno(), snapshot)]
for fd, number in zip(fds, (3, 4, 5, 8)):
    os.dup2(fd, number)
os.execv(sys.argv[1], ["gpuvchan-host", "--worker"])
EOF2
    run 60 python3 heir.py "$host" "not a snapshot, but a text as long as one"
    is "a foreign snapshot: status" "$status" 1
    like "a foreign snapshot: in words" "$errors" "this is no snapshot of gpuvchan"
    run 60 python3 heir.py "$host" ""
    is "an empty snapshot: status" "$status" 1
    like "an empty snapshot: in words" "$errors" "snapshot: it ends early"
else
    skip "a foreign snapshot" "needs python3"
fi

# ---- Beside other things of a worker -----------------------------------------------------------

start_host first
start_guest adopted hold
kill -KILL "$host_pid"
finish 10 "$host_pid"
run 60 "$ctl" renew "$worker"
is "without a supervisor: status" "$status" 0
ok "without a supervisor: it keeps its file" test -e "$work/workers/$worker"
not_ok "without a supervisor: which stays locked" flock -n "$work/workers/$worker" true
orphan=$worker
start_host second
like "the next supervisor adopts it" "$(cat second.err)" "adopted worker $orphan "
worker=$orphan
renew_all
is "adopted: status" "$status" 0
works "adopted: the guest is served on"
stop_host
ok "adopted and renewed: ends with its host" gone "$orphan"
ends "adopted: its guest gets an error" 1 "^error: "

# Without a file the number that it has is another's, which is not passed on.
start_host fileless --state-dir="$work/missing/deeper/workers"
start_guest unlisted hold
run 60 "$ctl" renew "$worker"
is "without a file: status" "$status" 0
run 60 "$ctl" renew "$worker"
is "without a file: again" "$status" 0
works "without a file: the guest is served on"
ends "without a file" 0 '^done: '
stop_host

if runuser -u nobody -- test -r "$build/lib/libgpuvchan.so.0" 2>/dev/null; then
    start_host other --user=nobody
    start_guest nobodys hold
    before=$(grep -E '^(Uid|Gid|Groups|NoNewPrivs|CapEff|CapPrm)' "/proc/$worker/status")
    run 60 "$ctl" renew "$worker"
    is "another user: status" "$status" 0
    is "another user: stays that" "$(grep -E '^(Uid|Gid|Groups|NoNewPrivs|CapEff|CapPrm)' "/proc/$worker/status")" "$before"
    works "another user: the guest is served on"
    ends "another user" 0 '^done: '
    stop_host
    mkdir -m 700 private
    cp "$build/tests/plugins/subject.so" private/
    start_host unreadable --user=nobody -p "$work/private"
    start_guest unread hold
    refused "a plugin that the other user cannot read" \
        "this host has no plugin subject, or does not offer it \(tried by a fresh worker, as user $(id -u nobody)\)"
    ends "a plugin that the other user cannot read" 0 '^done: '
    stop_host
else
    skip "another user" "nobody can read $build"
fi

# ---- Whom, and why not -------------------------------------------------------------------------

# complains NAME REGEX WORDS...
complains() {
    name=$1 regex=$2
    shift 2
    run 20 "$ctl" renew "$@"
    is "$name: status" "$status" 1
    like "$name: in words" "$errors" "$regex"
}
complains "nobody" "renew: whom\?"
complains "nonsense" "renew: 'everybody' is neither a process number nor 'all'" everybody
complains "another program" "process $$ is no worker of gpuvchan-host" $$
complains "no process" "process 99999999 is no worker of gpuvchan-host" 99999999
rm -rf system
mkdir -p system/proc
run 20 "$ctl" --root "$work/system" renew all
is "all of none" "$status $output" "0 there are no workers"
run 20 "$ctl" renew --help
like "help" "$status $output" "^0 Usage: gpuvchanctl renew PID"

is "no sanitizer complains" "$(cat ./*.err | grep 'Sanitizer\|runtime error')" ""
done_testing
