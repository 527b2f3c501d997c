/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer on the decoder of request bodies (chat/requests.h). The first byte chooses the decoder,
 * the rest is the body. What is accepted must keep every promise of the header, and its text must
 * come out of the writer and back in unchanged. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "requests.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

static void check_text(const char *text, size_t length, size_t most)
{
    must(text != NULL, "a text is there");
    must(length <= most, "a text is not too long");
    must(memchr(text, '\0', length) == NULL, "a text has no NUL inside");
}

static void check_model(const char *model)
{
    if (model) must(chat_model_name_ok(model, strlen(model)), "a model's name is one");
}

static void check_round_trip(const char *text, size_t length)
{
    struct json_writer w = { 0 };
    struct request again = { 0 };
    struct ask_request ask;

    json_open(&w, '{');
    json_name(&w, "text");
    json_put_text(&w, text, length);
    json_close(&w, '}');
    must(w.error == 0, "it can be written");
    must(request_ask(&again, w.data, w.size, &ask) == 0, "what is written is read");
    must(ask.length == length && memcmp(ask.text, text, length) == 0, "it is the same");
    request_free(&again);
    json_writer_free(&w);
}

static int fuzz_ask(struct request *r, const char *body, size_t size)
{
    struct ask_request ask;
    int rc = request_ask(r, body, size, &ask);

    if (rc < 0) return rc;
    check_text(ask.text, ask.length, TEXT_BYTES_MAX);
    must(ask.text[ask.length] == '\0', "it ends with a NUL");
    must(ask.parent >= CHAT_SHOWN && ask.parent <= NUMBER_MAX, "the parent is in range");
    check_model(ask.model);
    check_round_trip(ask.text, ask.length);
    return 0;
}

static int fuzz_title(struct request *r, const char *body, size_t size)
{
    struct title_request title;
    int rc = request_title(r, body, size, &title);

    if (rc == 0 && title.title) {
        check_text(title.title, strlen(title.title), CHAT_TITLE_BYTES);
        must(!strpbrk(title.title, "\r\n\t"), "a title is one line");
    }
    return rc;
}

static int fuzz_regenerate(struct request *r, const char *body, size_t size)
{
    struct regenerate_request wanted;
    int rc = request_regenerate(r, body, size, &wanted);

    if (rc < 0) return rc;
    must(wanted.message > 0 && wanted.message <= NUMBER_MAX, "the message is in range");
    check_model(wanted.model);
    return 0;
}

static int fuzz_import(struct request *r, const char *body, size_t size)
{
    struct import_request import;
    int rc = request_import(r, body, size, &import);

    if (rc < 0) return rc;
    must(import.count >= 1 && import.count <= IMPORT_MESSAGES_MAX, "there are messages");
    for (size_t i = 0; i < import.count; i++) {
        const struct chat_message *m = &import.messages[i];
        check_text(m->text, m->length, TEXT_BYTES_MAX);
        must(m->tokens >= CHAT_UNKNOWN, "tokens are a count");
        must(m->sent_ms >= 0 && m->finished_ms >= m->sent_ms, "times are in order");
        must(m->role <= CHAT_ASSISTANT, "the role is one");
    }
    return 0;
}

static int fuzz_completion(struct request *r, const char *body, size_t size)
{
    struct completion_request c;
    int rc = request_completion(r, body, size, &c);

    if (rc < 0) return rc;
    must(c.engine.turns_count >= 1 && c.engine.turns_count <= TURNS_MAX, "there are turns");
    for (size_t i = 0; i < c.engine.turns_count; i++) {
        check_text(c.engine.turns[i].text, c.engine.turns[i].length, size);
    }
    must(c.engine.stops_count <= CHAT_STOPS_MAX, "stops are few");
    for (size_t i = 0; i < c.engine.stops_count; i++) {
        size_t length = strlen(c.engine.stops[i]);
        must(length >= 1 && length <= CHAT_STOP_BYTES_MAX, "a stop is short");
    }
    must(c.engine.temperature >= 0 && c.engine.temperature <= 2, "the temperature is in range");
    must(c.engine.top_p >= 0 && c.engine.top_p <= 1, "top_p is in range");
    check_model(c.engine.model);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int (*const targets[])(struct request *, const char *, size_t) = {
        fuzz_ask, fuzz_title, fuzz_regenerate, fuzz_import, fuzz_completion, request_empty,
    };
    struct request r = { 0 };

    if (size < 1) return 0;
    int rc = targets[data[0] % 6](&r, (const char *)data + 1, size - 1);
    must(rc == 0 || rc == -EINVAL, "it is decoded or refused");
    must(rc == 0 || r.why[0] != '\0', "who is refused is told why");
    request_free(&r);
    return 0;
}
