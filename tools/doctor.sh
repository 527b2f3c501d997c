#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What this machine has for Aether, and what is lost without the rest. Changes nothing.
set -uo pipefail

row() { printf '  %-22s %s\n' "$1" "$2"; }
first_line() { "$@" 2>/dev/null | head -n 1; }

tool() { # COMMAND, what is lost without it
    local version
    if command -v "$1" >/dev/null; then
        version=$(first_line "$1" --version | cut -c 1-60)
        row "$1" "${version:-yes}"
    else
        row "$1" "missing: $2"
    fi
}

# Asks the kernel itself; a C compiler is all it takes.
probe_kernel() {
    local dir
    dir=$(mktemp -d)
    if gcc -o "$dir/probe" "$(dirname "$0")/kernel_probe.c" 2>"$dir/log"; then
        "$dir/probe" | while IFS='=' read -r name value; do row "$name" "$value"; done
    else
        row 'kernel probe' 'not built: gcc is missing'
    fi
    rm -rf "$dir"
}

echo 'Build'
tool gcc 'nothing can be built'
tool meson 'nothing can be built'
tool ninja 'nothing can be built'
tool pkg-config 'nothing can be built'
argon2=$(pkg-config --modversion libargon2 2>/dev/null)
row libargon2 "${argon2:-missing: ./dev run needs it}"

echo 'Kernel'
row uname "$(uname -srm)"
probe_kernel

echo 'Limits'
row 'open files' "$(ulimit -Sn) soft, $(ulimit -Hn) hard"
row vm.max_map_count "$(cat /proc/sys/vm/max_map_count 2>/dev/null || echo '?')"
row 'usable CPUs' "$(nproc)"
row 'cgroup cpu.max' "$(cat /sys/fs/cgroup/cpu.max 2>/dev/null || echo 'none')"

echo 'Tests and benchmarks'
tool clang 'debug, ASan, UBSan and TSan builds'
tool g++ 'the check of the headers from C++'
tool clang-format './dev fmt'
tool gdb 'stacks of hanging tests, the gdb script'
tool valgrind 'the Valgrind test'
tool aarch64-linux-gnu-gcc 'the aarch64 build'
tool qemu-aarch64 'the aarch64 tests'
tool curl 'tests of the server'
tool wrk 'load tests and ./dev bench http'
tool chromium 'the test of the page'
tool perf 'profiles by hand'
tool cargo 'Tokio and hyper beside us in ./dev bench --peers'
tool go 'Go beside us in ./dev bench --peers'
tool nginx 'nginx beside us in ./dev bench --peers'
tool h2o 'h2o beside us in ./dev bench --peers'
exit 0
