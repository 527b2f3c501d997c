/* SPDX-License-Identifier: Apache-2.0 */
/* The decoders of the page's own API; the OpenAI-shaped one is in requests_openai.c. */
#include "requests_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DURATION_MAX (INT64_C(1000) * 3600 * 24 * 365)
#define TOKENS_MAX 1000000000

static const struct text_rule TITLE = { .least = 1, .most = CHAT_TITLE_BYTES, .one_line = true };
static const struct text_rule TEXT = { .least = 1, .most = TEXT_BYTES_MAX, .required = true };

int request_empty(struct request *r, const char *body, size_t size)
{
    return request_parse(r, body, size);
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

/* A title that can be seen. */
static int read_title(struct request *r, const char **out)
{
    int rc = request_text(r, r->root, "title", TITLE, out, NULL);

    if (rc < 0 || !*out || !is_blank(*out)) return rc;
    return request_refuse(r, "title", "\"title\" must not be blank.");
}

int request_title(struct request *r, const char *body, size_t size, struct title_request *out)
{
    int rc = request_parse(r, body, size);

    *out = (struct title_request){ 0 };
    return rc < 0 ? rc : read_title(r, &out->title);
}

int request_ask(struct request *r, const char *body, size_t size, struct ask_request *out)
{
    int rc = request_parse(r, body, size);

    *out = (struct ask_request){ .parent = CHAT_SHOWN };
    if (rc == 0) rc = request_text(r, r->root, "text", TEXT, &out->text, &out->length);
    if (rc == 0) rc = request_int(r, r->root, "parent", 0, NUMBER_MAX, &out->parent);
    if (rc == 0) rc = request_model(r, r->root, &out->model);
    if (rc < 0 || !is_blank(out->text)) return rc;
    return request_refuse(r, "text", "\"text\" must not be blank.");
}

int request_regenerate(struct request *r, const char *body, size_t size,
                       struct regenerate_request *out)
{
    int rc = request_parse(r, body, size);

    *out = (struct regenerate_request){ 0 };
    if (rc == 0) rc = request_int(r, r->root, "message", 1, NUMBER_MAX, &out->message);
    if (rc == 0) rc = request_model(r, r->root, &out->model);
    if (rc < 0 || out->message > 0) return rc;
    return request_refuse(r, "message", "\"message\" is missing.");
}

/* ---- import ---- */

/* The times are where they can be: finished is never before sent. */
static int read_times(struct request *r, json_t *item, struct chat_message *m)
{
    int rc = request_int(r, item, "sent_ms", 0, NUMBER_MAX, &m->sent_ms);

    m->finished_ms = m->sent_ms;
    if (rc == 0) rc = request_int(r, item, "finished_ms", 0, NUMBER_MAX, &m->finished_ms);
    if (rc == 0) rc = request_int(r, item, "duration_ms", 0, DURATION_MAX, &m->duration_ms);
    if (rc < 0 || m->finished_ms >= m->sent_ms) return rc;
    return request_refuse(r, "finished_ms", "\"finished_ms\" is before \"sent_ms\".");
}

static int read_message(struct request *r, json_t *item, struct chat_message *m)
{
    static const struct text_rule text = { .most = TEXT_BYTES_MAX, .required = true };
    static const struct text_rule model = { .most = CHAT_MODEL_NAME_MAX, .one_line = true };
    const char *said = "", *by = NULL;

    *m = (struct chat_message){ .tokens = CHAT_UNKNOWN, .prompt_tokens = CHAT_UNKNOWN,
                                .duration_ms = CHAT_UNKNOWN };
    if (!json_is_object(item)) return request_refuse(r, "messages", "A message is an object.");
    int rc = request_role(r, item, &m->role);
    if (rc == 0) rc = request_text(r, item, "text", text, &said, &m->length);
    if (rc == 0) rc = request_text(r, item, "model", model, &by, NULL);
    if (rc == 0) rc = request_int(r, item, "tokens", 0, TOKENS_MAX, &m->tokens);
    m->text = (char *)said; /* borrowed: see requests.h */
    m->model = (char *)by;
    return rc < 0 ? rc : read_times(r, item, m);
}

int request_import(struct request *r, const char *body, size_t size, struct import_request *out)
{
    json_t *list = NULL;
    int rc = request_parse(r, body, size);

    *out = (struct import_request){ 0 };
    if (rc == 0) rc = read_title(r, &out->title);
    if (rc == 0) rc = request_array(r, r->root, "messages", IMPORT_MESSAGES_MAX, &list);
    if (rc < 0) return rc;
    out->count = json_array_size(list);
    out->messages = r->array = calloc(out->count, sizeof *out->messages);
    if (!out->messages) return -ENOMEM;
    for (size_t i = 0; rc == 0 && i < out->count; i++) {
        rc = read_message(r, json_array_get(list, i), &out->messages[i]);
    }
    return rc;
}
