#!/bin/sh
# SPDX-License-Identifier: MIT
#
# gpuvchan-xen(7) is true as far as can be seen without Xen: what its commands name exists, its sizes are what the library
# computes, and its error messages are those of the code. Its commands are executed by tests/xen/tests/70-guide.sh.

. "$(dirname "$0")/tap.sh"

unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG GPUVCHAN_ADDRESS GPUVCHAN_ARENA GPUVCHAN_SYNC LD_LIBRARY_PATH
guide=$top/libgpuvchan/gpuvchan-xen.7.scd
cd "$top" || bail "cannot enter $top"
{ [ -x "$build/bin/gpuvchan-host" ] && [ -x "$build/bin/gpuvchanctl" ]; } || skip_all "$build is not built"

if command -v scdoc >/dev/null; then
    run 20 sh -c "scdoc <'$guide'"
    is "scdoc takes it" "$status $errors" "0 "
else
    skip "scdoc takes it" "scdoc is not installed"
fi

# ---- Blocks ------------------------------------------------------------------------------------

# blocks REGEX: the lines of those that a comment that matches stands before.
blocks() {
    awk -v regex="$1" '
        /^; / { what = substr($0, 3); next }
        /^```$/ { inside = !inside; shown = inside && what ~ regex; what = ""; next }
        shown' "$guide"
}
is "each block is marked" "$(blocks '^$')" ""
is "no block has a backslash, which scdoc would take away" "$(blocks . | grep '[\]')" ""
for what in "run: dom0" "run: guest" "run: user" "file: /etc/xen/web.cfg"; do
    like "there are blocks marked '$what'" "$(blocks "^$what$")" .
done

# Commands: those of blocks, and those in the text, bold and on one line.
{
    blocks '^(run|show)'
    grep -o '\*[^*]*\*' "$guide" | tr -d '*'
} >"$work/commands"

known_package() {
    grep -Eq "(^|[ \"])$1([ \"]|\$)" tests/install-packages.sh || apt-cache show "$1" >/dev/null 2>&1
}
sed -n 's/^apt-get install //p' "$work/commands" | tr ' ' '\n' | sort -u >"$work/packages"
like "it names packages" "$(cat "$work/packages")" .
while read -r package; do
    if known_package "$package"; then
        pass "package $package exists"
    elif apt-cache show xenstore-utils >/dev/null 2>&1; then
        fail "package $package exists"
    else
        skip "package $package exists" "apt's lists do not have Xen"
    fi
done <"$work/packages"

grep '^systemctl ' "$work/commands" | tr ' ' '\n' | sed -n 's/^gpuvchan[a-z.-]*$/&/p' | sort -u >"$work/units"
like "it names units" "$(cat "$work/units")" .
while read -r unit; do
    case $unit in *.*) ;; *) unit=$unit.service ;; esac
    ok "unit $unit exists" test -e "host/$unit.in"
done <"$work/units"

for target in $(sed -n 's/^make //p' "$work/commands" | tr ' ' '\n' | grep '^[a-z-]*$' | sort -u); do
    ok "make $target exists" grep -q "^$target:" Makefile
done

# Options, in the help of the command that they are given to.
grep -E '^(gpuvchan-host|gpuvchan-run|gpuvchanctl) ' "$work/commands" | sort -u >"$work/own"
unknown=$(while read -r line; do
    # shellcheck disable=SC2086 # words
    set -- $line
    program=$1 words=
    shift
    while [ "$program" = gpuvchanctl ] && [ "$#" -gt 0 ]; do
        case $1 in doctor | pci | list | assign | release) words="$words $1" ;; *) break ;; esac
        shift
    done
    # shellcheck disable=SC2086 # words
    help=$("$build/bin/$program" $words --help 2>&1) || echo "$line: no help"
    for option in $(printf '%s\n' "$*" | grep -oE -e '--[a-z-]+'); do
        printf '%s\n' "$help" | grep -Eq -e "$option([= ]|\$)" || echo "$line: no option $option"
    done
done <"$work/own")
like "it has commands of ours" "$(cat "$work/own")" '--daemon'
is "their options exist" "$unknown" ""

for path in $(grep -o '_/lib/udev/rules.d/[^_]*_' "$guide" | tr -d _ | sort -u); do
    ok "$path is installed" grep -q "udev/rules.d/${path##*/}" libgpuvchan/install.sh
done
ok "the program of the guide is built" grep -q '^BINARIES .*vectoradd' Makefile

# The configuration that it writes.
blocks '^run: dom0' | sed -n '/<<END$/,/^END$/p' | sed '1d;$d' >"$work/host.conf"
run 20 "$build/bin/gpuvchan-host" -c "$work/host.conf" --dump-config
is "gpuvchan-host reads its configuration" "$status $errors" "0 "
like "with the section of the guest" "$output" '^\[domain web\]'
name=$(blocks '^file: /etc/xen/web.cfg$' | sed -n 's/^name = "\(.*\)"$/\1/p')
is "which is the guest's name" "$name" web

# ---- Sizes -------------------------------------------------------------------------------------

cat >"$work/sizes.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include "wire.h"
#include "xen/limits.h"
/* The arenas in MiB; then frames, for gntalloc's limit. */
int
main(int argc, char **argv)
{
    struct gpuvchan__xen_facts facts = {.frame_entries = XEN_LIMITS_PAGE / 8};
    struct wire_hello hello = {.command_bytes = 256u << 10, .reply_bytes = 64u << 10}; /* xen/module.c */
    uint64_t rings = (wire_lane_offset(&hello, 16) + XEN_LIMITS_PAGE - 1) / XEN_LIMITS_PAGE;

    for (int i = 1; i < argc - 1; i++) {
        uint64_t mib = strtoull(argv[i], NULL, 10), pages = rings + mib * (1024 * 1024 / XEN_LIMITS_PAGE);

        facts.frames_max = gpuvchan__xen_frames_for(&facts, pages);
        printf("%llu %llu %u %llu %llu\n", (unsigned long long)mib, (unsigned long long)gpuvchan__xen_grants_for(pages),
               facts.frames_max, (unsigned long long)gpuvchan__xen_safe_grants(&facts), 2ull * pages);
    }
    facts.frames_max = (uint32_t)strtoul(argv[argc - 1], NULL, 10);
    printf("%llu\n", (unsigned long long)gpuvchan__xen_safe_grants(&facts));
    return 0;
}
END
ok "the formulas compile" "${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -Ilibgpuvchan/include -Ilibgpuvchan "$work/sizes.c" \
    libgpuvchan/xen/limits.c -ldl -o "$work/sizes"
ok "the rings are those of the module" sh -c 'grep -q "command_bytes = 256u << 10" libgpuvchan/xen/module.c &&
    grep -q "reply_bytes = 64u << 10" libgpuvchan/xen/module.c && grep -q "lanes = 16," libgpuvchan/xen/module.c'

# A line for each row, the arena in MiB.
awk '/^; table: sizes/ { inside = 1; next } inside && /^$/ { exit }
    inside && /^\[\[/ { next }
    inside && /^\|/ { row = $2; next }
    inside && /^: / { row = row " " $2; if (split(row, cell, " ") == 5) print row }' "$guide" |
    awk '$1 ~ /G$/ { $1 = substr($1, 1, length($1) - 1) * 1024 } { sub(/M$/, "", $1); print }' >"$work/table"
like "the table of sizes has rows" "$(wc -l <"$work/table")" '^ *[5-9]$'
frames=$(blocks '^file: ' | sed -n 's/^max_grant_frames = //p')
# shellcheck disable=SC2046 # words
"$work/sizes" $(cut -d ' ' -f 1 "$work/table") "$frames" >"$work/computed"
is "the table of sizes is what is computed" "$(cat "$work/table")" "$(sed '$d' "$work/computed")"
limit=$(tail -n 1 "$work/computed")
is "gntalloc's limit is that of the guest's frames" "$(blocks '^run: guest' | sed -n 's/.*limit=\([0-9]*\).*/\1/p')" "$limit"
is "so it is where the text repeats it" "$(sed -n 's/.*echo \([0-9]*\) >\/sys.*/\1/p' "$guide")" "$limit"
is "seven programs have room there" $((limit / $(sed -n 's/^64 \([0-9]*\) .*/\1/p' "$work/table"))) 7
like "Xen allows as many frames" "$(blocks '^show')" "gnttab_max_frames=$frames "
track=$(blocks '^show' | sed -n 's/.*gnttab_max_maptrack_frames=\([0-9]*\).*/\1/p')
is "map tracking is for 1 GiB" $((track * 256)) $((2 * 1024 * 256))

# ---- Messages ----------------------------------------------------------------------------------

# The strings of the sources in one line: parts that follow each other joined, macros of formats made a letter.
cat libgpuvchan/*.c libgpuvchan/xen/*.c host/*.c host/ctl/*.c guest/*.c | tr '\n' ' ' |
    sed -E 's/" *PRI[a-zA-Z0-9]+ *"/u/g; s/" *GPUVCHAN_VERSION/%s"/g; s/" +"//g' >"$work/sources"
awk '/^; messages/ { inside = 1; next } /^#/ { inside = 0 } inside && /^\*/' "$guide" |
    sed 's/^\*//; s/\*\(++\)\{0,1\}$//' >"$work/messages"
like "there are messages" "$(wc -l <"$work/messages")" '^ *[2-9][0-9]$'
while read -r message; do
    # A word of capitals is a placeholder, or itself.
    pattern=$(printf '%s\n' "$message" | sed -E 's/[][().*+?{}|^$\\]/\\&/g; s/\b[A-Z]+\b/(%[-0-9.*]*(ll|l|z)?[a-z]|&)/g')
    ok "message: $message" grep -Eq -e "$pattern" "$work/sources"
done <"$work/messages"

done_testing
