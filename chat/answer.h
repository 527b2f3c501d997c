/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the chat's API: JSON, and errors as JSON in the one shape that both the page and
 * OpenAI's clients read. Colour of all: task, may suspend. */
#ifndef AETHER_CHAT_ANSWER_H
#define AETHER_CHAT_ANSWER_H

#include <aether/http.h>

#include "json.h"
#include "requests.h"

/* {"error":{"code","message","type"}} */
int answer_error(ae_http *h, int status, const char *code, const char *message);

/* What the writer holds; frees it. */
int answer_json(ae_http *h, int status, struct json_writer *w);

/* Errors of the store and of the engine, with the status that fits. */
int answer_store_error(ae_http *h, int rc);
int answer_engine_error(ae_http *h, int rc);

/* A refused request, from its decoder's result. Frees `r`. */
int answer_refused(ae_http *h, struct request *r, int rc);

/* The whole body, at most `most` bytes. An error is answered by read_failed. */
ssize_t read_body(ae_http *h, uint64_t most, const char **out) AE_MUST_CHECK;
int answer_read_error(ae_http *h, ssize_t rc);

/* The words for an engine's error: a code for programs. */
const char *engine_error_code(int rc);

#endif
