#!/bin/sh
# SPDX-License-Identifier: MIT
#
# OpenGL's commands: tests/gl/commands.c draws and asks with all kinds of them. It says the same natively and forwarded,
# and so do glmark2's scenes.

. "$(dirname "$0")/tap.sh"

unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG GPUVCHAN_ADDRESS GPUVCHAN_ARENA GPUVCHAN_SYNC GPUVCHAN_STATS LD_LIBRARY_PATH \
    __GLX_VENDOR_LIBRARY_NAME __EGL_VENDOR_LIBRARY_FILENAMES __EGL_VENDOR_LIBRARY_DIRS DISPLAY LIBGL_ALWAYS_INDIRECT
host=$build/bin/gpuvchan-host
launch=$build/bin/gpuvchan-run
for built in bin/gpuvchan-host bin/gpuvchan-run lib/gpuvchan/plugins/gl.so lib/gpuvchan/guest/libGLX_gpuvchan.so.0; do
    [ -e "$build/$built" ] || skip_all "$build/$built is not built"
done
command -v Xvfb >/dev/null || skip_all "Xvfb is not installed"
if nm -D "$build/lib/libgpuvchan.so.0" 2>/dev/null | grep -q '__asan\|__tsan'; then
    skip_all "programs that are not built with sanitizers cannot load libraries that are"
fi
"$host" -c /dev/null --dump-plugin gl >"$work/plugin" 2>/dev/null
grep -q '^driver=none' "$work/plugin" && skip_all "there is no EGL that renders here"
cd "$work" || bail "cannot enter $work"
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -Wall -Werror "$top/tests/gl/commands.c" "$top/tests/gl/commands_objects.c" \
    -o commands -lGL -lX11 ||
    bail "tests/gl/commands.c does not compile"

start x Xvfb -displayfd 1 -screen 0 1280x800x24 -nolisten tcp
within 30 test -s x.out || bail "Xvfb does not start: $(cat x.err)"
DISPLAY=:$(cat x.out)
export DISPLAY
start host "$host" -c /dev/null -a "$work/host.sock" --plugins=gl --spare-workers=0
within 30 grep -q "listens at" host.err || bail "the host does not start: $(cat host.err)"
forwarded() {
    run 120 "$launch" -a "$work/host.sock" "$@"
}

run 120 ./commands
is "natively the commands end" "$status" 0
natively=$output
is "there are all of them" "$(($(printf '%s\n' "$natively" | wc -l) > 70))" 1
forwarded ./commands
is "forwarded they end" "$status" 0
is "nothing is said of them" "$errors" ""
is "pictures, numbers and errors are the same" "$output" "$natively"

# What is wrong with a post is told at once.
forwarded env GPUVCHAN_SYNC=1 ./commands
is "with waiting they end" "$status" 0
is "and say the same" "$output" "$natively"

if command -v glmark2 >/dev/null; then
    scenes="-b build:use-vbo=false -b build:use-vbo=true -b texture -b shading:shading=phong -b bump -b effect2d -b pulsar
        -b desktop -b buffer:update-method=map -b buffer:update-method=subdata:interleave=true -b conditionals -b loop"
    # shellcheck disable=SC2086 # a list
    run 120 glmark2 --validate $scenes
    natively=$(printf '%s\n' "$output" | grep Validation)
    # shellcheck disable=SC2086
    forwarded glmark2 --validate $scenes
    is "glmark2's pictures are as they must be" "$(printf '%s\n' "$output" | grep Validation)" "$natively"
else
    skip "glmark2's scenes" "glmark2 is not installed"
fi
done_testing
