/* SPDX-License-Identifier: Apache-2.0 */
/* From an engine's stream to a client. While the model is silent the client hears from us all the
 * same, many times a second: a client that has left is found out by a write that fails, and then
 * nothing is computed for it any more. */
#include "server.h"

#include <aether/scope.h>
#include <aether/time.h>
#include <errno.h>

#define PIECE_BYTES 4096
#define QUIET_NS (25 * AE_MS)
#define END_GRACE_NS (5 * AE_SEC)

/* What chat_stream_next gives, or -ETIMEDOUT. */
static ssize_t next_within(struct chat_stream *stream, char *buf, size_t size, int64_t ns)
{
    ae_scope scope;

    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + ns);
    ssize_t n = chat_stream_next(stream, buf, size);
    int rc = ae_scope_end(&scope, n < 0 ? (int)n : 0);
    return n < 0 ? rc : n;
}

static int step(const struct pump *pump, char *buf, bool *ended)
{
    ssize_t n = next_within(pump->stream, buf, PIECE_BYTES, QUIET_NS);

    if (n == -ETIMEDOUT) return pump->quiet(pump->context);
    if (n < 0) return (int)n;
    *ended = n == 0;
    return n > 0 ? pump->text(pump->context, buf, (size_t)n) : 0;
}

/* Nobody wants it any more: wait for the compute thread to leave it, so that its figures are
 * final. What comes meanwhile was never sent. */
static void end_early(const struct pump *pump, char *buf)
{
    ae_shield shield;

    ae_shield_begin(&shield, END_GRACE_NS);
    chat_stream_cancel(pump->stream);
    while (chat_stream_next(pump->stream, buf, PIECE_BYTES) > 0) continue;
    ae_shield_end(&shield);
}

int pump_run(const struct pump *pump)
{
    char buf[PIECE_BYTES];
    bool ended = false;
    int rc = 0;

    while (rc == 0 && !ended) rc = step(pump, buf, &ended);
    if (rc < 0) end_early(pump, buf);
    return rc;
}
