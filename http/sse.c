/* SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events (HTML standard §9.2): text blocks, each sent as it is made. */
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ae_http_sse_open(ae_http *h)
{
    int rc = ae_http_header(h, "Content-Type", "text/event-stream");

    if (rc == 0) rc = ae_http_header(h, "Cache-Control", "no-store");
    if (rc == 0) rc = ae_http_header(h, "X-Accel-Buffering", "no"); /* asks nginx not to wait */
    return rc < 0 ? rc : ae_http_flush(h);
}

static bool one_line(const char *text)
{
    return text[strcspn(text, "\r\n")] == '\0';
}

/* What `data` needs at most: each line gets "data: " before it. */
static size_t room_for(const char *data)
{
    size_t lines = 1;

    for (const char *at = data; *at; at++)
        lines += *at == '\n' || *at == '\r';
    return strlen(data) + lines * 7;
}

static char *add(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

static char *add_line(char *at, const char *name, const char *text, size_t size)
{
    at = add(at, name, strlen(name));
    at = add(at, ": ", 2);
    at = add(at, text, size);
    *at++ = '\n';
    return at;
}

/* CR LF, LF and CR all end a line there. */
static char *add_data(char *at, const char *data)
{
    for (;;) {
        size_t n = strcspn(data, "\r\n");

        at = add_line(at, "data", data, n);
        data += n;
        if (*data == '\0') return at;
        data += data[0] == '\r' && data[1] == '\n' ? 2 : 1;
    }
}

int ae_http_sse_send(ae_http *h, const char *event, const char *id, const char *data)
{
    size_t room = room_for(data) + 32;
    char local[1024];
    char *text = local, *at;
    int rc;

    if ((event && !one_line(event)) || (id && !one_line(id))) return -EINVAL;
    if (event) room += strlen(event);
    if (id) room += strlen(id);
    if (room > sizeof(local)) text = malloc(room);
    if (!text) return -ENOMEM;
    at = text;
    if (event) at = add_line(at, "event", event, strlen(event));
    if (id) at = add_line(at, "id", id, strlen(id));
    at = add_data(at, data);
    *at++ = '\n';
    rc = ae_http_write(h, text, (size_t)(at - text));
    if (text != local) free(text);
    return rc < 0 ? rc : ae_http_flush(h);
}

int ae_http_sse_heartbeat(ae_http *h)
{
    int rc = ae_http_write(h, ":\n\n", 3);

    return rc < 0 ? rc : ae_http_flush(h);
}
