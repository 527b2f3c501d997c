/* SPDX-License-Identifier: Apache-2.0 */
/* How the program stops when an assert fails or a limit leaves no way on. */
#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void ae__assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "aether: assertion failed: %s (%s:%d)\n", condition, file, line);
    abort();
}

void ae__fatal(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("aether: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}
