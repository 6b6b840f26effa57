#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Makes what QEMU boots: images.sh (run.sh calls it). Nothing is installed: Xen, its tools and the kernel are
# fetched as Debian packages and unpacked.
#
#     $GPUVCHAN_XEN_CACHE    the packages, unpacked, and what depends on them alone; kept for good.
#                            Default: gpuvchan-xen in $XDG_CACHE_HOME or ~/.cache. To have newer ones, remove it.
#     $BUILD/xen/images      Dom0's initramfs and our helpers
#     $BUILD/xen/host        what Dom0 mounts at /host: the guests' kernel and initramfs, the programs under test
#                            (stripped, at opt/gpuvchan), and the tests
#
# Exit status 77: the packages cannot be had.

set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
out=$build/xen
series=${GPUVCHAN_XEN_SERIES:-4.17}
cache=${GPUVCHAN_XEN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gpuvchan-xen}/$series
libdir=lib/x86_64-linux-gnu

# Modules and what loads them: modprobe by the inits, or by a test.
dom0_modules=(xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs virtio_pci 9pnet_virtio 9p xen-pciback e1000 bochs)
domu_modules=(xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs xen-pcifront uio_pci_generic e1000 bochs virtio-gpu)

say() {
    printf '%s\n' "images.sh: $*" >&2
}

# ---- Packages ----------------------------------------------------------------------------------

# fetch PACKAGE...: as Debian's archive has them now, with apt's check of their sums.
fetch() {
    local as_root=""
    apt-get -qq download "$@" 2>"$cache/apt.log" && return
    # The lists may be absent, or too old to fetch by.
    [ "$(id -u)" -eq 0 ] || as_root="sudo -n"
    $as_root apt-get -qq update >>"$cache/apt.log" 2>&1 && apt-get -qq download "$@" 2>>"$cache/apt.log"
}

kernel_package() {
    apt-cache depends --no-recommends --no-suggests linux-image-amd64 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

# The kernel is in the bzImage, compressed. Xen takes it so for Dom0, but is slower, and much slower for guests.
extract_kernel() {
    python3 - "$1" "$2" <<'END'
import lzma, sys
data = open(sys.argv[1], "rb").read()
at = data.find(b"\xfd7zXZ\x00")
if at < 0:
    sys.exit("the kernel is not compressed by xz")
open(sys.argv[2], "wb").write(lzma.LZMADecompressor().decompress(data[at:]))
END
}

packages() {
    local kernel new=$cache/new
    # The number is that of what this script makes of them.
    [ "$(cat "$cache/complete" 2>/dev/null)" != 2 ] || return 0
    say "fetching Xen $series and a kernel into $cache"
    rm -rf "$new"
    mkdir -p "$new/debs" "$new/root"
    cd "$new/debs"
    if [ -z "$(kernel_package)" ]; then
        fetch linux-image-amd64 || true # for its side effect, newer lists
    fi
    kernel=$(kernel_package)
    if [ -z "$kernel" ] || ! fetch "$kernel" "xen-hypervisor-$series-amd64" "xen-utils-$series" "libxenmisc$series" \
        xen-utils-common xenstore-utils libyajl2 busybox-static; then
        say "the packages cannot be fetched: $(grep -v '^W:' "$cache/apt.log" 2>/dev/null | tail -n 1)"
        exit 77
    fi
    for package in *.deb; do
        dpkg -x "$package" "$new/root"
    done
    cd "$new"
    gunzip -c root/boot/xen-"$series"-amd64.gz >xen
    extract_kernel root/boot/vmlinuz-* vmlinux
    depmod -b "$new/root" "$(basename root/lib/modules/*)"
    basename -a debs/*.deb >packages
    rm -rf debs root/usr/share "$cache/root" "$cache/complete"
    mv root xen vmlinux packages "$cache"
    cd "$cache"
    rm -rf "$new"
    echo 2 >complete
}

# ---- Parts of an initramfs ---------------------------------------------------------------------

# modules FOLDER NAME...: copies modules and what they need, for modprobe.
modules() {
    local folder=$1 version file name
    shift
    version=$(basename "$cache"/root/lib/modules/*)
    for name in "$@"; do
        modprobe --dirname "$cache/root" --set-version "$version" --show-depends "$name" 2>/dev/null |
            sed -n 's/^insmod \([^ ]*\).*/\1/p' || say "there is no module $name"
    done | sort -u | while read -r file; do
        name=${file#"$cache"/root/}
        mkdir -p "$folder/$(dirname "$name")"
        cp "$file" "$folder/$name"
    done
    for name in modules.order modules.builtin modules.builtin.modinfo; do
        cp "$cache/root/lib/modules/$version/$name" "$folder/lib/modules/$version/"
    done
    depmod -b "$folder" "$version"
}

# libraries FOLDER FILE...: the shared libraries that they need, those of the tree under test excepted.
libraries() {
    local folder=$1 list
    shift
    mkdir -p "$folder/$libdir" "$folder/lib64"
    list=$(LD_LIBRARY_PATH="$cache/root/usr/$libdir:$build/lib:$build/lib/gpuvchan/sim" ldd "$@" 2>/dev/null) || true
    if [[ $list == *"not found"* ]]; then
        say "missing: $(grep 'not found' <<<"$list" | sort -u | head -n 5)"
        return 1
    fi
    sed -n 's/.*=> \(\/[^ ]*\) (.*/\1/p' <<<"$list" | sort -u | grep -v "^$build/" |
        xargs -r cp -L -u -t "$folder/$libdir"
    cp -L /lib64/ld-linux-x86-64.so.2 "$folder/lib64/"
    # Threads that are cancelled ask for it by dlopen, which ldd does not see.
    cp -L "/usr/$libdir/libgcc_s.so.1" "$folder/$libdir/" 2>/dev/null || cp -L "/$libdir/libgcc_s.so.1" "$folder/$libdir/"
}

skeleton() {
    local folder=$1 applet
    rm -rf "$folder"
    mkdir -p "$folder"/{bin,dev,etc,proc,run,sys,tmp,root,var,opt/gpuvchan}
    ln -s /run "$folder/var/run"
    ln -s bin "$folder/sbin"
    cp "$cache/root/bin/busybox" "$folder/bin/busybox"
    for applet in $("$folder/bin/busybox" --list | grep -vx busybox); do
        ln -s busybox "$folder/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$folder/etc/passwd"
    printf 'root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n' >"$folder/etc/group"
    cp "$here/inside/profile" "$folder/etc/profile"
}

# pack FOLDER FILE: not compressed, since unpacking takes longer than copying there.
pack() {
    (cd "$1" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$2.new"
    mv "$2.new" "$2"
}

# ---- Images ------------------------------------------------------------------------------------

# Not linked statically: libxenstore.a is built without threads, and loses its connection when an event comes in
# front of a reply.
helpers() {
    local name
    mkdir -p "$out/images/bin"
    for name in xen-agent xen-call xen-count xen-exit; do
        [ "$out/images/bin/$name" -ot "$here/programs/$name.c" ] || [ "$out/images/bin/$name" -ot "$here/programs/rig.h" ] || continue
        "${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -Wall -Wextra -Wshadow -s "$here/programs/$name.c" -o "$out/images/bin/$name" \
            -Wl,--as-needed -lxenstore -lxenctrl -lxentoollog
    done
}

# The programs under test, without what only a debugger reads: 9p and the guests' memory are slow and small.
stage() {
    local to=$out/host.new/opt/gpuvchan file name
    rm -rf "$out/host.new"
    mkdir -p "$to" "$out/host.new/src"
    for name in bin lib share tests; do
        [ ! -d "$build/$name" ] || cp -a "$build/$name" "$to/"
    done
    rm -rf "$to/tests/fuzz"
    cp -a "$top/examples" "$to/"
    find "$to/bin" "$to/lib" "$to/tests" -type f | while read -r file; do
        [ "$(head -c 4 "$file" | tr -d '\0')" != $'\177ELF' ] || strip --strip-debug "$file"
    done
    mkdir -p "$out/host.new/src/tests"
    cp -a "$top"/tests/*.sh "$top/tests/xen" "$out/host.new/src/tests/"
    # What 70-guide.sh follows.
    mkdir -p "$out/host.new/src/libgpuvchan" "$out/host.new/src/host/ctl"
    cp "$top/libgpuvchan/gpuvchan-xen.7.scd" "$out/host.new/src/libgpuvchan/"
    cp "$top/host/ctl/60-gpuvchan.rules" "$out/host.new/src/host/ctl/"
}

# What a fresh image is to be newer than.
inputs() {
    find "$here" "$build/bin" "$build/lib" "$build/tests" "$top"/tests/*.sh "$cache/complete" \
        "$top/libgpuvchan/gpuvchan-xen.7.scd" "$top/host/ctl/60-gpuvchan.rules" \
        -newer "$out/images/complete" -print -quit 2>/dev/null
}

images() {
    local bin tools programs
    if [ -e "$out/images/complete" ] && [ -z "$(inputs)" ]; then
        return 0
    fi
    mkdir -p "$out/images"
    touch "$out/images/begun"
    helpers
    stage
    mapfile -t programs < <(find "$out/host.new/opt/gpuvchan" -type f | while read -r file; do
        [ "$(head -c 4 "$file" | tr -d '\0')" != $'\177ELF' ] || printf '%s\n' "$file"
    done)

    # Dom0
    skeleton "$out/images/dom0"
    bin=$out/images/dom0/bin
    tools=()
    for name in xl xenstored xenconsoled xen-init-dom0 libxl-save-helper xenconsole; do
        tools+=("$cache/root/usr/lib/xen-$series/bin/$name")
    done
    tools+=("$cache"/root/usr/bin/xenstore*)
    rm -f "$bin/xl"
    mkdir -p "$out/images/dom0/usr/lib/xen-$series/bin" "$out/images/dom0/etc/xen"
    cp "${tools[@]}" "$bin/"
    # Where xl looks for them.
    ln -s /bin/libxl-save-helper /bin/xenconsole "$out/images/dom0/usr/lib/xen-$series/bin/"
    cp "$out"/images/bin/{xen-call,xen-count,xen-exit} "$bin/"
    printf 'autoballoon="off"\n' >"$out/images/dom0/etc/xen/xl.conf"
    libraries "$out/images/dom0" "${tools[@]}" "${programs[@]}" "$bin"/xen-{call,count,exit}
    modules "$out/images/dom0" "${dom0_modules[@]}"
    install -m755 "$here/inside/init-dom0" "$out/images/dom0/init"
    pack "$out/images/dom0" "$out/images/dom0.cpio"

    # DomU
    skeleton "$out/images/domu"
    cp "$out/images/bin/xen-agent" "$out/images/domu/bin/"
    libraries "$out/images/domu" "${programs[@]}" "$out/images/bin/xen-agent"
    modules "$out/images/domu" "${domu_modules[@]}"
    cp -a "$out/host.new/opt/gpuvchan/." "$out/images/domu/opt/gpuvchan/"
    install -m755 "$here/inside/init-domu" "$out/images/domu/init"
    pack "$out/images/domu" "$out/host.new/domu.cpio"

    ln "$cache/vmlinux" "$out/host.new/vmlinux" 2>/dev/null || cp "$cache/vmlinux" "$out/host.new/vmlinux"
    rm -rf "$out/host" "$out/images/dom0" "$out/images/domu"
    mv "$out/host.new" "$out/host"
    mv "$out/images/begun" "$out/images/complete"
}

mkdir -p "$cache" "$out"
if ! command -v apt-get >/dev/null && [ ! -e "$cache/complete" ]; then
    say "there is no apt-get here to fetch Xen's packages by"
    exit 77
fi
for tool in qemu-system-x86_64 cpio depmod python3 strip ldd; do
    command -v "$tool" >/dev/null || PATH=$PATH:/sbin:/usr/sbin command -v "$tool" >/dev/null || {
        say "$tool is missing: tests/install-packages.sh build xen"
        exit 77
    }
done
PATH=$PATH:/usr/sbin:/sbin
[ -x "$build/bin/gpuvchan-host" ] || { say "$build is not built"; exit 1; }
# Others may be at it, with the same cache.
exec 9>"$cache/lock"
flock 9
packages
flock -s 9
images
