/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder of POST /v1/chat/completions. What would change an answer and is not supported is
 * refused; what is only a hint is ignored. */
#include "requests_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 64

/* r->array: turns, stops, then the bytes of texts that came in parts. */
struct completion_memory {
    struct chat_turn turns[TURNS_MAX];
    const char *stops[CHAT_STOPS_MAX];
    char *joined;
    size_t joined_size;
    char bytes[];
};

/* ---- texts that come in parts ---- */

static int join_part(struct request *r, json_t *part, struct completion_memory *memory)
{
    static const struct text_rule rule = { .most = TEXT_BYTES_MAX, .required = true };
    const char *type = "", *text = "";
    size_t length = 0;
    int rc = json_is_object(part) ? 0 : request_refuse(r, "content", "A part is an object.");

    if (rc == 0) rc = request_text(r, part, "type", rule, &type, NULL);
    if (rc == 0 && strcmp(type, "text") != 0) {
        rc = request_refuse(r, "content", "Only parts of type \"text\" are supported.");
    }
    if (rc == 0) rc = request_text(r, part, "text", rule, &text, &length);
    if (rc < 0) return rc;
    memcpy(memory->joined + memory->joined_size, text, length);
    memory->joined_size += length;
    return 0;
}

/* The parts are in the body, so together they are shorter than it: see room_for(). */
static int read_parts(struct request *r, json_t *parts, struct completion_memory *memory,
                      struct chat_turn *turn)
{
    size_t begin = memory->joined_size;
    int rc = 0;

    if (json_array_size(parts) > PARTS_MAX) {
        return request_refuse(r, "content", "\"content\" may have %d parts.", PARTS_MAX);
    }
    for (size_t i = 0; rc == 0 && i < json_array_size(parts); i++) {
        rc = join_part(r, json_array_get(parts, i), memory);
    }
    turn->text = memory->joined + begin;
    turn->length = memory->joined_size - begin;
    return rc;
}

static int read_turn(struct request *r, json_t *item, struct completion_memory *memory,
                     struct chat_turn *turn)
{
    static const struct text_rule rule = { .most = TEXT_BYTES_MAX, .required = true };

    if (!json_is_object(item)) return request_refuse(r, "messages", "A message is an object.");
    int rc = request_role(r, item, &turn->role);
    if (rc < 0) return rc;
    json_t *content = json_object_get(item, "content");
    if (json_is_array(content)) return read_parts(r, content, memory, turn);
    return request_text(r, item, "content", rule, &turn->text, &turn->length);
}

static int read_turns(struct request *r, struct completion_memory *memory,
                      struct chat_request *out)
{
    json_t *list = NULL;
    int rc = request_array(r, r->root, "messages", TURNS_MAX, &list);

    out->turns = memory->turns;
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
        rc = read_turn(r, json_array_get(list, i), memory, &memory->turns[i]);
        out->turns_count = i + 1;
    }
    return rc;
}

/* ---- the rest ---- */

static int add_stop(struct request *r, json_t *value, const char **stops, size_t *count)
{
    size_t length = json_string_length(value);

    if (!json_is_string(value) || length < 1 || length > CHAT_STOP_BYTES_MAX) {
        return request_refuse(r, "stop", "\"stop\" must be strings of 1 to %d bytes.",
                              CHAT_STOP_BYTES_MAX);
    }
    if (*count == CHAT_STOPS_MAX) {
        return request_refuse(r, "stop", "\"stop\" may be %d strings.", CHAT_STOPS_MAX);
    }
    stops[(*count)++] = json_string_value(value);
    return 0;
}

static int read_stops(struct request *r, struct completion_memory *memory,
                      struct chat_request *out)
{
    json_t *stop = json_object_get(r->root, "stop");
    int rc = 0;

    out->stops = memory->stops;
    if (!stop || json_is_null(stop)) return 0;
    if (!json_is_array(stop)) return add_stop(r, stop, memory->stops, &out->stops_count);
    for (size_t i = 0; rc == 0 && i < json_array_size(stop); i++) {
        rc = add_stop(r, json_array_get(stop, i), memory->stops, &out->stops_count);
    }
    return rc;
}

static int read_sampling(struct request *r, struct chat_request *out)
{
    double temperature = -1, top_p = -1;
    int64_t seed = 0;
    int rc = request_real(r, r->root, "temperature", 0, 2, &temperature);

    if (rc == 0) rc = request_real(r, r->root, "top_p", 0, 1, &top_p);
    if (rc == 0) rc = request_int(r, r->root, "seed", INT64_MIN, INT64_MAX, &seed);
    if (rc < 0) return rc;
    out->sampling = temperature >= 0 || top_p >= 0 || seed != 0;
    out->temperature = temperature >= 0 ? (float)temperature : 1.0f;
    out->top_p = top_p >= 0 ? (float)top_p : 1.0f;
    out->seed = (uint64_t)seed;
    return 0;
}

static int read_limits(struct request *r, struct completion_request *out)
{
    int64_t most = 0;
    json_t *options = json_object_get(r->root, "stream_options");
    int rc = request_int(r, r->root, "max_tokens", 1, INT32_MAX, &most);

    if (rc == 0) rc = request_int(r, r->root, "max_completion_tokens", 1, INT32_MAX, &most);
    if (rc == 0) rc = request_bool(r, r->root, "stream", &out->stream);
    if (rc == 0 && json_is_object(options)) {
        rc = request_bool(r, options, "include_usage", &out->usage);
    }
    out->engine.max_tokens = (unsigned)most;
    return rc;
}

static bool asks_for(json_t *root, const char *name)
{
    json_t *value = json_object_get(root, name);

    if (json_is_array(value)) return json_array_size(value) > 0;
    return json_is_object(value) || json_is_true(value);
}

static int refuse_unsupported(struct request *r)
{
    static const char *const names[] = { "tools", "functions", "logprobs", "audio",
                                         "prediction" };
    json_t *format = json_object_get(r->root, "response_format");
    const char *type = json_string_value(json_object_get(format, "type"));
    int64_t choices = 1;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!asks_for(r->root, names[i])) continue;
        return request_refuse(r, names[i], "\"%s\" is not supported here.", names[i]);
    }
    if (type && strcmp(type, "text") != 0) {
        return request_refuse(r, "response_format", "Only the format \"text\" is supported.");
    }
    int rc = request_int(r, r->root, "n", 1, 1, &choices);
    return rc;
}

static int make_room(struct request *r, size_t size)
{
    struct completion_memory *memory = calloc(1, sizeof *memory + size);
    if (!memory) return -ENOMEM;

    memory->joined = memory->bytes;
    r->array = memory;
    return 0;
}

int request_completion(struct request *r, const char *body, size_t size,
                       struct completion_request *out)
{
    *out = (struct completion_request){ 0 };
    int rc = request_parse(r, body, size);
    if (rc == 0) rc = make_room(r, size);
    if (rc == 0) rc = request_model(r, r->root, &out->engine.model);
    if (rc == 0) rc = read_turns(r, r->array, &out->engine);
    if (rc == 0) rc = read_stops(r, r->array, &out->engine);
    if (rc == 0) rc = read_sampling(r, &out->engine);
    if (rc == 0) rc = read_limits(r, out);
    if (rc == 0) rc = refuse_unsupported(r);
    return rc;
}
