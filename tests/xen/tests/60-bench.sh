#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gpuvchan-bench between domains: every row is there, with its ratio to libxenvchan; and nothing is notified while both spin.
#
# boot: smp
# timeout: 600
# guest: pv
# takes: 90

. /src/tests/xen/lib.sh

# Of emulated processors no time is asserted; the figures that were aimed at are printed beside what was measured.
GUEST_SECONDS=240
results=/results/60-bench

# row FILE NAME REFERENCE FIELD: of the JSON that the tool writes, one field a line.
row() {
    awk -v name="$2" -v reference="$3" -v field="$4" '
        /^ *\{/ { split("", entry) }
        match($0, /"[a-z]+": /) {
            key = substr($0, RSTART + 1, RLENGTH - 4)
            value = substr($0, RSTART + RLENGTH)
            gsub(/[",]/, "", value)
            entry[key] = value
        }
        /^ *\}/ && entry["name"] == name && (reference == "" || entry["reference"] == reference) { print entry[field]; exit }
    ' "$1"
}

is_number() {
    printf '%s\n' "$1" | grep -Eq '^[0-9.]+(e[-+]?[0-9]+)?$'
}

# measure GUEST COMMAND: the table as comments, the JSON to $results-COMMAND.json.
measure() {
    begun=$(date +%s)
    run_in "$1" "gpuvchan-bench $2 --quick --peer 0 --json /run/$2.json 2>/run/$2.err; s=\$?; cat /run/$2.err >&2; exit \$s"
    is "$2 --peer: status" "$status" 0
    [ "$status" -eq 0 ] || diag "serve: $(cat "$work/serve.out" "$work/serve.err")"
    diag "$output" "took $(($(date +%s) - begun)) s"
    guest_run "$1" "cat /run/$2.json" >"$results-$2.json"
    like "$2 --peer: says which domains" "$output" "domain $(guest_domid "$1") \(1 vCPU\) and domain 0 \(1 vCPU\), PV, Xen [0-9]"
}

# has COMMAND NAME: a row of ours with its ratios, and libxenvchan's beside it unless there is a third word.
has() {
    ok "$1: $2" is_number "$(row "$results-$1.json" "$2" "" value)"
    for reference in libxenvchan libxenvchan-poll; do
        ok "$1: $2: ratio to $reference" is_number "$(row "$results-$1.json" "$2" "$reference" ratio)"
        [ -n "${3:-}" ] || ok "$1: $reference/$2" is_number "$(row "$results-$1.json" "$reference/$2" "" value)"
    done
}

# figure COMMAND NAME RELATION: the ratio to the better of libxenvchan's two, blocking for round trips.
figure() {
    diag "figure: $2 ours/theirs $(row "$results-$1.json" "$2" libxenvchan ratio) required $3 (theirs polling: $(row "$results-$1.json" "$2" libxenvchan-poll ratio))"
}

# ---- Errors ------------------------------------------------------------------------------------

ok "a guest" guest_shared pv || bail "there is no guest"
run_in pv1 'gpuvchan-bench ring --peer 0'
is "nobody serves: status" "$status" 1
like "nobody serves: what to do" "$output" "run 'gpuvchan-bench serve' in that domain"
run_in pv1 "gpuvchan-bench ring --peer $(guest_domid pv1)"
like "its own domain" "$output" 'that is this domain'

# ---- Measuring ---------------------------------------------------------------------------------

before=$(leaks)
start serve gpuvchan-bench serve
serve=$pid
ok "serve begins" within 30 grep -q waits "$work/serve.out"
run_in pv1 'limit=/sys/module/xen_gntalloc/parameters/limit; was=$(cat $limit); echo 1024 >$limit; gpuvchan-bench ring --peer 0; s=$?; echo $was >$limit; exit $s'
is "too few pages: status" "$status" 1
like "too few pages: the command that helps" "$output" 'echo [0-9]+ > /sys/module/xen_gntalloc/parameters/limit'

measure pv1 ring
for name in call-64 post-64; do has ring $name; done
for name in call-64-spinning doorbell; do has ring $name alone; done
is "both spin: no event channel is notified" "$(row "$results-ring.json" notify-call-64-spinning "" value)" 0.0
like "libxenvchan notifies" "$(row "$results-ring.json" libxenvchan/notify-call-64 "" value)" '^[1-9]'
measure pv1 bulk
for name in bulk-zerocopy-16M bulk-touched-16M bulk-copy-16M; do has bulk $name; done

figure ring doorbell '<= 1.1'
figure ring call-64 '<= 1.1'
figure ring call-64-spinning '<= 1.1'
diag "figure: notify-call-64-spinning ours $(row "$results-ring.json" notify-call-64-spinning "" value) required 0"
figure ring post-64 '>= 5'
figure bulk bulk-zerocopy-16M '>= 5'
figure bulk bulk-touched-16M '-'
figure bulk bulk-copy-16M '-'

# ---- One at a time, and the end ----------------------------------------------------------------

guest_spawn pv1 first 'gpuvchan-bench bulk --peer 0'
begun() { [ "$(grep -c '^measuring' "$work/serve.out")" -ge 3 ]; }
ok "one measures" within 30 begun
measures() { guest_output pv1 first | grep -q '^gpuvchan-bench bulk'; }
ok "it has all its channels" within 30 measures
run_in pv1 'gpuvchan-bench ring --peer 0'
like "another is refused" "$status $output" '^1 .*one client at a time'
ok "the first is killed" guest_kill_job pv1 first KILL
guest_wait pv1 first >/dev/null
run_in pv1 'gpuvchan-bench ring --quick --peer 0 --only doorbell'
is "and then another is served" "$status" 0
ok "serve goes on" alive "$serve"
kill "$serve"
finish 30 "$serve"
is "serve ends by SIGTERM" "$?" 0
is "serve: no complaint" "$(cat "$work/serve.err")" ""
settled() { [ "$(leaks)" = "$before" ]; }
within 60 settled # Linux frees what a killed libxenvchan had granted ten pages in a second
is "nothing is left" "$(leaks)" "$before"
[ "$(leaks)" = "$before" ] || diag "$(guest_run pv1 "ps | grep '[g]puvchan'")"
not_ok "no complaint in the guest's kernel's log" guest_complaints pv1
done_testing
