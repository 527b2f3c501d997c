/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share: the entry point that libFuzzer (or drive.c) calls, a reader for
 * inputs that are programs of operations, and a check that stays on in every build. */
#ifndef AE_TESTS_FUZZ_H
#define AE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct input {
    const uint8_t *at, *end;
};

static inline uint8_t take_byte(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static inline uint64_t take_number(struct input *in, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | take_byte(in);
    return value;
}

/* In a block of its own size, so that a sanitizer sees each byte read too far. */
static inline char *copy_of(const void *bytes, size_t size)
{
    char *copy = malloc(size + 1);

    CHECK(copy != NULL);
    if (size) memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

/* The text up to the next NUL or newline, terminated; NULL behind the last. The caller frees. */
static inline char *take_text(struct input *in)
{
    const uint8_t *begin = in->at;

    if (in->at >= in->end) return NULL;
    while (in->at < in->end && *in->at && *in->at != '\n')
        in->at++;
    char *text = copy_of(begin, (size_t)(in->at - begin));
    if (in->at < in->end) in->at++;
    return text;
}

#endif
