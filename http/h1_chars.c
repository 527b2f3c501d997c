/* SPDX-License-Identifier: Apache-2.0 */
/* Character classes of HTTP/1, and the few string questions that the engine asks. The table is
 * written out by ranges so that a reader can hold it against the grammar. */
#include "h1.h"

#include <string.h>

enum {
    T = H1_TCHAR,
    U = H1_TARGET,
    P = H1_TARGET | H1_PATH,
    H = H1_HOST,
    X = H1_HEX,
};

/* A target may hold all visible ASCII but '#', '"', '<', '>'; its path also none of \ ^ ` { }.
 * Bytes above 0x7e must be percent-encoded (RFC 3986 §2). */
const uint8_t ae__h1_chars[256] = {
    ['!'] = T | P | H, ['#'] = T, ['$'] = T | P | H, ['%'] = T | P | H, ['&'] = T | P | H,
    ['\''] = T | P | H, ['('] = P | H, [')'] = P | H, ['*'] = T | P | H, ['+'] = T | P | H,
    [','] = P, ['-'] = T | P | H, ['.'] = T | P | H, ['/'] = P,
    ['0' ... '9'] = T | P | H | X,
    [':'] = P, [';'] = P | H, ['='] = P | H, ['?'] = U, ['@'] = P,
    ['A' ... 'F'] = T | P | H | X, ['G' ... 'Z'] = T | P | H,
    ['['] = P, ['\\'] = U, [']'] = P, ['^'] = T | U, ['_'] = T | P | H, ['`'] = T | U,
    ['a' ... 'f'] = T | P | H | X, ['g' ... 'z'] = T | P | H,
    ['{'] = U, ['|'] = T | P, ['}'] = U, ['~'] = T | P | H,
};

/* Eight bytes at once: is one below 0x20, or 0x7f? HTAB is sorted out by the slow path. Per byte,
 * without borrow between them: bit 7 of (x & 0x7f) + 0x60 is clear for x below 0x20. */
static bool word_has_control(uint64_t x)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t low = x & (ones * 0x7f);
    uint64_t below_20 = ~(low + ones * 0x60) & ~x;
    uint64_t del = (low + ones) & ~x;

    return ((below_20 | del) & (ones * 0x80)) != 0;
}

static bool byte_ok(uint8_t c)
{
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

static bool eight_plain(const char *at)
{
    uint64_t word;

    memcpy(&word, at, 8);
    return !word_has_control(word);
}

bool ae__h1_value_ok(const char *at, size_t size)
{
    size_t i = 0;

    while (size - i >= 8 && eight_plain(at + i))
        i += 8;
    /* What is left of a longer value is looked at together with bytes before it. */
    if (size >= 8 && size - i < 8 && eight_plain(at + size - 8)) return true;
    for (; i < size; i++) {
        if (!byte_ok((uint8_t)at[i])) return false;
    }
    return true;
}

bool ae__h1_token_ok(const char *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!ae__h1_is(at[i], H1_TCHAR)) return false;
    }
    return size > 0;
}

static char lower_of(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool ae__h1_same(const char *at, size_t size, const char *lower)
{
    for (size_t i = 0; i < size; i++) {
        if (lower[i] == '\0' || lower_of(at[i]) != lower[i]) return false;
    }
    return lower[size] == '\0';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

bool ae__h1_list_has(const char *at, size_t size, const char *lower)
{
    const char *end = at + size;

    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *last = comma ? comma : end;
        const char *next = comma ? comma + 1 : end;

        while (at < last && is_space(*at))
            at++;
        while (last > at && is_space(last[-1]))
            last--;
        if (ae__h1_same(at, (size_t)(last - at), lower)) return true;
        at = next;
    }
    return false;
}
