/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: chat/models.c. Names by their grammar; only regular files of the folder itself are
 * models, and nothing a client writes leads out of it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models.h"
#include "test.h"

static bool ok(const char *name)
{
    return chat_model_name_ok(name, strlen(name));
}

TEST(names_follow_the_grammar)
{
    char longest[CHAT_MODEL_NAME_MAX + 2];
    memset(longest, 'm', sizeof(longest));
    EXPECT_TRUE(chat_model_name_ok(longest, CHAT_MODEL_NAME_MAX));
    EXPECT_FALSE(chat_model_name_ok(longest, CHAT_MODEL_NAME_MAX + 1));
    static const char *good[] = { "SmolLM2-135M-Instruct.Q4_1", "llama3.2", "a", "7b", "a-._b" };
    static const char *bad[] = { "", ".", "..", ".a", "-a", "_a", "a.", "a..b", "a/b", "../a",
                                 "a\\b", "a b", "a\n", "\xc3\xa4", "a%2e", "a:b", "a\x01" };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!EXPECT_TRUE(ok(good[i]))) test_note("refused: %s", good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!EXPECT_FALSE(ok(bad[i]))) test_note("taken: %s", bad[i]);
    }
    EXPECT_FALSE(chat_model_name_ok("a\0b", 3));
}

/* ---- a folder ---- */

struct folder {
    char path[128], outside[128];
};

static void put(const char *folder, const char *name, const char *text)
{
    char path[320];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    REQUIRE(file != NULL);
    fputs(text, file);
    fclose(file);
}

static void folder_make(struct folder *folder)
{
    snprintf(folder->path, sizeof(folder->path), "%s/models-XXXXXX", test_folder());
    snprintf(folder->outside, sizeof(folder->outside), "%s/outside-XXXXXX", test_folder());
    REQUIRE(mkdtemp(folder->path) != NULL);
    REQUIRE(mkdtemp(folder->outside) != NULL);
    put(folder->path, "b-model.gguf", "12345");
    put(folder->path, "A.model.gguf", "123");
    put(folder->path, "notes.txt", "no");
    put(folder->path, ".hidden.gguf", "no");
    put(folder->path, "two words.gguf", "no");
    put(folder->path, ".gguf", "no");
    put(folder->path, "half.gguf.part", "no");
    put(folder->outside, "secret.gguf", "secret");
    char link[192], target[192];
    snprintf(link, sizeof(link), "%s/link.gguf", folder->path);
    snprintf(target, sizeof(target), "%s/secret.gguf", folder->outside);
    REQUIRE(symlink(target, link) == 0);
    snprintf(link, sizeof(link), "%s/dir.gguf", folder->path);
    REQUIRE(mkdir(link, 0700) == 0);
    snprintf(link, sizeof(link), "%s/pipe.gguf", folder->path);
    REQUIRE(mkfifo(link, 0600) == 0);
}

TEST(a_scan_finds_the_models_sorted_and_nothing_else)
{
    struct folder folder;
    struct chat_models models;
    folder_make(&folder);
    REQUIRE(chat_models_scan(folder.path, &models) == 0);
    EXPECT_EQ(models.count, 2);
    REQUIRE(models.count == 2);
    EXPECT_STREQ(models.items[0].name, "A.model");
    EXPECT_STREQ(models.items[1].name, "b-model");
    EXPECT_EQ(models.items[1].bytes, 5);
    EXPECT_PTR_EQ(chat_models_find(&models, "b-model"), &models.items[1]);
    EXPECT_NULL(chat_models_find(&models, "b-model.gguf"));
    chat_models_free(&models);
}

TEST(a_folder_that_is_not_there_has_no_models)
{
    struct chat_models models;
    EXPECT_EQ(chat_models_scan("/nonexistent/models", &models), 0);
    EXPECT_EQ(models.count, 0);
    EXPECT_EQ(chat_models_open("/nonexistent/models", "a"), -ENOENT);
    EXPECT_EQ(chat_models_scan(NULL, &models), 0);
}

TEST(only_what_a_scan_finds_can_be_opened)
{
    struct folder folder;
    folder_make(&folder);
    int fd = chat_models_open(folder.path, "b-model");
    EXPECT_GE(fd, 0);
    char text[8] = "";
    EXPECT_EQ(read(fd, text, sizeof(text)), 5);
    EXPECT_STREQ(text, "12345");
    close(fd);
    char up[128];
    snprintf(up, sizeof(up), "../%s/secret", strrchr(folder.outside, '/') + 1);
    EXPECT_EQ(chat_models_open(folder.path, up), -EINVAL);
    EXPECT_EQ(chat_models_open(folder.path, "/etc/passwd"), -EINVAL);
    EXPECT_EQ(chat_models_open(folder.path, "link"), -ENOENT);
    EXPECT_EQ(chat_models_open(folder.path, "dir"), -ENOENT);
    EXPECT_EQ(chat_models_open(folder.path, "pipe"), -ENOENT);
    EXPECT_EQ(chat_models_open(folder.path, "b-model.gguf"), -ENOENT);
    EXPECT_EQ(chat_models_open(folder.path, "B-MODEL"), -ENOENT);
}
