/* SPDX-License-Identifier: Apache-2.0 */
/* From tokens to text that may be shown. Tokens cut through characters and through stop strings,
 * and a model may write bytes that are no UTF-8 at all; readers get whole characters only.
 *
 * The pipe has one writer and one reader and no lock, since the writer may be descheduled at any
 * point (engine_private.h): chunks are linked by an atomic pointer and filled up to an atomic
 * length. The reader sets `waiting` and looks again before it waits; the writer publishes before it
 * looks at `waiting`; both orders are seq_cst, so one of them sees the other. */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine_private.h"

/* ---- UTF-8 (RFC 3629) ---- */

/* Length of the character at `s`; 0: more bytes are needed; -1: these can never be one. */
static int character(const unsigned char *s, size_t length)
{
    static const unsigned char low[] = { 0, 0, 0x80, 0x80, 0x80 };
    if (s[0] < 0x80) return 1;
    int bytes = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4) return -1;
    if (length < 2) return 0;
    unsigned first_low = low[bytes], first_high = 0xbf;
    if (s[0] == 0xe0) first_low = 0xa0;
    if (s[0] == 0xed) first_high = 0x9f;
    if (s[0] == 0xf0) first_low = 0x90;
    if (s[0] == 0xf4) first_high = 0x8f;
    if (s[1] < first_low || s[1] > first_high) return -1;
    for (int i = 2; i < bytes; i++) {
        if ((size_t)i >= length) return 0;
        if ((s[i] & 0xc0) != 0x80) return -1;
    }
    return bytes;
}

/* Copies whole characters of the first `length` held bytes to `out`, with U+FFFD for bytes that
 * are none, and forgets them. `all`: half a character at the end counts as none. */
static size_t release(struct text_gate *gate, size_t length, bool all, char *out)
{
    size_t at = 0, shown = 0;
    while (at < length) {
        int bytes = character((const unsigned char *)gate->held + at, length - at);
        if (bytes == 0 && !all) break;
        if (bytes > 0) {
            memcpy(out + shown, gate->held + at, (size_t)bytes);
            shown += (size_t)bytes;
            at += (size_t)bytes;
        } else {
            memcpy(out + shown, "\xef\xbf\xbd", 3);
            shown += 3;
            at++;
        }
    }
    memmove(gate->held, gate->held + at, gate->length - at);
    gate->length -= at;
    return shown;
}

/* ---- stop strings ---- */

/* Where the first stop begins, or the length held. */
static size_t first_stop(const struct text_gate *gate)
{
    size_t first = gate->length;
    for (size_t i = 0; i < gate->stops_count; i++) {
        const char *found =
            memmem(gate->held, gate->length, gate->stops[i], strlen(gate->stops[i]));
        if (found && (size_t)(found - gate->held) < first) first = (size_t)(found - gate->held);
    }
    return first;
}

/* How many bytes at the end are the beginning of a stop. */
static size_t maybe_stop(const struct text_gate *gate)
{
    size_t longest = 0;
    for (size_t i = 0; i < gate->stops_count; i++) {
        size_t bytes = strlen(gate->stops[i]) - 1;
        if (bytes > gate->length) bytes = gate->length;
        while (bytes > longest &&
               memcmp(gate->held + gate->length - bytes, gate->stops[i], bytes) != 0) {
            bytes--;
        }
        if (bytes > longest) longest = bytes;
    }
    return longest;
}

bool chat_gate_push(struct text_gate *gate, const char *bytes, size_t length, char *out,
                    size_t *shown)
{
    memcpy(gate->held + gate->length, bytes, length);
    gate->length += length;
    size_t stop = first_stop(gate);
    if (stop < gate->length) {
        gate->length = stop;
        *shown = release(gate, stop, true, out);
        return true;
    }
    *shown = release(gate, gate->length - maybe_stop(gate), false, out);
    return false;
}

size_t chat_gate_flush(struct text_gate *gate, char *out)
{
    return release(gate, gate->length, true, out);
}

/* ---- the pipe ---- */

int chat_pipe_init(struct text_pipe *pipe)
{
    pipe->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pipe->wake_fd < 0) return -errno;
    pipe->head = pipe->tail = calloc(1, sizeof(*pipe->head));
    return pipe->head ? 0 : -ENOMEM;
}

void chat_pipe_finish(struct text_pipe *pipe)
{
    for (struct text_chunk *chunk = pipe->head, *next; chunk; chunk = next) {
        next = atomic_load(&chunk->next);
        free(chunk);
    }
    if (pipe->wake_fd >= 0) close(pipe->wake_fd);
}

static void wake(struct text_pipe *pipe)
{
    if (!atomic_exchange(&pipe->waiting, false)) return;
    uint64_t one = 1;
    /* it can only fail when it is as high as it goes, and then it is readable already */
    if (write(pipe->wake_fd, &one, sizeof(one)) < 0) return;
}

int chat_pipe_write(struct text_pipe *pipe, const char *text, size_t length)
{
    while (length > 0) {
        struct text_chunk *tail = pipe->tail;
        unsigned used = atomic_load(&tail->used);
        size_t part = CHUNK_BYTES - used < length ? CHUNK_BYTES - used : length;
        memcpy(tail->data + used, text, part);
        atomic_store(&tail->used, used + (unsigned)part);
        text += part;
        length -= part;
        if (length == 0) break;
        struct text_chunk *chunk = calloc(1, sizeof(*chunk));
        if (!chunk) return -ENOMEM;
        atomic_store(&tail->next, chunk);
        pipe->tail = chunk;
    }
    wake(pipe);
    return 0;
}

void chat_pipe_end(struct text_pipe *pipe)
{
    atomic_store(&pipe->ended, true);
    wake(pipe);
}

/* The chunk with unread bytes, after freeing those that were read. NULL: nothing unread. */
static struct text_chunk *readable(struct text_pipe *pipe)
{
    while (pipe->taken == atomic_load(&pipe->head->used)) {
        struct text_chunk *next = atomic_load(&pipe->head->next);
        if (!next) return NULL;
        /* filled up between the two looks: the writer links the next chunk last */
        if (pipe->taken < atomic_load(&pipe->head->used)) break;
        free(pipe->head);
        pipe->head = next;
        pipe->taken = 0;
    }
    return pipe->head;
}

/* How many bytes at the end begin a character that goes on. */
static size_t half_character(const char *text, size_t length)
{
    for (size_t back = 1; back <= 3 && back <= length; back++) {
        unsigned char c = (unsigned char)text[length - back];
        if (c < 0x80) return 0;
        if (c < 0xc0) continue;
        size_t bytes = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
        return bytes > back ? back : 0;
    }
    return 0;
}

size_t chat_pipe_take(struct text_pipe *pipe, char *buf, size_t size)
{
    size_t got = pipe->half_length;
    memcpy(buf, pipe->half, got);
    for (struct text_chunk *chunk; got < size && (chunk = readable(pipe)) != NULL;) {
        size_t there = atomic_load(&chunk->used) - pipe->taken;
        size_t part = there < size - got ? there : size - got;
        memcpy(buf + got, chunk->data + pipe->taken, part);
        got += part;
        pipe->taken += (unsigned)part;
    }
    pipe->half_length = half_character(buf, got);
    got -= pipe->half_length;
    memcpy(pipe->half, buf + got, pipe->half_length);
    return got;
}
