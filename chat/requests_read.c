/* SPDX-License-Identifier: Apache-2.0 */
/* Reading single members of requests; see requests_read.h. */
#include "requests_read.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32

int request_refuse(struct request *r, const char *member, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(r->why, sizeof r->why, format, args);
    va_end(args);
    r->member = member;
    return -EINVAL;
}

/* The parser recurses, and runs on a task's stack: no request needs more than a few levels. */
static bool is_too_deep(const char *body, size_t size)
{
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < size && depth <= DEPTH_MAX; i++) {
        char c = body[i];
        if (in_string && c == '\\') i++;
        else if (c == '"') in_string = !in_string;
        else if (!in_string && (c == '[' || c == '{')) depth++;
        else if (!in_string && (c == ']' || c == '}')) depth--;
    }
    return depth > DEPTH_MAX;
}

int request_parse(struct request *r, const char *body, size_t size)
{
    json_error_t error;

    if (is_too_deep(body, size)) {
        return request_refuse(r, NULL, "The body is nested more than %d deep.", DEPTH_MAX);
    }
    json_t *root = json_loadb(body, size, JSON_REJECT_DUPLICATES, &error);

    if (!root && json_error_code(&error) == json_error_out_of_memory) return -ENOMEM;
    if (!root) return request_refuse(r, NULL, "The body is not JSON: %.100s", error.text);
    r->root = root;
    if (json_is_object(root)) return 0;
    return request_refuse(r, NULL, "The body must be a JSON object.");
}

void requests_prepare(void)
{
    json_object_seed(0); /* of its hash tables: random, and so nobody can make them slow */
}

void request_free(struct request *r)
{
    json_decref(r->root);
    free(r->array);
    r->root = NULL;
    r->array = NULL;
}

static json_t *member(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);

    return json_is_null(value) ? NULL : value;
}

static bool has_control(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c == 0x7f) return true;
    }
    return false;
}

int request_text(struct request *r, json_t *object, const char *name, struct text_rule rule,
                 const char **out, size_t *length)
{
    json_t *value = member(object, name);

    if (!value && !rule.required) return 0;
    if (!value) return request_refuse(r, name, "\"%s\" is missing.", name);
    if (!json_is_string(value)) return request_refuse(r, name, "\"%s\" must be a string.", name);
    const char *text = json_string_value(value);
    size_t size = json_string_length(value);
    if (size < rule.least) return request_refuse(r, name, "\"%s\" must not be empty.", name);
    if (size > rule.most) {
        return request_refuse(r, name, "\"%s\" may have %zu bytes, not %zu.", name, rule.most,
                              size);
    }
    if (rule.one_line && has_control(text, size)) {
        return request_refuse(r, name, "\"%s\" may not have control characters.", name);
    }
    *out = text;
    if (length) *length = size;
    return 0;
}

int request_int(struct request *r, json_t *object, const char *name, int64_t least, int64_t most,
                int64_t *out)
{
    json_t *value = member(object, name);

    if (!value) return 0;
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > most) {
        return request_refuse(r, name, "\"%s\" must be a whole number from %lld to %lld.", name,
                              (long long)least, (long long)most);
    }
    *out = json_integer_value(value);
    return 0;
}

int request_real(struct request *r, json_t *object, const char *name, double least, double most,
                 double *out)
{
    json_t *value = member(object, name);

    if (!value) return 0;
    if (!json_is_number(value) || !(json_number_value(value) >= least) ||
        !(json_number_value(value) <= most)) {
        return request_refuse(r, name, "\"%s\" must be a number from %g to %g.", name, least,
                              most);
    }
    *out = json_number_value(value);
    return 0;
}

int request_bool(struct request *r, json_t *object, const char *name, bool *out)
{
    json_t *value = member(object, name);

    if (!value) return 0;
    if (!json_is_boolean(value)) {
        return request_refuse(r, name, "\"%s\" must be true or false.", name);
    }
    *out = json_is_true(value);
    return 0;
}

int request_model(struct request *r, json_t *object, const char **out)
{
    size_t length = 0;
    struct text_rule rule = { .least = 1, .most = CHAT_MODEL_NAME_MAX };
    int rc = request_text(r, object, "model", rule, out, &length);

    if (rc < 0 || !*out || chat_model_name_ok(*out, length)) return rc;
    return request_refuse(r, "model", "\"model\" is not a name that a model can have.");
}

int request_array(struct request *r, json_t *object, const char *name, size_t most, json_t **out)
{
    json_t *value = member(object, name);

    if (!json_is_array(value) || json_array_size(value) < 1 || json_array_size(value) > most) {
        return request_refuse(r, name, "\"%s\" must be an array of 1 to %zu.", name, most);
    }
    *out = value;
    return 0;
}

int request_role(struct request *r, json_t *object, enum chat_role *out)
{
    static const struct {
        const char *name;
        enum chat_role role;
    } roles[] = { { "user", CHAT_USER }, { "assistant", CHAT_ASSISTANT },
                  { "system", CHAT_SYSTEM }, { "developer", CHAT_SYSTEM } };
    const char *name = NULL;
    struct text_rule rule = { .most = 16, .required = true };
    int rc = request_text(r, object, "role", rule, &name, NULL);

    if (rc < 0) return rc;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(name, roles[i].name) != 0) continue;
        *out = roles[i].role;
        return 0;
    }
    return request_refuse(r, "role", "\"role\" must be user, assistant or system.");
}
