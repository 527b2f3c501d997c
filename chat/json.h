/* SPDX-License-Identifier: Apache-2.0 */
/* JSON going out: a writer into growing memory. Commas are its business, nesting is the caller's.
 * Errors are kept to the end: write all, then look at `error`. Reading is requests.h. */
#ifndef AETHER_CHAT_JSON_H
#define AETHER_CHAT_JSON_H

#include <aether/defs.h>

struct json_writer {  /* zeroed is empty */
    char *data;       /* NUL-terminated once something was written */
    size_t size, room;
    int error;        /* -ENOMEM from the first failure on */
};

void json_writer_free(struct json_writer *w); /* accepts what is zeroed; zeroes it */
void json_writer_clear(struct json_writer *w); /* keeps the memory */

/* Bytes as they are: no JSON, or some that is ready. */
void json_put_bytes(struct json_writer *w, const char *bytes, size_t size);

void json_open(struct json_writer *w, char bracket);  /* '{' or '[' */
void json_close(struct json_writer *w, char bracket); /* '}' or ']' */
void json_name(struct json_writer *w, const char *name);

void json_put_text(struct json_writer *w, const char *text, size_t length); /* UTF-8 */
void json_put_string(struct json_writer *w, const char *text); /* NULL: null */
void json_put_int(struct json_writer *w, int64_t number);
void json_put_bool(struct json_writer *w, bool value);
void json_put_null(struct json_writer *w);

/* A member in one line. */
void json_member_string(struct json_writer *w, const char *name, const char *text);
void json_member_int(struct json_writer *w, const char *name, int64_t number);
void json_member_known(struct json_writer *w, const char *name, int64_t number); /* < 0: null */
void json_member_bool(struct json_writer *w, const char *name, bool value);

#endif
