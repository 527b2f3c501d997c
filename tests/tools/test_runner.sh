#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/runner.c tells passing tests from failing, crashing, leaking and hanging ones.
set -uo pipefail
cd "$(dirname "$0")/../.."
. tests/check.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cat >"$tmp/planted.c" <<'PLANTED'
#include "test.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
TEST(good) { EXPECT_EQ(2 + 2, 4); EXPECT_STREQ("a", "a"); }
TEST(dies) { EXPECT_DEATH((fputs("no stack left\n", stderr), abort()), "no stack"); }
TEST(skipped) { test_skip("old kernel"); }
TEST(noted) { test_note("%d bytes", 42); }
TEST(wrong) { EXPECT_EQ(2 + 2, 5); }
TEST(stopped) { REQUIRE(1 > 2); abort(); }
TEST(crash) { abort(); }
TEST(leak) { EXPECT_TRUE(open("/dev/null", O_RDONLY) > 0); }
TEST(survivor) { EXPECT_DEATH((void)0, "text"); }
TEST(silent_death) { EXPECT_DEATH(abort(), "text"); }
TEST_TIMEOUT(hang, 1) { for (;;) pause(); }
PLANTED

builds() {
    gcc -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Itests -o "$tmp/planted" \
        "$tmp/planted.c" tests/runner.c
}

passes() { # TEST...
    "$tmp/planted" "$@"
}

fails_saying() { # TEST TEXT
    local output
    output=$("$tmp/planted" "$1" 2>&1) && return 1
    grep -qF -- "$2" <<<"$output" && [ "$(tail -n 1 <<<"$output")" = '0 passed, 1 failed' ] || {
        echo "$output"
        return 1
    }
}

says() { # TEXT TEST
    local output
    output=$("$tmp/planted" "$2" 2>&1)
    grep -qF -- "$1" <<<"$output"
}

check 'the planted tests compile' builds
check 'a good test passes' passes good
check 'a death that says the text passes' passes dies
check 'a skipped test says why' says 'skip: skipped: old kernel' skipped
check 'a note is shown though the test passes' says 'note: noted: 42 bytes' noted
check 'a wrong value fails with both values' fails_saying wrong '4 against 5'
check 'REQUIRE ends the test' fails_saying stopped '1 > 2 is false'
check 'a crash fails with its signal' fails_saying crash 'died of Aborted'
check 'an open descriptor fails' fails_saying leak 'left open: /dev/null'
check 'a survivor of EXPECT_DEATH fails' fails_saying survivor 'did not die'
check 'a death without the text fails' fails_saying silent_death 'died without saying'
check 'a hang fails' fails_saying hang 'hangs for more than 1 s'
check 'the sum is right, without the skipped one' says '3 passed, 7 failed' ''
check 'names choose tests' says '1 passed, 1 failed' 'ed'
finish
