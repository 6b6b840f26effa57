#!/bin/sh
# SPDX-License-Identifier: MIT
# gpuvchan-bench: what it prints and writes and how it fails. Never how fast.

bench=${GPUVCHAN_BUILD:-build}/bin/gpuvchan-bench
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

count=0
failed=0

# ok DESCRIPTION COMMAND...: a test that passes if the command does.
ok() {
	description=$1
	shift
	count=$((count + 1))
	if "$@" >"$tmp/log" 2>&1; then
		echo "ok $count - $description"
	else
		echo "not ok $count - $description"
		sed 's/^/# /' "$tmp/log" "$tmp/out" "$tmp/err" 2>/dev/null
		failed=1
	fi
}

skip() {
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# run STATUS ARGUMENTS...: output to $tmp/out and $tmp/err.
run() {
	expected=$1
	shift
	timeout 120 "$bench" "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
	[ "$status" -eq "$expected" ] || echo "status $status instead of $expected"
	[ "$status" -eq "$expected" ]
}

says() {
	grep -qF -- "$2" "$tmp/$1"
}

# json FILTER: true for the file that was written.
json() {
	jq -e "$1" "$tmp/results.json"
}

if [ ! -x "$bench" ]; then
	echo "1..0 # SKIP no $bench"
	exit 0
fi

ok "--help" run 0 --help
ok "--help names the tests" says out call-64
ok "--help names the mechanisms" says out libxenvchan

ok "no measurement is misuse" run 2
ok "and the usage is told" says err Usage:
ok "an unknown measurement is misuse" run 2 rings
ok "and it is named" says err rings
ok "an unknown option is misuse" run 2 compare --fast
ok "and it is named" says err fast
ok "an option without its value is misuse" run 2 compare --json
ok "two measurements are misuse" run 2 ring bulk
ok "--only an unknown name is misuse" run 2 compare --only carrier-pigeon
ok "and the known names are told" says err bulk-copy-64K
ok "--only a known mechanism with an unknown test is misuse" run 2 compare --only pipe/call-65
ok "--plot of an unknown format is misuse" run 2 compare --plot plot.gif
ok "and the known formats are told" says err .svg

ok "--help names the tests between domains" sh -c '"$1" --help | grep -q bulk-zerocopy-16M' sh "$bench"
ok "--help tells of --peer" sh -c '"$1" --help | grep -q -e "--peer DOMAIN"' sh "$bench"
ok "--peer without a number is misuse" run 2 ring --peer pv1
ok "and it is named" says err pv1
ok "--peer with a number that no domain has is misuse" run 2 ring --peer 40000
ok "--peer with another measurement is misuse" run 2 compare --peer 0
ok "and it is named" says err compare
ok "--once without serve is misuse" run 2 ring --once
ok "serve takes no other measurement" run 2 serve ring
ok "--only an unknown name is misuse with --peer, too" run 2 bulk --peer 0 --only carrier-pigeon
if [ ! -e /dev/xen/evtchn ]; then
	ok "--peer without Xen fails" run 1 ring --quick --peer 0
	ok "and says so" says err "--peer 0: this system is no domain of Xen"
	ok "bulk, too, and with a test of its own" run 1 bulk --peer 1 --only bulk-zerocopy-16M
	ok "serve without Xen fails" run 1 serve
	ok "and says so" says err "serve: this system is no domain of Xen"
fi

ok "--json to where nothing can be written fails" \
	run 1 compare --quick --only pipe --json "$tmp/none/results.json"
ok "and the path is named" says err "$tmp/none/results.json"
ok "before anything is measured" sh -c '! grep -q pipe "$1/out"' sh "$tmp"
ok "--plot to where nothing can be written fails" \
	run 1 compare --quick --only pipe --plot "$tmp/none/plot.svg"

ok "compare --quick --only pipe" run 0 compare --quick --only pipe \
	--json "$tmp/results.json" --plot "$tmp/plot.svg"
ok "says which CPUs" says out "CPU"
ok "says the placement" grep -qE '^(smt|near|far|same-cpu|not steady)' "$tmp/out"
ok "names the mechanism" says out "  pipe  "
ok "leaves others out" sh -c '! grep -q "^  unix" "$1/out"' sh "$tmp"
if command -v jq >/dev/null; then
	ok "JSON is an array" json 'type == "array" and length > 0'
	ok "with the promised fields in each" json 'all(.[];
		(.name | type == "string") and (.value | type == "number") and
		(.unit | type == "string") and has("reference") and has("ratio") and
		(.placement | IN("smt", "near", "far", "same-cpu", "mixed")))'
	ok "each value is positive" json 'all(.[]; .value > 0)'
	ok "peers have their name before the test's" \
		json 'any(.[]; .name == "pipe/call-64" and .reference == "pingpong")'
	ok "bulk refers to memcpy" \
		json 'any(.[]; .name == "pipe/bulk-copy-1M" and .reference == "memcpy")'
	ok "the doorbell refers to an eventfd" \
		json 'any(.[]; .name == "pipe/doorbell" and .reference == "eventfd")'
	ok "a limit is 1 to itself" \
		json 'all(.[] | select(.name == "pingpong/call-64"); .ratio == 1)'
else
	skip "JSON" "jq is not installed"
fi
if command -v xmllint >/dev/null; then
	ok "the plot is well-formed" xmllint --noout "$tmp/plot.svg"
else
	skip "the plot is well-formed" "xmllint is not installed"
fi
ok "the plot names the mechanism" grep -q '>pipe</text>' "$tmp/plot.svg"

ok "--json - writes to stdout" run 0 compare --quick --only unix/call-64 --json -
ok "and the table goes to stderr" says err "  unix  "
if command -v jq >/dev/null; then
	ok "and stdout is JSON alone" jq -e . "$tmp/out"
fi

if command -v rsvg-convert >/dev/null; then
	ok "a plot as PNG" run 0 compare --quick --only pipe/call-64 --plot "$tmp/plot.png"
	ok "which it is" sh -c 'head -c 4 "$1" | tail -c 3 | grep -q PNG' sh "$tmp/plot.png"
fi
mkdir "$tmp/bin"
ok "a plot as PNG without rsvg-convert fails" \
	env PATH="$tmp/bin" "$(command -v sh)" -c \
	'"$1" compare --quick --only pipe --plot "$2/plot.png" 2>"$2/err"; [ $? -eq 1 ]' \
	sh "$bench" "$tmp"
ok "and says what to install" says err librsvg2-bin

if command -v taskset >/dev/null; then
	cpu=$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')
	count=$((count + 1))
	if timeout 400 taskset -c "$cpu" "$bench" compare --quick --only pipe/call-64 \
		>"$tmp/out" 2>"$tmp/err" && says out "only CPU $cpu is allowed"; then
		echo "ok $count - works on one CPU, and says so"
	else
		echo "not ok $count - works on one CPU, and says so"
		failed=1
	fi
fi

# Which of these processes there still are.
left_of() {
	for process in $1; do
		# One that has ended may wait for init to notice.
		case $(ps -o stat= -p "$process") in
		'' | Z*) ;;
		*) echo "$process" ;;
		esac
	done
}
children_of() {
	ps -o pid= --ppid "$1" | tr -d ' '
}

# ---- OpenGL ------------------------------------------------------------------------------------

ok "--help names OpenGL's tests" sh -c '"$1" --help | grep -q clear-300x300' sh "$bench"
ok "--virgl with another measurement is misuse" run 2 cuda --virgl
ok "and it is named" says err cuda
ok "gl with nothing that it has fails" run 1 gl --quick --only call-64
ok "and says so" says err "nothing is left to measure"
ok "gl without Xvfb fails" env PATH="$tmp/bin" "$(command -v sh)" -c \
	'"$1" gl --quick --only clear-300x300 2>"$2/err"; [ $? -eq 1 ]' sh "$bench" "$tmp"
ok "and says what to install" says err "install xvfb"
ok "a program that is not installed" env PATH="$tmp/bin" "$(command -v sh)" -c \
	'"$1" gl --quick --only glxgears >"$2/out" 2>"$2/err"; [ $? -eq 1 ]' sh "$bench" "$tmp"
ok "is named" says out "glxgears is not installed: left out"

build=${GPUVCHAN_BUILD:-build}
if ! command -v Xvfb >/dev/null; then
	skip "gl measures" "Xvfb is not installed"
elif ! "$build/bin/gpuvchan-host" -c /dev/null --dump-plugin gl 2>/dev/null | grep -q '^driver=[^n]'; then
	skip "gl measures" "there is no EGL that renders here"
elif nm -D "$build/lib/libgpuvchan.so.0" 2>/dev/null | grep -q '__asan\|__tsan'; then
	skip "gl measures" "programs that are not built with sanitizers cannot load libraries that are"
else
	ok "gl --native-too" run 0 gl --quick --native-too --only clear-300x300 --only draws-posted \
		--json "$tmp/results.json" --plot "$tmp/plot.svg"
	ok "has a figure of ours" grep -qE '^  libgpuvchan  clear-300x300 +[0-9.]+ fps' "$tmp/out"
	ok "and a native one" grep -qE '^  native       draws-posted +[0-9.]+ M/s' "$tmp/out"
	ok "names the renderers" grep -q 'libgpuvchan: gpuvchan (.*native: ' "$tmp/out"
	ok "leaves others out" sh -c '! grep -q 1024x768 "$1/out"' sh "$tmp"
	if command -v jq >/dev/null; then
		ok "JSON: ours refers to native" json 'any(.[]; .name == "clear-300x300" and
			.reference == "native" and .ratio > 0 and .unit == "fps")'
		ok "JSON: native has its name before the test's" json 'any(.[]; .name == "native/clear-300x300")'
	fi
	ok "the plot has both" sh -c 'grep -q ">libgpuvchan</text>" "$1" && grep -q ">native</text>" "$1"' sh "$tmp/plot.svg"

	# Its servers end with the tool, however it ends: by itself, and killed.
	for how in '' KILL; do
		rm -f "$tmp/err"
		"$bench" gl --quick --only clear-300x300 >"$tmp/out" 2>"$tmp/err" &
		tool=$!
		waited=0
		while ! grep -q '1/1' "$tmp/err" 2>/dev/null && [ "$waited" -lt 200 ]; do
			sleep 0.1
			waited=$((waited + 1))
		done
		servers=$(children_of "$tool")
		[ -z "$how" ] || kill -"$how" "$tool"
		wait "$tool" 2>/dev/null
		waited=0
		while [ -n "$(left_of "$servers")" ] && [ "$waited" -lt 100 ]; do
			sleep 0.1
			waited=$((waited + 1))
		done
		ok "gl had servers" [ "$(printf '%s\n' "$servers" | wc -l)" -ge 2 ]
		ok "none outlives it${how:+, killed}" [ -z "$(left_of "$servers")" ]
	done

	# A host without OpenGL: programs fall back to Mesa, and that is not measured.
	"$build/bin/gpuvchan-host" -c /dev/null -a "$tmp/other.sock" -p "$build/lib/gpuvchan/plugins" --plugins=hello \
		>"$tmp/other.out" 2>&1 &
	other=$!
	waited=0
	while [ ! -S "$tmp/other.sock" ] && [ "$waited" -lt 100 ]; do
		sleep 0.1
		waited=$((waited + 1))
	done
	GPUVCHAN_ADDRESS=$tmp/other.sock
	export GPUVCHAN_ADDRESS
	ok "a figure of a program that was not forwarded" run 1 gl --quick --only clear-300x300
	ok "is refused" grep -q "clear-300x300 *refused: it was drawn by '" "$tmp/out"
	unset GPUVCHAN_ADDRESS
	kill "$other"
	wait "$other" 2>/dev/null
fi

# The processes of a pair go with the tool, however it goes.
"$bench" compare --quick --only pipe >"$tmp/out" 2>"$tmp/err" &
tool=$!
sleep 1
sides=$(children_of "$tool")
kill -KILL "$tool"
wait "$tool" 2>/dev/null
sleep 1
ok "there were processes" [ -n "$sides" ]
ok "none outlives the tool" [ -z "$(left_of "$sides")" ]

echo "1..$count"
exit "$failed"
