/* SPDX-License-Identifier: Apache-2.0 */
/* The router: precedence, parameters, conflicts, and what is refused before it is looked up. */
#include "../../http/escape.h"
#include "../../http/router.h"

#include "test.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct router router;
    struct arena arena;
    struct route_match m;
    char room[512];
};

static int nothing(ae_http *h)
{
    (void)h;
    return 0;
}

static void begin(struct fixture *f)
{
    memset(&f->router, 0, sizeof(f->router));
    ae__http_arena_init(&f->arena, f->room, sizeof(f->room));
}

static void end(struct fixture *f)
{
    ae__http_router_finish(&f->router);
    ae__http_arena_finish(&f->arena);
}

static int add(struct fixture *f, const char *pattern)
{
    return ae__http_router_add(&f->router, pattern, nothing, NULL);
}

static int look_up(struct fixture *f, const char *method, const char *path)
{
    return ae__http_router_find(&f->router, method, path, strlen(path), &f->arena, &f->m);
}

/* The pattern that takes the request, "" if none. */
static const char *taken(struct fixture *f, const char *method, const char *path)
{
    return look_up(f, method, path) == 0 ? f->m.route->pattern : "";
}

TEST(literals_go_before_parameters_and_those_before_the_rest)
{
    static struct fixture f;

    begin(&f);
    EXPECT_EQ(add(&f, "GET /{all...}"), 0);
    EXPECT_EQ(add(&f, "GET /users/{id}"), 0);
    EXPECT_EQ(add(&f, "GET /users/me"), 0);
    EXPECT_EQ(add(&f, "GET /users/{id}/files/{path...}"), 0);
    EXPECT_STREQ(taken(&f, "GET", "/users/me"), "GET /users/me");
    EXPECT_STREQ(taken(&f, "GET", "/users/7"), "GET /users/{id}");
    EXPECT_STREQ(f.m.values[0], "7");
    EXPECT_STREQ(taken(&f, "GET", "/users/me/files/a/b"), "GET /users/{id}/files/{path...}");
    EXPECT_STREQ(f.m.values[0], "me");
    EXPECT_STREQ(f.m.values[1], "a/b");
    EXPECT_STREQ(taken(&f, "GET", "/users/"), "GET /{all...}");
    EXPECT_STREQ(f.m.values[0], "users/");
    EXPECT_STREQ(taken(&f, "GET", "/"), "GET /{all...}");
    EXPECT_STREQ(f.m.values[0], "");
    end(&f);
}

TEST(a_trailing_slash_takes_what_is_below_and_dollar_only_itself)
{
    static struct fixture f;

    begin(&f);
    EXPECT_EQ(add(&f, "GET /docs/"), 0);
    EXPECT_EQ(add(&f, "GET /{$}"), 0);
    EXPECT_EQ(add(&f, "GET /docs/{$}"), 0);
    EXPECT_STREQ(taken(&f, "GET", "/"), "GET /{$}");
    EXPECT_STREQ(taken(&f, "GET", "/docs/"), "GET /docs/{$}");
    EXPECT_STREQ(taken(&f, "GET", "/docs/a/b"), "GET /docs/");
    EXPECT_STREQ(taken(&f, "GET", "/docs"), "");
    EXPECT_STREQ(taken(&f, "GET", "/x"), "");
    end(&f);
}

TEST(methods_are_told_apart)
{
    static struct fixture f;

    begin(&f);
    EXPECT_EQ(add(&f, "GET /a"), 0);
    EXPECT_EQ(add(&f, "POST /a"), 0);
    EXPECT_EQ(add(&f, "/b"), 0);
    EXPECT_EQ(add(&f, "PUT /b"), 0);
    EXPECT_EQ(add(&f, "PURGE /{x}"), 0);
    EXPECT_STREQ(taken(&f, "HEAD", "/a"), "GET /a");
    EXPECT_STREQ(taken(&f, "POST", "/a"), "POST /a");
    EXPECT_STREQ(taken(&f, "PURGE", "/a"), "PURGE /{x}");
    EXPECT_STREQ(taken(&f, "PUT", "/b"), "PUT /b");
    EXPECT_STREQ(taken(&f, "ANY", "/b"), "/b");
    EXPECT_EQ(look_up(&f, "DELETE", "/a"), -EPERM);
    EXPECT_STREQ(ae__http_router_allow(&f.router, &f.m, &f.arena),
                 "POST, GET, HEAD, PURGE, OPTIONS");
    EXPECT_TRUE(ae__http_router_knows(&f.router, "PURGE"));
    EXPECT_FALSE(ae__http_router_knows(&f.router, "purge"));
    end(&f);
}

TEST(the_same_shape_twice_is_a_conflict)
{
    static struct fixture f;

    begin(&f);
    EXPECT_EQ(add(&f, "GET /a/{x}"), 0);
    EXPECT_EQ(add(&f, "GET /a/{y}"), -EEXIST);
    EXPECT_EQ(add(&f, "GET /a/{x...}"), 0);
    EXPECT_EQ(add(&f, "GET /a/"), -EEXIST);
    EXPECT_EQ(add(&f, "POST /a/{y}"), 0);
    EXPECT_EQ(add(&f, "/a/{x}"), 0);
    EXPECT_EQ(add(&f, "/a/{z}"), -EEXIST);
    end(&f);
}

TEST(what_is_no_pattern_is_refused)
{
    static const char *const bad[] = { "", "GET", "GET a", "GET  /a", " /a", "/a//b", "/{}",
                                       "/{a", "/a{b}", "/{1}", "/{a}/{a}", "/{a...}/b",
                                       "/{$}/a", "A B /c" };
    static struct fixture f;

    begin(&f);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (add(&f, bad[i]) != -EINVAL) test_fail(__FILE__, __LINE__, "accepted: %s", bad[i]);
    }
    end(&f);
}

TEST(segments_are_decoded_one_by_one)
{
    static struct fixture f;

    begin(&f);
    EXPECT_EQ(add(&f, "GET /a b/{x}/{y}"), 0);
    EXPECT_EQ(add(&f, "GET /rest/{r...}"), 0);
    EXPECT_EQ(look_up(&f, "GET", "/a%20b/%C3%A4/1%2F2"), 0);
    EXPECT_STREQ(f.m.values[0], "\xc3\xa4");
    EXPECT_STREQ(f.m.values[1], "1/2");
    EXPECT_EQ(look_up(&f, "GET", "/rest/a%20b/c"), 0);
    EXPECT_STREQ(f.m.values[0], "a b/c");
    EXPECT_EQ(look_up(&f, "GET", "/rest/a%2fb"), -ENOENT);
    EXPECT_EQ(look_up(&f, "GET", "/a%2520b/1/2"), -ENOENT);
    end(&f);
}

TEST(paths_that_two_readers_could_read_differently_are_refused)
{
    static const char *const bad[] = { "/..", "/.", "/../a", "/a/..", "/a/./b", "/%2e", "/%2E%2e/",
                                       "/.%2e", "/a/%2e.", "/%", "/%4", "/%zz", "/a%00", "",
                                       "a", "/a%2f..", "/..%2fa", "/%41/../a", "/a/%41/." };
    static const char *const good[] = { "/", "/...", "/.a", "/a.", "/..a", "/a..b/", "//", "/%41",
                                        "/%41/.a", "/a/.../b" };
    bool escaped;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (ae__http_path_ok(bad[i], strlen(bad[i]), &escaped))
            test_fail(__FILE__, __LINE__, "accepted: %s", bad[i]);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!ae__http_path_ok(good[i], strlen(good[i]), &escaped))
            test_fail(__FILE__, __LINE__, "refused: %s", good[i]);
    }
}

TEST(many_literals_are_found)
{
    static struct fixture f;
    char pattern[64];

    begin(&f);
    for (int i = 0; i < 500; i++) {
        snprintf(pattern, sizeof(pattern), "GET /p%d/x", i * 37 % 500);
        EXPECT_EQ(add(&f, pattern), 0);
    }
    for (int i = 0; i < 500; i++) {
        snprintf(pattern, sizeof(pattern), "GET /p%d/x", i);
        EXPECT_STREQ(taken(&f, "GET", pattern + 4), pattern);
    }
    EXPECT_EQ(look_up(&f, "GET", "/p500/x"), -ENOENT);
    end(&f);
}

TEST(an_arena_gives_aligned_room_that_does_not_overlap)
{
    struct arena arena;
    char room[100];
    char *last[64];

    ae__http_arena_init(&arena, room + 1, sizeof(room) - 1);
    for (size_t i = 0; i < 64; i++) {
        last[i] = ae__http_arena_alloc(&arena, i * 100);
        REQUIRE(last[i]);
        EXPECT_EQ((uintptr_t)last[i] % _Alignof(max_align_t), 0);
        memset(last[i], (int)i, i * 100);
    }
    for (size_t i = 1; i < 64; i++)
        EXPECT_TRUE(last[i][0] == (char)i && last[i][i * 100 - 1] == (char)i);
    EXPECT_NULL(ae__http_arena_alloc(&arena, SIZE_MAX - 8));
    ae__http_arena_finish(&arena);
}
