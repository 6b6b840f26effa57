#!/bin/sh
# SPDX-License-Identifier: MIT
#
# README.md is true: its excerpts stand in the files, its commands run, and print what it says.
#
# A comment before a fenced block says what is checked of it:
#
#     <!-- check: file NAME -->   the block stands in that file, line by line
#     <!-- check: run -->         each of its commands succeeds
#     <!-- check: prints -->      that is what the commands before have printed
#     <!-- check: targets -->     each `make TARGET` in it exists, as everywhere in the file

. "$(dirname "$0")/tap.sh"

readme=$top/README.md
[ -x "$build/bin/gpuvchan-host" ] || skip_all "$build/bin/gpuvchan-host is not built"
unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG GPUVCHAN_ADDRESS GPUVCHAN_ARENA GPUVCHAN_SYNC LD_LIBRARY_PATH MAKEFLAGS

# blocks: $work/N.check has what the comment says, $work/N.text the block.
awk -v folder="$work" '
    /^<!-- check: .* -->$/ { what = $0; sub(/^<!-- check: /, "", what); sub(/ -->$/, "", what); next }
    /^```/ && inside { inside = 0; what = ""; close(out); next }
    /^```/ {
        inside = 1
        out = "/dev/null"
        if (what != "") {
            count++
            out = sprintf("%s/%02d.text", folder, count)
            name = sprintf("%s/%02d.check", folder, count)
            print what > name
            close(name)
            printf "" > out
        }
        next
    }
    inside { print > out }
' "$readme"
ok "it has blocks to check" test -s "$work/01.check"

# In the folder of the sources, with the tree under test for build/ and a folder of our own for /tmp/.
run_block() {
    sed -E -e "s#/tmp/#$work/#g" -e "s#(^|[ '])build/#\\1$build/#g" "$1" >"$work/commands"
    (cd "$top" && timeout -k 5 200 sh -e "$work/commands") >"$work/printed" 2>"$work/errors"
    run_status=$?
    # The host that a block starts and has not come to stop.
    [ "$run_status" -eq 0 ] || [ ! -s "$work/gpu.pid" ] || kill "$(cat "$work/gpu.pid")"
    return "$run_status"
}

# Is the whole of $1 in $2, as lines that follow each other?
stands_in() {
    awk 'NR == FNR { want = want $0 "\n"; next } { have = have $0 "\n" }
        END { exit index("\n" have, "\n" want) == 0 }' "$1" "$2"
}

first() {
    grep -m 1 . "$1"
}

for check in "$work"/*.check; do
    text=${check%.check}.text
    case $(cat "$check") in
    file\ *)
        file=$(sed 's/^file //' "$check")
        ok "excerpt of $file: $(first "$text")" stands_in "$text" "$top/$file"
        ;;
    run)
        if run_block "$text"; then
            pass "runs: $(first "$text")"
        else
            fail "runs: $(first "$text")"
            diag "$(cat "$work/printed" "$work/errors")"
        fi
        ;;
    prints) is "prints: $(first "$text")" "$(cat "$work/printed")" "$(cat "$text")" ;;
    targets) ;;
    *) fail "README.md: no such check: $(cat "$check")" ;;
    esac
done

# Its counts of functions are those of the protocol.
"$build/bin/gpuvchan-scanner" coverage "$top/libgpuvchan/protocol/cuda/cuda.gpv" -o "$work/coverage.md"
counts=$(grep -m 1 '^[0-9]* functions: ' "$work/coverage.md")
is "the functions that it counts" "$(tr '\n' ' ' <"$readme" | grep -o '[0-9]* functions: [^.]*\.')" "$counts"

for target in $(grep -o '\(^\|`\)make [a-z-]*' "$readme" | awk 'NF == 2 { print $2 }' | sort -u); do
    ok "make $target exists" grep -hq "^$target:" "$top/Makefile" "$top/tests/xen/build.mk"
done
for path in $(grep -o '`[a-z][a-z/.-]*/[a-zA-Z./-]*`' "$readme" | tr -d '`' | sort -u); do
    case $path in
    build/* | gpuvchan-host.d/) ;;
    *) ok "$path exists" test -e "$top/$path" ;;
    esac
done
for name in ring bulk compare cuda; do
    like "gpuvchan-bench $name exists" "$("$build/bin/gpuvchan-bench" --help)" "^ *$name "
done

done_testing
