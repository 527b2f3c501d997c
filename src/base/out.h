/* SPDX-License-Identifier: Apache-2.0 */
/* Text on its way out: formatted into a buffer, written in large pieces by a function given.
 * The first error stays; what is added after it is dropped. */
#ifndef AE_BASE_OUT_H
#define AE_BASE_OUT_H

#include <stddef.h>
#include <stdint.h>

#include "aether/defs.h"

#define AE__OUT_BYTES 32768

/* Writes all of it: 0 or -errno. */
typedef int ae__out_write(void *context, const void *data, size_t size);

struct ae__out {
    ae__out_write *write;
    void *context;
    int rc;
    size_t used;
    char bytes[AE__OUT_BYTES];
};

void ae__out_init(struct ae__out *out, ae__out_write *write, void *context);
void ae__out_text(struct ae__out *out, const char *text);
void ae__out_bytes(struct ae__out *out, const char *bytes, size_t count);
void ae__out_number(struct ae__out *out, uint64_t value);
void ae__out_hex(struct ae__out *out, uint64_t value); /* with 0x */
/* At most 512 bytes at once. */
void ae__out_format(struct ae__out *out, const char *format, ...) AE_PRINTF(2, 3);
int ae__out_finish(struct ae__out *out); /* write the rest; the first error, or 0 */

#endif
