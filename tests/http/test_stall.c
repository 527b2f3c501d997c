/* SPDX-License-Identifier: Apache-2.0 */
/* The tenth kind of stall (the others are in tests/unit/test_stall.c): a handler of a request that
 * computes. The report names it, and meanwhile the server goes on answering.
 * Covers: src/sched/stall.c */
#include "site.h"

extern const char __start_plant_handler[], __stop_plant_handler[], __executable_start[];

static _Atomic(bool) told, named;

/* Each frame is a line: "    in FILE BUILD-ID+0xOFFSET" */
static void read_line(void *context, enum ae_log_level level, const char *line)
{
    const char *plus = strstr(line, "+0x");
    uintptr_t base = (uintptr_t)__executable_start;

    (void)context;
    (void)level;
    if (!plus || (!strstr(line, "    in ") && !strstr(line, "    called from "))) return;
    uintptr_t at = base + strtoull(plus + 1, NULL, 16);
    if (at < (uintptr_t)__start_plant_handler || at >= (uintptr_t)__stop_plant_handler) return;
    named = true;
}

__attribute__((noinline, section("plant_handler"))) static int compute(ae_http *h)
{
    while (!told) {
    }
    return ae_http_respond(h, 200, "text/plain", "computed", 8);
}

static int hello(ae_http *h)
{
    return ae_http_respond(h, 200, "text/plain", "Hello, World!", 13);
}

TEST(a_handler_that_computes_is_named_and_the_server_goes_on)
{
    struct site site;
    ae_metrics m = { .size = sizeof m };
    char buf[4096];

    if (test_under_tsan()) test_skip("it holds signals back until a thread makes a call");
    if (getenv("AE_DRIVER") && strcmp(getenv("AE_DRIVER"), "uring") == 0) {
        test_skip("what a stuck worker's ring has in flight waits for it");
    }
    /* The suite may run with these, and then nobody else does what waits. */
    unsetenv("AE_FLAVOR");
    unsetenv("AE_STEAL");
    unsetenv("AE_CHAOS");
    ae_log_set_sink(read_line, NULL);
    site_create(&site, NULL);
    ae_http_route(site.server, "GET /compute", compute, NULL);
    ae_http_route(site.server, "GET /hello", hello, NULL);
    site_start(&site);
    int busy[2] = { dial(&site), dial(&site) }; /* as many as there are workers */
    for (int i = 0; i < 2; i++) {
        say(busy[i], "GET /compute HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    }
    for (int i = 0; i < 20; i++) {
        int fd = dial(&site);
        say(fd, "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        EXPECT_GT(hear_all(fd, buf, sizeof(buf)), 0);
        EXPECT_NOT_NULL(strstr(buf, "Hello, World!"));
        close(fd);
    }
    while (m.stall_reports == 0) {
        REQUIRE(ae_metrics_get(site.rt, &m) == 0);
    }
    EXPECT_TRUE(named);
    told = true;
    for (int i = 0; i < 2; i++) {
        EXPECT_GT(hear_all(busy[i], buf, sizeof(buf)), 0);
        EXPECT_NOT_NULL(strstr(buf, "computed"));
        close(busy[i]);
    }
    EXPECT_EQ(site_stop(&site), 0);
}
