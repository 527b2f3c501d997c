/* SPDX-License-Identifier: Apache-2.0 */
/* What clients ask for, as C: the one decoder of request bodies. All that leaves it has been looked
 * at: types, ranges, lengths, UTF-8, model names. It knows neither HTTP nor the store, so that it
 * can be fuzzed alone. Unknown members are ignored. Colour of all: any thread. */
#ifndef AETHER_CHAT_REQUESTS_H
#define AETHER_CHAT_REQUESTS_H

#include <aether/defs.h>

#include "store.h"

#define TEXT_BYTES_MAX (256 * 1024)       /* of one message */
#define TURNS_MAX 4096                    /* messages of a stateless request */
#define IMPORT_MESSAGES_MAX 10000
#define NUMBER_MAX (INT64_C(1) << 53)     /* what JSON numbers hold everywhere */

struct json_t;

/* Holds what the decoded strings point into. Zeroed before; freed by request_free always. */
struct request {
    struct json_t *root;
    void *array;          /* what a decoder allocated */
    char why[160];        /* of -EINVAL: a sentence for people */
    const char *member;   /* of -EINVAL: which one, or NULL */
};

void request_free(struct request *r);

/* Once, before threads decode. */
void requests_prepare(void);

/* 0; -EINVAL: see r->why; -ENOMEM. */

struct title_request {
    const char *title;    /* NULL: none was given */
};
int request_title(struct request *r, const char *body, size_t size,
                  struct title_request *out) AE_MUST_CHECK;

struct ask_request {
    const char *text, *model; /* model NULL: the default */
    size_t length;
    int64_t parent;       /* CHAT_SHOWN: the end of the branch; 0: begin anew */
};
int request_ask(struct request *r, const char *body, size_t size,
                struct ask_request *out) AE_MUST_CHECK;

struct regenerate_request {
    int64_t message;
    const char *model;
};
int request_regenerate(struct request *r, const char *body, size_t size,
                       struct regenerate_request *out) AE_MUST_CHECK;

/* An object, whatever is in it. */
int request_empty(struct request *r, const char *body, size_t size) AE_MUST_CHECK;

struct import_request {
    const char *title;
    struct chat_message *messages; /* their strings are the request's: not chat_message_free */
    size_t count;
};
int request_import(struct request *r, const char *body, size_t size,
                   struct import_request *out) AE_MUST_CHECK;

struct completion_request {
    struct chat_request engine; /* model, turns, sampling, limits, stops */
    bool stream, usage;
};
int request_completion(struct request *r, const char *body, size_t size,
                       struct completion_request *out) AE_MUST_CHECK;

#endif
