#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual pages: section 3, which is made from the headers, names all that is public; gpuvchan-host.conf(5) has the
# keys that gpuvchan-host takes.

. "$(dirname "$0")/tap.sh"

unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG SOURCE_DATE_EPOCH MANPATH MANOPT MANPAGER MANSECT
pages=$build/man/man3
manual=$top/libgpuvchan/manual.py
headers=$top/libgpuvchan/include/gpuvchan
command -v python3 >/dev/null || skip_all "python3 is not installed"
[ -d "$pages" ] || skip_all "$pages is not built"

# ---- All that is public has a page -------------------------------------------------------------

# The page that a name leads to.
page_of() {
    so=$(sed -n 's/^\.so man3\///p' "$pages/$1.3" 2>/dev/null)
    printf '%s\n' "$pages/${so:-$1.3}"
}
# Those of the names on stdin that no page has in its NAME.
without_page() {
    while read -r name; do
        sed -n '/^\.SH NAME/,/^\.SH SYNOPSIS/p' "$(page_of "$name")" 2>/dev/null | grep -Eq "^\\\\%$name(,| )" ||
            echo "$name"
    done
}

# A name behind GPUVCHAN_EXPORT, with the type on the line or on the one before; gpuvchan_plugin_entry is the plugin's.
cat "$headers"/*.h | tr '\n' ' ' | tr ';{' '\n\n' |
    sed -n 's/.*GPUVCHAN_EXPORT [^(]*[ *]\(gpuvchan_[a-z0-9_]*\)(.*/\1/p' | LC_ALL=C sort -u |
    grep -v '^gpuvchan_plugin_entry$' >"$work/declared"
like "the headers declare functions" "$(wc -l <"$work/declared")" '^ *[0-9][0-9]'
is "each function of the headers has a page" "$(without_page <"$work/declared")" ""

# Indented by nothing, on the line behind "static inline".
sed -n '/^static inline/{n;s/^\(gpuvchan_[a-z0-9_]*\)(.*/\1/p;}' "$headers"/*.h >"$work/inline"
is "each inline function has a page" "$(without_page <"$work/inline")" ""

if [ -e "$build/lib/libgpuvchan.so.0" ] && command -v nm >/dev/null; then
    nm -D --defined-only "$build/lib/libgpuvchan.so.0" | awk '{ print $NF }' | sed -n 's/@.*//; /^gpuvchan_/p' |
        while read -r name; do
            ! grep -qw "$name" "$headers"/*.h || echo "$name"
        done >"$work/exported"
    is "each exported function has a page" "$(without_page <"$work/exported")" ""
else
    skip "each exported function has a page" "there is no library, or no nm"
fi

empty_pages() {
    for page in "$pages"/*.3; do
        if grep -q '^\.so ' "$page"; then
            target=$(sed -n 's/^\.so man3\///p' "$page")
            grep -q '^\.TH ' "$pages/$target" || echo "$page leads nowhere"
            continue
        fi
        for section in NAME SYNOPSIS DESCRIPTION "SEE ALSO"; do
            # A line that is neither empty nor a request.
            awk -v section=".SH $section" '/^\.SH / { inside = $0 == section } inside && /^[^.]/ { n++ }
                END { exit n == 0 }' "$page" || echo "$page: $section is empty"
        done
    done
}
is "no page is empty" "$(empty_pages)" ""
"$manual" --list "$headers"/*.h >"$work/listed"
(cd "$pages" && find . -name '*.3' | sed 's/^..//' | LC_ALL=C sort) >"$work/built"
is "--list names the pages" "$(diff "$work/built" "$work/listed")" ""
sed -n 's/.*\\fB\\%\([a-z_]*\)\\fP(3).*/\1/p' "$pages"/*.3 | sort -u >"$work/named"
is "the pages name no page that is not there" \
    "$(while read -r name; do [ -s "$pages/$name.3" ] || echo "$name"; done <"$work/named")" ""

channel=$(cat "$pages/gpuvchan_channel.3")
like "a prototype, with its parameters" "$channel" \
    '^.fBint gpuvchan_channel_connect\(const char \*.fIaddress.fB,.fP$'
like "a struct's field" "$channel" '^.fIarena_bytes.fP$'
like "what is returned" "$(sed -n '/^\.SH RETURN VALUE/,/^\.SH ERRORS/p' "$pages/gpuvchan_channel.3")" 'ENOENT'
is "a parameter is no @p any more" "$(grep -l '@p\|@return\|/\*\*' "$pages"/*.3)" ""

# ---- What the script refuses -------------------------------------------------------------------

# broken NAME WANTED TEXT: with TEXT at the end of gpuvchan.h.
broken() {
    rm -rf "$work/include"
    cp -r "$headers" "$work/include"
    printf '%s\n' "$3" >>"$work/include/gpuvchan.h"
    run 20 "$manual" -o "$work/man3" "$work"/include/*.h
    like "$1" "$status $errors" "$2"
}
line=$(($(wc -l <"$headers/gpuvchan.h") + 1))
broken "refused: a function without a comment" \
    "^1 .*/gpuvchan.h:$line: gpuvchan_channel_secret\(\) has no doc comment" \
    'GPUVCHAN_EXPORT int gpuvchan_channel_secret(int a);'
broken "refused: the same, inline" "^1 .*/gpuvchan.h:$line: gpuvchan_channel_secret\(\) has no doc comment" \
    'static inline int gpuvchan_channel_secret(int a) { return a ? a : 1; }'
broken "refused: a function that belongs to no page" \
    "^1 .*/gpuvchan.h:$((line + 1)): no manual page takes gpuvchan_odd" \
    '/** Odd. */
GPUVCHAN_EXPORT int gpuvchan_odd(void);'
broken "refused: a comment about a function that is not there" \
    "^1 .*names gpuvchan_channel_gone\(\), which is not there" \
    '/** Opens again what gpuvchan_channel_gone() has closed. */
GPUVCHAN_EXPORT int gpuvchan_channel_again(void);'
broken "refused: a tag that it does not know" "^1 .*has @param, which is neither @p nor @return" \
    '/** @param a What to open. */
GPUVCHAN_EXPORT int gpuvchan_channel_again(int a);'
broken "a new function appears by itself" '^0 $' \
    '/** Opens @p a once more - or not. @return 0, -EBUSY. */
GPUVCHAN_EXPORT struct gpuvchan_channel *
gpuvchan_channel_again(const char *a, void (*done)(int, void *context));'
like "a new function: what it does" "$(cat "$work/man3/gpuvchan_channel.3")" '^Opens .fIa.fP once more - or not\.$'
like "a new function: its prototype" "$(cat "$work/man3/gpuvchan_channel.3")" \
    'struct gpuvchan_channel \*gpuvchan_channel_again\(const char \*.fIa.fB,.fP$'
is "a new function: its own page" "$(cat "$work/man3/gpuvchan_channel_again.3")" ".so man3/gpuvchan_channel.3"
run 20 "$manual" -o "$work/man3" "$work/nothing.h"
like "refused: no such header" "$status $errors" '^1 .*nothing\.h'

# ---- Rendering ---------------------------------------------------------------------------------

if command -v groff >/dev/null; then
    : >"$work/complaints"
    for page in "$pages"/*.3; do
        grep -q '^\.so ' "$page" || groff -man -Tascii -ww "$page" 2>>"$work/complaints" >/dev/null
    done
    is "groff: nothing to complain about" "$(cat "$work/complaints")" ""
else
    skip "groff: nothing to complain about" "groff is not installed"
fi
if command -v mandoc >/dev/null; then
    # .so counts from there.
    is "mandoc: no error" "$(cd "$build/man" && mandoc -T lint -W error man3/*.3)" ""
else
    skip "mandoc: no error" "mandoc is not installed"
fi
run 20 env LC_ALL=C MANWIDTH=80 man -M "$build/man" gpuvchan_channel_connect
case $output in
*DESCRIPTION*) like "man shows the page of a function" "$output" ' gpuvchan_channel_connect\(const char \*address,' ;;
*) skip "man shows the page of a function" "there is no man here that shows pages" ;;
esac

# ---- gpuvchan-host.conf(5) ---------------------------------------------------------------------

conf=$top/host/gpuvchan-host.conf.5.scd
if [ -x "$build/bin/gpuvchan-host" ]; then
    # The entries below the heading [host]: "key text", a line each.
    awk '/^#/ { inside = $0 == "## [host]"; key = "" }
        inside && /^\*[a-z-]+\* =/ { key = substr($1, 2, length($1) - 2); text[key] = ""; next }
        key != "" && /^\t/ { text[key] = text[key] " " $0 }
        key != "" && !/^\t/ { key = "" }
        END { for (key in text) print key text[key] }' "$conf" | tr -d '\t' | LC_ALL=C sort >"$work/entries"
    run 20 "$build/bin/gpuvchan-host" -c /dev/null --dump-config
    printf '%s\n' "$output" | sed -n '/^\[host\]/,/^\[[^h]/s/^\([a-z-]*\) =/\1/p' | LC_ALL=C sort -u >"$work/keys"
    is "gpuvchan-host.conf(5): the keys are those of gpuvchan-host" "$(sed 's/ .*//' "$work/entries")" \
        "$(sed 's/ .*//' "$work/keys")"
    # Of the others the default depends on the machine.
    wrong=$(grep -v '^address\|^plugin-dir' "$work/keys" | while read -r key value; do
        [ -z "$value" ] || grep -Eq "^$key .*Default: .*\b$value\b" "$work/entries" || echo "$key: $value"
    done)
    is "gpuvchan-host.conf(5): so are the defaults" "$wrong" ""
    awk '/^# EXAMPLES/ { inside = 1 } inside && /^```/ { code = !code; next } code' "$conf" |
        grep -v '^allow-uids\|^socket-group' >"$work/example.conf" # who is there depends on the machine
    run 20 "$build/bin/gpuvchan-host" -c "$work/example.conf" --dump-config
    is "gpuvchan-host.conf(5): the example is read" "$status" 0
    [ "$status" -eq 0 ] || diag "$errors"
else
    skip "gpuvchan-host.conf(5)" "gpuvchan-host is not built"
fi

done_testing
