/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept, as tables, and how a file of an earlier version becomes one of this. To change the
 * tables: add a step at the end of STEPS; what has been released is never edited.
 *
 * A message's parent always has a smaller id than itself, so ordering a branch by id is ordering it
 * by time. conversation.messages and .tokens are sums over the shown branch, kept with each change,
 * so that a list of conversations reads no messages. */
#include "store_db.h"

#include <errno.h>
#include <stdio.h>

#define APPLICATION_ID 0x41454149 /* "AEAI": says which program's file this is */

static const char *const STEPS[] = {
    "CREATE TABLE conversation ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  title TEXT NOT NULL,"
    "  created_ms INTEGER NOT NULL,"
    "  updated_ms INTEGER NOT NULL,"
    "  shown INTEGER,"
    "  messages INTEGER NOT NULL DEFAULT 0,"
    "  tokens INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE message ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  conversation INTEGER NOT NULL REFERENCES conversation(id) ON DELETE CASCADE,"
    "  parent INTEGER REFERENCES message(id) ON DELETE CASCADE,"
    "  role INTEGER NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  text TEXT NOT NULL,"
    "  model TEXT,"
    "  error TEXT,"
    "  tokens INTEGER NOT NULL,"
    "  prompt_tokens INTEGER NOT NULL,"
    "  sent_ms INTEGER NOT NULL,"
    "  finished_ms INTEGER NOT NULL,"
    "  duration_ms INTEGER NOT NULL);"
    "CREATE INDEX message_by_conversation ON message(conversation);"
    "CREATE INDEX message_by_parent ON message(parent);"
    "CREATE INDEX message_under_way ON message(state) WHERE state = 1;"
    "CREATE INDEX conversation_by_update ON conversation(updated_ms);",
};

#define STEPS_COUNT ((int)(sizeof STEPS / sizeof STEPS[0]))

static int read_number(sqlite3 *db, const char *sql, int64_t *out)
{
    sqlite3_stmt *statement;
    int rc = store__prepare(db, &statement, sql, "");
    if (rc < 0) return rc;

    rc = store__step(statement);
    if (rc == 1) *out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return rc == 1 ? 0 : rc < 0 ? rc : -EIO;
}

static int run_sql(sqlite3 *db, const char *sql)
{
    return store__errno(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static int take_steps(sqlite3 *db, int from)
{
    char mark[96];
    int rc = 0;

    for (int i = from; rc == 0 && i < STEPS_COUNT; i++) rc = run_sql(db, STEPS[i]);
    snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             APPLICATION_ID, STEPS_COUNT);
    return rc < 0 ? rc : run_sql(db, mark);
}

/* A file with tables that are not ours is somebody else's. */
static int check_owner(sqlite3 *db, int64_t version)
{
    int64_t id, tables;
    int rc = read_number(db, "PRAGMA application_id", &id);

    if (rc == 0) rc = read_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc < 0) return rc;
    if (id == APPLICATION_ID) return version > STEPS_COUNT ? -EPROTO : 0;
    return id == 0 && version == 0 && tables == 0 ? 0 : -EBADMSG;
}

/* What was being written when an earlier run ended keeps what it has, and will get no more. */
static int mend(sqlite3 *db)
{
    return run_sql(db, "UPDATE message SET state = 2, finished_ms = max(finished_ms, sent_ms)"
                       " WHERE state = 1");
}

static int bring_up_to_date(sqlite3 *db)
{
    int64_t version;
    int rc = read_number(db, "PRAGMA user_version", &version);

    if (rc == 0) rc = check_owner(db, version);
    if (rc == 0 && version < STEPS_COUNT) rc = take_steps(db, (int)version);
    return rc < 0 ? rc : mend(db);
}

int store__schema(sqlite3 *db)
{
    int rc = run_sql(db, "BEGIN IMMEDIATE");

    if (rc < 0) return rc;
    rc = bring_up_to_date(db);
    if (rc == 0) rc = run_sql(db, "COMMIT");
    if (rc < 0) (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}
