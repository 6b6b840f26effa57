#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Builds every fuzzer of tests/fuzz/ with clang into build-fuzz/ and runs each for some seconds, beginning
# with its seeds. TAP; an input that fails is kept in build-fuzz/findings/.
#
#     fuzz.sh [SECONDS [NAME...]]     10 seconds and all without arguments
#
# A fuzzer tests/fuzz/fuzz_NAME.c has its seeds in tests/fuzz/corpus/NAME, and says how it is built in a
# line of its first comment (several add up):
#
#     build: SOURCES AND FLAGS        to compile and link it, from the top of the tree
#     prepare: COMMAND                to run before
#     seeds: FOLDER...                other ones than tests/fuzz/corpus/NAME
#
# There ALL:folder stands for the folder's C files, GEN/ for the generated files, OUT/ for build-fuzz/.

set -u
cd "$(dirname "$0")/.." || exit 1

seconds=${1:-10}
[ "$#" -eq 0 ] || shift
out=build-fuzz
gen=$out/gen
clang=${CLANG:-clang}

command -v "$clang" >/dev/null || { echo "1..0 # SKIP there is no clang"; exit 0; }
mkdir -p "$out/findings" "$gen"

names=("$@")
if [ "${#names[@]}" -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        name=${source##*/fuzz_}
        names+=("${name%.c}")
    done
fi

# directive WORD FILE: what stands behind it in the file's first comment.
directive() {
    sed -n "1,/\*\//s|^[ /*]*$1: *||p" "$2" | sed 's| *\*/ *$||' |
        sed "s|ALL:\([^ ]*\)|\1/*.c|g; s|GEN/|$gen/|g; s|OUT/|$out/|g"
}

# As the build makes them.
generate() {
    local protocol name files=()
    for protocol in libgpuvchan/protocol/*/*.gpv examples/*/*.gpv; do
        grep -q "^protocol " "$protocol" || continue # a part of another one
        name=$gen/$(basename "$protocol" .gpv)
        files+=("$name-guest.h" "$name-host.h" "$name-host.c" "$name-symbols.h")
    done
    make --no-print-directory BUILD="$out" "${files[@]}"
}

build() {
    local source=tests/fuzz/fuzz_$1.c line prepare
    line=$(directive build "$source" | tr '\n' ' ')
    prepare=$(directive prepare "$source" | tr '\n' ' ')
    [ -n "$line" ] || { echo "$source has no line \"build:\""; return 1; }
    if [ -n "$prepare" ]; then
        sh -c "$prepare" || return
    fi
    # shellcheck disable=SC2086 # words, and patterns of files
    "$clang" -std=gnu11 -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=undefined \
        -fsanitize=fuzzer,address,undefined -Ilibgpuvchan/include -Ilibgpuvchan -I"$gen" \
        -o "$out/fuzz_$1" "$source" $line
}

run() {
    local seeds
    read -ra seeds <<<"$(directive seeds "tests/fuzz/fuzz_$1.c")"
    [ "${#seeds[@]}" -gt 0 ] || seeds=("tests/fuzz/corpus/$1")
    mkdir -p "$out/corpus/$1"
    # What a run learns is kept for the next one, beside the seeds.
    "$out/fuzz_$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -print_final_stats=1 \
        -artifact_prefix="$out/findings/$1-" "$out/corpus/$1" "${seeds[@]}"
}

echo "1..${#names[@]}"
failed=0
count=0
generate >"$out/generate.log" 2>&1 || { sed 's/^/# /' "$out/generate.log"; echo "Bail out! generated files"; exit 1; }
for name in "${names[@]}"; do
    count=$((count + 1))
    if ! build "$name" >"$out/$name.log" 2>&1; then
        sed 's/^/# /' "$out/$name.log" | tail -n 40
        echo "not ok $count - $name: does not build"
        failed=1
        continue
    fi
    echo "# $name: $seconds s"
    if run "$name" >"$out/$name.log" 2>&1; then
        executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log")
        coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$out/$name.log" | tail -n 1)
        echo "ok $count - $name: $executed inputs, coverage $coverage"
    else
        tail -n 60 "$out/$name.log" | sed 's/^/# /'
        echo "not ok $count - $name: see $out/findings/"
        failed=1
    fi
done
exit "$failed"
