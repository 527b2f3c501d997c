#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Each public header compiles alone, as plain C11 and as C++17, by every compiler there is.
set -uo pipefail
cd "$(dirname "$0")/../.."
. tests/check.sh

strict=(-pedantic -Wall -Wextra -Werror -fsyntax-only -Iinclude)

compiles() { # compiler, language, standard, header
    printf '#include <%s>\n' "$4" | "$1" -x "$2" "-std=$3" "${strict[@]}" -
}

for header in include/aether/*.h; do
    name=aether/$(basename "$header")
    for cc in gcc clang; do
        command -v $cc >/dev/null || continue
        check "$name compiles alone as C11 ($cc)" compiles $cc c c11 "$name"
    done
    for cxx in g++ clang++; do
        command -v $cxx >/dev/null || continue
        check "$name compiles alone as C++17 ($cxx)" compiles $cxx c++ c++17 "$name"
    done
done
finish
