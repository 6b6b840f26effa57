#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gpuvchan-host: options, configuration files, and what it says about wrong ones.

. "$(dirname "$0")/tap.sh"

host=$build/bin/gpuvchan-host
[ -x "$host" ] || skip_all "$host is not built"
unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG GPUVCHAN_ADDRESS
: >"$work/empty.conf"

# The value of a key in the effective configuration.
value() {
    printf '%s\n' "$output" | sed -n "s/^$1 = \{0,1\}//p"
}

# refuses NAME REGEX OPTIONS...: status 1, nothing on stdout, the words on stderr.
refuses() {
    name=$1 regex=$2
    shift 2
    run 10 "$host" "$@"
    is "$name: status" "$status" 1
    is "$name: stdout" "$output" ""
    like "$name: message" "$errors" "$regex"
}

# file_refuses NAME LINE REGEX: with the contents of $work/bad.conf.
file_refuses() {
    refuses "$1" "^gpuvchan-host: $work/bad.conf:$2: $3" -c "$work/bad.conf" --dump-config
}

# ---- What it prints ----------------------------------------------------------------------------

run 10 "$host" --help
is "help: status" "$status" 0
is "help: stderr" "$errors" ""
like "help: usage" "$output" '^Usage: gpuvchan-host '
for option in address allow-domains max-processes-per-domain user group state-dir plugin-dir plugins max-processes max-arena socket-mode socket-group pidfile log log-level \
    trace spin-us spare-workers keep dump-config dump-plugin list-plugins run exit-with-parent foreground daemon config; do
    like "help: --$option" "$output" "--$option(=| |\$)"
done
is "help: no line is wider than a terminal" "$(printf '%s\n' "$output" | awk 'length > 80')" ""
run 10 "$host" -h
is "help: -h" "$status" 0
run 10 "$host" --version
is "version: status" "$status" 0
like "version" "$output" '^gpuvchan-host [0-9]+\.[0-9]+\.[0-9]+ '

# ---- Configuration that is in effect -----------------------------------------------------------

run 10 "$host" -c "$work/empty.conf" --dump-config
is "defaults: status" "$status" 0
is "defaults: stderr" "$errors" ""
is "defaults: socket-mode" "$(value socket-mode)" 0660
is "defaults: max-processes" "$(value max-processes)" 64
is "defaults: log" "$(value log)" auto
is "defaults: daemon" "$(value daemon)" no
is "defaults: allow-domains" "$(value allow-domains)" all
is "defaults: max-processes-per-domain" "$(value max-processes-per-domain)" 16
is "defaults: user, group and state-dir" "$(value user)$(value group)$(value state-dir)" ""
is "defaults: each key has a comment" "$(printf '%s\n' "$output" |
    awk '/^[a-z-]+ =/ && last !~ /^#/ { print } { last = $0 }')" ""

cat >"$work/all.conf" <<EOF
# a comment
; another
[host]
address = local:/tmp/some where/host.sock
address = xen:
address = xen:
allow-domains = web, 7
user = gpuvchan
state-dir = /run/some where
socket-mode=0600
  max-processes = 7     ; a remark
max-arena: 3G
plugin-dir = /one
plugin-dir = /two
plugins = cuda, hello
plugins = gl
allow-uids = 0,12345
spin-us = -1
log = null
log-level = debug
trace = on

[plugin cuda]
device = 0
memory = 8G
[plugin hello]
greeting = good day = hello
[domain web]
allow = no
max-arena = 2G
[domain 6f1d0f1e-0000-4000-8000-00000000000a]
plugins = cuda, gl
max-processes = 3
[domain web]
max-lanes = 4
max-arena = 1G
EOF
run 10 "$host" -c "$work/all.conf" --dump-config
is "file: status" "$status" 0
is "file: stderr" "$errors" ""
printf '%s\n' "$output" >"$work/first.conf"
is "file: list of addresses, each once" "$(value address | tr '\n' ' ')" "local:/tmp/some where/host.sock xen: "
is "file: domains" "$(value allow-domains | tr '\n' ' ')" "web 7 "
is "file: user" "$(value user)" gpuvchan
is "file: state-dir" "$(value state-dir)" "/run/some where"
is "file: what holds for a domain, and nothing else" "$(printf '%s\n' "$output" | sed -n '/^\[domain/,$p')" \
    "[domain web]
allow = no
max-arena = 1G
max-lanes = 4

[domain 6f1d0f1e-0000-4000-8000-00000000000a]
plugins = cuda
plugins = gl
max-processes = 3"
is "file: number with a remark" "$(value max-processes | head -n 1)" 7
is "file: size" "$(value max-arena | head -n 1)" 3G
is "file: list of paths" "$(value plugin-dir | tr '\n' ' ')" "/one /two "
is "file: list of names" "$(value plugins | head -n 3 | tr '\n' ' ')" "cuda hello gl "
is "file: list of users" "$(value allow-uids | tr '\n' ' ')" "0 12345 "
is "file: switch" "$(value trace)" yes
is "file: a plugin's setting" "$(value greeting)" "good day = hello"
run 10 "$host" -c "$work/first.conf" --dump-config
printf '%s\n' "$output" >"$work/second.conf"
ok "dump-config, fed back, gives the same" cmp "$work/first.conf" "$work/second.conf"

run 10 "$host" -c "$work/all.conf" -a /x --max-processes=9 -p /three --plugins=sim -v cuda.memory=1G new.key= \
    domain:web.max-arena=8M domain:a.b.allow=yes --dump-config
is "override: status" "$status" 0
is "override: address" "$(value address)" /x
is "override: a domain's" "$(value max-arena | sed -n 2p)" 8M
is "override: a domain's others stay" "$(value allow | head -n 1)" no
like "override: a domain with a dot in its name" "$output" '^\[domain a\.b\]$'
is "override: number" "$(value max-processes | head -n 1)" 9
is "override: a list starts anew" "$(value plugin-dir)" /three
is "override: list of names" "$(value plugins | head -n 1)" sim
is "override: -v" "$(value log-level)" debug
is "override: a plugin's setting" "$(value memory)" 1G
is "override: others stay" "$(value device)" 0
like "override: an empty setting" "$output" '^key =$'

printf '[host]\nmax-processes = 3\nplugin-dir = /late\n' >"$work/late.conf"
run 10 "$host" -c "$work/all.conf" -c "$work/late.conf" --dump-config
is "two files: the later one wins" "$(value max-processes | head -n 1)" 3
is "two files: its list too" "$(value plugin-dir)" /late
is "two files: the rest stays" "$(value max-arena | head -n 1)" 3G

run 10 env GPUVCHAN_PLUGIN_DIR=/from/environment "$host" -c "$work/empty.conf" --dump-config
is "environment: plugin-dir" "$(value plugin-dir)" /from/environment
run 10 env GPUVCHAN_PLUGIN_DIR=/from/environment "$host" -c "$work/late.conf" --dump-config
is "environment: a file overrides it" "$(value plugin-dir)" /late
cd "$work" || bail "cannot enter $work"
run 10 "$host" -c empty.conf -a relative.sock --dump-config
is "a relative path is made absolute" "$(value address)" "$(pwd)/relative.sock"
run 10 "$host" -c empty.conf --run true --dump-config
is "--run is quieter" "$(value log-level)" warning

# ---- Wrong command lines -----------------------------------------------------------------------

refuses "unknown option" "unknown option '--adress'; did you mean '--address'\?" --adress=x
refuses "nothing like it" "unknown option '--zzzzzzzz'$" --zzzzzzzz
refuses "unknown letter" "unknown option '-Q'" -Q
refuses "missing argument" "option '--address' needs an argument" --address
refuses "useless argument" "option '--daemon' takes no argument" --daemon=x
refuses "number too small" "max-processes: '0' is not a number from 1 to" --max-processes=0
refuses "no number" "max-processes: 'many' is not a number" --max-processes=many
refuses "number with a tail" "max-processes: '5x' is not a number" --max-processes=5x
refuses "no size" "max-arena: '5Q' is not a size from 4K to 1T" --max-arena=5Q
refuses "no mode" "socket-mode: '888' is not an octal mode" --socket-mode=888
refuses "no choice" "log: 'file' is none of auto, stderr, syslog, null" --log=file
refuses "no user" "allow-uids: there is no user 'no-such-user'" --allow-uids=no-such-user
refuses "no group" "allow-gids: there is no group '99999999999'" --allow-gids=99999999999
refuses "stray argument" "unexpected argument 'cuda': a plugin's setting looks like PLUGIN.key=value" cuda
refuses "setting without a key" "'' is no name of a setting of plugin 'cuda'" cuda.=1
refuses "setting of no plugin" "'' is no name of a plugin" .key=1
refuses "domain without a setting" "unexpected argument 'domain:web=1': a domain's setting looks like domain:NAME" domain:web=1
refuses "unknown setting of a domain" "unknown key 'max-lane' in \[domain\]; did you mean 'max-lanes'\?" domain:web.max-lane=1
refuses "wrong setting of a domain" "max-lanes: '1025' is not a number from 1 to 1024" domain:web.max-lanes=1025
refuses "no domain" "'we b' is no domain: up to 40 of the characters" "domain:we b.allow=no"
refuses "a line break in a value" "may not contain control characters" "cuda.key=a
b"
refuses "a value that a file cannot hold" "may not contain control characters or ' ;'" "cuda.key=a ;b"
refuses "a value that is too long" "is longer than [0-9]+ characters" "cuda.key=$(printf '%0300d' 0)"
refuses "an empty address" "address: empty" --address=
refuses "--run in the background" "--run needs the foreground" --run true --daemon
refuses "--exit-with-parent in the background" "--exit-with-parent needs the foreground" --exit-with-parent -d
refuses "no such file" "no-such-file: No such file or directory" -c no-such-file
refuses "a folder for a file" "is a folder" -c "$work"
refuses "--worker by hand" "--worker is for the host itself" --worker

# ---- Wrong files -------------------------------------------------------------------------------

printf '\n[host]\nmax-proceses = 5\n' >bad.conf
file_refuses "unknown key" 3 "unknown key 'max-proceses' in \[host\]; did you mean 'max-processes'\?"
printf '[host]\n\n\nrun = x\n' >bad.conf
file_refuses "key of the command line" 4 "'run' is for the command line only"
printf '[host]\nmax-processes = -3\n' >bad.conf
file_refuses "bad value" 2 "max-processes: '-3' is not a number from 1 to"
printf '[host]\ntrace = perhaps\n' >bad.conf
file_refuses "bad switch" 2 "trace: 'perhaps' is neither yes nor no"
printf '[hots]\n' >bad.conf
file_refuses "unknown section" 1 'unknown section \[hots\]; did you mean \[host\]\?'
printf '[plugins cuda]\nx = 1\n' >bad.conf
file_refuses "unknown section with a name" 1 'unknown section \[plugins cuda\]'
printf '[domian web]\n' >bad.conf
file_refuses "unknown section, nearly a domain's" 1 'unknown section \[domian web\]'
printf '[domain]\n' >bad.conf
file_refuses "a domain's section without a name" 1 'unknown section \[domain\]; did you mean \[domain NAME\]\?'
printf '[domain web]\nmax-arena = 1\n' >bad.conf
file_refuses "bad value for a domain" 2 "max-arena: '1' is not a size from 4K"
printf '[domain web]\nspin-us = 1\n' >bad.conf
file_refuses "key that domains have not" 2 "unknown key 'spin-us' in \[domain\]"
printf '[host\n' >bad.conf
file_refuses "open section" 1 'a section looks like \[host\], \[plugin NAME\] or \[domain NAME\]'
printf 'trace = yes\n' >bad.conf
file_refuses "no section" 1 "a key before the first section"
printf '[host]\ntrace\nlog = x\n' >bad.conf
file_refuses "the first of two errors" 2 "neither 'key = value' nor \[section\]"
printf '[host]\nlog = x\ntrace\n' >bad.conf
file_refuses "the first of two others" 2 "log: 'x' is none of"
printf '[plugin cuda]\nbad key = 1\n' >bad.conf
file_refuses "bad name of a setting" 2 "'bad key' is no name of a setting"
printf '[host]\npidfile = %0300d\n' 0 >bad.conf
file_refuses "long line" 2 "the line is too long"
printf '[host]\npid\0file = x\n' >bad.conf
file_refuses "NUL" 2 "there is a NUL character"
head -c 4096 /dev/urandom >bad.conf
refuses "noise" "^gpuvchan-host: $work/bad.conf:" -c "$work/bad.conf" --dump-config

done_testing
