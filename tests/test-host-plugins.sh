#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gpuvchan-host's plugin loader: what it shows of a plugin, and what it says of each way to be broken.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
[ -x "$host" ] || skip_all "$host is not built"
command -v "${CC:-cc}" >/dev/null || skip_all "no C compiler"
unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG GPUVCHAN_ADDRESS
good=$work/good bad=$work/bad
mkdir "$good" "$bad"
: >"$work/empty.conf"

compile "$good/probe.so" "$top/tests/probe.c" -DPROBE_PLUGIN -fPIC -shared || bail "the test's plugin does not compile"

# on FOLDER OPTIONS...: with nothing else configured.
on() {
    folder=$1
    shift
    run 20 "$host" -c "$work/empty.conf" -p "$folder" "$@"
}

# broken NAME: a plugin from C text on stdin; begins like a right one.
broken() {
    cat >"$work/$1.c"
    compile "$bad/$1.so" "$work/$1.c" -w -fPIC -shared || bail "$1.c does not compile"
}

# says NAME REGEX: status 1 and these words when it is dumped.
says() {
    on "$bad" --dump-plugin "$1"
    is "$1: status" "$status" 1
    like "$1: message" "$errors" "$2"
}

beginning='
#include <errno.h>
#include <gpuvchan/plugin.h>
static int opens(struct gpuvchan_session *s, void **state) { (void)s; *state = 0; return 0; }
static void closes(void *state) { (void)state; }
static int nothing(struct gpuvchan_request *r) { (void)r; return 0; }
static const struct gpuvchan_entry entries[2] = {[1] = {"nothing", 0, 64, nothing}};
static const struct gpuvchan_dispatch dispatch = {
    .protocol = {.name = NAME, .version = 1, .entries = 2, .hash = 1}, .entries = entries};
#define USUAL .name = NAME, .dispatch = &dispatch, .open = opens, .close = closes
'

# ---- A right one -------------------------------------------------------------------------------

on "$good" --dump-plugin probe
is "dump: status" "$status" 0
is "dump: stderr" "$errors" ""
is "dump" "$output" "name=probe
path=$good/probe.so
version=1.2
description=echoes, crashes and hangs
api=1
protocol_version=1
protocol_hash=00000070726f6265
suspend=no
entries=3
entry_1=echo
entry_2=crash
entry_3=hang
config=close=prompt|hang  what happens when a guest has gone
config=warm=prompt|verbose|hang|crash  and before it comes
device=none"
on "$good" --list-plugins
is "list: status" "$status" 0
is "list" "$output" "probe        1.2      echoes, crashes and hangs"
run 20 env GPUVCHAN_PLUGIN_DIR="$good" "$host" -c "$work/empty.conf" --list-plugins
like "list: folder from the environment" "$output" '^probe '
mkdir "$work/none"
on "$work/none" --list-plugins
is "list: empty folder" "$status$output$errors" 0
on "$work/none" -p "$good" --dump-plugin probe
is "the second folder is looked into" "$status" 0
on "$good" --dump-plugin proeb
is "no such plugin: status" "$status" 1
like "no such plugin: message" "$errors" "there is no plugin 'proeb' in $good; did you mean 'probe'\?"
on "$good" --dump-plugin ../good/probe
like "a path is no name" "$errors" "'../good/probe' is no name of a plugin"

# ---- Broken ones -------------------------------------------------------------------------------

echo 'text' >"$bad/text.so"
says text "text.so: "
echo 'int unrelated;' | broken nosymbol
says nosymbol "nosymbol.so: not a plugin of gpuvchan: it has no symbol gpuvchan_plugin_entry"
broken undefined <<EOF
extern int function_that_nobody_has(void);
int gpuvchan_plugin_entry(void) { return function_that_nobody_has(); }
EOF
says undefined "function_that_nobody_has"
broken null <<EOF
#include <gpuvchan/plugin.h>
const struct gpuvchan_plugin *gpuvchan_plugin_entry(void) { return 0; }
EOF
says null "null.so: gpuvchan_plugin_entry\(\) returned NULL"
broken newapi <<EOF
#define NAME "newapi"
$beginning
static const struct gpuvchan_plugin plugin = {USUAL, .size = sizeof(plugin), .api = 99};
const struct gpuvchan_plugin *gpuvchan_plugin_entry(void) { return &plugin; }
EOF
says newapi "needs plugin API 99, this host has 1: update gpuvchan-host"
broken noapi <<EOF
#define NAME "noapi"
$beginning
static const struct gpuvchan_plugin plugin = {USUAL, .size = sizeof(plugin)};
const struct gpuvchan_plugin *gpuvchan_plugin_entry(void) { return &plugin; }
EOF
says noapi "says plugin API 0, which never was"
broken nosize <<EOF
#define NAME "nosize"
$beginning
static const struct gpuvchan_plugin plugin = {USUAL, .api = 1};
const struct gpuvchan_plugin *gpuvchan_plugin_entry(void) { return &plugin; }
EOF
says nosize "says a size of 0 bytes: use GPUVCHAN_PLUGIN_REGISTER"
broken othername <<EOF
#define NAME "somebody"
$beginning
static struct gpuvchan_plugin plugin = {USUAL};
GPUVCHAN_PLUGIN_REGISTER(plugin)
EOF
says othername "othername.so: the plugin calls itself 'somebody': rename the file to somebody.so"
broken badname <<EOF
#define NAME "Bad Name"
$beginning
static struct gpuvchan_plugin plugin = {USUAL};
GPUVCHAN_PLUGIN_REGISTER(plugin)
EOF
says badname "name 'Bad Name' is not 1 to 31 of the characters a-z 0-9 _ -"
broken otherprotocol <<EOF
#define NAME "somebody"
$beginning
static struct gpuvchan_plugin plugin = {USUAL, .name = "otherprotocol"};
GPUVCHAN_PLUGIN_REGISTER(plugin)
EOF
says otherprotocol "plugin 'otherprotocol' serves a protocol of another name, 'somebody'"
for field in name dispatch open close; do
    broken "no$field" <<EOF
#define NAME "no$field"
$beginning
static struct gpuvchan_plugin plugin = {USUAL, .$field = 0};
GPUVCHAN_PLUGIN_REGISTER(plugin)
EOF
    says "no$field" "lacks the mandatory field '$field'"
done
broken noentries <<EOF
#define NAME "noentries"
$beginning
static const struct gpuvchan_dispatch empty = {.protocol = {.name = NAME}};
static struct gpuvchan_plugin plugin = {USUAL, .dispatch = &empty};
GPUVCHAN_PLUGIN_REGISTER(plugin)
EOF
says noentries "dispatch table is empty"
broken halfsuspend <<EOF
#define NAME "halfsuspend"
$beginning
static int suspends(void *state, struct gpuvchan_snapshot *s) { (void)state; (void)s; return 0; }
static struct gpuvchan_plugin plugin = {USUAL, .suspend = suspends};
GPUVCHAN_PLUGIN_REGISTER(plugin)
EOF
says halfsuspend "has only one of suspend and resume"
# Its struct ends before close: an old plugin's size counts, not what lies behind it.
broken short <<EOF
#define NAME "short"
$beginning
static const struct gpuvchan_plugin plugin = {
    USUAL, .size = offsetof(struct gpuvchan_plugin, close), .api = 1};
const struct gpuvchan_plugin *gpuvchan_plugin_entry(void) { return &plugin; }
EOF
says short "lacks the mandatory field 'close'"
broken failing <<EOF
#define NAME "failing"
$beginning
static int loads(void) { return -ENODEV; }
static struct gpuvchan_plugin plugin = {USUAL, .load = loads};
GPUVCHAN_PLUGIN_REGISTER(plugin)
EOF
says failing "plugin failing: loading failed: No such device"
like "failing: what is known is shown all the same" "$output" '^name=failing$'
broken incomplete <<EOF
#define NAME "incomplete"
$beginning
static int complete(void) { return -EINVAL; }
static struct gpuvchan_plugin plugin = {USUAL, .config_complete = complete};
GPUVCHAN_PLUGIN_REGISTER(plugin)
EOF
says incomplete "plugin incomplete: its configuration is not complete: Invalid argument"
# One that is longer than the host's struct: made for a later host, with the same API.
broken longer <<EOF
#define NAME "longer"
$beginning
static const struct { struct gpuvchan_plugin known; void *later[8]; } plugin = {
    {USUAL, .size = sizeof(plugin), .api = 1}, {0}};
const struct gpuvchan_plugin *gpuvchan_plugin_entry(void) { return &plugin.known; }
EOF
on "$bad" --dump-plugin longer
is "longer: is taken" "$status" 0
on "$bad" --list-plugins
is "list with broken ones: status" "$status" 1
like "list with broken ones: names the right ones" "$output" '^longer '
like "list with broken ones: says what is wrong" "$errors" "lacks the mandatory field"

# ---- Settings ----------------------------------------------------------------------------------

on "$good" --dump-plugin probe probe.close=hang
is "setting: accepted" "$status" 0
on "$good" --dump-plugin probe probe.clse=hang
like "setting: unknown" "$errors" "plugin probe: unknown setting 'clse'; it has: close=prompt|hang"
printf '[plugin probe]\n\nclose = perhaps\n' >"$work/probe.conf"
run 20 "$host" -c "$work/probe.conf" -p "$good" --dump-plugin probe
like "setting: refused, with its line" "$errors" "$work/probe.conf:3: plugin probe: 'close = perhaps' is refused"
on "$bad" --dump-plugin longer longer.x=1
like "setting: there are none" "$errors" "plugin longer: takes no settings, but 'x' is given"

# ---- Start of the host -------------------------------------------------------------------------

on "$good" --run true
is "start: status" "$status" 0
is "start: nothing to complain of" "$errors" ""
on "$good" --run true probe.clse=x
is "start with a wrong setting: status" "$status" 1
like "start with a wrong setting: message" "$errors" "plugin probe: unknown setting 'clse'"
on "$good" --run true prob.close=hang
is "start with a setting of no plugin: status" "$status" 1
like "start with a setting of no plugin: message" "$errors" "there is no plugin 'prob' in .*; did you mean 'probe'"
on "$good" --run true --plugins=probe,absent
is "start with an absent plugin: status" "$status" 1
like "start with an absent plugin: message" "$errors" "there is no plugin 'absent' in"
on "$good" --run true domain:web.plugins=probe
is "start with a plugin for a domain: status" "$status" 0
on "$good" --run true domain:web.plugins=prob
is "start with an absent plugin for a domain: status" "$status" 1
like "start with an absent plugin for a domain: message" "$errors" \
    "error: \[domain web\]: there is no plugin 'prob' in .*; did you mean 'probe'"
on "$bad" --run true --plugins=failing
is "start with one that must load and fails: status" "$status" 1
like "start with one that must load and fails: message" "$errors" "error: plugin failing: loading failed"
on "$bad" --run true
is "start with broken ones about: status" "$status" 0
like "start with broken ones about: message" "$errors" "warning: plugin failing: loading failed: No such device; not"
on "$work/none" --run true
is "start without plugins: status" "$status" 0
like "start without plugins: message" "$errors" "no plugins to offer"
broken crashing <<EOF
#include <signal.h>
#define NAME "crashing"
$beginning
static int loads(void) { signal(SIGSEGV, SIG_DFL); return raise(SIGSEGV); }
static struct gpuvchan_plugin plugin = {USUAL, .load = loads};
GPUVCHAN_PLUGIN_REGISTER(plugin)
EOF
on "$bad" --run true --plugins=crashing
is "start with one that crashes: status" "$status" 1
like "start with one that crashes: message" "$errors" "a plugin crashed while it was loaded: signal 11"

done_testing
