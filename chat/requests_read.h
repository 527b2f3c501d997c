/* SPDX-License-Identifier: Apache-2.0 */
/* Typed, range-checked members of a JSON object: what both decoders of requests are made of. */
#ifndef AETHER_CHAT_REQUESTS_READ_H
#define AETHER_CHAT_REQUESTS_READ_H

#include <jansson.h>

#include "requests.h"

/* -EINVAL with a sentence. `member` may be NULL. */
int request_refuse(struct request *r, const char *member, const char *format, ...)
    AE_PRINTF(3, 4);

/* Parse an object into r->root. */
int request_parse(struct request *r, const char *body, size_t size) AE_MUST_CHECK;

struct text_rule {
    size_t least, most;   /* bytes */
    bool required;
    bool one_line;        /* no control characters */
};

/* All: 0 and *out unchanged if the member is absent or null (and not required). */
int request_text(struct request *r, json_t *object, const char *name, struct text_rule rule,
                 const char **out, size_t *length) AE_MUST_CHECK;
int request_int(struct request *r, json_t *object, const char *name, int64_t least, int64_t most,
                int64_t *out) AE_MUST_CHECK;
int request_real(struct request *r, json_t *object, const char *name, double least, double most,
                 double *out) AE_MUST_CHECK;
int request_bool(struct request *r, json_t *object, const char *name, bool *out) AE_MUST_CHECK;
int request_model(struct request *r, json_t *object, const char **out) AE_MUST_CHECK;
/* Required: an array of 1 to `most`. */
int request_array(struct request *r, json_t *object, const char *name, size_t most,
                  json_t **out) AE_MUST_CHECK;
int request_role(struct request *r, json_t *object, enum chat_role *out) AE_MUST_CHECK;

#endif
