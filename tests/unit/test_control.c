/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: its place, its mode, what it answers, and that it is gone afterwards. */
#include "driver/control.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "aether/aether.h"
#include "test.h"

static char folder[40];

/* A folder of this test's own. */
static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/aether-test-XXXXXX");
    REQUIRE(mkdtemp(folder));
    unsetenv("AE_DEBUG_SOCKET");
    setenv("XDG_RUNTIME_DIR", folder, 1);
}

static const char *in_folder(const char *name)
{
    static char path[108];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static ae_runtime *start(const char *socket)
{
    ae_config config = { AE_CONFIG, .workers = 2, .debug_socket = socket };
    ae_runtime *rt;

    REQUIRE(ae_runtime_create(&config, &rt) == 0);
    return rt;
}

static int connect_to(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    REQUIRE(fd >= 0);
    snprintf(addr.sun_path, sizeof addr.sun_path, "%.107s", path);
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0) return fd;
    close(fd);
    return -1;
}

/* The answer's first bytes and last. */
static void ask(const char *path, const char *request, char out[4096])
{
    int fd = connect_to(path);
    size_t length = 0;
    ssize_t n;

    out[0] = 0;
    REQUIRE(fd >= 0);
    REQUIRE(send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request));
    while ((n = recv(fd, out + length, 4095 - length, 0)) > 0) {
        length += (size_t)n;
        out[length] = 0;
        if (length == 4095) length = 2048; /* the end is of interest, too */
    }
    close(fd);
}

TEST(it_answers_stats_dump_and_trace)
{
    char answer[4096];

    make_folder();
    ae_runtime *rt = start(in_folder("socket"));
    ask(in_folder("socket"), "stats\n", answer);
    EXPECT_EQ(strncmp(answer, "aether ", 7), 0);
    EXPECT_STREQ(answer + strlen(answer) - 5, "\nend\n");
    EXPECT_NOT_NULL(strstr(answer, "\nworker 0 "));
    ask(in_folder("socket"), "dump\n", answer);
    EXPECT_EQ(strncmp(answer, "aether dump of process ", 23), 0);
    EXPECT_NOT_NULL(strstr(answer, "end of dump: 0 tasks"));
    ask(in_folder("socket"), "trace\n", answer);
    EXPECT_NOT_NULL(strstr(answer, "]}\n"));
    ask(in_folder("socket"), "nonsense\n", answer);
    EXPECT_STREQ(answer, "error: send stats, dump or trace\n");
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
    EXPECT_EQ(access(in_folder("socket"), F_OK), -1);
    EXPECT_EQ(rmdir(folder), 0);
}

TEST(the_usual_place_is_private_and_gone_afterwards)
{
    char name[40], second[40];
    struct stat about;

    make_folder();
    snprintf(name, sizeof name, "aether/%d.sock", (int)getpid());
    snprintf(second, sizeof second, "aether/%d-1.sock", (int)getpid());
    ae_runtime *rt = start("on"), *other = start("on");
    REQUIRE(stat(in_folder(name), &about) == 0);
    EXPECT_TRUE(S_ISSOCK(about.st_mode));
    EXPECT_EQ(about.st_mode & 0777, 0600);
    REQUIRE(stat(in_folder("aether"), &about) == 0);
    EXPECT_EQ(about.st_mode & 0777, 0700);
    EXPECT_EQ(access(in_folder(second), F_OK), 0);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
    EXPECT_EQ(access(in_folder(name), F_OK), -1);
    EXPECT_EQ(access(in_folder(second), F_OK), 0);
    EXPECT_EQ(ae_runtime_destroy(other), 0);
    EXPECT_EQ(access(in_folder("aether"), F_OK), -1);
    EXPECT_EQ(rmdir(folder), 0);
}

TEST(what_an_earlier_process_left_is_taken_over)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    char answer[4096];

    make_folder();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(addr.sun_path, sizeof addr.sun_path, "%.107s", in_folder("socket"));
    REQUIRE(bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0);
    close(fd); /* the file stays */
    ae_runtime *rt = start(in_folder("socket"));
    ask(in_folder("socket"), "stats\n", answer);
    EXPECT_EQ(strncmp(answer, "aether ", 7), 0);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
    EXPECT_EQ(rmdir(folder), 0);
}

static int lines;

static void count_line(void *context, enum ae_log_level level, const char *line)
{
    (void)context;
    (void)level;
    EXPECT_NOT_NULL(strstr(line, "no control socket"));
    lines++;
}

TEST(a_place_that_cannot_be_had_is_said_and_no_error)
{
    make_folder();
    ae_log_set_sink(count_line, NULL);
    EXPECT_EQ(ae_runtime_destroy(start("/nonexistent/socket")), 0);
    EXPECT_EQ(lines, 1);
    /* a folder that others may write to is no place for it */
    REQUIRE(mkdir(in_folder("aether"), 0777) == 0);
    REQUIRE(chmod(in_folder("aether"), 0777) == 0);
    EXPECT_EQ(ae_runtime_destroy(start("on")), 0);
    EXPECT_EQ(lines, 2);
    EXPECT_EQ(rmdir(in_folder("aether")), 0);
    EXPECT_EQ(rmdir(folder), 0);
}

TEST(the_environment_decides)
{
    char path[128];

    make_folder();
    snprintf(path, sizeof path, "%s", in_folder("chosen"));
    setenv("AE_DEBUG_SOCKET", "off", 1);
    ae_runtime *rt = start(path);
    EXPECT_EQ(access(path, F_OK), -1);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
    setenv("AE_DEBUG_SOCKET", path, 1);
    rt = start(NULL);
    EXPECT_EQ(access(path, F_OK), 0);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
    EXPECT_EQ(rmdir(folder), 0);
}

TEST(a_visitor_who_says_or_reads_nothing_does_not_hold_up_the_end)
{
    make_folder();
    ae_runtime *rt = start(in_folder("socket"));
    int silent = connect_to(in_folder("socket")), deaf = connect_to(in_folder("socket"));

    EXPECT_GE(silent, 0);
    EXPECT_EQ(send(deaf, "dump\n", 5, MSG_NOSIGNAL), 5);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
    close(silent);
    close(deaf);
    EXPECT_EQ(rmdir(folder), 0);
}
