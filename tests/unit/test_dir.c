/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: src/io/dir.c src/driver/dirs.c */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "uring_test.h"

static char top[96];

static const char *at(const char *name)
{
    static char paths[4][160];
    static int turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", top, name);
    return path;
}

static void run_everywhere(ae_fn *body)
{
    snprintf(top, sizeof top, "%s", test_folder());
    EXPECT_EQ(body(NULL), 0); /* a plain thread */
    run_both(body, NULL);
    run_both_on_rings(body, NULL);
    EXPECT_EQ(rmdir(top), 0); /* the body leaves nothing behind */
}

static void put(const char *path)
{
    ae_file *file;

    REQUIRE(ae_file_open(path, O_CREAT | O_EXCL | O_WRONLY, 0600, &file) == 0);
    EXPECT_EQ(ae_file_write(file, "12345", 5), 5);
    ae_file_close(file);
}

/* ---- listing ---- */

enum { MANY = 1500 }; /* more than one fetch brings */

static void many_name(int i, char *out, size_t size)
{
    snprintf(out, size, "entry-with-a-name-of-some-length-%d", i);
}

static void list_many(bool *seen)
{
    ae_dir *dir = NULL;
    ae_dir_entry entry;
    int rc, index;

    REQUIRE(ae_dir_open(top, &dir) == 0);
    while ((rc = ae_dir_read(dir, &entry)) == 1) {
        REQUIRE(sscanf(entry.name, "entry-with-a-name-of-some-length-%d", &index) == 1);
        REQUIRE(index >= 0 && index < MANY);
        EXPECT_FALSE(seen[index]);
        EXPECT_TRUE(entry.inode != 0);
        seen[index] = true;
    }
    EXPECT_EQ(rc, 0);
    EXPECT_EQ(ae_dir_read(dir, &entry), 0); /* still */
    ae_dir_close(dir);
}

static int many_entries(void *arg)
{
    bool *seen = calloc(MANY, sizeof *seen);
    char name[64];

    (void)arg;
    int dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < MANY; i++) {
        many_name(i, name, sizeof name);
        close(openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
    list_many(seen);
    for (int i = 0; i < MANY; i++) {
        EXPECT_TRUE(seen[i]);
        many_name(i, name, sizeof name);
        EXPECT_EQ(unlinkat(dir, name, 0), 0);
    }
    close(dir);
    free(seen);
    return 0;
}

TEST(each_entry_of_a_directory_is_listed_once)
{
    run_everywhere(many_entries);
}

static void expect_kind(const ae_dir_entry *entry)
{
    if (!entry->is_regular && !entry->is_directory && !entry->is_link) {
        test_note("this file system does not tell kinds");
        return;
    }
    EXPECT_EQ(entry->is_regular, strcmp(entry->name, "file") == 0);
    EXPECT_EQ(entry->is_directory, strcmp(entry->name, "sub") == 0);
    EXPECT_EQ(entry->is_link, strcmp(entry->name, "link") == 0);
}

static int kinds(void *arg)
{
    ae_file *root;
    ae_dir *dir = NULL;
    ae_dir_entry entry;
    int n = 0;

    (void)arg;
    put(at("file"));
    EXPECT_EQ(ae_path_mkdir(at("sub"), 0700), 0);
    EXPECT_EQ(ae_path_symlink("file", at("link")), 0);
    REQUIRE(ae_file_open(top, O_RDONLY | O_DIRECTORY, 0, &root) == 0);
    REQUIRE(ae_dir_open_beneath(root, ".", &dir) == 0);
    while (ae_dir_read(dir, &entry) == 1) {
        n++;
        expect_kind(&entry);
    }
    EXPECT_EQ(n, 3);
    EXPECT_EQ(ae_file_sync(ae_dir_file(dir)), 0);
    ae_dir_close(dir);
    ae_dir_close(NULL);
    dir = NULL;
    EXPECT_EQ(ae_dir_open_beneath(root, "..", &dir), -EXDEV);
    EXPECT_EQ(ae_dir_open(at("file"), &dir), -ENOTDIR);
    EXPECT_EQ(ae_dir_open(at("nothing"), &dir), -ENOENT);
    EXPECT_NULL(dir);
    ae_file_close(root);
    EXPECT_EQ(ae_path_unlink(at("file")), 0);
    EXPECT_EQ(ae_path_unlink(at("link")), 0);
    EXPECT_EQ(ae_path_rmdir(at("sub")), 0);
    return 0;
}

TEST(entries_tell_their_kind)
{
    run_everywhere(kinds);
}

static int removed(void *arg)
{
    ae_dir *dir;
    ae_dir_entry entry;

    (void)arg;
    EXPECT_EQ(ae_path_mkdir(at("gone"), 0700), 0);
    REQUIRE(ae_dir_open(at("gone"), &dir) == 0);
    EXPECT_EQ(ae_path_rmdir(at("gone")), 0);
    EXPECT_EQ(ae_dir_read(dir, &entry), -ENOENT);
    ae_dir_close(dir);
    return 0;
}

TEST(a_directory_that_is_removed_says_so)
{
    run_everywhere(removed);
}

/* ---- names ---- */

static int links_and_names(void *arg)
{
    ae_file_stat st, other;
    char text[64];

    (void)arg;
    put(at("a"));
    EXPECT_EQ(ae_path_stat(at("a"), &st), 0);
    EXPECT_EQ(st.size, 5);
    EXPECT_TRUE(st.is_regular);
    EXPECT_EQ(ae_path_link(at("a"), at("hard")), 0);
    EXPECT_EQ(ae_path_stat(at("hard"), &other), 0);
    EXPECT_EQ(st.inode, other.inode);
    EXPECT_EQ(ae_path_symlink("a", at("soft")), 0);
    EXPECT_EQ(ae_path_stat(at("soft"), &other), 0);
    EXPECT_EQ(st.inode, other.inode);
    EXPECT_EQ(ae_path_lstat(at("soft"), &other), 0);
    EXPECT_TRUE(S_ISLNK(other.mode) && !other.is_regular);
    EXPECT_EQ(ae_path_readlink(at("soft"), text, sizeof text), 1);
    EXPECT_STREQ(text, "a");
    EXPECT_EQ(ae_path_readlink(at("soft"), text, 1), -ENAMETOOLONG);
    EXPECT_EQ(ae_path_readlink(at("a"), text, sizeof text), -EINVAL);
    put(at("b"));
    EXPECT_EQ(ae_path_rename(at("a"), at("b")), 0); /* replaces it */
    EXPECT_EQ(ae_path_stat(at("b"), &other), 0);
    EXPECT_EQ(st.inode, other.inode);
    EXPECT_EQ(ae_path_stat(at("a"), &other), -ENOENT);
    EXPECT_EQ(ae_path_unlink(at("b")), 0);
    EXPECT_EQ(ae_path_unlink(at("hard")), 0);
    EXPECT_EQ(ae_path_unlink(at("soft")), 0);
    return 0;
}

TEST(names_are_made_changed_and_removed)
{
    run_everywhere(links_and_names);
}

static int errors(void *arg)
{
    ae_file_stat st;

    (void)arg;
    EXPECT_EQ(ae_path_mkdir(at("sub"), 0700), 0);
    EXPECT_EQ(ae_path_mkdir(at("sub"), 0700), -EEXIST);
    put(at("sub/file"));
    EXPECT_EQ(ae_path_rmdir(at("sub")), -ENOTEMPTY);
    EXPECT_EQ(ae_path_rmdir(at("sub/file")), -ENOTDIR);
    EXPECT_EQ(ae_path_unlink(at("sub")), -EISDIR);
    EXPECT_EQ(ae_path_rename(at("none"), at("x")), -ENOENT);
    EXPECT_EQ(ae_path_link(at("none"), at("x")), -ENOENT);
    EXPECT_EQ(ae_path_symlink("x", at("sub")), -EEXIST);
    EXPECT_EQ(ae_path_stat(at("sub/file/x"), &st), -ENOTDIR);
    EXPECT_EQ(ae_path_lstat(at("none"), &st), -ENOENT);
    EXPECT_EQ(ae_path_unlink(at("sub/file")), 0);
    EXPECT_EQ(ae_path_rmdir(at("sub")), 0);
    return 0;
}

TEST(errors_are_those_of_the_system_call)
{
    run_everywhere(errors);
}

static void expect_cancelled(ae_dir *dir)
{
    ae_file_stat st;
    ae_dir_entry entry;
    ae_dir *other = NULL;
    char text[8];

    EXPECT_EQ(ae_dir_read(dir, &entry), -ECANCELED); /* though it has fetched them */
    EXPECT_EQ(ae_dir_open(top, &other), -ECANCELED);
    EXPECT_EQ(ae_path_stat(top, &st), -ECANCELED);
    EXPECT_EQ(ae_path_lstat(top, &st), -ECANCELED);
    EXPECT_EQ(ae_path_mkdir(at("sub"), 0700), -ECANCELED);
    EXPECT_EQ(ae_path_rmdir(top), -ECANCELED);
    EXPECT_EQ(ae_path_unlink(at("file")), -ECANCELED);
    EXPECT_EQ(ae_path_rename(at("file"), at("other")), -ECANCELED);
    EXPECT_EQ(ae_path_link(at("file"), at("other")), -ECANCELED);
    EXPECT_EQ(ae_path_symlink("file", at("other")), -ECANCELED);
    EXPECT_EQ(ae_path_readlink(top, text, sizeof text), -ECANCELED);
}

static int cancelled_calls(void *arg)
{
    ae_scope scope;
    ae_dir_entry entry;
    ae_dir *dir;
    int fds = test_open_fds();

    (void)arg;
    put(at("file"));
    put(at("more"));
    REQUIRE(ae_dir_open(top, &dir) == 0);
    EXPECT_EQ(ae_dir_read(dir, &entry), 1);
    ae_scope_begin(&scope);
    ae_scope_cancel(&scope, 0);
    expect_cancelled(dir);
    EXPECT_EQ(ae_scope_end(&scope, -ECANCELED), 0);
    EXPECT_EQ(ae_dir_read(dir, &entry), 1);
    EXPECT_EQ(ae_dir_read(dir, &entry), 0);
    ae_dir_close(dir);
    EXPECT_EQ(ae_path_unlink(at("file")), 0);
    EXPECT_EQ(ae_path_unlink(at("more")), 0);
    EXPECT_EQ(test_open_fds(), fds);
    return 0;
}

TEST(cancelled_calls_on_names_do_nothing)
{
    snprintf(top, sizeof top, "%s", test_folder());
    run_both(cancelled_calls, NULL);
    run_both_on_rings(cancelled_calls, NULL);
    EXPECT_EQ(rmdir(top), 0);
}
