/* SPDX-License-Identifier: Apache-2.0 */
/* The store's reading half: conversations, branches, totals. */
#include "store_db.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows ---- */

/* A copy of a column's text; "" for NULL. NULL: no memory. */
static char *copy_text(sqlite3_stmt *row, int column, size_t *length)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    size_t size = text ? (size_t)sqlite3_column_bytes(row, column) : 0;
    char *copy = malloc(size + 1);

    if (!copy) return NULL;
    if (size > 0) memcpy(copy, text, size);
    copy[size] = '\0';
    if (length) *length = size;
    return copy;
}

/* 0 and NULL for NULL. */
static int copy_optional(sqlite3_stmt *row, int column, char **out)
{
    *out = NULL;
    if (sqlite3_column_type(row, column) == SQLITE_NULL) return 0;
    *out = copy_text(row, column, NULL);
    return *out ? 0 : -ENOMEM;
}

#define CONVERSATION "id, title, created_ms, updated_ms, messages, tokens"

static int read_conversation(sqlite3_stmt *row, struct chat_conversation *out)
{
    *out = (struct chat_conversation){
        .id = sqlite3_column_int64(row, 0),
        .title = copy_text(row, 1, NULL),
        .created_ms = sqlite3_column_int64(row, 2),
        .updated_ms = sqlite3_column_int64(row, 3),
        .messages = sqlite3_column_int64(row, 4),
        .tokens = sqlite3_column_int64(row, 5),
    };
    return out->title ? 0 : -ENOMEM;
}

/* ?3: whether texts are wanted. Where they are not, their pages are not read. */
#define MESSAGE "m.id, m.parent, m.role, m.state, CASE WHEN ?3 THEN m.text ELSE '' END," \
                " m.model, m.error, m.tokens, m.prompt_tokens, m.sent_ms, m.finished_ms," \
                " m.duration_ms"

static int read_message(sqlite3_stmt *row, struct chat_message *out)
{
    *out = (struct chat_message){
        .id = sqlite3_column_int64(row, 0),
        .parent = sqlite3_column_int64(row, 1),
        .role = (enum chat_role)sqlite3_column_int(row, 2),
        .state = (enum message_state)sqlite3_column_int(row, 3),
        .tokens = sqlite3_column_int64(row, 7),
        .prompt_tokens = sqlite3_column_int64(row, 8),
        .sent_ms = sqlite3_column_int64(row, 9),
        .finished_ms = sqlite3_column_int64(row, 10),
        .duration_ms = sqlite3_column_int64(row, 11),
    };
    out->text = copy_text(row, 4, &out->length);
    int rc = out->text ? copy_optional(row, 5, &out->model) : -ENOMEM;
    if (rc == 0) rc = copy_optional(row, 6, &out->error);
    if (rc < 0) chat_message_free(out);
    return rc;
}

/* Room for one more item of `size` bytes; arrays double. */
static int make_room(void **items, size_t count, size_t size)
{
    if (count & (count - 1)) return 0;
    void *grown = reallocarray(*items, count ? count * 2 : 1, size);
    if (!grown) return -ENOMEM;
    *items = grown;
    return 0;
}

/* ---- one conversation ---- */

int store__conversation(sqlite3 *db, int64_t id, struct chat_conversation *out)
{
    sqlite3_stmt *row;
    int rc = store__prepare(db, &row, "SELECT " CONVERSATION " FROM conversation WHERE id = ?",
                            "i", id);
    if (rc < 0) return rc;

    rc = store__step(row);
    if (rc == 1) rc = read_conversation(row, out);
    else if (rc == 0) rc = -ENOENT;
    sqlite3_finalize(row);
    return rc;
}

static const char BRANCH[] =
    "WITH RECURSIVE branch(id) AS ("
    "  SELECT CASE WHEN ?2 > 0 THEN ?2 ELSE (SELECT shown FROM conversation WHERE id = ?1) END"
    "  UNION ALL"
    "  SELECT m.parent FROM message m JOIN branch b ON m.id = b.id WHERE m.parent IS NOT NULL)"
    " SELECT " MESSAGE " FROM branch b JOIN message m ON m.id = b.id"
    " WHERE m.conversation = ?1 ORDER BY m.id";

static int add_message(sqlite3_stmt *row, struct chat_thread *out)
{
    void *items = out->messages;
    int rc = make_room(&items, out->count, sizeof *out->messages);

    out->messages = items;
    if (rc == 0) rc = read_message(row, &out->messages[out->count]);
    if (rc == 0) out->count++;
    return rc;
}

int store__branch(sqlite3 *db, int64_t id, int64_t leaf, bool texts, struct chat_thread *out)
{
    sqlite3_stmt *row;
    int rc = store__prepare(db, &row, BRANCH, "iii", id, leaf, (int64_t)texts);
    if (rc < 0) return rc;

    while ((rc = store__step(row)) > 0) {
        rc = add_message(row, out);
        if (rc < 0) break;
    }
    sqlite3_finalize(row);
    if (rc == 0 && leaf > 0 && out->count == 0) rc = -ENOENT;
    if (rc == 0) chat_totals_of(out->messages, out->count, &out->totals);
    return rc;
}

struct read_args {
    int64_t id, leaf;
    struct chat_thread *out;
};

static int read_thread(sqlite3 *db, void *arg)
{
    struct read_args *args = arg;
    int rc = store__conversation(db, args->id, &args->out->conversation);

    return rc < 0 ? rc : store__branch(db, args->id, args->leaf, true, args->out);
}

int chat_store_read(struct chat_store *store, int64_t id, int64_t leaf, struct chat_thread *out)
{
    *out = (struct chat_thread){ 0 };
    int rc = store__read(store, read_thread, &(struct read_args){ id, leaf, out });
    if (rc < 0) chat_thread_free(out);
    return rc;
}

/* ---- the list ---- */

static int add_conversation(sqlite3_stmt *row, struct chat_conversations *out)
{
    void *items = out->items;
    int rc = make_room(&items, out->count, sizeof *out->items);

    out->items = items;
    if (rc == 0) rc = read_conversation(row, &out->items[out->count]);
    if (rc == 0) out->count++;
    return rc;
}

static int read_list(sqlite3 *db, void *arg)
{
    sqlite3_stmt *row;
    int rc = store__prepare(db, &row, "SELECT " CONVERSATION " FROM conversation"
                            " ORDER BY updated_ms DESC, id DESC", "");
    if (rc < 0) return rc;

    while ((rc = store__step(row)) > 0) {
        rc = add_conversation(row, arg);
        if (rc < 0) break;
    }
    sqlite3_finalize(row);
    return rc;
}

int chat_store_list(struct chat_store *store, struct chat_conversations *out)
{
    *out = (struct chat_conversations){ 0 };
    int rc = store__read(store, read_list, out);
    if (rc < 0) chat_conversations_free(out);
    return rc;
}

/* ---- totals ---- */

static int64_t known(int64_t tokens)
{
    return tokens > 0 ? tokens : 0;
}

/* What the model reads besides questions and answers: the system's messages and the template's own
 * tokens, as far as the last answer has told. */
void chat_totals_of(const struct chat_message *messages, size_t count, struct chat_totals *out)
{
    int64_t system = 0;

    *out = (struct chat_totals){ 0 };
    for (size_t i = 0; i < count; i++) {
        const struct chat_message *m = &messages[i];

        if (m->role == CHAT_SYSTEM) {
            system += known(m->tokens);
            out->system_template += known(m->tokens);
            continue;
        }
        if (m->prompt_tokens > 0) {
            int64_t more = m->prompt_tokens - out->questions - out->answers;
            out->system_template = more > system ? more : system;
        }
        if (m->role == CHAT_USER) out->questions += known(m->tokens);
        else out->answers += known(m->tokens);
        out->messages++;
    }
    out->tokens = out->questions + out->answers;
}

/* ---- freeing ---- */

void chat_message_free(struct chat_message *message)
{
    free(message->text);
    free(message->model);
    free(message->error);
    *message = (struct chat_message){ 0 };
}

void chat_conversation_free(struct chat_conversation *conversation)
{
    free(conversation->title);
    conversation->title = NULL;
}

void chat_conversations_free(struct chat_conversations *list)
{
    for (size_t i = 0; i < list->count; i++) chat_conversation_free(&list->items[i]);
    free(list->items);
    *list = (struct chat_conversations){ 0 };
}

void chat_thread_free(struct chat_thread *thread)
{
    for (size_t i = 0; i < thread->count; i++) chat_message_free(&thread->messages[i]);
    free(thread->messages);
    chat_conversation_free(&thread->conversation);
    *thread = (struct chat_thread){ 0 };
}
