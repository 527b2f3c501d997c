/* SPDX-License-Identifier: Apache-2.0 */
/* See out.h. Numbers have functions of their own: a dump of many tasks is mostly numbers, and
 * snprintf would be most of its time. */
#include "base/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FORMAT_BYTES 512

void ae__out_init(struct ae__out *out, ae__out_write *write, void *context)
{
    out->write = write;
    out->context = context;
    out->rc = 0;
    out->used = 0;
}

static void flush(struct ae__out *out)
{
    if (out->rc == 0 && out->used > 0) out->rc = out->write(out->context, out->bytes, out->used);
    out->used = 0;
}

void ae__out_bytes(struct ae__out *out, const char *bytes, size_t count)
{
    while (count > 0) {
        size_t room = AE__OUT_BYTES - out->used;
        size_t part = count < room ? count : room;
        memcpy(out->bytes + out->used, bytes, part);
        out->used += part;
        bytes += part;
        count -= part;
        if (out->used == AE__OUT_BYTES) flush(out);
    }
}

void ae__out_text(struct ae__out *out, const char *text)
{
    ae__out_bytes(out, text, strlen(text));
}

static void number(struct ae__out *out, uint64_t value, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits;

    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    ae__out_bytes(out, digits + at, sizeof digits - at);
}

void ae__out_number(struct ae__out *out, uint64_t value)
{
    number(out, value, 10);
}

void ae__out_hex(struct ae__out *out, uint64_t value)
{
    ae__out_bytes(out, "0x", 2);
    number(out, value, 16);
}

void ae__out_format(struct ae__out *out, const char *format, ...)
{
    char text[FORMAT_BYTES];
    va_list args;

    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length > 0) ae__out_text(out, text);
}

int ae__out_finish(struct ae__out *out)
{
    flush(out);
    return out->rc;
}
