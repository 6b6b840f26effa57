#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Compares our cuda_api.h with the vendor's cuda.h where one is installed:
# every enumerator and number, the size of every type, the offset of every
# member. One program is made from our header's text and compiled twice, once
# with each header; the outputs must agree.
#
# CUDA_HOME chooses the vendor's tree; CC the compiler.

here=$(cd "$(dirname "$0")/.." && pwd)
ours=$here/libgpuvchan/protocol/cuda/cuda_api.h
cc=${CC:-cc}

vendor=
for dir in ${CUDA_HOME:+"$CUDA_HOME/include"} /usr/local/cuda/include \
	/opt/cuda/include /usr/include; do
	if [ -f "$dir/cuda.h" ]; then
		vendor=$dir
		break
	fi
done
if [ -z "$vendor" ]; then
	echo "1..0 # skip no cuda.h installed"
	exit 0
fi
if ! grep -q '^#define CUDA_VERSION 13000' "$vendor/cuda.h"; then
	echo "1..0 # skip $vendor/cuda.h is not of CUDA 13.0"
	exit 0
fi

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# The generated program prints one "name number" line per fact.
awk '
function fact(label, expr) {
	printf "\tprintf(\"%%s %%lld\\n\", \"%s\", (long long)(%s));\n", label, expr
}
function members(line,    n, parts, i, name) {
	sub(/__attribute__.*$/, ";", line)
	sub(/;.*$/, "", line)
	n = split(line, parts, ",")
	for (i = 1; i <= n; i++) {
		name = parts[i]
		gsub(/\[[^]]*\]/, "", name)
		sub(/[ \t]+$/, "", name)
		sub(/^.*[ \t*]/, "", name)
		member[++count] = name
	}
}
BEGIN { print "#include HEADER\n#include <stddef.h>\n#include <stdio.h>\nint main(void)\n{" }
/^#define CU[A-Z0-9_]* +[^ ]/ && !/\\$/ && !/HAS_BEEN_DEFINED/ { fact($2, $2) }
/^\tX\(CUDA_/ { split($1, p, /[(,]/); fact(p[2], p[2]) }
/^typedef enum/ { in_enum = 1; next }
in_enum && /^}/ { in_enum = 0; sub(/;/, "", $2); fact("sizeof " $2, "sizeof(" $2 ")") }
in_enum {
	n = split($0, p, ",")
	for (i = 1; i <= n; i++)
		if (split(p[i], q, " ") == 3 && q[2] == "=")
			fact(q[1], q[1])
}
/^typedef (struct|union) {/ { depth = 1; count = 0; next }
depth > 0 {
	if ($0 ~ /^}/) {
		depth = 0
		name = $2; sub(/;/, "", name)
		fact("sizeof " name, "sizeof(" name ")")
		fact("alignof " name, "__alignof__(" name ")")
		for (i = 1; i <= count; i++)
			fact(name "." member[i], "offsetof(" name ", " member[i] ")")
		next
	}
	if ($0 ~ /{$/) { depth++; next }
	if ($0 ~ /^\t+}/) {
		depth--
		if (depth == 1 && $0 ~ /}[ ]+[a-zA-Z]/)
			members($0)
		next
	}
	if (depth == 1)
		members($0)
}
/^typedef [^{(]*;/ {
	name = $NF; sub(/;/, "", name); sub(/^\*/, "", name)
	fact("sizeof " name, "sizeof(" name ")")
}
END { print "\treturn 0;\n}" }
' "$ours" >"$work/facts.c"

build()
{
	"$cc" -std=gnu11 -w -DCUDA_ENABLE_DEPRECATED -DHEADER="\"$2\"" -I"$vendor" \
		-o "$work/$1" "$work/facts.c" 2>"$work/$1.err" &&
		"$work/$1" | sort -u >"$work/$1.out"
}

echo "1..3"
status=0
if build ours "$ours"; then
	echo "ok 1 - our header compiles ($(wc -l <"$work/ours.out") facts)"
else
	sed 's/^/# /' "$work/ours.err"
	echo "not ok 1 - our header compiles"
	exit 1
fi
if build vendor "$vendor/cuda.h"; then
	echo "ok 2 - the vendor's header has every name"
else
	grep error "$work/vendor.err" | head -20 | sed 's/^/# /'
	echo "not ok 2 - the vendor's header has every name"
	exit 1
fi
if diff "$work/ours.out" "$work/vendor.out" >"$work/diff"; then
	echo "ok 3 - values, sizes and offsets agree"
else
	head -40 "$work/diff" | sed 's/^/# /'
	echo "not ok 3 - values, sizes and offsets agree"
	status=1
fi
exit $status
