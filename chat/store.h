/* SPDX-License-Identifier: Apache-2.0 */
/* Conversations that are kept: a tree of messages per conversation in one SQLite file, of which the
 * branch that ends in the conversation's `shown` message is what people see.
 *
 * SQLite blocks, so every call runs as a job on the blocking pool; calls of several tasks take
 * turns. What a function has reported as done is in the file, also if the process dies then. */
#ifndef AETHER_CHAT_STORE_H
#define AETHER_CHAT_STORE_H

#include <aether/defs.h>

#include "engine.h"

struct chat_store;

enum message_state { MESSAGE_DONE, MESSAGE_STREAMING, MESSAGE_STOPPED, MESSAGE_FAILED };

#define CHAT_UNKNOWN (-1)     /* a number that nobody knows */
#define CHAT_TITLE_BYTES 400
#define CHAT_SHOWN (-1)       /* as a parent: the end of the shown branch */

struct chat_message {
    int64_t id;
    int64_t parent;           /* 0: the first one */
    enum chat_role role;
    enum message_state state;
    char *text;               /* never NULL; `length` bytes of UTF-8 and a NUL */
    size_t length;
    char *model, *error;      /* NULL: none */
    int64_t tokens;           /* of the text alone; CHAT_UNKNOWN until counted */
    int64_t prompt_tokens;    /* answers: what the model read for it, with template */
    int64_t sent_ms;          /* Unix time */
    int64_t finished_ms;      /* 0: not yet */
    int64_t duration_ms;      /* CHAT_UNKNOWN: not measured */
};

struct chat_totals {          /* of the shown branch */
    int64_t messages;         /* questions and answers */
    int64_t tokens;           /* their sum */
    int64_t questions, answers, system_template; /* tokens */
};

struct chat_conversation {
    int64_t id, created_ms, updated_ms;
    int64_t messages, tokens; /* of the shown branch */
    char *title;
};

struct chat_conversations {
    struct chat_conversation *items;
    size_t count;
};

struct chat_thread {          /* a conversation and a branch of it */
    struct chat_conversation conversation;
    struct chat_message *messages;
    size_t count;
    struct chat_totals totals;
};

/* NULL: in memory. Unclean answers of an earlier run become MESSAGE_STOPPED. Errors: -EBUSY
 * (another server has it open), -EBADMSG (damaged or something else), -EPROTO (of a newer version),
 * -ENOENT, -EACCES, -EROFS, -ENOSPC, -EIO, -ENOMEM. Colour: a plain thread. */
int chat_store_open(const char *path, struct chat_store **out) AE_MUST_CHECK;
void chat_store_close(struct chat_store *store); /* accepts NULL */

/* All below: 0 or an error of the above, -ENOENT (no such conversation or message), -ECANCELED
 * (nothing was done). Colour: any thread, may block. */

int chat_store_list(struct chat_store *store, struct chat_conversations *out) AE_MUST_CHECK;
int chat_store_create(struct chat_store *store, const char *title, int64_t now_ms,
                      struct chat_conversation *out) AE_MUST_CHECK;
int chat_store_rename(struct chat_store *store, int64_t id, const char *title, int64_t now_ms,
                      struct chat_conversation *out) AE_MUST_CHECK;
int chat_store_delete(struct chat_store *store, int64_t id) AE_MUST_CHECK;

/* The branch that ends in `leaf` (CHAT_SHOWN: the shown one). */
int chat_store_read(struct chat_store *store, int64_t id, int64_t leaf,
                    struct chat_thread *out) AE_MUST_CHECK;

/* A question below `parent` and the empty answer to it, which becomes the shown end; at once or
 * not at all. In: everything but the ids. An untitled conversation gets `title`. -EINVAL: the
 * parent is a question. */
struct chat_exchange {
    struct chat_message question, answer;
    const char *title;
};
int chat_store_ask(struct chat_store *store, int64_t id, struct chat_exchange *exchange)
    AE_MUST_CHECK;

/* Another answer beside `old`; becomes the shown end. -EINVAL: `old` is no answer. */
int chat_store_retry(struct chat_store *store, int64_t id, int64_t old,
                     struct chat_message *answer) AE_MUST_CHECK;

/* Store text and figures of a message as they are now. `totals` (may be NULL) are then the shown
 * branch's. */
int chat_store_save(struct chat_store *store, int64_t id, const struct chat_message *message,
                    struct chat_totals *totals) AE_MUST_CHECK;

/* A conversation whose messages follow one another. */
int chat_store_import(struct chat_store *store, const char *title, struct chat_message *messages,
                      size_t count, int64_t now_ms, struct chat_conversation *out) AE_MUST_CHECK;

/* Each accepts what is zeroed. Colour: any thread. */
void chat_message_free(struct chat_message *message); /* what it points to, not itself */
void chat_conversation_free(struct chat_conversation *conversation);
void chat_conversations_free(struct chat_conversations *list);
void chat_thread_free(struct chat_thread *thread);

/* The sums of a branch. Colour: any thread. */
void chat_totals_of(const struct chat_message *messages, size_t count, struct chat_totals *out);

/* A sentence for people about an error of these functions. Colour: any thread. */
const char *chat_store_error(int rc);

#endif
