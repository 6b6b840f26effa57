#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs the Debian packages that are missing: install-packages.sh SET...
#
#     build   what `make` needs
#     check   what `make check` needs besides
#     xen     what `make check-xen` needs besides; Xen itself is not installed, but fetched
#
# With nothing missing it is silent and asks no package tool but dpkg-query. On other systems it names
# the packages and goes on: the build says by itself what it does not find.

set -eu

# What each is for: inih reads the host's configuration, jansson writes the benchmark's JSON, ck and xen
# are what the benchmark compares with, png is for the sharpen example, nettle has the library's hash. Of OpenGL:
# khronos-api has the registry of its commands, glvnd, egl, gl and x11, xcb the headers.
build="gcc libc6-dev make pkg-config python3 libinih-dev libjansson-dev libck-dev libxen-dev libpng-dev liblz4-dev libzstd-dev nettle-dev scdoc khronos-api libglvnd-core-dev libegl-dev libgl-dev libx11-dev libxcb1-dev libxcb-shm0-dev"

# cmocka for unit tests, clang for the second compiler and the fuzzers, perl for prove, procps for ps and
# pgrep, binutils for nm and readelf, librsvg2 for the benchmark's plots as PNG; xvfb and mesa-utils to draw with
# OpenGL, on Mesa's libegl1 and libgl1-mesa-dri.
check="libcmocka-dev clang libclang-rt-dev valgrind perl procps binutils librsvg2-bin xvfb mesa-utils libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri"

# kmod for depmod, binutils for strip.
xen="qemu-system-x86 cpio kmod binutils"

# Whether something else serves as well as the package that is missing.
served() {
    case $1 in
    gcc) command -v "${CC:-cc}" >/dev/null ;;
    libclang-rt-dev) installed libclang-rt-14-dev ;;
    *) return 1 ;;
    esac
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing() {
    # One query for all; those that it does not know are missing, too.
    # shellcheck disable=SC2086 # a list
    have=" $(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null | sed -n 's/ installed$//p' | tr '\n' ' ')"
    for package in "$@"; do
        case $have in
        *" $package "*) ;;
        *) served "$package" || printf '%s ' "$package" ;;
        esac
    done
}

wanted=
for set in "$@"; do
    case $set in
    build) wanted="$wanted $build" ;;
    check) wanted="$wanted $check" ;;
    xen) wanted="$wanted $xen" ;;
    *)
        echo "install-packages.sh: '$set' is no set; there are: build check xen" >&2
        exit 2
        ;;
    esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is no Debian: install what is missing of these packages, as they are called there:$wanted" >&2
    exit 0
fi

# shellcheck disable=SC2086 # a list
packages=$(missing $wanted)
[ -n "$packages" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "These packages are missing, and there is neither root nor sudo here to install them. As root:" >&2
    echo "    apt-get install --no-install-recommends $packages" >&2
    exit 1
fi

apt() {
    # shellcheck disable=SC2086 # may be empty
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"
}

install() {
    # shellcheck disable=SC2086 # a list
    apt install -y --no-install-recommends $packages >/dev/null
}

echo "Installing: $packages"
# The lists may be absent or too old to fetch by. Only then are they fetched anew.
# shellcheck disable=SC2086 # a list
if apt-get -qq -s install --no-install-recommends $packages >/dev/null 2>&1 && install 2>/dev/null; then
    exit 0
fi
if ! apt update || ! install; then
    echo "Installing failed. What is missing: $packages" >&2
    exit 1
fi
