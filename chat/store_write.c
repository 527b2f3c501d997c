/* SPDX-License-Identifier: Apache-2.0 */
/* The store's writing half. Each function is one transaction: all of it is in the file, or none. */
#include "store_db.h"

#include <errno.h>
#include <string.h>

/* ---- pieces ---- */

static int insert_message(sqlite3 *db, int64_t conversation, struct chat_message *m)
{
    int rc = store__change(db,
        "INSERT INTO message (conversation, parent, role, state, text, model, error, tokens,"
        " prompt_tokens, sent_ms, finished_ms, duration_ms) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        "ioiitssiiiii", conversation, m->parent, (int64_t)m->role, (int64_t)m->state,
        m->text, m->length, m->model, m->error, m->tokens, m->prompt_tokens, m->sent_ms,
        m->finished_ms, m->duration_ms);

    if (rc == 0) m->id = sqlite3_last_insert_rowid(db);
    return rc;
}

/* Make `leaf` the end of what is shown (0: leave it) and bring the sums up to date. */
static int show(sqlite3 *db, int64_t id, int64_t leaf, int64_t now_ms, struct chat_totals *totals)
{
    struct chat_thread branch = { 0 };
    int rc = 0;

    if (leaf) rc = store__change(db, "UPDATE conversation SET shown = ? WHERE id = ?", "ii",
                                 leaf, id);
    if (rc == 0) rc = store__branch(db, id, CHAT_SHOWN, false, &branch);
    if (rc == 0) {
        rc = store__change(db, "UPDATE conversation SET messages = ?, tokens = ?,"
                           " updated_ms = max(updated_ms, ?) WHERE id = ?", "iiii",
                           branch.totals.messages, branch.totals.tokens, now_ms, id);
    }
    if (totals) *totals = branch.totals;
    chat_thread_free(&branch);
    return rc;
}

struct found {
    int64_t id, parent;
    enum chat_role role;
    enum message_state state;
};

/* A message of this conversation, without its text; CHAT_SHOWN: the shown end (id 0: none yet). */
static int find_message(sqlite3 *db, int64_t conversation, int64_t id, struct found *out)
{
    sqlite3_stmt *row;
    int rc = store__prepare(db, &row,
        "SELECT m.id, m.parent, m.role, m.state FROM conversation c LEFT JOIN message m"
        " ON m.conversation = c.id AND m.id = CASE WHEN ?2 > 0 THEN ?2 ELSE c.shown END"
        " WHERE c.id = ?1", "ii", conversation, id);
    if (rc < 0) return rc;

    rc = store__step(row);
    *out = (struct found){ 0 };
    if (rc == 1) {
        *out = (struct found){ sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1),
                               (enum chat_role)sqlite3_column_int(row, 2),
                               (enum message_state)sqlite3_column_int(row, 3) };
    }
    sqlite3_finalize(row);
    if (rc < 0) return rc;
    return rc == 0 || (id > 0 && out->id == 0) ? -ENOENT : 0;
}

static int title_if_untitled(sqlite3 *db, int64_t id, const char *title)
{
    if (!title) return 0;
    int rc = store__change(db, "UPDATE conversation SET title = ? WHERE id = ? AND title = ''",
                           "si", title, id);
    return rc == -ENOENT ? 0 : rc;
}

/* ---- conversations ---- */

struct conversation_args {
    int64_t id, now_ms;
    const char *title;
    struct chat_conversation *out;
};

static int insert_conversation(sqlite3 *db, void *arg)
{
    struct conversation_args *args = arg;
    int rc = store__change(db, "INSERT INTO conversation (title, created_ms, updated_ms)"
                           " VALUES (?, ?, ?)", "sii", args->title ? args->title : "",
                           args->now_ms, args->now_ms);

    if (rc < 0) return rc;
    args->id = sqlite3_last_insert_rowid(db);
    return args->out ? store__conversation(db, args->id, args->out) : 0;
}

/* What a transaction has read is nobody's if it was not committed. */
static int write_conversation(struct chat_store *store, store_fn *fn,
                              struct conversation_args *args)
{
    *args->out = (struct chat_conversation){ 0 };
    int rc = store__write(store, fn, args);
    if (rc < 0) chat_conversation_free(args->out);
    return rc;
}

int chat_store_create(struct chat_store *store, const char *title, int64_t now_ms,
                      struct chat_conversation *out)
{
    return write_conversation(store, insert_conversation,
                              &(struct conversation_args){ 0, now_ms, title, out });
}

static int rename_conversation(sqlite3 *db, void *arg)
{
    struct conversation_args *args = arg;
    int rc = store__change(db, "UPDATE conversation SET title = ?, updated_ms = max(updated_ms, ?)"
                           " WHERE id = ?", "sii", args->title, args->now_ms, args->id);

    return rc < 0 ? rc : store__conversation(db, args->id, args->out);
}

int chat_store_rename(struct chat_store *store, int64_t id, const char *title, int64_t now_ms,
                      struct chat_conversation *out)
{
    return write_conversation(store, rename_conversation,
                              &(struct conversation_args){ id, now_ms, title, out });
}

static int delete_conversation(sqlite3 *db, void *arg)
{
    const struct conversation_args *args = arg;

    return store__change(db, "DELETE FROM conversation WHERE id = ?", "i", args->id);
}

int chat_store_delete(struct chat_store *store, int64_t id)
{
    return store__write(store, delete_conversation, &(struct conversation_args){ .id = id });
}

/* ---- questions and answers ---- */

struct exchange_args {
    int64_t id;
    struct chat_exchange *exchange;
};

static int insert_exchange(sqlite3 *db, void *arg)
{
    const struct exchange_args *args = arg;
    struct chat_message *question = &args->exchange->question;
    struct chat_message *answer = &args->exchange->answer;
    struct found parent = { 0 };
    int rc = find_message(db, args->id, question->parent ? question->parent : CHAT_SHOWN, &parent);

    if (rc < 0) return rc;
    if (question->parent == 0) parent = (struct found){ 0 };
    if (parent.id && parent.role == CHAT_USER) return -EINVAL;
    question->parent = parent.id;
    rc = insert_message(db, args->id, question);
    if (rc < 0) return rc;
    answer->parent = question->id;
    rc = insert_message(db, args->id, answer);
    if (rc == 0) rc = title_if_untitled(db, args->id, args->exchange->title);
    return rc < 0 ? rc : show(db, args->id, answer->id, question->sent_ms, NULL);
}

int chat_store_ask(struct chat_store *store, int64_t id, struct chat_exchange *exchange)
{
    return store__write(store, insert_exchange, &(struct exchange_args){ id, exchange });
}

struct retry_args {
    int64_t id, old;
    struct chat_message *answer;
};

static int insert_retry(sqlite3 *db, void *arg)
{
    const struct retry_args *args = arg;
    struct found old;
    int rc = find_message(db, args->id, args->old, &old);

    if (rc < 0) return rc;
    if (old.id == 0 || old.role != CHAT_ASSISTANT || old.parent == 0) return -EINVAL;
    args->answer->parent = old.parent;
    rc = insert_message(db, args->id, args->answer);
    if (rc < 0) return rc;
    return show(db, args->id, args->answer->id, args->answer->sent_ms, NULL);
}

int chat_store_retry(struct chat_store *store, int64_t id, int64_t old,
                     struct chat_message *answer)
{
    return store__write(store, insert_retry, &(struct retry_args){ id, old, answer });
}

struct save_args {
    int64_t id;
    const struct chat_message *message;
    struct chat_totals *totals;
};

static int save_message(sqlite3 *db, void *arg)
{
    const struct save_args *args = arg;
    const struct chat_message *m = args->message;
    int rc = store__change(db,
        "UPDATE message SET state = ?, text = ?, error = ?, tokens = ?, prompt_tokens = ?,"
        " finished_ms = ?, duration_ms = ? WHERE id = ? AND conversation = ?", "itsiiiiii",
        (int64_t)m->state, m->text, m->length, m->error, m->tokens, m->prompt_tokens,
        m->finished_ms, m->duration_ms, m->id, args->id);

    return rc < 0 ? rc : show(db, args->id, 0, m->finished_ms, args->totals);
}

int chat_store_save(struct chat_store *store, int64_t id, const struct chat_message *message,
                    struct chat_totals *totals)
{
    return store__write(store, save_message, &(struct save_args){ id, message, totals });
}

/* ---- import ---- */

struct import_args {
    struct conversation_args conversation;
    struct chat_message *messages;
    size_t count;
};

static int insert_import(sqlite3 *db, void *arg)
{
    struct import_args *args = arg;
    int64_t parent = 0;
    int rc = insert_conversation(db, &args->conversation);

    for (size_t i = 0; rc == 0 && i < args->count; i++) {
        args->messages[i].parent = parent;
        rc = insert_message(db, args->conversation.id, &args->messages[i]);
        parent = args->messages[i].id;
    }
    if (rc == 0 && parent) rc = show(db, args->conversation.id, parent, 0, NULL);
    return rc;
}

static int import(sqlite3 *db, void *arg)
{
    struct import_args *args = arg;
    struct chat_conversation *out = args->conversation.out;

    args->conversation.out = NULL;
    int rc = insert_import(db, args);
    return rc < 0 ? rc : store__conversation(db, args->conversation.id, out);
}

int chat_store_import(struct chat_store *store, const char *title, struct chat_message *messages,
                      size_t count, int64_t now_ms, struct chat_conversation *out)
{
    struct import_args args = { { 0, now_ms, title, out }, messages, count };

    *out = (struct chat_conversation){ 0 };
    int rc = store__write(store, import, &args);
    if (rc < 0) chat_conversation_free(out);
    return rc;
}
