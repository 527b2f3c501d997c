/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share: statements with bound values, and jobs on the pool. */
#ifndef AETHER_CHAT_STORE_DB_H
#define AETHER_CHAT_STORE_DB_H

#include <aether/sync.h>
#include <sqlite3.h>

#include "store.h"

struct chat_store {
    sqlite3 *db;      /* used by one job at a time */
    ae_mutex mutex;   /* that job's */
    int lock_fd;      /* held as long as it is open: one server per file; -1: in memory */
};

typedef int store_fn(sqlite3 *db, void *args);

/* Run `fn` on the pool in a transaction of its own, undone if it returns an error. */
int store__read(struct chat_store *store, store_fn *fn, void *args) AE_MUST_CHECK;
int store__write(struct chat_store *store, store_fn *fn, void *args) AE_MUST_CHECK;

/* A statement with its values bound, one letter each: i an int64_t, o the same with 0 for NULL,
 * s a string or NULL, t a text and its length (size_t). They are borrowed until it is finalized. */
int store__prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql, const char *types, ...)
    AE_MUST_CHECK;

/* Prepare, run to its end, finalize. -ENOENT if it changed no row. */
int store__change(sqlite3 *db, const char *sql, const char *types, ...) AE_MUST_CHECK;

/* 1: a row; 0: the end; or an error. */
int store__step(sqlite3_stmt *statement) AE_MUST_CHECK;

/* An error of SQLite as ours. */
int store__errno(sqlite3 *db, int code);

/* store_schema.c: create the tables or bring them up to date; mend what an unclean end left. */
int store__schema(sqlite3 *db) AE_MUST_CHECK;

/* store_read.c */
int store__conversation(sqlite3 *db, int64_t id, struct chat_conversation *out) AE_MUST_CHECK;
int store__branch(sqlite3 *db, int64_t id, int64_t leaf, bool texts,
                  struct chat_thread *out) AE_MUST_CHECK;

#endif
