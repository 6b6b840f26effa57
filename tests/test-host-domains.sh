#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gpuvchan-host and the domains of Xen: who may come, how many, and what becomes of workers whose domain ends. Xen
# itself is played by tests/fake_xen.c.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
[ -x "$host" ] || skip_all "$host is not built"
command -v "${CC:-cc}" >/dev/null || skip_all "no C compiler"
unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG GPUVCHAN_ADDRESS NOTIFY_SOCKET LISTEN_FDS LISTEN_PID JOURNAL_STREAM
cd "$work" || bail "cannot enter $work"
# A sanitizer wants to be loaded first, but is loaded by what is loaded first here.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"

mkdir plugins xen
compile "$work/probe" "$top/tests/probe.c" || bail "the test's guest does not compile"
compile "$work/plugins/probe.so" "$top/tests/probe.c" -DPROBE_PLUGIN -fPIC -shared ||
    bail "the test's plugin does not compile"
compile "$work/fake_xen.so" "$top/tests/fake_xen.c" -fPIC -shared -ldl || bail "the test's Xen does not compile"
cp "$build/lib/gpuvchan/plugins/hello.so" plugins/ 2>/dev/null
export FAKE_XEN="$work/xen"
web=6f1d0f1e-0000-4000-8000-00000000000a
door=$work/xen/door
local=$work/host.sock
printf '[host]\naddress = %s\naddress = xen:\nplugin-dir = %s/plugins\nlog = stderr\n' "$local" "$work" >host.conf

# start_host NAME OPTIONS...: returns when guests can connect; $host_pid.
start_host() {
    host_name=$1
    shift
    rm -f xen/gone-* xen/log
    : >xen/log
    start "$host_name" env LD_PRELOAD="$work/fake_xen.so" "$host" -c host.conf "$@"
    host_pid=$pid
    within 10 grep -q "listens at xen:" "$host_name.err" || bail "the host does not start: $(cat "$host_name.err")"
}

stop_host() {
    kill -TERM "$host_pid"
    finish 8 "$host_pid"
    status=$?
}

# From now on guests at the door are of this domain: NUMBER NAME UUID.
peer() {
    echo "$*" >xen/peer
}

# guest WHAT: to its end; $status, $output.
guest() {
    run 20 env GPUVCHAN_ADDRESS="$door" ./probe "$1"
}

# start_guest NAME WHAT [ADDRESS]: returns when it is served; tell_guest NAME lets it go on. $guest_pid.
start_guest() {
    rm -f "$1.in"
    mkfifo "$1.in"
    : >"$1.out"
    GPUVCHAN_ADDRESS="${3:-$door}" ./probe "$2" <>"$1.in" >"$1.out" 2>"$1.err" &
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

last_worker() {
    sed -n 's/.*: worker \([0-9]*\) serves .*/\1/p' "$host_name.err" | tail -n 1
}

noted() {
    grep -c "^$1 " xen/log
}

# As many nodes were cleared away as guests were accepted.
all_released() {
    [ "$(noted accept)" -eq "$(noted release)" ]
}

# ---- Who comes ---------------------------------------------------------------------------------

peer 5 web "$web"
start_host names
like "listens at both addresses" "$(cat names.err)" "listens at $local"
guest echo
is "a guest of a domain is served" "$status" 0
within 5 has_line names.err 'ended'
like "the log names the domain" "$(cat names.err)" 'worker [0-9]+ serves domain 5 \(web\)$'
like "the log names it at the end" "$(cat names.err)" 'worker [0-9]+ \(domain 5 \(web\)\) ended'
peer 7
guest echo
within 5 has_line names.err 'domain 7.*ended'
like "without a name: its number" "$(cat names.err)" 'worker [0-9]+ serves domain 7$'
run 20 env GPUVCHAN_ADDRESS="$local" ./probe echo
like "a local guest beside them" "$(cat names.err)" 'worker [0-9]+ serves probe \(process [0-9]+, uid [0-9]+\)'
ok "what they leave is cleared away" within 5 all_released
start_guest held hold
stop_host
is "SIGTERM: status" "$status" 0
ok "SIGTERM: what they leave is cleared away, too" all_released
not_ok "SIGTERM: no folder of workers stays" test -e "$work/workers"
tell_guest held
finish 8 "$guest_pid"

# ---- Who may -----------------------------------------------------------------------------------

start_host allowed --allow-domains="web,$web-other,12"
peer 5 web "$web"
guest echo
is "allow-domains: by name" "$status" 0
peer 12 other 6f1d0f1e-0000-4000-8000-00000000000b
guest echo
is "allow-domains: by number" "$status" 0
peer 13 third 6f1d0f1e-0000-4000-8000-00000000000c
guest echo
is "allow-domains: another: status" "$status" 1
like "allow-domains: another: message" "$output" \
    "error: .*domain 13 \(third\) may not use this host: its administrator has to add it to allow-domains"
like "allow-domains: another: log" "$(cat allowed.err)" "warning: domain 13 \(third\) refused: domain 13"
for i in 1 2 3 4 5 6 7 8 9 10; do guest echo; done
ok "refusals are told once a second" [ "$(grep -c ' refused: ' allowed.err)" -lt 8 ]
run 20 env GPUVCHAN_ADDRESS="$local" ./probe echo
is "allow-domains: local guests are not meant" "$status" 0
ok "allow-domains: what they leave is cleared away" within 5 all_released
stop_host

start_host sections "domain:$web.allow=no" domain:5.allow=yes domain:noisy.allow=no domain:8.allow=yes --allow-domains=
peer 5 web "$web"
guest echo
like "allow = no: by UUID, before a number" "$output" \
    "domain 5 \(web\) may not use this host: its administrator has set allow = no in \[domain $web\]"
peer 9 noisy
guest echo
like "allow = no: by name" "$output" "set allow = no in \[domain noisy\]"
peer 8 eight
guest echo
is "allow = yes: comes before allow-domains" "$status" 0
peer 10 ten
guest echo
like "allow-domains empty: nobody else" "$output" "has to add it to allow-domains"
stop_host

# ---- How much ----------------------------------------------------------------------------------

cp host.conf much.conf
cat >>much.conf <<EOF2
max-processes-per-domain = 1
[domain web]
max-processes = 2
max-arena = 64K
plugins = hello
EOF2
cp host.conf plain.conf
cp much.conf host.conf
start_host much
peer 5 web "$web"
guest echo
like "max-arena of a domain" "$output" "this host allows 65536"
stop_host
sed -i '/^max-arena/d' host.conf
start_host offered
if [ -e plugins/hello.so ]; then
    guest echo
    like "plugins of a domain: not another one" "$output" "error: .*probe"
    peer 6 db
    guest echo
    is "plugins of a domain: others have all" "$status" 0
else
    skip "plugins of a domain" "hello.so is not built"
fi
stop_host
sed -i '/^plugins/d' host.conf
start_host full
peer 6 db
start_guest one hold
one=$guest_pid
guest echo
is "max-processes-per-domain: status" "$status" 1
like "max-processes-per-domain: message" "$output" \
    "the host serves its limit of 1 processes of domain 6: end one, or have its administrator raise max-processes-per-d"
peer 5 web "$web"
start_guest two hold
two=$guest_pid
start_guest three hold
three=$guest_pid
is "max-processes of a domain is its own limit" "$(tail -n 1 three.out)" ready
guest echo
like "max-processes of a domain: message" "$output" "limit of 2 processes of domain 5"
run 20 env GPUVCHAN_ADDRESS="$local" ./probe echo
is "a full domain is in nobody's way: local" "$status" 0
GPUVCHAN_ADDRESS="$door" ./probe echo >waiting.out 2>&1 &
waiting=$!
tap_started="$tap_started $waiting"
sleep 0.2
peer 11 eleven
guest echo
is "one that waits for its domain's limit is in nobody's way" "$status" 0
tell_guest two
finish 8 "$two"
ok "and gets the place that becomes free" within 5 has_line waiting.out "done"
finish 8 "$waiting"
tell_guest one
tell_guest three
finish 8 "$one"
is "nobody inside is disturbed" $? 0
finish 8 "$three"
within 5 all_released
cp host.conf before.conf
printf '[domain eleven]\nallow = no\n' >>host.conf
kill -HUP "$host_pid"
within 5 has_line full.err "has read its configuration anew"
guest echo
like "SIGHUP: sections apply to new guests" "$output" "set allow = no in \[domain eleven\]"
stop_host
cp plain.conf host.conf

# ---- Domains that end --------------------------------------------------------------------------

start_host ending
peer 5 web "$web"
start_guest victim hold
victim=$guest_pid
worker=$(last_worker)
peer 6 db
start_guest bystander hold
: >xen/gone-5
ok "a domain ends: so does its worker" within 2 gone "$worker"
within 5 has_line ending.err "worker $worker .*ended"
like "a domain ends: the log" "$(cat ending.err)" "domain 5 \(web\) is gone: its worker $worker ends"
like "a domain ends: what it leaves is cleared away" "$(cat xen/log)" "^release /local/domain/5/"
tell_guest bystander
finish 8 "$guest_pid"
is "a domain ends: another one is undisturbed" $? 0
tell_guest victim
finish 8 "$victim"
rm xen/gone-5
stop_host

start_host hanging probe.close=hang
peer 5 web "$web"
start_guest stuck hold
worker=$(last_worker)
: >xen/gone-5
ok "a worker that does not end: SIGKILL after 2 s" within 4 gone "$worker"
within 5 has_line hanging.err "killed by signal 9"
unlike "a worker that does not end: no crash" "$(cat hanging.err)" "error: worker [0-9]+ .*killed"
tell_guest stuck
finish 8 "$guest_pid"
stop_host

# ---- A new host --------------------------------------------------------------------------------

start_host first
peer 5 web "$web"
start_guest kept hold
kept=$guest_pid
peer 6 db
start_guest lost hold
lost=$guest_pid
lost_worker=$(last_worker)
kill -KILL "$host_pid"
finish 5 "$host_pid"
node=$(sed -n 's/^accept \(.*domain\/5.*\)/\1/p' xen/log)
rm -f xen/log
: >xen/gone-6
start second env LD_PRELOAD="$work/fake_xen.so" "$host" -c host.conf --max-processes-per-domain=1
host_pid=$pid host_name=second
within 10 grep -q "adopted worker .*(domain 5" second.err
peer 5 web "$web"
guest echo
like "adoption: counted for its domain" "$output" "limit of 1 processes of domain 5"
is "adoption: the guest is claimed before any is accepted" "$(grep 'domain/5' xen/log | head -n 1)" "claim $node"
ok "adoption: a domain that ended meanwhile" within 4 gone "$lost_worker"
like "adoption: the log" "$(cat second.err)" "domain 6 \(db\) is gone: its worker $lost_worker ends"
tell_guest kept
finish 8 "$kept"
is "adoption: the guest goes on" $? 0
ok "adoption: its end is noticed" within 5 has_line second.err 'adopted worker [0-9]* (domain 5 (web)) ended'
ok "adoption: what it left is cleared away" within 5 has_line xen/log "^release $node"
tell_guest lost
finish 8 "$lost"
stop_host
is "adoption: status" "$status" 0

# ---- What can go wrong -------------------------------------------------------------------------

export FAKE_XEN_RESTRICT=1
start_host unrestricted
unset FAKE_XEN_RESTRICT
peer 5 web "$web"
guest echo
is "access to other domains cannot be given up: it goes on" "$status" 0
within 5 has_line unrestricted.err "ended"
is "access to other domains cannot be given up: told once" \
    "$(grep -c 'warning: keeps its access to other domains' unrestricted.err)" 1
stop_host

if ! grep -q control_d /proc/xen/capabilities 2>/dev/null; then
    run 10 "$host" -c plain.conf
    is "no Xen here: status" "$status" 1
    like "no Xen here: message" "$errors" "error: cannot listen at xen:: "
    not_ok "no Xen here: no socket stays" test -e "$local"
fi
# shellcheck disable=SC2046 # each is a word
run 10 "$host" -c /dev/null $(for i in 1 2 3 4 5 6 7 8 9; do echo "--address=$work/$i.sock"; done)
is "too many addresses: status" "$status" 1
like "too many addresses: message" "$errors" "more than 8 addresses"

is "no sanitizer complains" "$(cat ./*.err | grep 'Sanitizer\|runtime error\|ended with status')" ""
done_testing
