#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The library is used as a stranger would: installed to an empty prefix, built against from another
# folder by pkg-config, shared and static, as a meson subproject, and from C++17. And the
# command runs from a folder that the loader does not know.
set -uo pipefail
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
. "$source_dir/tests/check.sh"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cc=${CC:-gcc} cxx=${CXX:-g++}
prefix=$tmp/prefix
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig

install_library() {
    meson setup "$tmp/build" "$source_dir" --prefix="$prefix" --libdir=lib -Dparts= &&
        meson install -C "$tmp/build"
}

build_shared() {
    # shellcheck disable=SC2046
    "$cc" -Wall -Werror -o shared hello.c $(pkg-config --cflags --libs aether) \
        -Wl,-rpath,"$prefix/lib" && readelf -d shared | grep -q 'NEEDED.*libaether\.so'
}

build_static() {
    # shellcheck disable=SC2046
    "$cc" -Wall -static -o static hello.c $(pkg-config --static --cflags --libs aether)
}

build_static_library_only() {
    # shellcheck disable=SC2046
    "$cc" -Wall -Werror -o archive hello.c $(pkg-config --cflags aether) "$prefix/lib/libaether.a" \
        -pthread && ! readelf -d archive | grep -q libaether
}

build_subproject() {
    mkdir -p sub/subprojects && ln -s "$source_dir" sub/subprojects/aether && cp hello.c sub/ &&
        cat >sub/meson.build <<'BUILD' && meson setup sub/build sub && ninja -C sub/build
project('user', 'c')
executable('hello', 'hello.c', dependencies: dependency('aether'))
BUILD
}

build_cxx() {
    {
        for header in "$prefix"/include/aether/*.h; do
            echo "#include <aether/$(basename "$header")>"
        done
        printf 'int main() { return ae_version() == nullptr; }\n'
    } >all.cpp
    # shellcheck disable=SC2046
    "$cxx" -std=c++17 -pedantic -Wall -Wextra -Werror -o cxx all.cpp \
        $(pkg-config --cflags --libs aether) -Wl,-rpath,"$prefix/lib"
}

build_http() {
    echo '#include <aether/http.h>
int main(void) { return 0; }' >http.c
    # shellcheck disable=SC2046
    "$cc" -Wall -Werror -o http http.c $(pkg-config --cflags --libs aether-http) \
        -Wl,-rpath,"$prefix/lib"
}

says_hello() {
    [ "$(timeout 30 "$1")" = 'hello 42' ]
}

command_runs_where_it_is_installed() {
    local build=${AE_BUILD_DIR:-$source_dir/build/release} aether
    DESTDIR=$tmp/stage meson install -C "$build" --no-rebuild --quiet &&
        aether=$(find "$tmp/stage" -path '*/bin/aether') && env -u LD_LIBRARY_PATH "$aether" version
}

only_our_headers() {
    [ "$(cd "$prefix/include" && find . -type f | sort)" = \
        "$(cd "$source_dir/include" && find . -name '*.h' | sort)" ]
}

man_pages_are_there() { # the page of a header, with its functions; a function's name leads to it
    local man=$prefix/share/man/man3
    grep -q '^\.SH NAME' "$man/aether-scope.3" && grep -q 'ae_scope_begin' "$man/aether-scope.3" &&
        grep -q 'aether-scope\.3' "$man/ae_scope_begin.3"
}

mkdir -p "$tmp/elsewhere"
cp "$source_dir/tests/install/hello.c" "$tmp/elsewhere"
cd "$tmp/elsewhere" || exit 1
check 'meson install to an empty prefix' install_library
check 'every public header is installed, and nothing else' only_our_headers
check 'man pages are installed' man_pages_are_there
check 'builds by pkg-config, shared' build_shared
check 'runs, shared' says_hello ./shared
check 'builds by pkg-config, static' build_static
check 'runs, static' says_hello ./static
check 'builds with libaether.a alone' build_static_library_only
check 'runs with libaether.a alone' says_hello ./archive
check 'builds as a meson subproject' build_subproject
check 'runs as a meson subproject' says_hello sub/build/hello
check 'a C++17 file includes every header and links' build_cxx
check 'the C++17 program runs' ./cxx
check 'the aether command finds its libraries' command_runs_where_it_is_installed
if [ -e "$PKG_CONFIG_PATH/aether-http.pc" ]; then
    check 'builds with aether-http by pkg-config' build_http
fi
finish
