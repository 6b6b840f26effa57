#!/bin/sh
# SPDX-License-Identifier: MIT
#
# make install and uninstall; a backend that is built and run against what was installed; what the shared
# objects export.

. "$(dirname "$0")/tap.sh"

unset GPUVCHAN_PLUGIN_DIR GPUVCHAN_LOG GPUVCHAN_ADDRESS LD_LIBRARY_PATH SANITIZE MAKEFLAGS MAKEOVERRIDES DESTDIR
command -v scdoc >/dev/null || skip_all "scdoc is not installed"
command -v pkg-config >/dev/null || skip_all "pkg-config is not installed"
for built in bin/gpuvchan-host lib/gpuvchan/plugins/cuda.so lib/gpuvchan/guest/libcuda.so.1; do
    [ -e "$build/$built" ] || skip_all "$build/$built is not built"
done
if nm -D "$build/lib/libgpuvchan.so.0" | grep -q '__asan\|__tsan\|__ubsan'; then
    skip_all "a build with sanitizers is not installed"
fi

# The folders are compiled in: a copy of the tree is made for the others, and the tree stays as it is.
cp -a "$build" "$work/build" || bail "cannot copy $build"
rm -rf "$work/build/installed"
root=$work/root
mkdir -p "$root/usr/bin" "$root/usr/share"
echo theirs >"$root/usr/bin/gpuvchan-other"

make_it() {
    run 300 make -C "$top" --no-print-directory BUILD="$work/build" PREFIX=/usr "$@"
}
listing() {
    (cd "$root" && find . ! -type d | LC_ALL=C sort)
}

# ---- Install -----------------------------------------------------------------------------------

make_it install DESTDIR="$root"
is "install: status" "$status" 0
[ "$status" -eq 0 ] || diag "$output$errors"
first=$(listing)
libdir=$(dirname "$(cd "$root" && find . -name libgpuvchan.so.0)")
lib=$root/${libdir#./}
for file in usr/bin/gpuvchan-host usr/bin/gpuvchan-run usr/bin/gpuvchan-bench usr/bin/gpuvchan-scanner \
    "$libdir/gpuvchan/plugins/cuda.so" "$libdir/gpuvchan/guest/libcuda.so.1" "$libdir/gpuvchan/sim/libcuda.so.1" \
    "$libdir/gpuvchan/plugins/nvml.so" "$libdir/gpuvchan/guest/libnvidia-ml.so.1" \
    usr/share/gpuvchan/protocol/nvml/nvml.gpv usr/share/gpuvchan/protocol/gl/gl-commands.gpv \
    "$libdir/gpuvchan/plugins/gl.so" "$libdir/gpuvchan/guest/libgpuvchan-gl.so.0" \
    "$libdir/gpuvchan/guest/libGLX_gpuvchan.so.0" "$libdir/gpuvchan/guest/libEGL_gpuvchan.so.0" \
    "$libdir/gpuvchan/guest/egl_vendor.json" "$libdir/libGLX_gpuvchan.so.0" \
    usr/share/glvnd/egl_vendor.d/10_gpuvchan.json usr/share/doc/gpuvchan/gl-coverage.md \
    "$libdir/pkgconfig/gpuvchan.pc" usr/include/gpuvchan/gpuvchan.h usr/include/gpuvchan/plugin.h \
    usr/include/gpuvchan/protocol.h usr/share/gpuvchan/protocol/cuda.gpv usr/share/man/man7/gpuvchan.7 \
    usr/share/man/man8/gpuvchan-host.8 usr/share/man/man5/gpuvchan-host.conf.5 usr/share/man/man1/gpuvchan-run.1 \
    usr/share/man/man3/gpuvchan_channel.3 usr/share/man/man3/gpuvchan_channel_connect.3 \
    usr/share/doc/gpuvchan/cuda-coverage.md usr/share/doc/gpuvchan/examples/gpuvchan-host.conf usr/lib/systemd/system/gpuvchan-host.service; do
    ok "installed: $file" test -s "$root/$file"
done
not_ok "installed: no example" test -e "$lib/gpuvchan/plugins/hello.so"
is "installed: the links" "$(readlink "$lib/libgpuvchan.so") $(readlink "$lib/libgpuvchan.so.0")" \
    "libgpuvchan.so.0 libgpuvchan.so.$(sed -n 's/^VERSION := //p' "$top/Makefile")"
is "installed: nothing is left to fill in" "$(grep -rIl '@[A-Z]*@' "$root")" ""
is "installed: no path of the build" "$(grep -rl -F "$top" "$root")" ""
like "unit: the path of the program" "$(cat "$root/usr/lib/systemd/system/gpuvchan-host.service")" \
    '^ExecStart=/usr/bin/gpuvchan-host '
ok "manual pages are manual pages" \
    sh -c 'for page in "$1"/usr/share/man/man*/*; do grep -q "^\.TH \|^\.so " "$page" || exit 1; done' sh "$root"
make_it install DESTDIR="$root"
is "install again: status" "$status" 0
is "install again: the same" "$(listing)" "$first"

# ---- A backend against it ----------------------------------------------------------------------

export PKG_CONFIG_LIBDIR="$lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root"
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
like "pkg-config: flags" "$(pkg-config --cflags --libs gpuvchan)" "^-I$root/usr/include -L$lib -lgpuvchan *\$"
like "pkg-config: plugindir" "$(pkg-config --variable=plugindir gpuvchan)" "/gpuvchan/plugins\$"
like "pkg-config: scanner" "$(pkg-config --variable=scanner gpuvchan)" "/usr/bin/gpuvchan-scanner\$"

mkdir "$work/hello"
cd "$work/hello" || bail "cannot enter $work/hello"
run 120 env LDFLAGS="-Wl,-rpath,$lib" CFLAGS="-O2 -Wall -Wextra -Werror" \
    make -f "$top/examples/hello/Makefile" SCANNER="$root/usr/bin/gpuvchan-scanner"
is "hello: builds out of tree" "$status" 0
[ "$status" -eq 0 ] || diag "$output$errors"
run 30 "$root/usr/bin/gpuvchan-host" -c /dev/null -p "$work/hello" --run "$work/hello/hello there"
is "hello: runs" "$status $output" "0 Hello, there, on lane 0
the sum is 10
THIS WENT THROUGH SHARED MEMORY
counted to 2000"
run 30 "$root/usr/bin/gpuvchan-host" -c /dev/null -p "$lib/gpuvchan/plugins" --list-plugins
like "the installed host finds the installed plugin" "$status $output" '^0 .*cuda'
run 30 "$root/usr/bin/gpuvchan-bench" --version
is "gpuvchan-bench: starts" "$status" 0
run 30 "$root/usr/bin/gpuvchan-run" --print-env
is "gpuvchan-run: starts" "$status" 0

# ---- What is exported --------------------------------------------------------------------------

exports() {
    nm -D --defined-only "$1" | awk '{ print $NF }' | LC_ALL=C sort
}
so=$lib/libgpuvchan.so.0
like "SONAME" "$(readelf -d "$so")" 'SONAME.*\[libgpuvchan\.so\.0\]'
is "every symbol has the release's node" "$(exports "$so" | grep -v '@@GPUVCHAN_0\.1$' | grep -v '^GPUVCHAN_0\.1$')" ""
exports "$so" | sed -n 's/@.*//; /^gpuvchan_/p' >"$work/exported"
# The functions that the headers declare: a name behind GPUVCHAN_EXPORT, with the type on the line or on the one before.
cat "$root"/usr/include/gpuvchan/*.h | tr '\n' ' ' | tr ';{' '\n\n' |
    sed -n 's/.*GPUVCHAN_EXPORT [^(]*[ *]\(gpuvchan_[a-z0-9_]*\)(.*/\1/p' | LC_ALL=C sort -u |
    grep -v '^gpuvchan_plugin_entry$' >"$work/declared"
is "exported and declared are the same" "$(diff "$work/declared" "$work/exported")" ""
is "cuda.so exports its entry alone" "$(exports "$lib/gpuvchan/plugins/cuda.so")" gpuvchan_plugin_entry
# Its own name tells it from a driver's, for whoever looks for one.
is "the guest's libcuda.so.1 exports CUDA alone, and its mark" \
    "$(exports "$lib/gpuvchan/guest/libcuda.so.1" | grep -v '^cu[A-Z]')" gpuvchan_guest_libcuda
is "nvml.so exports its entry alone" "$(exports "$lib/gpuvchan/plugins/nvml.so")" gpuvchan_plugin_entry
is "the guest's libnvidia-ml.so.1 exports NVML alone, and its mark" \
    "$(exports "$lib/gpuvchan/guest/libnvidia-ml.so.1" | grep -v '^nvml[A-Z]')" gpuvchan_guest_libnvidia_ml
is "the simulated libcuda.so.1 exports CUDA alone" "$(exports "$lib/gpuvchan/sim/libcuda.so.1" | grep -v '^cu[A-Z]')" ""
for name in guest sim; do
    like "$name: SONAME" "$(readelf -d "$lib/gpuvchan/$name/libcuda.so.1")" 'SONAME.*\[libcuda\.so\.1\]'
done
like "guest: SONAME of NVML" "$(readelf -d "$lib/gpuvchan/guest/libnvidia-ml.so.1")" 'SONAME.*\[libnvidia-ml\.so\.1\]'
is "gl.so exports its entry alone" "$(exports "$lib/gpuvchan/plugins/gl.so")" gpuvchan_plugin_entry
is "libGLX_gpuvchan.so.0 exports its entry alone" "$(exports "$lib/gpuvchan/guest/libGLX_gpuvchan.so.0")" __glx_Main
is "libEGL_gpuvchan.so.0 exports its entry alone" "$(exports "$lib/gpuvchan/guest/libEGL_gpuvchan.so.0")" __egl_Main
is "libgpuvchan-gl.so.0 exports what is ours alone" \
    "$(exports "$lib/gpuvchan/guest/libgpuvchan-gl.so.0" | grep -v '^gpuvchan_gl_')" ""
like "libEGL is told where ours is" "$(cat "$root/usr/share/glvnd/egl_vendor.d/10_gpuvchan.json")" \
    "\"library_path\": \"/usr/.*/gpuvchan/guest/libEGL_gpuvchan.so.0\""
is "the library links no Xen library" "$(readelf -d "$so" | grep -i 'NEEDED.*xen')" ""

# ---- Uninstall ---------------------------------------------------------------------------------

make_it uninstall DESTDIR="$root"
is "uninstall: status" "$status" 0
is "uninstall: leaves what is not ours, and nothing else" "$(listing)" "./usr/bin/gpuvchan-other"
is "uninstall: no folder of ours" "$(find "$root" -mindepth 1 -type d -name gpuvchan)" ""
make_it uninstall DESTDIR="$root"
is "uninstall again: status" "$status" 0

done_testing
