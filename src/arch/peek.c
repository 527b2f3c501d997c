/* SPDX-License-Identifier: Apache-2.0 */
/* See peek.h. */
#include "arch/peek.h"

#include "arch/sanitize.h"

#if defined(__x86_64__)
/* What switch_x86_64.S pushed: r15, r14, r13, r12, rbx, rbp, and where ret goes. */
enum { SAVED_FRAME = 5, SAVED_PC = 6, SAVED_WORDS = 7 };
#define PC_MASK UINTPTR_MAX
#else
/* What switch_aarch64.S stored: x19..x28, x29, x30. Return addresses may be signed. */
enum { SAVED_FRAME = 10, SAVED_PC = 11, SAVED_WORDS = 12 };
#define PC_MASK ((UINTPTR_MAX >> 16))
#endif

typedef uint64_t __attribute__((may_alias)) word;

AE_NOINLINE AE_SAN_SWITCH void ae__peek(void *to, const void *from, size_t bytes)
{
    const volatile word *source = from;
    word *target = to;

    for (size_t i = 0; i < bytes / sizeof *target; i++) target[i] = source[i];
}

AE_NOINLINE AE_SAN_SWITCH void ae__peek_text(char *to, const char *from, size_t room)
{
    const volatile char *source = from;
    size_t i = 0;

    while (i + 1 < room && (to[i] = source[i]) != 0) i++;
    to[i] = 0;
}

unsigned ae__peek_frames(const void *sp, const void *low, const void *high, uintptr_t *out,
                         unsigned max)
{
    uintptr_t at = (uintptr_t)sp, end = (uintptr_t)high;
    uint64_t saved[SAVED_WORDS], record[2];
    unsigned count = 0;

    if (at % 8 || at < (uintptr_t)low || at > end || end - at < sizeof saved || max == 0) return 0;
    ae__peek(saved, sp, sizeof saved);
    out[count++] = (uintptr_t)saved[SAVED_PC] & PC_MASK;
    at += sizeof saved - sizeof saved[0];
    uintptr_t frame = (uintptr_t)saved[SAVED_FRAME];
    /* Each record lies above the one before it: this ends. */
    while (count < max && frame % 8 == 0 && frame > at && frame < end &&
           end - frame >= sizeof record) {
        ae__peek(record, (const void *)frame, sizeof record);
        if (!record[1]) break;
        out[count++] = (uintptr_t)record[1] & PC_MASK;
        at = frame;
        frame = (uintptr_t)record[0];
    }
    return count;
}
