/* SPDX-License-Identifier: Apache-2.0 */
/* Simulations: the same seed is the same run, time jumps, a deadlock is told, and the network does
 * what networks do.
 * Covers: src/driver/sim.c, src/driver/sim_driver.c, src/driver/sim_link.c, src/driver/sim_net.c
 * Covers: src/driver/sim_node.c, src/driver/sim_outside.c, src/driver/sim_policy.c
 * Covers: src/driver/sim_settings.c, src/driver/sim_tcp.c, src/driver/sim_thread.c
 * Covers: src/driver/sim_unix.c, src/sched/simulated.c */
#include <aether/aether.h>
#include <aether/sim.h>
#include <stdlib.h>

#include "test.h"

enum { SEEDS = 40, PORTION = 3000 };

static int run_seed(uint64_t seed, ae_fn *scenario, void *arg)
{
    const ae_sim_config config = { AE_SIM_CONFIG, .seed = seed };

    return ae_sim_run(&config, scenario, arg);
}

/* ---- what a seed decides ---- */

struct trail {
    uint64_t hash, steps;
};

static int add_some(void *arg)
{
    _Atomic(int) *sum = arg;

    for (int i = 0; i < 20; i++) {
        *sum += 1;
        ae_yield();
    }
    return 0;
}

static int add_all(void *arg)
{
    _Atomic(int) sum = 0;
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    for (int i = 0; i < 10; i++) {
        int rc = ae_go(add_some, &sum);
        if (rc < 0) return ae_scope_end(&scope, rc);
    }
    int rc = ae_scope_end(&scope, 0);
    return rc < 0 ? rc : sum;
}

static int add_in_a_runtime(void *arg)
{
    struct trail *trail = arg;
    int rc = ae_run(NULL, add_all, NULL);

    trail->hash = ae_sim_hash();
    trail->steps = ae_sim_steps();
    return rc;
}

TEST(a_seed_decides_the_run)
{
    struct trail one = { 0 }, same = { 0 }, other = { 0 };

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        EXPECT_EQ(run_seed(seed, add_in_a_runtime, &one), 200);
        EXPECT_EQ(run_seed(seed, add_in_a_runtime, &same), 200);
        EXPECT_EQ(run_seed(seed + SEEDS, add_in_a_runtime, &other), 200);
        EXPECT_TRUE(one.hash == same.hash);
        EXPECT_TRUE(one.steps == same.steps);
        EXPECT_TRUE(one.hash != other.hash);
    }
}

static int sleep_long(void *arg)
{
    int64_t begun_ns = ae_now();

    (void)arg;
    int rc = ae_sleep(20 * 3600 * AE_SEC);
    if (rc < 0) return rc;
    return (int)((ae_now() - begun_ns) / AE_SEC);
}

TEST(hours_pass_at_once)
{
    EXPECT_EQ(ae_test_clock(sleep_long, NULL), 20 * 3600);
}

static int wait_for_ever(void *arg)
{
    ae_event never = { 0 };

    (void)arg;
    ae_self_set_name("waits in vain");
    return ae_event_wait(&never);
}

static int wait_in_a_runtime(void *arg)
{
    return ae_run(NULL, wait_for_ever, arg);
}

TEST(a_deadlock_is_told_by_name)
{
    EXPECT_DEATH(EXPECT_EQ(run_seed(3, wait_in_a_runtime, NULL), 0), "waits in vain");
    EXPECT_DEATH(EXPECT_EQ(run_seed(4, wait_in_a_runtime, NULL), 0), "deadlock");
}

static int spin_for_ever(void *arg)
{
    while (arg == NULL) {
        ae_yield();
    }
    return 0;
}

static int spin_in_a_runtime(void *arg)
{
    return ae_run(NULL, spin_for_ever, arg);
}

static void spin(void)
{
    const ae_sim_config config = { AE_SIM_CONFIG, .steps_max = 20000 };

    EXPECT_EQ(ae_sim_run(&config, spin_in_a_runtime, NULL), 0);
}

TEST(what_never_ends_is_told)
{
    EXPECT_DEATH(spin(), "it has not ended in 20000 steps");
}

static int claim_wrongly(void *arg)
{
    (void)arg;
    ae_sim_sometimes(true, "told to nobody here");
    ae_sim_always(ae_sim_random(10) < 10, "is right");
    ae_sim_always(false, "black is white");
    return 0;
}

TEST(what_must_always_hold_ends_the_run_with_its_seed)
{
    EXPECT_DEATH(EXPECT_EQ(run_seed(77, claim_wrongly, NULL), 0), "seed 77");
    EXPECT_DEATH(EXPECT_EQ(run_seed(77, claim_wrongly, NULL), 0), "black is white");
}

static int within(void *arg)
{
    return ae_sim_run(NULL, claim_wrongly, arg);
}

TEST(there_is_one_simulation_at_a_time)
{
    const ae_sim_config wrong = { AE_SIM_CONFIG, .limit_ns = -1 };

    EXPECT_EQ(ae_sim_run(NULL, within, NULL), -EBUSY);
    EXPECT_EQ(ae_sim_run(&wrong, within, NULL), -EINVAL);
}

/* ---- pool, parallel work, plain threads ---- */

static int job(void *arg)
{
    *(int64_t *)arg = ae_now();
    return ae_sleep(AE_SEC);
}

static int use_pool(void *arg)
{
    int64_t times[3];
    ae_task *other[2];

    (void)arg;
    for (int i = 0; i < 2; i++) {
        other[i] = ae_spawn_blocking(job, &times[i]);
    }
    int rc = ae_blocking(job, &times[2]);
    for (int i = 0; i < 2; i++) {
        int joined = ae_join(other[i]);
        if (rc == 0) rc = joined;
    }
    return rc;
}

static int use_pool_in_a_runtime(void *arg)
{
    return ae_run(NULL, use_pool, arg);
}

TEST(pool_threads_are_simulated)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        EXPECT_EQ(run_seed(seed, use_pool_in_a_runtime, NULL), 0);
    }
}

/* ---- the network ---- */

struct meeting {
    ae_sim_node *server, *client;
    const char *address; /* to connect to */
    int accepted;
    int rc;              /* the client's */
    char heard[PORTION];
};

static int echo(void *arg)
{
    ae_stream *peer = arg;
    char buf[512];
    ssize_t n;

    while ((n = ae_read(peer, buf, sizeof buf)) > 0) {
        n = ae_write(peer, buf, (size_t)n);
        if (n < 0) break;
    }
    ae_close(peer);
    return 0;
}

static int serve(void *arg)
{
    struct meeting *m = arg;
    ae_listener *listener;
    ae_scope peers;

    int rc = ae_listen(m->address && *m->address == 'u' ? m->address : ":7", NULL, &listener);
    if (rc < 0) return rc;
    ae_scope_begin(&peers);
    for (ae_stream *peer; (rc = ae_accept(listener, &peer, NULL)) == 0; m->accepted++) {
        if (ae_go(echo, peer) < 0) ae_close(peer);
    }
    ae_listener_close(listener);
    return ae_scope_end(&peers, rc);
}

static int write_all(void *arg)
{
    static const char zeros[PORTION];
    ae_stream *stream = arg;
    ssize_t n = ae_write(stream, zeros, sizeof zeros);

    if (n < 0) return (int)n;
    return ae_shutdown(stream);
}

/* What was sent comes back, then the end. */
static int exchange(struct meeting *m)
{
    ae_stream *stream;
    char more;

    memset(m->heard, 1, sizeof m->heard);
    int rc = ae_connect(m->address ? m->address : "server:7", &stream);
    if (rc < 0) return rc;
    ae_task *writer = ae_spawn(write_all, stream);
    ssize_t n = ae_read_full(stream, m->heard, sizeof m->heard);
    if (n == PORTION) n = ae_read(stream, &more, 1);
    rc = ae_join(writer);
    ae_close(stream);
    return n < 0 ? (int)n : rc;
}

/* Until the server is there. */
static int visit(void *arg)
{
    struct meeting *m = arg;

    do {
        m->rc = exchange(m);
        if (ae_sleep(10 * AE_MS) < 0) return -ECANCELED;
    } while (m->rc == -ECONNREFUSED || m->rc == -ENOENT);
    return m->rc;
}

static int make_nodes(struct meeting *m)
{
    m->server = ae_sim_node_create("server", "10.0.0.1");
    m->client = ae_sim_node_create("client", "10.0.0.2");
    return m->server && m->client ? 0 : -ENOMEM;
}

static int start_both(struct meeting *m)
{
    int rc = make_nodes(m);

    if (rc == 0) rc = ae_sim_start(m->server, NULL, serve, m);
    if (rc == 0) rc = ae_sim_start(m->client, NULL, visit, m);
    return rc;
}

static int meet(void *arg)
{
    struct meeting *m = arg;
    int rc = start_both(m);

    if (rc < 0) return rc;
    EXPECT_EQ(ae_sim_start(m->server, NULL, serve, m), -EBUSY);
    EXPECT_EQ(ae_sim_wait(m->client), 0);
    EXPECT_EQ(ae_sim_stop(m->server), -ECANCELED);
    return 0;
}

static void expect_meeting(struct meeting *m, ae_fn *scenario)
{
    static const char zeros[PORTION];

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        m->accepted = 0;
        if (!EXPECT_EQ(run_seed(seed, scenario, m), 0)) return;
        EXPECT_MEMEQ(m->heard, zeros, sizeof zeros);
        EXPECT_GE(m->accepted, 1);
    }
}

TEST(nodes_meet_over_the_network)
{
    struct meeting m = { 0 };

    expect_meeting(&m, meet);
}

static int serve_and_visit(void *arg)
{
    struct meeting *m = arg;
    ae_scope scope;

    ae_scope_begin(&scope);
    int rc = ae_go(serve, m);
    if (rc == 0) rc = visit(m);
    ae_scope_cancel(&scope, 0);
    return ae_scope_end(&scope, rc);
}

static int meet_in_a_runtime(void *arg)
{
    return ae_run(NULL, serve_and_visit, arg);
}

TEST(a_machine_talks_to_itself)
{
    struct meeting tcp = { .address = "127.0.0.1:7" }, name = { .address = "localhost:7" };
    struct meeting path = { .address = "unix:/run/echo" }, abstract = { .address = "unix:@echo" };

    expect_meeting(&tcp, meet_in_a_runtime);
    expect_meeting(&name, meet_in_a_runtime);
    expect_meeting(&path, meet_in_a_runtime);
    expect_meeting(&abstract, meet_in_a_runtime);
}

static int meet_with_loss(void *arg)
{
    const ae_sim_link bad = { 20 * AE_MS, 100 * AE_MS, 200 * 1000 };

    ae_sim_link_set(NULL, NULL, &bad);
    return meet(arg);
}

TEST(what_is_lost_is_sent_again)
{
    struct meeting m = { 0 };

    expect_meeting(&m, meet_with_loss);
}

static int meet_after_a_cut(void *arg)
{
    struct meeting *m = arg;
    int64_t begun_ns = ae_now();
    int rc = start_both(m);

    if (rc < 0) return rc;
    ae_sim_cut(m->server, m->client);
    rc = ae_sleep(30 * AE_SEC);
    EXPECT_EQ(m->accepted, 0);
    ae_sim_heal();
    EXPECT_EQ(ae_sim_wait(m->client), 0);
    EXPECT_GE(ae_now() - begun_ns, 30 * AE_SEC);
    EXPECT_EQ(ae_sim_stop(m->server), -ECANCELED);
    return rc;
}

TEST(a_cut_holds_everything_up_until_it_heals)
{
    struct meeting m = { 0 };

    expect_meeting(&m, meet_after_a_cut);
}

static int meet_never(void *arg)
{
    struct meeting *m = arg;
    int rc = start_both(m);

    ae_sim_cut(NULL, NULL);
    if (rc == 0) rc = ae_sim_wait(m->client);
    (void)ae_sim_stop(m->server);
    return rc;
}

TEST(who_cannot_be_reached_times_out)
{
    struct meeting m = { 0 };

    for (uint64_t seed = 1; seed <= 5; seed++) {
        EXPECT_EQ(run_seed(seed, meet_never, &m), -ETIMEDOUT);
    }
}

/* ---- lives of nodes ---- */

static int talk_on(void *arg)
{
    struct meeting *m = arg;
    ae_stream *stream;
    char byte = 0;
    ssize_t n = 1;

    int rc = ae_connect("10.0.0.1:7", &stream);
    if (rc < 0) return rc;
    while (n == 1) {
        n = ae_write(stream, &byte, 1);
        if (n == 1) n = ae_read(stream, &byte, 1);
        if (n == 1 && ae_sleep(AE_MS) < 0) break;
        m->accepted++;
    }
    ae_close(stream);
    return (int)n;
}

static int kill_the_server(void *arg)
{
    struct meeting *m = arg;
    int rc = make_nodes(m);

    if (rc == 0) rc = ae_sim_start(m->server, NULL, serve, m);
    if (rc == 0) rc = ae_sleep(50 * AE_MS);
    if (rc == 0) rc = ae_sim_start(m->client, NULL, talk_on, m);
    if (rc == 0) rc = ae_sleep(100 * AE_MS);
    if (rc < 0) return rc;
    ae_sim_kill(m->server);
    EXPECT_EQ(ae_sim_wait(m->server), -ESRCH);
    rc = ae_sim_wait(m->client);
    EXPECT_TRUE(rc == 0 || rc == -ECONNRESET || rc == -EPIPE);
    rc = ae_sim_start(m->client, NULL, talk_on, m);
    if (rc == 0) EXPECT_EQ(ae_sim_wait(m->client), -ECONNREFUSED);
    rc = ae_sim_start(m->server, NULL, serve, m); /* the port is free again */
    if (rc == 0) rc = ae_sim_start(m->client, NULL, visit, m);
    if (rc == 0) rc = ae_sim_wait(m->client);
    EXPECT_EQ(ae_sim_stop(m->server), -ECANCELED);
    return rc;
}

TEST(a_process_that_is_killed_closes_its_connections)
{
    struct meeting m = { 0 };

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        EXPECT_EQ(run_seed(seed, kill_the_server, &m), 0);
    }
}

/* Who only listens never learns it. */
static int talk_for_a_while(void *arg)
{
    ae_scope scope;

    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + 600 * AE_SEC);
    return ae_scope_end(&scope, talk_on(arg));
}

static int crash_the_server(void *arg)
{
    struct meeting *m = arg;
    int rc = make_nodes(m);

    if (rc == 0) rc = ae_sim_start(m->server, NULL, serve, m);
    if (rc == 0) rc = ae_sleep(50 * AE_MS);
    if (rc == 0) rc = ae_sim_start(m->client, NULL, talk_for_a_while, m);
    if (rc == 0) rc = ae_sleep(100 * AE_MS);
    if (rc < 0) return rc;
    ae_sim_crash(m->server);
    int64_t crashed_ns = ae_now();
    int before = m->accepted;
    rc = ae_sleep(60 * AE_SEC);
    EXPECT_LE(m->accepted, before + 1); /* it hears nothing, and does not know why */
    rc = ae_sim_start(m->server, NULL, serve, m); /* which answers: I know nothing of you */
    if (rc == 0) rc = ae_sim_wait(m->client);
    EXPECT_TRUE(rc == -ECONNRESET || rc == -ETIMEDOUT);
    EXPECT_GE(ae_now() - crashed_ns, 60 * AE_SEC);
    EXPECT_EQ(ae_sim_stop(m->server), -ECANCELED);
    return 0;
}

TEST(a_machine_that_crashes_says_nothing)
{
    struct meeting m = { 0 };

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        EXPECT_EQ(run_seed(seed, crash_the_server, &m), 0);
    }
}

static int pause_the_server(void *arg)
{
    struct meeting *m = arg;
    int rc = make_nodes(m);

    if (rc == 0) rc = ae_sim_start(m->server, NULL, serve, m);
    if (rc == 0) rc = ae_sleep(50 * AE_MS);
    int64_t paused_ns = ae_now();
    ae_sim_pause(m->server, 9 * AE_SEC);
    if (rc == 0) rc = ae_sim_start(m->client, NULL, visit, m);
    if (rc == 0) rc = ae_sim_wait(m->client);
    EXPECT_GE(ae_now() - paused_ns, 9 * AE_SEC);
    EXPECT_EQ(ae_sim_stop(m->server), -ECANCELED);
    return rc;
}

TEST(a_node_that_is_paused_does_nothing)
{
    struct meeting m = { 0 };

    expect_meeting(&m, pause_the_server);
}

static int visit_often(void *arg)
{
    struct meeting *m = arg;
    int good = 0;

    for (int i = 0; i < 40; i++) {
        int rc = visit(m);
        if (rc == -ECANCELED) return rc;
        good += rc == 0;
    }
    return good;
}

static int meet_with_faults(void *arg)
{
    struct meeting *m = arg;
    int rc = make_nodes(m);

    ae_sim_faults(20 * 1000);
    if (rc == 0) rc = ae_sim_start(m->server, NULL, serve, m);
    if (rc == 0) rc = ae_sim_start(m->client, NULL, visit_often, m);
    if (rc == 0) rc = ae_sim_wait(m->client);
    EXPECT_EQ(ae_sim_stop(m->server), -ECANCELED);
    return rc;
}

TEST(a_server_outlives_faults)
{
    struct meeting m = { 0 };
    int good = 0;

    ae_log_set_level(AE_ERROR); /* it says that descriptors ran out, which is true */
    for (uint64_t seed = 1; seed <= 10; seed++) {
        int rc = run_seed(seed, meet_with_faults, &m);
        EXPECT_GT(rc, 0);
        good += rc;
    }
    EXPECT_LT(good, 400); /* and some did fail */
}

static int make_twice(void *arg)
{
    (void)arg;
    EXPECT_NOT_NULL(ae_sim_node_create("a", "10.0.0.1"));
    EXPECT_NULL(ae_sim_node_create("b", "10.0.0.1"));
    EXPECT_NULL(ae_sim_node_create("c", "127.0.0.1"));
    EXPECT_NULL(ae_sim_node_create("d", "nonsense"));
    return 0;
}

TEST(an_address_is_a_nodes_own)
{
    EXPECT_EQ(run_seed(1, make_twice, NULL), 0);
}

/* ---- a program that knows nothing of it ---- */

TEST(the_environment_asks_for_a_simulation_with_clients)
{
    struct meeting m = { 0 };

    setenv("AE_SIM", "seed=5,clients=4,policy=pct,workers=3", 1);
    setenv("AE_SIM_SAY", "hello", 1);
    EXPECT_EQ(ae_run(NULL, serve, &m), -ECANCELED); /* told to end when the clients had gone */
    EXPECT_EQ(m.accepted, 12);
    EXPECT_GT(ae_sim_steps(), 100u);
}

static int count_workers(void *arg)
{
    (void)arg;
    return (int)ae_runtime_workers(ae_runtime_current());
}

TEST(settings_that_make_no_sense_end_the_program)
{
    setenv("AE_SIM", "seed=5,policy=best", 1);
    EXPECT_DEATH(EXPECT_EQ(ae_run(NULL, count_workers, NULL), 0), "policy=");
    setenv("AE_SIM", "seed=five", 1);
    EXPECT_DEATH(EXPECT_EQ(ae_run(NULL, count_workers, NULL), 0), "seed is no number");
    setenv("AE_SIM", "workers=7", 1);
    unsetenv("AE_FLAVOR"); /* which may ask for one */
    unsetenv("AE_WORKERS");
    EXPECT_EQ(ae_run(NULL, count_workers, NULL), 7);
}
