#!/bin/sh
# SPDX-License-Identifier: MIT
# Replays the fuzzers' inputs: the seeds, and what once was found.

. "$(dirname "$0")/tap.sh"

programs=$build/tests/fuzz
[ -d "$programs" ] || skip_all "the fuzz targets are not built: make tests-build"
for program in "$programs"/fuzz_*; do
    name=${program##*/fuzz_}
    [ -x "$program" ] && [ -d "$top/tests/fuzz/corpus/$name" ] || continue
    run 60 "$program" "$top/tests/fuzz/corpus/$name"/*
    is "$name" "$status" 0
    unlike "$name: all inputs" "$output" "^not ok"
    like "$name: there are inputs" "$output" "^ok 5 "
    [ -z "$errors" ] || diag "$errors"
done
[ "$tap_count" -gt 0 ] || bail "no fuzz target was found"
done_testing
