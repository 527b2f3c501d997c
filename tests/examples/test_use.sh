#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# examples/tour/03_use: each of its three build files finds the installed library, and what it
# builds runs.
# packages: cmake make
set -uo pipefail
source_dir=${AE_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build_dir=${AE_BUILD_DIR:-$source_dir/build/release}
. "$source_dir/tests/check.sh"

# A library with a sanitizer inside needs programs that are built with it.
if meson introspect --buildoptions "$build_dir" | tr '{' '\n' |
    grep '"name": "b_sanitize"' | grep -qv '"value": "none"'; then
    echo 'not looked at in a sanitizer build'
    echo '1 passed, 0 failed'
    exit 0
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cp -r "$source_dir/examples/tour/03_use" "$tmp/use"
cd "$tmp/use" || exit 1
unset CFLAGS LDFLAGS MAKEFLAGS

install_library() {
    DESTDIR=$tmp/root meson install --no-rebuild -C "$build_dir" &&
        pc=$(find "$tmp/root" -name aether.pc) && [ -n "$pc" ]
}

with_make() {
    make
}

with_cmake() {
    cmake -B cmake-build && cmake --build cmake-build
}

with_meson() {
    meson setup meson-build && ninja -C meson-build
}

runs() {
    [[ $(timeout 30 "$1") == 'aether '*': task running' ]]
}

check 'the library installs' install_library
pc=$(find "$tmp/root" -name aether.pc)
export PKG_CONFIG_SYSROOT_DIR=$tmp/root PKG_CONFIG_PATH=${pc%/*} LD_LIBRARY_PATH=${pc%/*/*}
check 'make' with_make
check 'what make built runs' runs ./hello
if command -v cmake >/dev/null; then
    check 'cmake' with_cmake
    check 'what cmake built runs' runs cmake-build/hello
else
    echo 'cmake is not installed: not looked at'
fi
check 'meson' with_meson
check 'what meson built runs' runs meson-build/hello
finish
