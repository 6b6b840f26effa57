#!/bin/sh
# SPDX-License-Identifier: MIT
# Peers that lie: guests against the worker (in the tests' own host and in gpuvchan-host), hosts against the library.

. "$(dirname "$0")/tap.sh"

programs=$build/tests/hostile
[ -x "$programs/hostile_guest" ] || skip_all "the hostile peers are not built: make tests-build"

# passes NAME COMMAND...: its TAP goes into this test as comments.
passes() {
    passes_name=$1
    shift
    run 90 "$@"
    diag "$output"
    [ -z "$errors" ] || diag "$errors"
    is "$passes_name" "$status" 0
}

passes "a hostile host" "$programs/hostile_host"
passes "a hostile guest, the tests' host" "$programs/hostile_guest"

host=$build/bin/gpuvchan-host
if [ -x "$host" ]; then
    cd "$work" || bail "cannot enter $work"
    printf '[host]\naddress = %s/host.sock\nplugin-dir = %s\nlog = stderr\nspare-workers = 0\n' "$work" "$build/tests/plugins" >host.conf
    start host "$host" -c host.conf
    host_pid=$pid
    within 10 grep -q "listens at" host.err || bail "gpuvchan-host does not start: $(cat host.err)"
    descriptors=$(find "/proc/$host_pid/fd" -mindepth 1 | wc -l)
    passes "a hostile guest, gpuvchan-host" "$programs/hostile_guest" "local:$work/host.sock" "$work/host.err"
    none_left() { [ -z "$(cat "/proc/$host_pid/task/$host_pid/children")" ]; }
    ok "no worker stays" within 5 none_left
    is "gpuvchan-host keeps no descriptor" "$(find "/proc/$host_pid/fd" -mindepth 1 | wc -l)" "$descriptors"
    kill -TERM "$host_pid"
    finish 8 "$host_pid"
    is "gpuvchan-host ends" $? 0
else
    skip "a hostile guest, gpuvchan-host" "gpuvchan-host is not built"
fi
done_testing
