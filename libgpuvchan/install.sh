#!/bin/sh
# SPDX-License-Identifier: MIT
#
# install.sh install|uninstall: called by the Makefile, whose variables it takes from the environment.
#
# each() below is the only list of what is installed where. Uninstalling walks the same list.

set -eu

action=${1:-}
for name in BUILD VERSION SONAME PREFIX BINDIR LIBDIR INCLUDEDIR DATADIR SYSCONFDIR UNITDIR; do
    eval "value=\${$name:-}"
    if [ -z "$value" ]; then
        echo "install.sh: $name is not set; call 'make install' or 'make uninstall'" >&2
        exit 2
    fi
done
root=${DESTDIR:-}
top=$(cd "$(dirname "$0")/.." && pwd)
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
cd "$top"

# It calls file MODE FROM TO, link TARGET TO, filled FROM TO (a text in which @NAME@ is replaced) and
# page FROM TO (a manual page for scdoc). TO is without DESTDIR.
each() {
    file 755 "$BUILD/lib/$SONAME" "$LIBDIR/libgpuvchan.so.$VERSION"
    link "libgpuvchan.so.$VERSION" "$LIBDIR/$SONAME"
    link "$SONAME" "$LIBDIR/libgpuvchan.so"
    for source in libgpuvchan/include/gpuvchan/*.h; do
        file 644 "$source" "$INCLUDEDIR/gpuvchan/${source##*/}"
    done
    filled libgpuvchan/gpuvchan.pc.in "$LIBDIR/pkgconfig/gpuvchan.pc"

    for name in gpuvchan-host gpuvchanctl gpuvchan-run gpuvchan-bench gpuvchan-scanner; do
        file 755 "$BUILD/bin/$name" "$BINDIR/$name"
    done
    for name in cuda gl nvml; do
        file 755 "$BUILD/lib/gpuvchan/plugins/$name.so" "$LIBDIR/gpuvchan/plugins/$name.so"
    done
    for name in libcuda.so.1 libnvidia-ml.so.1 libgpuvchan-gl.so.0 libGLX_gpuvchan.so.0 libEGL_gpuvchan.so.0; do
        file 755 "$BUILD/lib/gpuvchan/guest/$name" "$LIBDIR/gpuvchan/guest/$name"
    done
    link libcuda.so.1 "$LIBDIR/gpuvchan/guest/libcuda.so"
    # For gpuvchan-run; and for who selects it by libglvnd's own means, which find it by these.
    file 644 "$BUILD/lib/gpuvchan/guest/egl_vendor.json" "$LIBDIR/gpuvchan/guest/egl_vendor.json"
    filled guest/gl/egl_vendor.json.in "$DATADIR/glvnd/egl_vendor.d/10_gpuvchan.json"
    link gpuvchan/guest/libGLX_gpuvchan.so.0 "$LIBDIR/libGLX_gpuvchan.so.0"
    file 755 "$BUILD/lib/gpuvchan/sim/libcuda.so.1" "$LIBDIR/gpuvchan/sim/libcuda.so.1"
    file 755 "$BUILD/lib/gpuvchan/transport_xen.so" "$LIBDIR/gpuvchan/transport_xen.so"
    file 755 "$BUILD/lib/gpuvchan/bench_xen.so" "$LIBDIR/gpuvchan/bench_xen.so"
    file 755 "$BUILD/lib/gpuvchan/gpuvchan-keeper" "$LIBDIR/gpuvchan/gpuvchan-keeper"

    for source in libgpuvchan/protocol/scanner/*.py; do
        file 644 "$source" "$DATADIR/gpuvchan/scanner/${source##*/}"
    done
    for source in libgpuvchan/protocol/cuda/*.gpv libgpuvchan/protocol/cuda/cuda_api.h; do
        file 644 "$source" "$DATADIR/gpuvchan/protocol/${source##*/}"
    done
    for source in libgpuvchan/protocol/nvml/*.gpv libgpuvchan/protocol/nvml/*.h; do
        file 644 "$source" "$DATADIR/gpuvchan/protocol/nvml/${source##*/}"
    done

    for source in libgpuvchan/protocol/gl/*.gpv "$BUILD/gen/gl/gl-commands.gpv" libgpuvchan/protocol/gl/*.h; do
        file 644 "$source" "$DATADIR/gpuvchan/protocol/gl/${source##*/}"
    done

    file 644 "$BUILD/doc/gl-coverage.md" "$DATADIR/doc/gpuvchan/gl-coverage.md"
    file 644 "$BUILD/doc/cuda-coverage.md" "$DATADIR/doc/gpuvchan/cuda-coverage.md"
    file 644 host/gpuvchan-host.conf "$DATADIR/doc/gpuvchan/examples/gpuvchan-host.conf"
    for source in host/*.service.in host/*.socket.in; do
        unit=${source##*/}
        filled "$source" "$UNITDIR/${unit%.in}"
    done
    filled host/gpuvchan.sysusers.in "$PREFIX/lib/sysusers.d/gpuvchan.conf"
    for source in $(find libgpuvchan host guest bench -name '*.scd' | sort); do
        name=$(basename "$source" .scd)
        page "$source" "$DATADIR/man/man${name##*.}/$name"
    done
    names=$(libgpuvchan/manual.py --list libgpuvchan/include/gpuvchan/*.h)
    for name in $names; do
        file 644 "$BUILD/man/man3/$name" "$DATADIR/man/man3/$name"
    done
    file 644 host/completion.bash "$DATADIR/bash-completion/completions/gpuvchan-host"
    link gpuvchan-host "$DATADIR/bash-completion/completions/gpuvchan-run"
    file 644 host/ctl/completion.bash "$DATADIR/bash-completion/completions/gpuvchanctl"
    file 644 host/ctl/60-gpuvchan.rules "$PREFIX/lib/udev/rules.d/60-gpuvchan.rules"
}

installing() {
    file() {
        install -D -m "$1" "$2" "$root$3"
    }
    link() {
        mkdir -p "$root${2%/*}"
        ln -sfn "$1" "$root$2"
    }
    # What is made here is written to $new and then renamed, so that no half of it is ever seen.
    make() {
        new=$root$1.new
        mkdir -p "${new%/*}"
    }
    made() {
        chmod 644 "$new"
        mv -f "$new" "$root$1"
    }
    filled() {
        make "$2"
        sed -e "s|@PREFIX@|$PREFIX|g; s|@BINDIR@|$BINDIR|g; s|@LIBDIR@|$LIBDIR|g" \
            -e "s|@INCLUDEDIR@|$INCLUDEDIR|g; s|@DATADIR@|$DATADIR|g; s|@SYSCONFDIR@|$SYSCONFDIR|g" \
            -e "s|@GUESTLIBDIR@|$LIBDIR/gpuvchan/guest|g; s|@VERSION@|$VERSION|g" "$1" >"$new"
        made "$2"
    }
    page() {
        make "$2"
        # The source's date, so that the same source gives the same page.
        date=${SOURCE_DATE_EPOCH:-$(stat -c %Y "$1")}
        SOURCE_DATE_EPOCH=$date scdoc <"$1" >"$new"
        made "$2"
    }
    if ! command -v scdoc >/dev/null; then
        echo "install.sh: scdoc, which makes the manual pages, is missing; 'make deps' installs it" >&2
        exit 1
    fi
    each
    if [ -z "$root" ] && [ "$(id -u)" -eq 0 ] && command -v ldconfig >/dev/null; then
        ldconfig
    fi
    echo "Installed to $root$PREFIX"
}

removing() {
    # The file, and then those of its folders that are ours alone and have become empty.
    remove() {
        rm -f "$root$1"
        folder=${1%/*}
        while :; do
            case $folder in
            */gpuvchan | */gpuvchan/*) rmdir "$root$folder" 2>/dev/null || [ ! -d "$root$folder" ] || break ;;
            *) break ;;
            esac
            folder=${folder%/*}
        done
    }
    file() {
        remove "$3"
    }
    link() {
        remove "$2"
    }
    filled() {
        remove "$2"
    }
    page() {
        remove "$2"
    }
    each
    echo "Removed from $root$PREFIX"
}

case $action in
install) installing ;;
uninstall) removing ;;
*)
    echo "Usage: install.sh install|uninstall" >&2
    exit 2
    ;;
esac
