/* SPDX-License-Identifier: Apache-2.0 */
/* The store's connection to SQLite: opening, errors, statements, jobs on the blocking pool. What is
 * kept and how is in store_schema.c; store_read.c and store_write.c do the work. */
#include "store_db.h"

#include <aether/blocking.h>
#include <aether/log.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define BUSY_MS 5000

/* ---- errors ---- */

int store__errno(sqlite3 *db, int code)
{
    switch (code & 0xff) {
    case SQLITE_OK: case SQLITE_ROW: case SQLITE_DONE: return 0;
    case SQLITE_BUSY: case SQLITE_LOCKED: return -EBUSY;
    case SQLITE_CORRUPT: case SQLITE_NOTADB: return -EBADMSG;
    case SQLITE_FULL: return -ENOSPC;
    case SQLITE_READONLY: return -EROFS;
    case SQLITE_NOMEM: return -ENOMEM;
    case SQLITE_PERM: case SQLITE_AUTH: return -EACCES;
    case SQLITE_CANTOPEN: return -ENOENT;
    case SQLITE_TOOBIG: return -EFBIG;
    }
    ae_log(AE_ERROR, "chat: store: %s", db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    return -EIO;
}

const char *chat_store_error(int rc)
{
    switch (-rc) {
    case ENOENT: return "there is nothing of that name";
    case EBUSY: return "another server, or another program, has the store open";
    case EBADMSG: return "the store is damaged, or the file is something else";
    case EPROTO: return "the store was written by a newer version of this program";
    case ENOSPC: return "the disk is full";
    case EROFS: return "the store can only be read";
    case EACCES: return "the store may not be opened by this user";
    case ENOMEM: return "there is no memory left";
    case EFBIG: return "the text is too long for the store";
    }
    return ae_strerror(rc);
}

/* ---- statements ---- */

static int bind_one(sqlite3_stmt *statement, int at, char type, va_list *values)
{
    const char *text;
    int64_t number;

    switch (type) {
    case 'i': return sqlite3_bind_int64(statement, at, va_arg(*values, int64_t));
    case 's': return sqlite3_bind_text(statement, at, va_arg(*values, const char *), -1,
                                       SQLITE_STATIC);
    case 't':
        text = va_arg(*values, const char *);
        return sqlite3_bind_text64(statement, at, text, va_arg(*values, size_t), SQLITE_STATIC,
                                   SQLITE_UTF8);
    case 'o':
        number = va_arg(*values, int64_t);
        return number ? sqlite3_bind_int64(statement, at, number)
                      : sqlite3_bind_null(statement, at);
    }
    return SQLITE_MISUSE;
}

static int prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql, const char *types,
                   va_list *values)
{
    int code = sqlite3_prepare_v2(db, sql, -1, out, NULL);

    for (int i = 0; code == SQLITE_OK && types[i]; i++) {
        code = bind_one(*out, i + 1, types[i], values);
    }
    if (code == SQLITE_OK) return 0;
    int rc = store__errno(db, code);
    sqlite3_finalize(*out);
    *out = NULL;
    return rc;
}

int store__prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql, const char *types, ...)
{
    va_list values;

    va_start(values, types);
    int rc = prepare(db, out, sql, types, &values);
    va_end(values);
    return rc;
}

int store__step(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);

    if (code == SQLITE_ROW) return 1;
    return code == SQLITE_DONE ? 0 : store__errno(sqlite3_db_handle(statement), code);
}

int store__change(sqlite3 *db, const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement;
    va_list values;

    va_start(values, types);
    int rc = prepare(db, &statement, sql, types, &values);
    va_end(values);
    if (rc < 0) return rc;
    do rc = store__step(statement);
    while (rc > 0);
    sqlite3_finalize(statement);
    if (rc < 0) return rc;
    return sqlite3_changes(db) > 0 ? 0 : -ENOENT;
}

/* ---- jobs ---- */

struct job {
    struct chat_store *store;
    const char *begin;
    store_fn *fn;
    void *args;
};

static int run_job(void *arg)
{
    const struct job *job = arg;
    sqlite3 *db = job->store->db;
    int rc = store__errno(db, sqlite3_exec(db, job->begin, NULL, NULL, NULL));

    if (rc < 0) return rc;
    rc = job->fn(db, job->args);
    if (rc == 0) rc = store__errno(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    if (rc < 0) (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

static int run(struct job *job)
{
    int rc = ae_mutex_acquire(&job->store->mutex);
    if (rc < 0) return rc;

    rc = ae_blocking(run_job, job);
    ae_mutex_unlock(&job->store->mutex);
    return rc;
}

int store__read(struct chat_store *store, store_fn *fn, void *args)
{
    return run(&(struct job){ store, "BEGIN", fn, args });
}

int store__write(struct chat_store *store, store_fn *fn, void *args)
{
    return run(&(struct job){ store, "BEGIN IMMEDIATE", fn, args });
}

/* ---- opening ---- */

/* A lock of the kernel's: gone with the process, however it ends. */
static int take_lock(struct chat_store *store, const char *path)
{
    size_t room = strlen(path) + sizeof ".lock";
    char *name = malloc(room);
    if (!name) return -ENOMEM;

    snprintf(name, room, "%s.lock", path);
    store->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int rc = store->lock_fd < 0 ? -errno : 0;
    free(name);
    if (rc == 0 && flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
    }
    return rc;
}

/* Whose file it is comes first: nothing is written to somebody else's. */
static int set_up(sqlite3 *db)
{
    static const char CAREFUL[] = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;";
    static const char LASTING[] =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;";

    sqlite3_busy_timeout(db, BUSY_MS);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    int rc = store__errno(db, sqlite3_exec(db, CAREFUL, NULL, NULL, NULL));
    if (rc == 0) rc = store__schema(db);
    if (rc == 0) rc = store__errno(db, sqlite3_exec(db, LASTING, NULL, NULL, NULL));
    return rc;
}

static int open_db(struct chat_store *store, const char *path)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path ? path : ":memory:", &store->db, flags, NULL);

    if (code != SQLITE_OK) return store__errno(store->db, code);
    return set_up(store->db);
}

/* What people say in a chat is nobody else's to read. */
static int make_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) return -errno;
    close(fd);
    return 0;
}

int chat_store_open(const char *path, struct chat_store **out)
{
    struct chat_store *store = calloc(1, sizeof *store);
    int rc = 0;

    *out = NULL;
    if (!store) return -ENOMEM;
    store->lock_fd = -1;
    if (path) rc = make_private(path);
    if (path && rc == 0) rc = take_lock(store, path);
    if (rc == 0) rc = open_db(store, path);
    if (rc < 0) {
        chat_store_close(store);
        return rc;
    }
    *out = store;
    return 0;
}

void chat_store_close(struct chat_store *store)
{
    if (!store) return;
    if (store->db) {
        (void)sqlite3_exec(store->db, "PRAGMA optimize", NULL, NULL, NULL);
        sqlite3_close(store->db);
    }
    if (store->lock_fd >= 0) close(store->lock_fd);
    free(store);
}
