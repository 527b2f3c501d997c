/* SPDX-License-Identifier: Apache-2.0 */
/* struct ae_http: one request and its response, without a protocol. The protocol stands behind
 * http_ops; HTTP/1 is exchange.c, and whatever comes (HTTP/2) fills the same table. */
#ifndef AETHER_HTTP_REQUEST_H
#define AETHER_HTTP_REQUEST_H

#include "server.h"

/* What a protocol does for a request. All may suspend. */
struct http_ops {
    ssize_t (*read)(ae_http *h, void *buf, size_t size);
    /* Head and body at once; h->status and h->head_text are set. type NULL: none. */
    int (*respond)(ae_http *h, const char *type, const void *body, size_t size);
    /* The head of a body in pieces, h->length bytes or, if that is -1, as many as come. */
    int (*start)(ae_http *h);
    int (*write)(ae_http *h, const void *data, size_t size);
    int (*send_file)(ae_http *h, ae_file *file, int64_t offset, uint64_t size);
    int (*flush)(ae_http *h);
    int (*peer)(const ae_http *h, ae_addr *out);
};

struct ae_http {
    const struct http_ops *ops;
    ae_http_server *server;
    struct arena arena;

    /* request: spans are relative to base, whose strings are terminated */
    char *base;
    const struct h1_field *fields;
    unsigned field_count;
    int version;
    const char *method;
    const char *path;
    const char *query;
    size_t path_length;
    struct h1_span target, authority, host;
    bool has_query, is_head, is_asterisk;
    int64_t body_length; /* -1: not known */
    uint64_t body_limit;
    uint64_t body_bytes; /* read so far */
    int read_error;      /* what a failed read returned ... */
    int read_status;     /* ... and the status it means */

    /* routing */
    int found; /* what the router said */
    struct route_match match;
    unsigned step; /* the next middleware */
    void *context;

    /* response */
    int status; /* 0: not set */
    bool started, complete;
    int64_t length; /* announced; -1: not */
    uint64_t sent;
    char *head_text; /* fields that were set: "Name: value\r\n" each */
    size_t head_size, head_room;
};

/* dispatch.c: route, run middleware and handler, and make an answer of an error.
 * Negative: the response cannot be completed. */
int ae__http_dispatch(ae_http *h);

/* response.c: forget what was set before the response began. */
void ae__http_response_reset(ae_http *h);
/* True if a response of this status has no body, whatever was asked. */
bool ae__http_status_bodyless(int status);

/* status.c */
const char *ae__http_status_text(int status); /* "Not Found"; "" for unknown ones */

#endif
