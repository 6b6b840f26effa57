#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Compares our nvml_api.h with the vendor's nvml.h where one is installed: every enumerator and number, the size of
# every type, the offset of every member, the type of every function. The first program is made from our header's
# text and compiled twice, once with each header; the outputs must agree. And the guest's library must export every
# function that the vendor's header declares.
#
# NVML_H names the vendor's header; CUDA_HOME chooses its tree; CC the compiler.

. "$(dirname "$0")/tap.sh"

ours=$top/libgpuvchan/protocol/nvml/nvml_api.h
library=$build/lib/gpuvchan/guest/libnvidia-ml.so.1
cc=${CC:-cc}

vendor=
for file in ${NVML_H:+"$NVML_H"} ${CUDA_HOME:+"$CUDA_HOME/include/nvml.h"} /usr/local/cuda/include/nvml.h \
    /usr/local/cuda-13.0/include/nvml.h /opt/cuda/include/nvml.h /usr/include/nvml.h; do
    if [ -f "$file" ]; then
        vendor=$file
        break
    fi
done
[ -n "$vendor" ] || skip_all "no nvml.h is installed"
grep -q '^#define NVML_API_VERSION *1[3-9]' "$vendor" || skip_all "$vendor is older than NVML 13"

# A line "name number" per fact. The vendor's header has its newest functions under the first names, by macros.
awk '
function fact(label, expression) {
    printf "    printf(\"%%s %%lld\\n\", \"%s\", (long long)(%s));\n", label, expression
}
function member(line, name) {
    name = line
    sub(/;.*/, "", name)
    gsub(/\[[^]]*\]/, "", name)
    sub(/^.*[ *]/, "", name)
    members[++count] = name
}
BEGIN {
    print "#define NVML_NO_UNVERSIONED_FUNC_DEFS\n#include HEADER\n#include <stddef.h>\n#include <stdio.h>\nint main(void)\n{"
}
/^ +X\(NVML_/ { split($1, p, /[(,]/); fact(p[2], p[2]) }
/^#define (NVML|nvml)[A-Za-z0-9_]* +[^ ]/ { fact($2, $2) }
/^typedef enum/ { in_enum = 1; next }
in_enum && /^}/ { in_enum = 0; sub(/;/, "", $2); fact("sizeof " $2, "sizeof(" $2 ")") }
in_enum && $2 == "=" { fact($1, $1) }
/^typedef (struct|union) {/ { depth = 1; count = 0; next }
depth > 0 && /{$/ { depth++; next }
depth > 1 && /}/ { depth--; if (depth == 1) member($0); next }
depth == 1 && /^}/ {
    depth = 0
    sub(/;/, "", $2)
    fact("sizeof " $2, "sizeof(" $2 ")")
    for (i = 1; i <= count; i++)
        fact($2 "." members[i], "offsetof(" $2 ", " members[i] ")")
    next
}
depth == 1 { member($0) }
/^typedef unsigned int nvml/ { sub(/;/, "", $4); fact("sizeof " $4, "sizeof(" $4 ")") }
END { print "    return 0;\n}" }
' "$ours" >"$work/facts.c"

build() {
    "$cc" -std=gnu11 -w -DHEADER="\"$2\"" -o "$work/$1" "$work/facts.c" 2>"$work/$1.err" &&
        "$work/$1" | LC_ALL=C sort -u >"$work/$1.out"
}
if build ours "$ours"; then
    pass "our header compiles ($(wc -l <"$work/ours.out") facts)"
else
    fail "our header compiles"
    diag "$(head -n 5 "$work/ours.err")"
fi
if build vendor "$vendor"; then
    pass "the vendor's header has every name"
else
    fail "the vendor's header has every name"
    diag "$(grep error "$work/vendor.err" | head -n 20)"
fi
is "values, sizes and offsets agree" "$(diff "$work/ours.out" "$work/vendor.out" | head -n 40)" ""

# Functions: their parameters' sizes and kinds, from both headers' text.
prototypes() {
    "$cc" -E -P -x c -DNVML_NO_UNVERSIONED_FUNC_DEFS "$1" | tr '\n' ' ' | tr ';}' '\n\n' |
        sed -n 's/__attribute__ *(([^)]*)*))*//g; s/^.*nvmlReturn_t  *\(nvml[A-Za-z0-9_]*\) *(\(.*\)) *$/\1(\2)/p'
}
prototypes "$vendor" | sed 's/(.*//' | LC_ALL=C sort -u >"$work/declared"
nm -D --defined-only "$library" | awk '{ print $NF }' | LC_ALL=C sort -u >"$work/exported"
like "functions of the vendor's header" "$(wc -l <"$work/declared")" '^ *[34][0-9][0-9]'
is "every one is exported" "$(LC_ALL=C comm -23 "$work/declared" "$work/exported")" ""
parameters() {
    prototypes "$1" | awk -F'[(]' '{
        n = split($2, p, ",")
        line = $1
        for (i = 1; i <= n; i++)
            line = line " " (p[i] ~ /[*]/ ? "pointer" : p[i] ~ /long long/ ? "u64" : p[i] ~ /(Device|EventSet|Unit)_t/ ? "handle" : p[i] ~ /void/ ? "" : "u32")
        print line
    }' | LC_ALL=C sort -u
}
parameters "$ours" >"$work/ours.parameters"
parameters "$vendor" >"$work/vendor.parameters"
sed 's/ .*//' "$work/ours.parameters" | LC_ALL=C join - "$work/vendor.parameters" >"$work/vendor.common"
is "functions take what the vendor's take" "$(diff "$work/ours.parameters" "$work/vendor.common" | head -n 20)" ""

done_testing
