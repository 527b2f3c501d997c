/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: src/driver/files.c */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver/files.h"
#include "io_test.h"

/* A directory: public/{file,sub/inner,in -> file,out -> ../secret,abs -> /etc/passwd,up -> ..},
 * secret. */
static char top[96];
static ae_file *public_dir;

static void at(char *out, size_t size, const char *name)
{
    snprintf(out, size, "%s/%s", top, name);
}

static void put(const char *name, const char *text)
{
    char path[192];

    at(path, sizeof path, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    REQUIRE(fd >= 0);
    EXPECT_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void point(const char *name, const char *target)
{
    char path[192];

    at(path, sizeof path, name);
    EXPECT_EQ(symlink(target, path), 0);
}

static void make_tree(void)
{
    char path[192];

    snprintf(top, sizeof top, "%s", test_folder());
    at(path, sizeof path, "public");
    EXPECT_EQ(mkdir(path, 0700), 0);
    at(path, sizeof path, "public/sub");
    EXPECT_EQ(mkdir(path, 0700), 0);
    put("public/file", "contents");
    put("public/sub/inner", "inner");
    put("secret", "secret");
    point("public/in", "file");
    point("public/out", "../secret");
    point("public/abs", "/etc/passwd");
    point("public/up", "..");
}

static void remove_tree(void)
{
    static const char *const files[] = { "public/in",       "public/out",  "public/abs",
                                         "public/up",       "public/file", "public/sub/inner",
                                         "public/sub",      "public",      "secret" };
    char path[192];

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        at(path, sizeof path, files[i]);
        EXPECT_EQ(remove(path), 0);
    }
    EXPECT_EQ(rmdir(top), 0);
}

/* ---- open, stat, read ---- */

static int use_file(void *arg)
{
    char path[192], buf[32];
    ae_file *file = NULL;
    ae_file_stat st;

    (void)arg;
    at(path, sizeof path, "public/file");
    REQUIRE(ae_file_open(path, O_RDONLY, 0, &file) == 0);
    EXPECT_EQ(ae_file_stat_of(file, &st), 0);
    EXPECT_EQ(st.size, 8);
    EXPECT_TRUE(st.is_regular && !st.is_directory);
    EXPECT_EQ(st.mode & 0777, 0600);
    EXPECT_GT(st.mtime_ns, INT64_C(1600000000) * AE_SEC);
    EXPECT_EQ(ae_file_readat(file, buf, sizeof buf, 0), 8);
    EXPECT_MEMEQ(buf, "contents", 8);
    EXPECT_EQ(ae_file_readat(file, buf, 3, 2), 3);
    EXPECT_MEMEQ(buf, "nte", 3);
    EXPECT_EQ(ae_file_readat(file, buf, 3, 8), 0);
    EXPECT_EQ(ae_file_readat(file, buf, 3, 1000), 0);
    EXPECT_EQ(ae_file_readat(file, buf, 0, 0), 0);
    EXPECT_TRUE(fcntl(ae_file_fd(file), F_GETFD) & FD_CLOEXEC);
    ae_file_close(file);
    ae_file_close(NULL);
    at(path, sizeof path, "nothing");
    EXPECT_EQ(ae_file_open(path, O_RDONLY, 0, &file), -ENOENT);
    at(path, sizeof path, "public");
    REQUIRE(ae_file_open(path, O_RDONLY, 0, &file) == 0);
    EXPECT_EQ(ae_file_stat_of(file, &st), 0);
    EXPECT_TRUE(st.is_directory);
    EXPECT_EQ(ae_file_readat(file, buf, 3, 0), -EISDIR);
    ae_file_close(file);
    return 0;
}

TEST(files_are_opened_and_read_by_tasks)
{
    make_tree();
    run_both(use_file, NULL);
    remove_tree();
}

TEST(files_are_opened_and_read_by_plain_threads)
{
    make_tree();
    EXPECT_EQ(use_file(NULL), 0);
    remove_tree();
}

static int on_the_pool(void *arg)
{
    return ae_blocking(use_file, arg);
}

TEST(files_are_opened_and_read_by_pool_jobs)
{
    make_tree();
    run_with(1, on_the_pool, NULL);
    remove_tree();
}

enum { BIG = 1024 * 1024 + 123 };

static int read_big(void *arg)
{
    char path[192];
    ae_file *file;
    unsigned char *buf = malloc(BIG);
    size_t wrong = 0, done = 0;

    (void)arg;
    at(path, sizeof path, "big");
    REQUIRE(ae_file_open(path, O_RDONLY, 0, &file) == 0);
    while (done < BIG) {
        ssize_t n = ae_file_readat(file, buf + done, BIG - done, (int64_t)done);
        if (!EXPECT_GT(n, 0)) break;
        done += (size_t)n;
    }
    for (size_t i = 0; i < done; i++) wrong += buf[i] != (unsigned char)(i * 7 + (i >> 10));
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(ae_file_readat(file, buf, 1, BIG), 0);
    ae_file_close(file);
    free(buf);
    return 0;
}

TEST(big_reads_are_right_to_the_byte)
{
    char path[192];
    unsigned char *data = malloc(BIG);

    make_tree();
    for (size_t i = 0; i < BIG; i++) data[i] = (unsigned char)(i * 7 + (i >> 10));
    at(path, sizeof path, "big");
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    EXPECT_EQ(write(fd, data, BIG), BIG);
    close(fd);
    free(data);
    run_both(read_big, NULL);
    EXPECT_EQ(unlink(path), 0);
    remove_tree();
}

static int cancelled_calls(void *arg)
{
    char path[192], buf[8];
    ae_file *file = NULL, *other = NULL;
    ae_file_stat st;
    ae_scope scope;

    (void)arg;
    at(path, sizeof path, "public/file");
    REQUIRE(ae_file_open(path, O_RDONLY, 0, &file) == 0);
    ae_scope_begin(&scope);
    ae_scope_cancel(&scope, 0);
    EXPECT_EQ(ae_file_open(path, O_RDONLY, 0, &other), -ECANCELED);
    EXPECT_EQ(ae_file_readat(file, buf, sizeof buf, 0), -ECANCELED);
    EXPECT_EQ(ae_file_stat_of(file, &st), -ECANCELED);
    EXPECT_EQ(ae_scope_end(&scope, -ECANCELED), 0);
    EXPECT_NULL(other);
    ae_file_close(file);
    return 0;
}

TEST(cancelled_file_calls_do_nothing)
{
    make_tree();
    run_both(cancelled_calls, NULL);
    remove_tree();
}

/* ---- beneath ---- */

struct attempt {
    const char *path;
    int rc;         /* of openat2: 0 or an error */
    int rc_steps;   /* without it */
};

static const struct attempt attempts[] = {
    { "file", 0, 0 },
    { "sub/inner", 0, 0 },
    { "./sub//inner", 0, 0 },
    { "sub", 0, 0 },
    { "sub/", 0, 0 },
    { "nothing", -ENOENT, -ENOENT },
    { "sub/nothing", -ENOENT, -ENOENT },
    { "file/", -ENOTDIR, -ENOTDIR },
    { "file/x", -ENOTDIR, -ENOTDIR },
    { "", -ENOENT, -ENOENT },
    { "..", -EXDEV, -EXDEV },
    { "../secret", -EXDEV, -EXDEV },
    { "sub/../../secret", -EXDEV, -EXDEV },
    { "/etc/passwd", -EXDEV, -EXDEV },
    { "/", -EXDEV, -EXDEV },
    { "out", -EXDEV, -ELOOP },
    { "abs", -EXDEV, -ELOOP },
    { "up/secret", -EXDEV, -ELOOP },
    { "in", 0, -ELOOP },
};

static void expect_opened(const char *path, int number, int rc)
{
    if ((number < 0 ? number : 0) != rc) {
        test_fail(__FILE__, __LINE__, "\"%s\": %d against %d", path, number, rc);
    }
    if (number >= 0) close(number);
}

static int open_beneath(void *arg)
{
    char path[192];

    (void)arg;
    at(path, sizeof path, "public");
    REQUIRE(ae_file_open(path, O_RDONLY | O_DIRECTORY, 0, &public_dir) == 0);
    int dir = ae_file_fd(public_dir);
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        const struct attempt *a = &attempts[i];
        ae_file *file = NULL;
        int rc = ae_file_open_beneath(public_dir, a->path, O_RDONLY, &file);
        if (rc == 0) ae_file_close(file);
        if (rc != a->rc) test_fail(__FILE__, __LINE__, "\"%s\": %d", a->path, rc);
        expect_opened(a->path, ae__file_sys_open_steps(dir, a->path, O_RDONLY), a->rc_steps);
    }
    ae_file_close(public_dir);
    return 0;
}

TEST(nothing_is_opened_outside_the_directory)
{
    int fds;

    make_tree();
    fds = test_open_fds();
    run_with(1, open_beneath, NULL);
    EXPECT_EQ(open_beneath(NULL), 0);
    EXPECT_EQ(test_open_fds(), fds);
    remove_tree();
}

TEST(a_name_too_long_for_a_step_is_refused)
{
    char name[300];
    int dir = open("/tmp", O_RDONLY | O_DIRECTORY);

    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    EXPECT_EQ(ae__file_sys_open_steps(dir, name, O_RDONLY), -ENAMETOOLONG);
    EXPECT_EQ(ae__file_sys_open_beneath(dir, name, O_RDONLY), -ENAMETOOLONG);
    close(dir);
}
