#!/bin/sh
# SPDX-License-Identifier: MIT
#
# examples/sharpen: its filters against the same arithmetic written plainly, at sizes where all is edge, and what
# it says of wrong files.

. "$(dirname "$0")/tap.sh"

client=$build/bin/sharpen-client
[ -x "$client" ] && [ -e "$build/lib/gpuvchan/plugins/sharpen.so" ] || skip_all "the sharpen example is not built"
command -v python3 >/dev/null || skip_all "needs python3"
unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG GPUVCHAN_ADDRESS GPUVCHAN_ARENA
cd "$work" || bail "cannot enter $work"

cat >pictures.py <<'EOF_PY'
import random, struct, sys, zlib

COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
FILTERS = {"sharpen": (1, 1, 0), "blur": (1, -1, 0), "relief": (0, 4, 128)}
WEIGHTS = (1, 4, 6, 4, 1)
PICTURES = [(f"{channels}-{width}.png", width, height, channels)
            for channels in (1, 2, 3, 4) for width, height in ((1, 1), (2, 3), (7, 5), (33, 20))]

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

def write(name, width, height, channels):
    random.seed(name)
    rows = b"".join(b"\0" + bytes(random.randrange(256) for _ in range(width * channels)) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPE[channels], 0, 0, 0)
    with open(name, "wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

def read(name):
    data, at, packed = open(name, "rb").read(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            width, height, _, colour = struct.unpack(">IIBB", data[at + 8:at + 18])
        if kind == b"IDAT":
            packed += data[at + 8:at + 8 + size]
        at += 12 + size
    channels = next(number for number, kind in COLOUR_TYPE.items() if kind == colour)
    raw, rows, above = zlib.decompress(packed), [], [0] * (width * channels)
    for start in range(0, len(raw), width * channels + 1):
        row = list(raw[start + 1:start + 1 + width * channels])
        for i in range(len(row)):
            a, b, c = row[i - channels] if i >= channels else 0, above[i], above[i - channels] if i >= channels else 0
            paeth = min((a, b, c), key=lambda value: abs(a + b - c - value))
            row[i] = row[i] + (0, a, b, (a + b) // 2, paeth)[raw[start]] & 255
        rows.append(row)
        above = row
    return width, height, channels, rows

def expected(name, filter_name, amount):
    width, height, channels, rows = read(name)
    keep, share, base = FILTERS[filter_name]
    def sample(x, y, k):
        return rows[min(max(y, 0), height - 1)][min(max(x, 0), width - 1) * channels + k]
    def value(x, y, k):
        own = sample(x, y, k)
        if channels % 2 == 0 and k == channels - 1:
            return own
        blur = sum(WEIGHTS[i] * WEIGHTS[j] * sample(x + j - 2, y + i - 2, k) for i in range(5) for j in range(5))
        return min(255, max(0, own * keep + base + ((256 * own - blur) * int(amount * 256) * share + 32768 >> 16)))
    return [[value(x, y, k) for x in range(width) for k in range(channels)] for y in range(height)]

if sys.argv[1] == "write":
    for picture in PICTURES:
        write(*picture)
        print(picture[0])
else:
    filter_name, amount = sys.argv[2], float(sys.argv[3])
    for name, *_ in PICTURES:
        if read(f"{filter_name}-{name}")[3] != expected(name, filter_name, amount):
            print(f"{name} is wrong")
EOF_PY
python3 pictures.py write >names || bail "no pictures"

start host "$build/bin/gpuvchan-host" -c /dev/null --address="$work/host.sock" --log=stderr
export GPUVCHAN_ADDRESS="$work/host.sock"
within 10 test -S host.sock || bail "the host does not start: $(cat host.err)"

for filter in sharpen:0.75 sharpen:20 blur:0.5 relief:1; do
    failures=0
    while read -r name; do
        "$client" --filter="${filter%:*}" --amount="${filter#*:}" "$name" "${filter%:*}-$name" >/dev/null ||
            failures=$((failures + 1))
    done <names
    is "$filter: every picture" "$failures" 0
    is "$filter: every pixel" "$(python3 pictures.py compare "${filter%:*}" "${filter#*:}" 2>&1)" ""
done
run 20 "$client" --amount=0 3-33.png same.png
like "the size is told" "$output" '3-33.png: 33 x 20 pixels of 3 channels, sharpen 0 in '
is "an amount of 0 changes nothing" "$(python3 -c 'import sys
sys.argv[1:] = ["write"]
exec(open("pictures.py").read().split("if sys.argv")[0])
print(read("3-33.png") == read("same.png"))')" True
run 20 "$client" --list
is "list" "$status $output" "0 sharpen blur relief"

head -c 100 4-33.png >cut.png
while IFS='|' read -r arguments message; do
    # shellcheck disable=SC2086 # several
    run 20 "$client" $arguments
    like "$arguments" "$status $errors" "^[12] $message"
done <<EOF_CASES
pictures.py out.png|sharpen-client: pictures.py: Not a PNG
missing.png out.png|sharpen-client: missing.png: No such file
cut.png out.png|sharpen-client: cut.png: 
3-33.png missing/out.png|sharpen-client: missing/out.png: No such file
--filter=soften 3-33.png out.png|sharpen-client: soften: the host has no such filter
--amount=21 3-33.png out.png|sharpen-client: sharpen: the host refuses
--amount=-1 3-33.png out.png|sharpen-client: sharpen: the host refuses
--amount=nan 3-33.png out.png|sharpen-client: sharpen: the host refuses
--amount=much 3-33.png out.png|Usage
3-33.png|Usage
EOF_CASES
not_ok "none of these has written anything" test -e out.png
run 20 env GPUVCHAN_ARENA=64K "$client" "$top/examples/sharpen/scene.png" out.png
like "a small arena" "$status $errors" "1 sharpen-client: twice 460800 bytes do not fit into the arena"
run 20 env GPUVCHAN_ADDRESS="$work/nobody.sock" "$client" 3-33.png out.png
like "no host" "$status $errors" "1 sharpen-client: no host"
ok "the host is alive" alive "$pid"

done_testing
