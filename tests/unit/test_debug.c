/* SPDX-License-Identifier: Apache-2.0 */
/* Dumps, traces, histograms, per-worker figures.
 * Covers: src/sched/dump.c src/sched/look.c src/sched/trace.c src/sched/stats.c src/io/inspect.c
 * Covers: src/arch/peek.c src/task/names.c */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "aether/aether.h"
#include "test.h"

/* ---- reading what is written ---- */

struct text {
    int fd;
    char *bytes;
    size_t size;
};

static void text_open(struct text *text)
{
    *text = (struct text){ .fd = memfd_create("text", MFD_CLOEXEC) };
    REQUIRE(text->fd >= 0);
}

static void text_clear(struct text *text)
{
    REQUIRE(ftruncate(text->fd, 0) == 0);
    REQUIRE(lseek(text->fd, 0, SEEK_SET) == 0);
}

/* What was written, as a string. */
static const char *text_read(struct text *text)
{
    text->size = (size_t)lseek(text->fd, 0, SEEK_END);
    text->bytes = realloc(text->bytes, text->size + 1);
    REQUIRE(text->bytes);
    REQUIRE(pread(text->fd, text->bytes, text->size, 0) == (ssize_t)text->size);
    text->bytes[text->size] = 0;
    return text->bytes;
}

static void text_close(struct text *text)
{
    close(text->fd);
    free(text->bytes);
}

static unsigned count_of(const char *text, const char *part)
{
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, part)); at++) count++;
    return count;
}

/* The line that has `part`, or "". */
static const char *line_with(const char *text, const char *part, char out[2048])
{
    const char *at = strstr(text, part);
    const char *begin = at;

    out[0] = 0;
    if (!at) return out;
    while (begin > text && begin[-1] != '\n') begin--;
    snprintf(out, 2048, "%.*s", (int)strcspn(begin, "\n"), begin);
    return out;
}

static void expect_in(const char *part, const char *whole)
{
    if (!strstr(whole, part)) test_fail(__FILE__, __LINE__, "no \"%s\" in: %.500s", part, whole);
}

/* ---- tasks that wait ---- */

struct crowd {
    ae_sem gate;
    _Atomic(int) inside;
};

static int wait_at_gate(void *arg)
{
    struct crowd *crowd = arg;

    atomic_fetch_add(&crowd->inside, 1);
    return ae_sem_acquire(&crowd->gate, 1);
}

__attribute__((noinline)) static int deeper(struct crowd *crowd, int levels)
{
    int rc = levels ? deeper(crowd, levels - 1) : wait_at_gate(crowd);

    __asm__ volatile("" ::: "memory"); /* no tail call: a frame each */
    return rc;
}

static int wait_deep(void *arg)
{
    return deeper(arg, 5);
}

static void begin_crowd(struct crowd *crowd)
{
    ae_sem_init(&crowd->gate, 0);
    atomic_store(&crowd->inside, 0);
}

/* Until all have come to the gate; the last one may still be on its way to sleep. */
static void wait_inside(struct crowd *crowd, int count)
{
    while (atomic_load(&crowd->inside) < count) ae_yield();
}

static int spawn_named(struct crowd *crowd, ae_fn *fn, const char *name)
{
    ae_task_opts opts = { .name = name };
    ae_task *task = ae_spawn_opts(&opts, fn, crowd);

    if (!task) return -ENOMEM;
    ae_detach(task);
    return 0;
}

static int sleep_long(void *arg)
{
    (void)arg;
    return ae_sleep(3600 * AE_SEC);
}

static int dump_of_several_kinds(void *arg)
{
    struct text *text = arg;
    struct crowd crowd;
    ae_scope scope;
    char line[2048];

    begin_crowd(&crowd);
    ae_scope_begin(&scope);
    EXPECT_EQ(spawn_named(&crowd, wait_at_gate, "alice"), 0);
    EXPECT_EQ(spawn_named(&crowd, wait_deep, "bob \"\n"), 0);
    EXPECT_EQ(spawn_named(&crowd, sleep_long, "carol"), 0);
    wait_inside(&crowd, 2);
    /* yielding lets them go on until they sleep, where there is one worker; else soon */
    do {
        ae_yield();
        text_clear(text);
        EXPECT_EQ(ae_dump(NULL, text->fd), 0);
    } while (count_of(text_read(text), " parked, waits for semaphore") < 2 ||
             count_of(text->bytes, " parked, waits for sleep") < 1 ||
             count_of(text->bytes, " waits for blocking job") < 1); /* this task */
    expect_in("aether dump of process ", text->bytes);
    line_with(text->bytes, "\"alice\"", line);
    expect_in("waits for semaphore 0x", line);
    expect_in(", in scope 0x", line);
    expect_in(", stack ", line);
    expect_in("\"bob ??\"", text->bytes);
    line_with(text->bytes, "\"carol\"", line);
    expect_in("waits for sleep, due in 3", line);
    expect_in("end of dump: 4 tasks", text->bytes);
    ae_scope_cancel(&scope, 0);
    return ae_scope_end(&scope, 0);
}

TEST(a_dump_names_state_wait_scope_and_name_of_each_task)
{
    ae_config config = { AE_CONFIG, .workers = 2 };
    struct text text;

    text_open(&text);
    EXPECT_EQ(ae_run(&config, dump_of_several_kinds, &text), 0);
    text_close(&text);
}

/* Frames of the stack whose owner's line has `name`. */
static unsigned frames_of(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    unsigned frames = 0;

    at = at ? strchr(at, '\n') : NULL;
    while (at && at[1] == ' ') {
        frames += strstr(at, " #") == at + 4 || strstr(at, " #") == at + 3;
        at = strchr(at + 1, '\n');
    }
    return frames;
}

static int dump_stacks(void *arg)
{
    struct text *text = arg;
    struct crowd crowd;
    ae_scope scope;

    begin_crowd(&crowd);
    ae_scope_begin(&scope);
    EXPECT_EQ(spawn_named(&crowd, wait_at_gate, "shallow"), 0);
    EXPECT_EQ(spawn_named(&crowd, wait_deep, "deep"), 0);
    for (int i = 0; i < 50; i++) EXPECT_EQ(spawn_named(&crowd, wait_at_gate, "same"), 0);
    wait_inside(&crowd, 52);
    do {
        ae_yield();
        text_clear(text);
        EXPECT_EQ(ae_dump(NULL, text->fd), 0);
        /* one that is on its way to sleep is `moving`: its registers are not saved yet */
    } while (count_of(text_read(text), " parked, waits for semaphore") < 52 ||
             count_of(text->bytes, ", moving") > 0);
    unsigned shallow = frames_of(text->bytes, "\"shallow\"");
    EXPECT_GE(shallow, 3);
    EXPECT_GE(frames_of(text->bytes, "\"deep\""), shallow + 6); /* deeper, 6 times */
    /* 50 at one place: one stack and references to it, or two: a task leaves for the next one, or
     * for the worker when there is none */
    EXPECT_GE(count_of(text->bytes, ", stack "), 52);
    EXPECT_LE(count_of(text->bytes, "#0 "), 7); /* also this task, "shallow" and "deep" */
    ae_scope_cancel(&scope, 0);
    return ae_scope_end(&scope, 0);
}

TEST(a_dump_has_the_frames_of_suspended_tasks_and_equal_stacks_once)
{
    ae_config config = { AE_CONFIG, .workers = 2 };
    struct text text;

    text_open(&text);
    EXPECT_EQ(ae_run(&config, dump_stacks, &text), 0);
    text_close(&text);
}

/* ---- under load ---- */

struct load {
    struct crowd crowd;
    _Atomic(bool) stop;
    _Atomic(uint64_t) switches;
    unsigned parked, dumps;
    struct text text;
};

static int churn(void *arg)
{
    struct load *load = arg;

    while (!atomic_load(&load->stop)) {
        ae_scope scope;
        ae_scope_begin(&scope);
        struct crowd own;
        begin_crowd(&own);
        ae_task *task = ae_spawn(wait_at_gate, &own);
        if (task) ae_cancel(task);
        int rc = ae_scope_end(&scope, task ? ae_join(task) : 0);
        EXPECT_TRUE(rc == 0 || rc == -ECANCELED);
        atomic_fetch_add(&load->switches, 1);
        ae_yield();
    }
    return 0;
}

static void check_dump(struct load *load)
{
    text_clear(&load->text);
    EXPECT_EQ(ae_dump(NULL, load->text.fd), 0);
    text_read(&load->text);
    EXPECT_GE(count_of(load->text.bytes, "\"crowd\" parked, waits for semaphore"), load->parked);
    expect_in("\nend of dump: ", load->text.bytes);
}

static int dump_under_load(void *arg)
{
    struct load *load = arg;
    ae_scope scope, waiting;

    begin_crowd(&load->crowd);
    ae_scope_begin(&scope);
    ae_scope_begin(&waiting);
    for (unsigned i = 0; i < load->parked; i++) {
        EXPECT_EQ(spawn_named(&load->crowd, wait_at_gate, "crowd"), 0);
    }
    wait_inside(&load->crowd, (int)load->parked);
    for (int i = 0; i < 1000; i++) ae_yield();
    ae_task *one = ae_spawn_in(&scope, churn, load), *two = ae_spawn_in(&scope, churn, load);
    for (unsigned i = 0; i < load->dumps; i++) {
        uint64_t before = atomic_load(&load->switches);
        check_dump(load);
        while (atomic_load(&load->switches) == before) ae_yield(); /* the others go on */
    }
    atomic_store(&load->stop, true);
    EXPECT_EQ(ae_join(one), 0);
    EXPECT_EQ(ae_join(two), 0);
    ae_scope_cancel(&waiting, 0);
    int rc = ae_scope_end(&waiting, 0);
    return ae_scope_end(&scope, rc);
}

TEST(a_dump_is_complete_while_tasks_come_and_go)
{
    ae_config config = { AE_CONFIG, .workers = 2 };
    struct load load = { .parked = 300, .dumps = 40 };

    text_open(&load.text);
    EXPECT_EQ(ae_run(&config, dump_under_load, &load), 0);
    text_close(&load.text);
}

/* ---- many ---- */

struct many {
    struct crowd crowd;
    unsigned count;
    _Atomic(bool) stop;
    int64_t gap_ns;     /* the longest between two turns of a task that only yields */
    int64_t gap_cpu_ns; /* the same in time of its worker's thread: not descheduled */
    struct text text;
};

static int64_t thread_cpu_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * AE_SEC + time.tv_nsec;
}

/* Keeps the worker busy, and sees when it is held up. */
static int tick_on(void *arg)
{
    struct many *many = arg;
    int64_t last_ns = ae_now(), last_cpu_ns;

    ae_pin();
    last_cpu_ns = thread_cpu_ns();
    while (!atomic_load(&many->stop)) {
        ae_yield();
        int64_t now_ns = ae_now(), cpu_ns = thread_cpu_ns();
        if (now_ns - last_ns > many->gap_ns) many->gap_ns = now_ns - last_ns;
        if (cpu_ns - last_cpu_ns > many->gap_cpu_ns) many->gap_cpu_ns = cpu_ns - last_cpu_ns;
        last_ns = now_ns;
        last_cpu_ns = cpu_ns;
    }
    ae_unpin();
    return 0;
}

static int dump_many(void *arg)
{
    struct many *many = arg;
    ae_scope scope;
    char line[2048];

    begin_crowd(&many->crowd);
    ae_scope_begin(&scope);
    for (unsigned i = 0; i < many->count; i++) {
        EXPECT_EQ(spawn_named(&many->crowd, wait_at_gate, "many"), 0);
    }
    wait_inside(&many->crowd, (int)many->count);
    ae_task *busy = ae_spawn(tick_on, many);
    for (int i = 0; i < 1000; i++) ae_yield();
    int64_t begin_ns = ae_now();
    EXPECT_EQ(ae_dump(NULL, many->text.fd), 0);
    int64_t took_ns = ae_now() - begin_ns;
    atomic_store(&many->stop, true);
    EXPECT_EQ(ae_join(busy), 0);
    text_read(&many->text);
    EXPECT_EQ(count_of(many->text.bytes, " \"many\" "), many->count);
    EXPECT_NE(strncmp(line_with(many->text.bytes, "end of dump: ", line), "", 1), 0);
    test_note("%u tasks in %.1f ms, %zu bytes; longest gap of a yielding task %.2f ms, "
              "%.3f ms of its thread's time", many->count, (double)took_ns / 1e6, many->text.size,
              (double)many->gap_ns / 1e6, (double)many->gap_cpu_ns / 1e6);
    ae_scope_cancel(&scope, 0);
    return ae_scope_end(&scope, 0);
}

TEST_TIMEOUT(a_dump_of_many_tasks_under_load_is_complete, 300)
{
    ae_config config = { AE_CONFIG, .workers = 2, .stack_bytes = 64 << 10 };
    const char *asked = getenv("AE_DUMP_TASKS"); /* 100000: the figure in docs/debugging.md */
    struct many many = { .count = asked ? (unsigned)atoi(asked) : 3000 };

    text_open(&many.text);
    EXPECT_EQ(ae_run(&config, dump_many, &many), 0);
    text_close(&many.text);
}

/* A name whose memory goes: the dump must not touch it. */
static int dump_with_dangling_name(void *arg)
{
    struct text *text = arg;
    struct crowd crowd;
    ae_scope scope;
    char *name = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    REQUIRE(name != MAP_FAILED);
    memcpy(name, "mapped", 7);
    begin_crowd(&crowd);
    ae_scope_begin(&scope);
    EXPECT_EQ(spawn_named(&crowd, wait_at_gate, name), 0);
    EXPECT_EQ(ae_dump(NULL, text->fd), 0);
    expect_in("\"mapped\"", text_read(text));
    munmap(name, 4096);
    EXPECT_EQ(ae_dump(NULL, text->fd), 0);
    expect_in("end of dump: 2 tasks", text_read(text) + text->size / 2);
    ae_scope_cancel(&scope, 0);
    return ae_scope_end(&scope, 0);
}

TEST(a_dump_survives_names_that_are_gone)
{
    struct text text;

    text_open(&text);
    EXPECT_EQ(ae_run(NULL, dump_with_dangling_name, &text), 0);
    text_close(&text);
}

/* ---- from outside, and errors ---- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

TEST(a_plain_thread_dumps_a_runtime_and_hears_of_errors)
{
    ae_runtime *rt;
    struct text text;

    text_open(&text);
    REQUIRE(ae_runtime_create(NULL, &rt) == 0);
    EXPECT_EQ(ae_block_on(rt, nothing, NULL), 0);
    EXPECT_EQ(ae_dump(rt, text.fd), 0);
    expect_in("end of dump: 0 tasks", text_read(&text));
    EXPECT_EQ(ae_dump(rt, -1), -EBADF);
    EXPECT_EQ(ae_trace_write(rt, -1), -EBADF);
    EXPECT_EQ(ae_dump(NULL, text.fd), -EINVAL);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
    text_close(&text);
}

/* ---- figures ---- */

static int yield_much(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) ae_yield();
    return 0;
}

static int measure(void *arg)
{
    ae_histogram slices = { .size = sizeof slices }, waits = { .size = sizeof waits };
    ae_worker_metrics one = { .size = sizeof one };
    ae_metrics all = { .size = sizeof all };
    uint64_t slices_of_workers = 0;
    int times = 2000;

    (void)arg;
    ae_task *a = ae_spawn(yield_much, &times), *b = ae_spawn(yield_much, &times);
    EXPECT_EQ(ae_join(a), 0);
    EXPECT_EQ(ae_join(b), 0);
    EXPECT_EQ(ae_histogram_get(NULL, AE_HISTOGRAM_SLICE, &slices), 0);
    EXPECT_EQ(ae_histogram_get(NULL, AE_HISTOGRAM_WAIT, &waits), 0);
    EXPECT_GT(ae_histogram_quantile(&slices, 0.5), 0);
    EXPECT_GT(ae_histogram_quantile(&waits, 0.5), 0);
    EXPECT_LE(ae_histogram_quantile(&slices, 0.5), ae_histogram_quantile(&slices, 1));
    for (unsigned i = 0; i < ae_runtime_workers(ae_runtime_current()); i++) {
        EXPECT_EQ(ae_metrics_worker(NULL, i, &one), 0);
        slices_of_workers += one.slices;
    }
    EXPECT_EQ(ae_metrics_get(NULL, &all), 0);
    EXPECT_LE(slices_of_workers, all.slices);
    EXPECT_GE(slices_of_workers, 4000);
    EXPECT_GT(all.up_ns, 0);
    EXPECT_LE(all.asleep_ns, all.workers * (all.up_ns + AE_MS));
    EXPECT_EQ(ae_metrics_worker(NULL, 1000, &one), -EINVAL);
    return 0;
}

TEST(histograms_and_figures_of_each_worker_are_counted)
{
    ae_config config = { AE_CONFIG, .workers = 2 };

    EXPECT_EQ(ae_run(&config, measure, NULL), 0);
}

TEST(figures_are_given_of_a_named_runtime_and_as_far_as_the_caller_knows_them)
{
    ae_config config = { AE_CONFIG, .workers = 2 };
    ae_worker_metrics one = { .size = sizeof one };
    ae_histogram h = { .size = sizeof h };
    ae_metrics m = { .size = sizeof m };
    ae_runtime *rt = NULL;

    EXPECT_EQ(ae_metrics_get(NULL, &m), -EINVAL); /* nobody's runtime */
    EXPECT_EQ(ae_metrics_worker(NULL, 0, &one), -EINVAL);
    EXPECT_EQ(ae_histogram_get(NULL, AE_HISTOGRAM_WAIT, &h), -EINVAL);
    REQUIRE(ae_runtime_create(&config, &rt) == 0);
    EXPECT_EQ(ae_metrics_get(rt, &m), 0);
    unsigned workers = ae_runtime_workers(rt); /* the suite may run with AE_FLAVOR=current */
    EXPECT_EQ(m.workers, workers);
    EXPECT_EQ(ae_metrics_worker(rt, workers - 1, &one), 0);
    EXPECT_EQ(one.task_id, 0); /* it runs nothing */
    EXPECT_EQ(ae_metrics_worker(rt, workers, &one), -EINVAL);
    EXPECT_EQ(ae_histogram_get(rt, AE_HISTOGRAM_WAIT, &h), 0);
    /* Of an older program, whose structs end earlier. */
    m = (ae_metrics){ .size = offsetof(ae_metrics, workers) + sizeof m.workers,
                      .tasks_spawned = 77 };
    EXPECT_EQ(ae_metrics_get(rt, &m), 0);
    EXPECT_EQ(m.workers, workers);
    EXPECT_EQ(m.tasks_spawned, 77); /* behind the end */
    one = (ae_worker_metrics){ .size = offsetof(ae_worker_metrics, asleep), .asleep = true };
    EXPECT_EQ(ae_metrics_worker(rt, 0, &one), 0);
    EXPECT_TRUE(one.asleep);
    m.size = one.size = h.size = 0;
    EXPECT_EQ(ae_metrics_get(rt, &m), -EINVAL);
    EXPECT_EQ(ae_metrics_worker(rt, 0, &one), -EINVAL);
    EXPECT_EQ(ae_histogram_get(rt, AE_HISTOGRAM_WAIT, &h), -EINVAL);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
}

TEST(a_histogram_has_eight_buckets_in_a_doubling)
{
    ae_histogram h = { .size = sizeof h };

    EXPECT_EQ(ae_histogram_ns(0), 0);
    EXPECT_EQ(ae_histogram_ns(7), 7);
    for (unsigned i = 8; i < AE_HISTOGRAM_BUCKETS; i++) {
        EXPECT_EQ(ae_histogram_ns(i), 2 * ae_histogram_ns(i - 8) + (i < 16 ? 8 - (i - 8) + 0 : 0));
        EXPECT_GT(ae_histogram_ns(i), ae_histogram_ns(i - 1));
    }
    EXPECT_EQ(ae_histogram_quantile(&h, 0.5), 0);
    h.count[100] = 99;
    h.count[200] = 1;
    EXPECT_GE(ae_histogram_quantile(&h, 0.5), ae_histogram_ns(100));
    EXPECT_LT(ae_histogram_quantile(&h, 0.5), ae_histogram_ns(101));
    EXPECT_GE(ae_histogram_quantile(&h, 1), ae_histogram_ns(200));
}

static int charges(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        if (ae_sleep_until(0) < 0) return -ECANCELED; /* done at once, and charged */
    }
    ae_metrics m = { .size = sizeof m };
    EXPECT_EQ(ae_metrics_get(NULL, &m), 0);
    EXPECT_EQ(m.budget_yields, 1000 / 128);
    EXPECT_GE(m.yields, m.budget_yields);
    return 0;
}

TEST(slices_that_the_budget_ends_are_counted)
{
    EXPECT_EQ(ae_run(NULL, charges, NULL), 0);
}

/* ---- traces ---- */

static int trace_some(void *arg)
{
    struct text *text = arg;
    int times = 500;
    ae_task_opts opts = { .name = "tracee" };

    do { /* slices are sampled, so there is no saying how many it takes */
        ae_task *task = ae_spawn_opts(&opts, yield_much, &times);
        EXPECT_EQ(ae_sleep(100), 0);
        EXPECT_EQ(ae_join(task), 0);
        text_clear(text);
        EXPECT_EQ(ae_trace_write(NULL, text->fd), 0);
    } while (count_of(text_read(text), "\"cat\":\"slice\",\"ph\":\"X\"") < 5);
    return 0;
}

TEST(a_trace_has_a_track_for_each_worker_and_slices_on_them)
{
    ae_config config = { AE_CONFIG, .workers = 2 };
    struct text text;

    text_open(&text);
    EXPECT_EQ(ae_run(&config, trace_some, &text), 0);
    text_read(&text);
    EXPECT_EQ(strncmp(text.bytes, "{\"displayTimeUnit\"", 18), 0);
    expect_in("\"name\":\"worker 0\"", text.bytes);
    EXPECT_EQ(count_of(text.bytes, "{"), count_of(text.bytes, "}"));
    EXPECT_STREQ(text.bytes + text.size - 3, "]}\n");
    text_close(&text);
}
