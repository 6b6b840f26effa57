#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gpuvchan-run: the environment of the program, exit statuses, and what it says when no host answers.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
launch=$build/bin/gpuvchan-run
[ -x "$host" ] && [ -x "$launch" ] || skip_all "$host or $launch is not built"
unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG GPUVCHAN_ADDRESS GPUVCHAN_ARENA GPUVCHAN_SYNC LD_LIBRARY_PATH XDG_RUNTIME_DIR
cd "$work" || bail "cannot enter $work"
mkdir none

# The tree under test, with a folder for the guest's libraries whether they are built or not: the launcher
# finds it beside itself.
mkdir -p tree/bin tree/lib/gpuvchan/guest
cp "$launch" tree/bin/
for library in "$build"/lib/libgpuvchan.so*; do ln -s "$library" tree/lib/; done
launch=$work/tree/bin/gpuvchan-run
guest=$(cd tree/lib/gpuvchan/guest && pwd -P)

# ---- Usage -------------------------------------------------------------------------------------

run 10 "$launch" --help
is "help: status" "$status$errors" 0
like "help" "$output" '^Usage: gpuvchan-run \[OPTIONS\] PROGRAM'
for option in address arena sync trace log-level no-check print-env version; do
    like "help: --$option" "$output" "--$option(=| |\$)"
done
run 10 "$launch" --version
like "version" "$status $output" '^0 gpuvchan-run [0-9]+\.[0-9]+\.[0-9]+'
run 10 "$launch"
is "no program: status" "$status" 125
like "no program: message" "$errors" "no program is given"
run 10 "$launch" --nonsense true
is "unknown option: status" "$status" 125
like "unknown option: message" "$errors" "gpuvchan-run: unrecognized option '--nonsense'"
run 10 "$launch" --arena=lots true
is "bad size: status" "$status" 125
like "bad size: message" "$errors" "--arena: 'lots' is no size"
run 10 "$launch" --log-level=loud true
is "bad level: status" "$status" 125
like "bad level: message" "$errors" "--log-level: 'loud' is none of"
run 10 "$launch" --address= true
is "empty address: status" "$status" 125

# ---- Environment -------------------------------------------------------------------------------

run 10 "$launch" --print-env
is "print-env" "$output" "export LD_LIBRARY_PATH='$guest'"
run 10 env LD_LIBRARY_PATH=/some/where "$launch" -e
is "print-env: in front of what is there" "$output" "export LD_LIBRARY_PATH='$guest:/some/where'"
run 10 "$launch" -e -a "/it's" --arena=1G --sync --trace
is "print-env: all" "$output" "export LD_LIBRARY_PATH='$guest'
export GPUVCHAN_ADDRESS='/it'\\''s'
export GPUVCHAN_ARENA='1G'
export GPUVCHAN_SYNC='1'
export GPUVCHAN_LOG='debug'"
eval "$output"
is "print-env: as a shell reads it" "$GPUVCHAN_ADDRESS $GPUVCHAN_ARENA" "/it's 1G"
unset GPUVCHAN_LOG GPUVCHAN_ADDRESS GPUVCHAN_ARENA GPUVCHAN_SYNC LD_LIBRARY_PATH
run 10 "$launch" --no-check --log-level=info sh -c 'echo $LD_LIBRARY_PATH $GPUVCHAN_LOG; exit 7'
is "program: status" "$status" 7
is "program: environment" "$output" "$guest info"
run 10 "$launch" -n printf '%s|' -a --sync 'two words'
is "program: its options are its own" "$output" "-a|--sync|two words|"
run 10 "$launch" -n sh -c 'kill -9 $$'
is "program: signal" "$status" 137
rmdir tree/lib/gpuvchan/guest
run 10 "$launch" -n true
is "without the guest's libraries: status" "$status" 0
like "without the guest's libraries: warning" "$errors" "warning: the libraries for programs are not there: "
mkdir tree/lib/gpuvchan/guest

# ---- No program --------------------------------------------------------------------------------

run 10 env PATH=/usr/bin:/bin "$launch" -n no-such-program-anywhere
is "not found: status" "$status" 127
like "not found: message" "$errors" "gpuvchan-run: no-such-program-anywhere: program not found"
echo text >text
run 10 "$launch" -n ./text
is "not executable: status" "$status" 126
like "not executable: message" "$errors" "gpuvchan-run: ./text: Permission denied"

# ---- No host -----------------------------------------------------------------------------------

run 10 "$launch" -a "$work/none/host.sock" touch ran
is "no socket: status" "$status" 125
is "no socket: message" "$errors" "gpuvchan-run: no host answers at $work/none/host.sock: the socket does not exist. \
Start gpuvchan-host there, or name another address with --address or GPUVCHAN_ADDRESS."
not_ok "no socket: the program is not started" test -e ran
if [ -e /run/gpuvchan/host.sock ]; then
    skip "no socket at the usual places" "there is one"
else
    run 10 env XDG_RUNTIME_DIR="$work/none" "$launch" true
    like "no socket at the usual places" "$status $errors" \
        "^125 gpuvchan-run: no host answers at $work/none/gpuvchan/host.sock or /run/gpuvchan/host.sock"
fi
run 10 env GPUVCHAN_ADDRESS="$work/none/from-environment.sock" "$launch" true
like "no socket at the environment's address" "$errors" "no host answers at $work/none/from-environment.sock"
echo >plain
run 10 "$launch" -a "$work/plain" true
is "a file for a socket: status" "$status" 125
run 10 "$launch" -a nonsense true
is "no address: status" "$status" 125
like "no address: message" "$errors" "gpuvchan-run: the host at nonsense cannot be used: 'nonsense' is no address"

: >empty.conf
start host "$host" -c empty.conf -a "$work/host.sock" -p "$work/none" --max-arena=64M
within 10 grep -q "listens at" host.err || bail "the host does not start: $(cat host.err)"
run 10 "$launch" -a "$work/host.sock" --arena=1G true
is "a host that refuses: status" "$status" 125
like "a host that refuses: message" "$errors" "host at $work/host.sock cannot be used: .*this host allows 67108864"
run 10 "$launch" -a "$work/host.sock" --arena=1M sh -c 'echo $GPUVCHAN_ADDRESS $GPUVCHAN_ARENA'
is "a host that answers" "$status $output $errors" "0 $work/host.sock 1M "
kill -KILL "$pid"
finish 5 "$pid"
run 10 "$launch" -a "$work/host.sock" true
is "a host that died: status" "$status" 125
like "a host that died: message" "$errors" "host.sock: the socket is there, but nobody listens at it. Start gpuvchan-host"
run 10 "$host" -c empty.conf -p "$work/none" --log=null --run "$launch"' --arena=1M sh -c "exit 5"'
is "in a captive host" "$status" 5

done_testing
