/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of src/io and src/driver share: a runtime around a test, and connected pairs. */
#ifndef AE_TESTS_IO_TEST_H
#define AE_TESTS_IO_TEST_H

#include <stdio.h>

#include "aether/aether.h"
#include "test.h"

struct pair {
    ae_stream *a, *b;
};

static inline void run_with(unsigned workers, ae_fn *body, void *arg)
{
    const ae_config config = { AE_CONFIG, .workers = workers };

    EXPECT_EQ(ae_run(&config, body, arg), 0);
}

/* In the test's own runtime of one worker, and again on two. */
static inline void run_both(ae_fn *body, void *arg)
{
    run_with(1, body, arg);
    run_with(2, body, arg);
}

static inline ae_listener *listen_local(char *address, size_t size)
{
    ae_listener *listener = NULL;
    ae_addr addr;

    REQUIRE(ae_listen("127.0.0.1:0", NULL, &listener) == 0);
    REQUIRE(ae_listener_addr(listener, &addr) == 0);
    ae_addr_format(&addr, address, size);
    return listener;
}

/* Two ends of a TCP connection over loopback. */
static inline struct pair open_pair(void)
{
    char address[AE_ADDR_TEXT_MAX];
    struct pair p = { NULL, NULL };
    ae_listener *listener = listen_local(address, sizeof address);

    REQUIRE(ae_connect(address, &p.a) == 0);
    REQUIRE(ae_accept(listener, &p.b, NULL) == 0);
    ae_listener_close(listener);
    return p;
}

static inline void close_pair(struct pair *p)
{
    ae_close(p->a);
    ae_close(p->b);
}

/* Give other tasks turns until `done` is true: for "it waits by now", which nobody reports. */
static inline void yield_times(int n)
{
    for (int i = 0; i < n; i++) ae_yield();
}

#endif
