#!/bin/sh
# SPDX-License-Identifier: MIT
#
# OpenGL: real programs on a real X server, natively and through the real gpuvchan-host. A program's window has the same
# picture either way.

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
"$host" -c /dev/null --dump-plugin gl >"$work/plugin" 2>"$work/plugin.err"
if grep -q '^driver=none' "$work/plugin"; then
    like "without EGL: the plugin says what to install" "$(cat "$work/plugin.err")" 'gl: .*(Mesa|platform)'
    skip "all that draws" "there is no EGL that renders here"
    done_testing
fi
cd "$work" || bail "cannot enter $work"
cc_gl() {
    "${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -Wall "$top/tests/gl/$1.c" -o "$work/$1" -lGL -lEGL -lX11 -lpthread
}
cc_gl picture && cc_gl life || bail "tests/gl/*.c do not compile"

# ---- An X server, and a host -------------------------------------------------------------------

# Sets DISPLAY.
start_server() {
    start "$1" Xvfb -displayfd 1 -screen 0 1280x800x24 -nolisten tcp
    server=$pid
    within 30 test -s "$1.out" || bail "Xvfb does not start: $(cat "$1.err")"
    DISPLAY=:$(cat "$1.out")
    export DISPLAY
}
start_host() {
    start "$1" "$host" -c /dev/null -a "$work/$1.sock" --plugins=gl --spare-workers=0
    host_pid=$pid
    within 30 grep -q "listens at" "$1.err" || bail "the host does not start: $(cat "$1.err")"
}
start_server x
start_host host
native() {
    run 120 env LP_NUM_THREADS=0 "$@"
}
forwarded() {
    run 120 "$launch" -a "$work/host.sock" "$@"
}

# ---- The plugin --------------------------------------------------------------------------------

like "the plugin names the renderer" "$(cat plugin)" '^renderer=.'
like "the plugin has OpenGL" "$(cat plugin)" '^opengl_compatibility=[1-9]'
run 30 "$host" -c /dev/null gl.platform=nonsense --dump-plugin gl
like "a platform that there is not" "$status $errors" "^[1-9].*gl: platform is 'nonsense'; it can be auto"
run 30 "$host" -c /dev/null gl.library=/nonexistent/libEGL.so.1 --dump-plugin gl
like "no EGL at all: dump" "$output" '^driver=none'
like "no EGL at all: what to do" "$errors" 'there is no EGL here: .*Install the GPU'

# ---- Pictures ----------------------------------------------------------------------------------

for interface in glx egl; do
    for what in still resize twice; do
        native ./picture $interface $what
        natively=$status:$output
        [ $what != still ] || still=$natively
        forwarded ./picture $interface $what
        is "$interface $what: as native" "$status:$output" "$natively"
        is "$interface $what: without a word" "$errors" ""
    done
    # Natively the program is ended by that now and then.
    forwarded ./picture $interface destroy
    is "$interface destroy: the next window has its picture" "$status:$output" "$still"
    # Each thread its own window, in any order.
    native ./picture $interface threads
    natively=$status:$output
    forwarded ./picture $interface threads
    is "$interface threads: as native" "$status:$output" "$natively"
done
for what in single pixmap states; do
    native ./picture glx $what
    natively=$status:$output
    forwarded ./picture glx $what
    is "glx $what: as native" "$status:$output" "$natively"
done
native ./picture glx
natively=$status:$output
run 60 "$host" -c /dev/null -p "$build/lib/gpuvchan/plugins" --plugins=gl gl.turn=copy --run "$launch ./picture glx"
is "turned by a copy: as native" "$status:$output" "$natively"
run 60 env GPUVCHAN_SYNC=1 "$launch" -a "$work/host.sock" ./picture glx
is "posts that wait: as native" "$status:$output" "$natively"

forwarded ./life
is "threads that end, and forks" "$status:$output" "0:contexts of threads that have ended: 40 of 40
child: a context of its own
child: status 0
parent: as before
end"
is "threads that end, and forks: without a word" "$errors" ""

# ---- Programs ----------------------------------------------------------------------------------

if command -v glxinfo >/dev/null; then
    forwarded glxinfo -B
    is "glxinfo: status" "$status" 0
    like "glxinfo: direct" "$output" '^direct rendering: Yes'
    like "glxinfo: names us" "$output" 'OpenGL vendor string: gpuvchan'
    like "glxinfo: names the host's renderer" "$output" "OpenGL renderer string: gpuvchan \\($(sed -n 's/^renderer=\([A-Za-z0-9]*\).*/\1/p' plugin)"
    version=$(sed -n 's/^opengl_core=//p' plugin)
    like "glxinfo: the host's version" "$output" "OpenGL core profile version string: $version"
    forwarded glxinfo
    is "glxinfo, all of it: status" "$status" 0
    forwarded eglinfo
    like "eglinfo: names us" "$output" 'EGL vendor string: gpuvchan'
    # They draw until they are ended, and print how fast after five seconds.
    for program in glxgears es2gears_x11; do
        run 12 env GPUVCHAN_STATS=1 "$launch" -a "$work/host.sock" stdbuf -oL $program
        like "$program: draws" "$output" '[1-9][0-9]* frames in [0-9.]+ seconds'
        is "$program: says nothing bad" "$(printf '%s\n' "$errors" | grep -i 'gpuvchan.*\(ended\|fail\|error\)')" ""
    done
else
    skip "glxinfo, eglinfo, glxgears, es2gears" "mesa-utils is not installed"
fi

# ---- No host -----------------------------------------------------------------------------------

run 60 "$launch" -n -a "$work/nowhere.sock" ./picture glx
is "no host: the program draws as native" "$status:$output" "$natively"
like "no host: one line on stderr" "$errors" "^gpuvchan's GLX: no host renders for this program.*nowhere.sock"
is "no host: one line alone" "$(printf '%s\n' "$errors" | wc -l | tr -d ' ')" 1
run 60 "$launch" -n -a "$work/nowhere.sock" ./picture egl
is "no host, EGL: the program draws as native" "$status:$output" "$natively"
like "no host, EGL: one line on stderr" "$errors" "^gpuvchan's (EGL|GLX): no host renders for this program"

# ---- The end of one of the three ---------------------------------------------------------------

start_host second
for interface in glx egl; do
    start "killed-$interface" "$launch" -a "$work/second.sock" ./picture $interface forever
    eval "killed_$interface=\$pid"
    ok "$interface, host killed: it draws before" within 60 grep -q drawing "killed-$interface.out"
done
workers=$(pgrep -P "$host_pid")
# shellcheck disable=SC2086 # a list
kill -KILL "$host_pid" $workers
# shellcheck disable=SC2154 # set by eval
ok "egl, host killed: eglSwapBuffers refuses" within 60 grep -q 'refused, error 0x300e' killed-egl.out
ok "egl, host killed: the program ends" within 60 gone "$killed_egl"
for interface in glx egl; do
    ok "$interface, host killed: one line on stderr" within 60 grep -q "connection to the GPU's host has ended" \
        "killed-$interface.err"
done
# shellcheck disable=SC2154
ok "glx, host killed: the program is not killed by that" alive "$killed_glx"
kill -KILL "$killed_glx"

start orphan "$launch" -a "$work/host.sock" ./picture glx forever
orphan=$pid
ok "X server killed: it draws before" within 60 grep -q drawing orphan.out
kill -KILL "$server"
ok "X server killed: the program ends" within 60 gone "$orphan"

start_server y
forwarded ./picture glx
is "the first host serves on" "$status:$output" "$natively"

done_testing
