#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What `make check` does: builds, and runs every test that needs neither Xen nor a GPU.
#
#     check.sh [STAGE...]     all stages without an argument; their names stand at the end of this file
#
# BUILD is the tree of the plain build; those of the others are named after it. The last line counts:
# "N passed, N failed, N skipped". A stage that fails does not stop those behind it, except the first build.

set -u
cd "$(dirname "$0")/.." || exit 1

# Called by prove for each test: keeps what it prints, for counting. cmocka writes a skipped test as
# "not ok N # SKIP", which TAP means as a failure.
run_tap() {
    local name status under=()
    name=$CHECK_LOGS/${1//\//%}
    case $1 in
    *.sh) [ -x "$1" ] || under=(sh) ;;
    *) read -ra under <<<"$CHECK_UNDER" ;;
    esac
    TEST_SECONDS=$CHECK_SECONDS CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 10 "$CHECK_SECONDS" "${under[@]}" "$1" </dev/null |
        sed -u 's/^not ok \([0-9]*\)\( .*\)\?# SKIP/ok \1\2# SKIP/' | tee "$name.tap"
    status=${PIPESTATUS[0]}
    [ "$status" -ne 124 ] || echo "# no end within $CHECK_SECONDS seconds"
    echo "$status" >"$name.status"
    return "$status"
}

if [ "${1:-}" = --tap ]; then
    run_tap "$2"
    exit
fi

plain=${BUILD:-build}
jobs=${JOBS:-$(nproc)}
unset BUILD MAKEFLAGS MFLAGS SANITIZE GPUVCHAN_ADDRESS GPUVCHAN_ARENA GPUVCHAN_SYNC GPUVCHAN_LOG LD_LIBRARY_PATH
logs=$(mktemp -d "${TMPDIR:-/tmp}/gpuvchan-check.XXXXXX") || exit 1
trap 'rm -rf "$logs"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
passed=0
failed=0
skipped=0
failures=()

heading() {
    printf '\n== %d:%02d  %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"
}

# one NAME COMMAND...: what is not a TAP test, but passes or fails. Its output is shown when it fails.
one() {
    local name=$1
    shift
    if "$@" >"$logs/output" 2>&1; then
        passed=$((passed + 1))
        printf 'ok      %s\n' "$name"
    else
        failed=$((failed + 1))
        failures+=("$name")
        printf 'FAILED  %s\n' "$name"
        tail -n 60 "$logs/output" | sed 's/^/    /'
        return 1
    fi
}

# ---- TAP ---------------------------------------------------------------------------------------

# Adds the results of what prove has run to the counts.
count_tap() {
    local tap good bad skip status
    for tap in "$CHECK_LOGS"/*.tap; do
        # A plan that is not kept counts as a failure.
        read -r good bad skip < <(awk '
            /^1\.\.[0-9]+/ { planned += substr($1, 4); plans++ }
            /^1\.\.0/ { skip++ }
            /^(not )?ok/ { seen++ }
            /^ok .*# *[Ss][Kk][Ii][Pp]/ || /^not ok .*# *[Tt][Oo][Dd][Oo]/ { skip++; next }
            /^ok/ { good++ }
            /^not ok/ { bad++ }
            END { print good + 0, bad + (plans == 0 || planned != seen), skip + 0 }' "$tap")
        status=$(cat "${tap%.tap}.status" 2>/dev/null || echo 1)
        # A test that crashes or hangs has failed, whatever it has printed.
        [ "$status" -eq 0 ] || [ "$bad" -ne 0 ] || bad=1
        passed=$((passed + good))
        failed=$((failed + bad))
        skipped=$((skipped + skip))
        if [ "$bad" -ne 0 ]; then
            failures+=("$1: $(basename "$tap" .tap | tr % /)")
            printf '\n%s:\n' "${failures[-1]}"
            grep -A 12 '^not ok\|^Bail out\|^# no end' "$tap" | grep -v '^ok' | head -n 60
        fi
    done
}

# tap NAME SECONDS UNDER TEST...: each test has so long, and programs run under a tool if one is named.
tap() {
    local name=$1 before=$failed test status tests=()
    export CHECK_SECONDS=$2 CHECK_UNDER=$3 CHECK_LOGS=$logs/tap
    shift 3
    for test in "$@"; do
        [ -f "$test" ] && tests+=("$test")
    done
    if [ "${#tests[@]}" -eq 0 ]; then
        one "$name: there are tests" false
        return
    fi
    rm -rf "$CHECK_LOGS"
    mkdir "$CHECK_LOGS"
    prove --timer --jobs "${TAP_JOBS:-1}" --exec "tests/check.sh --tap" "${tests[@]}"
    status=$?
    count_tap "$name"
    # prove sees more than the counts show: a plan that is not kept, for instance.
    if [ "$status" -ne 0 ] && [ "$failed" -eq "$before" ]; then
        failed=$((failed + 1))
        failures+=("$name: prove")
    fi
}

# The test programs of a tree.
programs() {
    find "$1/tests/unit" "$1/tests/conformance" "$1/tests/hostile" -type f -perm -u+x 2>/dev/null | sort
}

build() {
    nice make --no-print-directory -j"$jobs" "$@" all tests-build
}

# ---- Stages ------------------------------------------------------------------------------------

stage_build() {
    heading "Build: $(${CC:-cc} --version | head -n 1)"
    one "builds without warnings" build BUILD="$plain" WERROR=1
}

stage_unit() {
    heading "Library: unit, conformance and hostile-peer tests"
    # shellcheck disable=SC2046 # no blanks in their names
    GPUVCHAN_BUILD=$plain tap "plain" 300 "" $(programs "$plain")
}

stage_scripts() {
    heading "Programs: scripts"
    GPUVCHAN_BUILD=$plain tap "scripts" 400 "" tests/test-*.sh
}

stage_clang() {
    command -v clang >/dev/null || { skipped=$((skipped + 1)); return; }
    heading "Build: $(clang --version | head -n 1)"
    one "builds with clang without warnings" build BUILD="$plain-clang" CC=clang WERROR=1
}

stage_address() {
    heading "AddressSanitizer and UndefinedBehaviorSanitizer"
    one "builds with SANITIZE=address,undefined" build BUILD="$plain-address" SANITIZE=address,undefined || return
    export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
    export UBSAN_OPTIONS=print_stacktrace=1 SANITIZE=address,undefined TEST_ROUNDS=50
    # shellcheck disable=SC2046
    GPUVCHAN_BUILD=$plain-address tap "address,undefined" 600 "" $(programs "$plain-address") \
        tests/test-cuda*.sh tests/test-nvml.sh tests/test-ptx*.sh tests/test-host-*.sh tests/test-hostile.sh \
        tests/test-kill.sh tests/test-renew.sh tests/test-fuzz-corpus.sh tests/test-run.sh tests/test-sharpen.sh
    unset ASAN_OPTIONS UBSAN_OPTIONS SANITIZE TEST_ROUNDS
}

# Not the hostile peers: they race on purpose.
stage_thread() {
    local wrap=""
    heading "ThreadSanitizer"
    one "builds with SANITIZE=thread" build BUILD="$plain-thread" SANITIZE=thread || return
    # With much randomisation of addresses it does not find the places that it wants.
    ! setarch "$(uname -m)" -R true 2>/dev/null || wrap="setarch $(uname -m) -R"
    export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 TEST_ROUNDS=30
    # shellcheck disable=SC2046
    GPUVCHAN_BUILD=$plain-thread tap "thread" 600 "$wrap" $(programs "$plain-thread" | grep -v /hostile/)
    unset TSAN_OPTIONS TEST_ROUNDS
}

stage_valgrind() {
    command -v valgrind >/dev/null || { skipped=$((skipped + 1)); return; }
    heading "valgrind"
    # shellcheck disable=SC2046
    TEST_ROUNDS=10 GPUVCHAN_BUILD=$plain tap "valgrind" 600 \
        "valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --fair-sched=yes" \
        $(find "$plain/tests/unit" -type f -perm -u+x 2>/dev/null | sort)
}

stage_fuzz() {
    heading "Fuzzing, 10 s each"
    tap "fuzz" 1200 "" tests/fuzz.sh
}

stage_demo() {
    heading "make demo"
    one "the demonstration runs" env BUILD="$plain" timeout -k 10 300 examples/demo.sh
}

[ "$#" -gt 0 ] || set -- unit clang scripts demo fuzz address thread valgrind

if stage_build; then
    for stage in "$@"; do
        "stage_$stage"
    done
fi
heading "Done"
for failure in "${failures[@]}"; do
    printf 'FAILED  %s\n' "$failure"
done
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
