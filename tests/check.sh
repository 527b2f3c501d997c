# SPDX-License-Identifier: Apache-2.0
# For tests written in bash: `check "claim" command...` runs one case, `finish` prints the counts.
# A script in tests/e2e says what it needs from the system in its head: `# packages: curl wrk`.
passed=0 failed=0

check() {
    local claim=$1 output
    shift
    if output=$("$@" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf '%s: FAILED: %s\n%s\n' "$claim" "$*" "$output"
    fi
}

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ] && [ "$passed" != 0 ]
}
