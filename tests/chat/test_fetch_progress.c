/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: chat/fetch.c. What the server reads of a fetch's progress, and how it starts and ends
 * one. The fetching itself is test_fetch.py's; here a script stands in for python3. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fetch.h"
#include "test.h"

static char folder[128];

static void put(const char *name, const char *text)
{
    char path[192];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    REQUIRE(file != NULL);
    fputs(text, file);
    fclose(file);
}

static void begin(void)
{
    char path[192];
    snprintf(folder, sizeof(folder), "%s/fetch-XXXXXX", test_folder());
    REQUIRE(mkdtemp(folder) != NULL);
    snprintf(path, sizeof(path), "%s/aether", folder);
    REQUIRE(mkdir(path, 0700) == 0);
    REQUIRE(setenv("XDG_CACHE_HOME", folder, 1) == 0);
}

static void progress(const char *kind, const char *state, int process, const char *rest)
{
    char name[64], line[512];
    snprintf(name, sizeof(name), "aether/fetch-%s", kind);
    snprintf(line, sizeof(line), "%s\t1000\t98362432\t%d\t%s\n", state, process, rest);
    put(name, line);
}

TEST(a_running_fetch_is_read_and_one_whose_process_is_gone_has_failed)
{
    struct chat_fetch fetch;
    begin();
    EXPECT_EQ(chat_fetch_read(&fetch), -ENOENT);
    progress("model", "running", getpid(), "a.gguf\t");
    REQUIRE(chat_fetch_read(&fetch) == 0);
    EXPECT_EQ(fetch.state, CHAT_FETCH_RUNNING);
    EXPECT_EQ(fetch.received, 1000);
    EXPECT_EQ(fetch.total, 98362432);
    EXPECT_STREQ(fetch.file, "a.gguf");
    EXPECT_STREQ(fetch.error, "");
    progress("model", "running", 0x7ffffffe, "a.gguf\t");
    REQUIRE(chat_fetch_read(&fetch) == 0);
    EXPECT_EQ(fetch.state, CHAT_FETCH_FAILED);
    EXPECT_TRUE(strstr(fetch.error, "interrupted") != NULL);
}

TEST(of_engine_and_model_what_runs_or_failed_is_told_first)
{
    struct chat_fetch fetch;
    begin();
    progress("engine", "done", 1, "engine\t");
    progress("model", "failed", 1, "a.gguf\tno network");
    REQUIRE(chat_fetch_read(&fetch) == 0);
    EXPECT_EQ(fetch.state, CHAT_FETCH_FAILED);
    EXPECT_STREQ(fetch.error, "no network");
    progress("engine", "running", getpid(), "llama.cpp, being built\t");
    REQUIRE(chat_fetch_read(&fetch) == 0);
    EXPECT_EQ(fetch.state, CHAT_FETCH_RUNNING);
    EXPECT_STREQ(fetch.file, "llama.cpp, being built");
}

TEST(a_file_that_is_no_progress_is_none)
{
    static const char *const bad[] = { "", "\n", "running\n", "running\t1\t2\t3\tfile\n" };
    struct chat_fetch fetch;
    begin();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put("aether/fetch-model", bad[i]);
        EXPECT_EQ(chat_fetch_read(&fetch), -ENOENT);
    }
}

/* Puts a program called python3 first in the PATH. */
static void stand_in(const char *script)
{
    char path[4200];
    put("python3", script);
    snprintf(path, sizeof(path), "%s/python3", folder);
    REQUIRE(chmod(path, 0755) == 0);
    snprintf(path, sizeof(path), "%s:%s", folder, getenv("PATH"));
    REQUIRE(setenv("PATH", path, 1) == 0);
}

TEST(the_bundled_script_is_started_with_the_folder_and_its_status_told)
{
    begin();
    stand_in("#!/bin/sh\ncase $2 in '#!/usr/bin/env python3'*) ;; *) exit 9;; esac\n"
             "[ \"$1 $3 $4\" = \"-c model a folder\" ] && exit 3\n");
    int process = chat_fetch_start("a folder");
    REQUIRE(process > 0);
    EXPECT_EQ(chat_fetch_wait(process), 3);
}

TEST(a_fetch_that_runs_can_be_ended)
{
    begin();
    stand_in("#!/bin/sh\nexec tail -f /dev/null\n");
    int process = chat_fetch_start("x");
    REQUIRE(process > 0);
    chat_fetch_stop(process);
    EXPECT_LT(chat_fetch_wait(process), 0); /* nobody is left to wait for */
}
