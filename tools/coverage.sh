#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Line and branch coverage of src/ and http/ by the unit and HTTP tests with either driver, the
# examples, the scripts that drive `aether`, the simulation and the fault loops, measured by clang.
#
#   tools/coverage.sh [--missing] [BUILD_DIR]
#
# Prints a table by folder and `N passed, N failed`: a figure below its floor counts as failed.
# --missing lists the lines and branches that nothing reached. Asserts do not count as branches.
# packages: clang llvm
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
if [ "${1:-}" = --missing ]; then missing=(--missing) && shift; fi
dir=${1:-build/coverage}
[[ $dir == /* ]] || dir=$PWD/$dir
flags='-fprofile-instr-generate -fcoverage-mapping'
log=$dir.log
mkdir -p "$(dirname "$dir")"

tool() { # NAME: as it is, or with the version of clang
    local version
    version=$(clang -dumpversion | cut -d. -f1)
    command -v "$1-$version" || command -v "$1"
}

if [ ! -e "$dir/build.ninja" ]; then
    CC=clang meson setup "$dir" -Dparts=cli,examples,tests -Dchecks=off -Doptimization=1 \
        -Ddebug=true -Db_lundef=false -Dc_args="$flags" -Dc_link_args="$flags" >"$log" 2>&1 ||
        { tail -n 20 "$log" && exit 1; }
fi
# Only what is run below: not the models, which measure nothing here.
programs='tests/(unit|http)_test_[^:/]*|tests/fault/fault|examples/[^:/.]*|cli/(aether|aesim)'
programs+='|tests/sim/sim_(accounts|network)'
mapfile -t targets < <(ninja -C "$dir" -t targets all | sed -nE "s#^($programs): .*#\\1#p")
ninja -C "$dir" "${targets[@]}" >"$log" 2>&1 ||
    { grep -E 'error|FAILED' "$log" | head -n 20 && exit 1; }

# %m: one file for each program; processes add to it when they end.
profiles=$dir/profiles
rm -rf "$profiles"
mkdir -p "$profiles"
export LLVM_PROFILE_FILE=$profiles/%m.profraw

# What fails here fails in `./dev test`, too: the figures are what this is about.
suite() {
    tools/suite.py "$dir" --timeout-scale 3 "$@" | grep -E 'FAILED|^[0-9]+ passed' || true
}
# The installed library is built anew (test_use), and what has no `open_loop` measures nothing.
suite --suite unit --suite http --suite examples --except 'test_use*'
suite --suite e2e --except 'browser*' --except 'bench*'
AE_DRIVER=uring suite --suite unit --suite http
AE_BUILD_DIR=$dir AE_SIM_SEEDS=200 tests/sim/seeds.py | grep -E 'FAILED|seeds, .* runs' || true
for loop in alloc call cancel; do
    AE_TEST_TIMEOUT_SCALE=3 "$dir/tests/fault/fault" --jobs 6 --stride 3 --loop $loop |
        grep -E 'FAILED|faults injected' || true
done

"$(tool llvm-profdata)" merge -sparse -o "$profiles/all.profdata" "$profiles"/*.profraw
exec tools/coverage.py --llvm-cov "$(tool llvm-cov)" "${missing[@]}" \
    "$profiles/all.profdata" "$dir"
