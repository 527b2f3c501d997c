/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: chat/store.c chat/store_schema.c chat/store_read.c chat/store_write.c. Called on a plain
 * thread, where the jobs of the pool are plain calls; tests/chat/api.py has the tasks. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"
#include "test.h"

static char folder[128], path[160];

/* A file of this test's own; test processes end without cleaning up, so the folder is in /tmp. */
static const char *new_path(void)
{
    snprintf(folder, sizeof folder, "%s/store-XXXXXX", test_folder());
    REQUIRE(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/chat.db", folder);
    return path;
}

static void remove_all(void)
{
    static const char *const ends[] = { "", "-wal", "-shm", ".lock" };
    char name[192];

    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
    rmdir(folder);
}

static struct chat_store *open_store(const char *where)
{
    struct chat_store *store = NULL;
    REQUIRE(chat_store_open(where, &store) == 0);
    return store;
}

static int64_t new_conversation(struct chat_store *store, const char *title)
{
    struct chat_conversation made;
    REQUIRE(chat_store_create(store, title, 1000, &made) == 0);
    int64_t id = made.id;
    chat_conversation_free(&made);
    return id;
}

static struct chat_message message(enum chat_role role, const char *text, int64_t tokens)
{
    return (struct chat_message){ .role = role, .text = (char *)text, .length = strlen(text),
                                  .tokens = tokens, .prompt_tokens = CHAT_UNKNOWN,
                                  .duration_ms = CHAT_UNKNOWN, .sent_ms = 2000,
                                  .finished_ms = 2000, .parent = CHAT_SHOWN };
}

/* A question and its whole answer; the answer's id. */
static int64_t ask(struct chat_store *store, int64_t id, int64_t parent, const char *question,
                   const char *answer)
{
    struct chat_exchange e = { .question = message(CHAT_USER, question, 10),
                               .answer = message(CHAT_ASSISTANT, "", CHAT_UNKNOWN) };
    e.question.parent = parent;
    e.answer.state = MESSAGE_STREAMING;
    REQUIRE(chat_store_ask(store, id, &e) == 0);
    struct chat_message done = message(CHAT_ASSISTANT, answer, 20);
    done.id = e.answer.id;
    done.prompt_tokens = 33;
    REQUIRE(chat_store_save(store, id, &done, NULL) == 0);
    return done.id;
}

static void expect_branch(struct chat_store *store, int64_t id, const char *const *texts)
{
    struct chat_thread thread;
    size_t count = 0;

    while (texts[count]) count++;
    REQUIRE(chat_store_read(store, id, CHAT_SHOWN, &thread) == 0);
    REQUIRE(thread.count == count);
    for (size_t i = 0; i < count; i++) {
        EXPECT_TRUE(strcmp(thread.messages[i].text, texts[i]) == 0);
        EXPECT_TRUE(thread.messages[i].parent == (i ? thread.messages[i - 1].id : 0));
    }
    chat_thread_free(&thread);
}

TEST(what_was_stored_is_there_after_opening_again)
{
    struct chat_store *store = open_store(new_path());
    int64_t id = new_conversation(store, "First");
    ask(store, id, CHAT_SHOWN, "q1", "a1");
    ask(store, id, CHAT_SHOWN, "q2", "a2 \xe2\x9d\x8c");
    chat_store_close(store);

    store = open_store(path);
    expect_branch(store, id, (const char *[]){ "q1", "a1", "q2", "a2 \xe2\x9d\x8c", NULL });
    chat_store_close(store);
    remove_all();
}

TEST(totals_are_the_sums_of_the_shown_branch)
{
    struct chat_store *store = open_store(NULL);
    struct chat_conversations list;
    struct chat_thread thread;
    int64_t id = new_conversation(store, "Sums");
    ask(store, id, CHAT_SHOWN, "q1", "a1");
    ask(store, id, CHAT_SHOWN, "q2", "a2");

    REQUIRE(chat_store_read(store, id, CHAT_SHOWN, &thread) == 0);
    EXPECT_TRUE(thread.totals.messages == 4);
    EXPECT_TRUE(thread.totals.questions == 20);
    EXPECT_TRUE(thread.totals.answers == 40);
    EXPECT_TRUE(thread.totals.tokens == 60);
    /* the last prompt had 33 tokens, of which two questions and one answer are known: 40 */
    EXPECT_TRUE(thread.totals.system_template == 0);
    REQUIRE(chat_store_list(store, &list) == 0);
    REQUIRE(list.count == 1);
    EXPECT_TRUE(list.items[0].messages == 4);
    EXPECT_TRUE(list.items[0].tokens == 60);
    chat_conversations_free(&list);
    chat_thread_free(&thread);
    chat_store_close(store);
}

TEST(the_template_is_what_the_prompt_has_beyond_the_messages)
{
    struct chat_message m[2] = { message(CHAT_USER, "q", 10), message(CHAT_ASSISTANT, "a", 5) };
    struct chat_totals totals;

    m[1].prompt_tokens = 31;
    chat_totals_of(m, 2, &totals);
    EXPECT_TRUE(totals.system_template == 21);
    EXPECT_TRUE(totals.tokens == 15);
}

TEST(another_answer_is_a_sibling_and_becomes_the_shown_one)
{
    struct chat_store *store = open_store(NULL);
    int64_t id = new_conversation(store, "Tree");
    int64_t first = ask(store, id, CHAT_SHOWN, "q", "one");
    struct chat_message again = message(CHAT_ASSISTANT, "two", 7);
    REQUIRE(chat_store_retry(store, id, first, &again) == 0);

    expect_branch(store, id, (const char *[]){ "q", "two", NULL });
    ask(store, id, first, "below one", "x");
    expect_branch(store, id, (const char *[]){ "q", "one", "below one", "x", NULL });
    EXPECT_TRUE(chat_store_retry(store, id, again.parent, &again) == -EINVAL);
    chat_store_close(store);
}

TEST(a_question_below_a_question_or_below_anothers_message_is_refused)
{
    struct chat_store *store = open_store(NULL);
    int64_t one = new_conversation(store, "1"), two = new_conversation(store, "2");
    int64_t answer = ask(store, one, CHAT_SHOWN, "q", "a");
    struct chat_exchange e = { .question = message(CHAT_USER, "x", 1),
                               .answer = message(CHAT_ASSISTANT, "", 0) };

    e.question.parent = answer - 1;
    EXPECT_TRUE(chat_store_ask(store, one, &e) == -EINVAL);
    e.question.parent = answer;
    EXPECT_TRUE(chat_store_ask(store, two, &e) == -ENOENT);
    e.question.parent = CHAT_SHOWN;
    EXPECT_TRUE(chat_store_ask(store, 99, &e) == -ENOENT);
    expect_branch(store, one, (const char *[]){ "q", "a", NULL });
    expect_branch(store, two, (const char *[]){ NULL });
    chat_store_close(store);
}

TEST(a_deleted_conversation_takes_its_messages_along)
{
    struct chat_store *store = open_store(new_path());
    struct chat_thread thread;
    sqlite3_stmt *row;
    sqlite3 *db;
    int64_t id = new_conversation(store, "Gone");
    ask(store, id, CHAT_SHOWN, "q", "a");
    REQUIRE(chat_store_delete(store, id) == 0);
    EXPECT_TRUE(chat_store_delete(store, id) == -ENOENT);
    EXPECT_TRUE(chat_store_read(store, id, CHAT_SHOWN, &thread) == -ENOENT);
    chat_store_close(store);

    REQUIRE(sqlite3_open(path, &db) == SQLITE_OK);
    REQUIRE(sqlite3_prepare_v2(db, "SELECT count(*) FROM message", -1, &row, NULL) == SQLITE_OK);
    REQUIRE(sqlite3_step(row) == SQLITE_ROW);
    EXPECT_TRUE(sqlite3_column_int(row, 0) == 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    remove_all();
}

TEST(an_answer_that_was_being_written_is_stopped_at_the_next_start)
{
    struct chat_store *store = open_store(new_path());
    struct chat_thread thread;
    int64_t id = new_conversation(store, "Cut");
    struct chat_exchange e = { .question = message(CHAT_USER, "q", 1),
                               .answer = message(CHAT_ASSISTANT, "half an ans", 3) };
    e.answer.state = MESSAGE_STREAMING;
    REQUIRE(chat_store_ask(store, id, &e) == 0);
    chat_store_close(store);

    store = open_store(path);
    REQUIRE(chat_store_read(store, id, CHAT_SHOWN, &thread) == 0);
    EXPECT_TRUE(thread.messages[1].state == MESSAGE_STOPPED);
    EXPECT_TRUE(strcmp(thread.messages[1].text, "half an ans") == 0);
    chat_thread_free(&thread);
    chat_store_close(store);
    remove_all();
}

TEST(a_store_is_open_in_one_server_only)
{
    struct chat_store *first = open_store(new_path()), *second = NULL;

    EXPECT_TRUE(chat_store_open(path, &second) == -EBUSY);
    EXPECT_TRUE(second == NULL);
    chat_store_close(first);
    second = open_store(path);
    chat_store_close(second);
    remove_all();
}

static void write_file(const char *text, size_t size)
{
    FILE *file = fopen(new_path(), "w");

    REQUIRE(file != NULL);
    REQUIRE(fwrite(text, 1, size, file) == size);
    fclose(file);
}

static long size_of(const char *name)
{
    struct stat found;

    REQUIRE(stat(name, &found) == 0);
    return (long)found.st_size;
}

TEST(a_file_that_is_no_store_is_refused_and_left_alone)
{
    static const char text[] = "This is somebody's diary, and no database, though it is long "
                               "enough to have a header of one hundred bytes: so it is read.";
    struct chat_store *store;

    write_file(text, sizeof text);
    EXPECT_TRUE(chat_store_open(path, &store) == -EBADMSG);
    EXPECT_TRUE(size_of(path) == (long)sizeof text);
    remove_all();
}

static void run_sql(const char *where, const char *sql)
{
    sqlite3 *db;

    REQUIRE(sqlite3_open(where, &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
}

TEST(another_programs_database_and_a_newer_store_are_refused)
{
    struct chat_store *store;

    run_sql(new_path(), "CREATE TABLE recipes (id INTEGER); INSERT INTO recipes VALUES (1)");
    EXPECT_TRUE(chat_store_open(path, &store) == -EBADMSG);
    remove_all();
    chat_store_close(open_store(new_path()));
    run_sql(path, "PRAGMA user_version = 999");
    EXPECT_TRUE(chat_store_open(path, &store) == -EPROTO);
    remove_all();
}

TEST(a_store_without_a_folder_and_one_that_is_damaged_are_told_apart)
{
    struct chat_store *store;
    char junk[4096];

    EXPECT_TRUE(chat_store_open("/nonexistent/chat.db", &store) == -ENOENT);
    chat_store_close(open_store(new_path()));
    FILE *file = fopen(path, "r+");
    REQUIRE(file != NULL);
    memset(junk, 0xa5, sizeof junk);
    REQUIRE(fseek(file, 100, SEEK_SET) == 0); /* behind the header: the schema's page */
    REQUIRE(fwrite(junk, 1, sizeof junk, file) == sizeof junk);
    fclose(file);
    EXPECT_TRUE(chat_store_open(path, &store) == -EBADMSG);
    remove_all();
}

TEST(only_the_user_may_read_the_file)
{
    struct stat found;

    chat_store_close(open_store(new_path()));
    REQUIRE(stat(path, &found) == 0);
    EXPECT_TRUE((found.st_mode & 0777) == 0600);
    remove_all();
}

TEST(an_import_keeps_every_message_and_count)
{
    struct chat_store *store = open_store(NULL);
    struct chat_conversation made;
    struct chat_thread thread;
    struct chat_message m[3] = { message(CHAT_SYSTEM, "be brief", 4),
                                 message(CHAT_USER, "q", 5), message(CHAT_ASSISTANT, "a", 6) };

    m[2].model = (char *)"llama3.2";
    REQUIRE(chat_store_import(store, "Kept", m, 3, 5000, &made) == 0);
    EXPECT_TRUE(made.messages == 2);
    EXPECT_TRUE(made.tokens == 11);
    REQUIRE(chat_store_read(store, made.id, CHAT_SHOWN, &thread) == 0);
    EXPECT_TRUE(thread.count == 3);
    EXPECT_TRUE(strcmp(thread.messages[2].model, "llama3.2") == 0);
    EXPECT_TRUE(thread.messages[0].model == NULL);
    EXPECT_TRUE(thread.totals.system_template == 4);
    chat_thread_free(&thread);
    chat_conversation_free(&made);
    chat_store_close(store);
}

TEST(a_title_is_given_once_to_what_has_none)
{
    struct chat_store *store = open_store(NULL);
    struct chat_conversation renamed;
    struct chat_thread thread;
    int64_t id = new_conversation(store, NULL);
    struct chat_exchange e = { .question = message(CHAT_USER, "q", 1), .title = "From the question",
                               .answer = message(CHAT_ASSISTANT, "", 0) };

    REQUIRE(chat_store_ask(store, id, &e) == 0);
    REQUIRE(chat_store_read(store, id, CHAT_SHOWN, &thread) == 0);
    EXPECT_TRUE(strcmp(thread.conversation.title, "From the question") == 0);
    chat_thread_free(&thread);
    REQUIRE(chat_store_rename(store, id, "By hand", 9000, &renamed) == 0);
    EXPECT_TRUE(renamed.updated_ms == 9000);
    chat_conversation_free(&renamed);
    e.question.parent = e.answer.id;
    REQUIRE(chat_store_ask(store, id, &e) == 0);
    REQUIRE(chat_store_read(store, id, CHAT_SHOWN, &thread) == 0);
    EXPECT_TRUE(strcmp(thread.conversation.title, "By hand") == 0);
    chat_thread_free(&thread);
    EXPECT_TRUE(chat_store_rename(store, 99, "x", 1, &renamed) == -ENOENT);
    chat_store_close(store);
}
