/* SPDX-License-Identifier: Apache-2.0 */
/* Answers as JSON; see answer.h. */
#include "answer.h"

#include <errno.h>
#include <string.h>

static const char *type_of(int status)
{
    if (status == 401) return "authentication_error";
    if (status == 429) return "rate_limit_error";
    return status >= 500 ? "server_error" : "invalid_request_error";
}

int answer_json(ae_http *h, int status, struct json_writer *w)
{
    int rc = w->error;

    if (rc == 0) rc = ae_http_header(h, "Cache-Control", "no-store");
    if (rc == 0) rc = ae_http_respond(h, status, "application/json", w->data, w->size);
    json_writer_free(w);
    return rc;
}

static int answer_full_error(ae_http *h, int status, const char *code, const char *message,
                             const char *param)
{
    struct json_writer w = { 0 };

    json_open(&w, '{');
    json_name(&w, "error");
    json_open(&w, '{');
    json_member_string(&w, "code", code);
    json_member_string(&w, "message", message);
    json_member_string(&w, "type", type_of(status));
    json_member_string(&w, "param", param);
    json_close(&w, '}');
    json_close(&w, '}');
    return answer_json(h, status, &w);
}

int answer_error(ae_http *h, int status, const char *code, const char *message)
{
    return answer_full_error(h, status, code, message, NULL);
}

int answer_store_error(ae_http *h, int rc)
{
    switch (-rc) {
    case ECANCELED: return rc;
    case ENOENT: return answer_error(h, 404, "not_found", "There is no such conversation.");
    case EINVAL: return answer_error(h, 400, "wrong_message", "That message cannot be meant here.");
    case EBUSY: return answer_error(h, 503, "store_busy", chat_store_error(rc));
    case ENOSPC: return answer_error(h, 507, "disk_full", chat_store_error(rc));
    }
    return answer_error(h, 500, "store", chat_store_error(rc));
}

static const struct {
    int rc, status;
    const char *code;
} ENGINE_ERRORS[] = {
    { -ENOENT, 404, "model_not_found" },
    { -E2BIG, 400, "context_length_exceeded" },
    { -EAGAIN, 429, "too_many_requests" },
    { -EINVAL, 400, "invalid_request" },
    { -ENODEV, 503, "engine_not_ready" },
    { -ELIBBAD, 503, "engine_not_ready" },
    { -ENOEXEC, 500, "model_broken" },
    { -ENOMEM, 503, "no_memory" },
};

#define ENGINE_ERRORS_COUNT (sizeof ENGINE_ERRORS / sizeof ENGINE_ERRORS[0])

const char *engine_error_code(int rc)
{
    for (size_t i = 0; i < ENGINE_ERRORS_COUNT; i++) {
        if (ENGINE_ERRORS[i].rc == rc) return ENGINE_ERRORS[i].code;
    }
    return "engine";
}

int answer_engine_error(ae_http *h, int rc)
{
    int status = 500;

    if (rc == -ECANCELED) return rc;
    for (size_t i = 0; i < ENGINE_ERRORS_COUNT; i++) {
        if (ENGINE_ERRORS[i].rc == rc) status = ENGINE_ERRORS[i].status;
    }
    if (status == 429) {
        int failed = ae_http_header(h, "Retry-After", "1");
        if (failed < 0) return failed;
    }
    return answer_error(h, status, engine_error_code(rc), chat_engine_error(rc));
}

int answer_refused(ae_http *h, struct request *r, int rc)
{
    if (rc == -EINVAL) rc = answer_full_error(h, 400, "invalid_request", r->why, r->member);
    request_free(r);
    return rc;
}

ssize_t read_body(ae_http *h, uint64_t most, const char **out)
{
    ae_http_body_limit(h, most);
    return ae_http_body(h, out);
}

int answer_read_error(ae_http *h, ssize_t rc)
{
    if (rc != -EMSGSIZE) return (int)rc;
    return answer_error(h, 413, "too_long", "The body is longer than what is accepted here.");
}
