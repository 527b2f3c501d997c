/* SPDX-License-Identifier: Apache-2.0 */
/* The simulation's life, its clock, its streams of chance, and what is to come: see sim.h. */
#include "driver/sim.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aether/log.h"
#include "aether/time.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/rng.h"
#include "driver/sim_net.h"

#define BEGIN_NS (1000 * AE_SEC) /* 0 means "do not wait" to a driver */
#define LIMIT_NS (24 * 3600 * AE_SEC)
#define STEPS_MAX UINT64_C(50000000)
#define STEP_NS 50 /* M3: at least, and up to four times that */
#define LOOK_NS 250

struct ae__sim *ae__sim;

/* ---- chance ---- */

/* Splitmix64 (Steele et al., OOPSLA 2014): near seeds give streams that have nothing in common. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

uint32_t ae__sim_draw(enum ae__sim_stream stream)
{
    return ae__rng_next(&ae__sim->streams[stream]);
}

uint32_t ae__sim_below(enum ae__sim_stream stream, uint32_t bound)
{
    AE_ASSERT(bound > 0);
    return ae__rng_below(&ae__sim->streams[stream], bound);
}

bool ae__sim_chance(enum ae__sim_stream stream, uint32_t in_a_million)
{
    return in_a_million > 0 && ae__sim_below(stream, 1000000) < in_a_million;
}

/* ---- steps ---- */

static void note(uint64_t value)
{
    ae__sim->hash = mix(ae__sim->hash ^ value);
}

static void trace(const char *what, const char *name, uint64_t value)
{
    char line[128];

    int length = snprintf(line, sizeof line, "%" PRIu64 " %" PRId64 " %s %s %" PRIu64 "\n",
                          ae__sim->steps, ae__sim->now_ns - ae__sim->begun_ns, what, name, value);
    ae__os_write_error(line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

void ae__sim_step(const char *what, const char *name, uint64_t value)
{
    struct ae__sim *sim = ae__sim;

    sim->steps++;
    sim->now_ns += STEP_NS + (int64_t)(sim->hash % (3 * STEP_NS));
    note(value ^ (uint64_t)(unsigned char)*what << 32 ^ (uint64_t)sim->now_ns);
    if (AE_UNLIKELY(sim->traces)) trace(what, name, value);
    if (AE_LIKELY(sim->steps < sim->config.steps_max)) return;
    ae__sim_fail("it has not ended in %" PRIu64 " steps", sim->steps);
}

/* ---- what comes later: a heap by (time, order) ---- */

static bool is_before(const struct ae__sim_event *a, const struct ae__sim_event *b)
{
    return a->when_ns != b->when_ns ? a->when_ns < b->when_ns : a->order < b->order;
}

static void swap_events(struct ae__sim_event *a, struct ae__sim_event *b)
{
    struct ae__sim_event c = *a;

    *a = *b;
    *b = c;
}

static void make_room(struct ae__sim *sim)
{
    uint32_t room = sim->events_room ? 2 * sim->events_room : 64;

    if (sim->events_count < sim->events_room) return;
    struct ae__sim_event *events = ae__mem_alloc(room * sizeof *events);
    if (!events) ae__fatal("no memory for the simulation's events");
    if (sim->events) memcpy(events, sim->events, sim->events_count * sizeof *events);
    ae__mem_free(sim->events);
    sim->events = events;
    sim->events_room = room;
}

void ae__sim_after(int64_t delay_ns, void (*fire)(void *, uint64_t), void *object, uint64_t value)
{
    struct ae__sim *sim = ae__sim;

    AE_ASSERT(delay_ns >= 0 && fire);
    make_room(sim);
    uint32_t at = sim->events_count++;
    sim->events[at] = (struct ae__sim_event){
        sim->now_ns + delay_ns, sim->order++, fire, object, value,
    };
    for (; at > 0 && is_before(&sim->events[at], &sim->events[(at - 1) / 2]); at = (at - 1) / 2) {
        swap_events(&sim->events[at], &sim->events[(at - 1) / 2]);
    }
}

static struct ae__sim_event pop_event(struct ae__sim *sim)
{
    struct ae__sim_event first = sim->events[0];
    uint32_t at = 0;

    AE_ASSERT(sim->events_count > 0);
    sim->events[0] = sim->events[--sim->events_count];
    for (;;) {
        uint32_t next = 2 * at + 1;
        if (next >= sim->events_count) return first;
        bool right = next + 1 < sim->events_count &&
                     is_before(&sim->events[next + 1], &sim->events[next]);
        if (right) next++;
        if (!is_before(&sim->events[next], &sim->events[at])) return first;
        swap_events(&sim->events[next], &sim->events[at]);
        at = next;
    }
}

void ae__sim_fire_due(void)
{
    struct ae__sim *sim = ae__sim;

    while (sim->events_count > 0 && sim->events[0].when_ns <= sim->now_ns) {
        struct ae__sim_event event = pop_event(sim);
        event.fire(event.object, event.value);
    }
    if (sim->deadline_ns <= sim->now_ns) (void)ae__sim_expire();
}

void ae__sim_fire_all(void)
{
    while (ae__sim->events_count > 0) {
        struct ae__sim_event event = pop_event(ae__sim);
        event.fire(event.object, event.value);
    }
}

/* A server without clients would wait for ever; told to end, it ends. Once. */
bool ae__sim_tell_the_end(void)
{
    struct ae__sim *sim = ae__sim;

    if (!sim->on_signal || sim->signalled || !ae__sim_anybody_listens()) return false;
    sim->signalled = true;
    ae__sim_step("signal", "end", 0);
    sim->on_signal(sim->signal_context);
    return true;
}

void ae__sim_jump(void)
{
    struct ae__sim *sim = ae__sim;
    int64_t next_ns = sim->deadline_ns;

    AE_ASSERT(sim->ready_count == 0);
    if (sim->events_count > 0 && sim->events[0].when_ns < next_ns) {
        next_ns = sim->events[0].when_ns;
    }
    if (next_ns == INT64_MAX) {
        if (ae__sim_tell_the_end()) return;
        ae__sim_fail("deadlock: nothing can ever run again");
    }
    if (next_ns > sim->now_ns) sim->now_ns = next_ns;
    if (sim->now_ns - sim->begun_ns > sim->config.limit_ns) {
        ae__sim_fail("it has not ended in %" PRId64 " s of virtual time",
                     sim->config.limit_ns / AE_SEC);
    }
    ae__sim_fire_due();
}

/* ---- telling ---- */

static void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void report(const char *format, ...)
{
    char line[256];
    va_list args;

    if (ae__sim->report < 0) return;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length >= (int)sizeof line) length = sizeof line - 1;
    ssize_t n = write(ae__sim->report, line, (size_t)length);
    (void)n; /* whoever wanted to know has gone */
}

/* Each claim is told at most twice: that there is one, and that it held. */
void ae__sim_note_sometimes(bool condition, const char *what)
{
    struct ae__sim *sim = ae__sim;
    uint32_t i = 0;

    while (i < sim->claims_count && sim->claims[i].what != what) {
        i++;
    }
    if (i == AE__SIM_CLAIMS) ae__sim_fail("more than %u claims of sometimes", i);
    if (i < sim->claims_count && (sim->claims[i].held || !condition)) return;
    sim->claims[i].what = what;
    sim->claims[i].held = condition;
    if (i == sim->claims_count) sim->claims_count++;
    report("sometimes %d %s\n", condition, what);
}

void ae__sim_report_end(void)
{
    report("ended %016" PRIx64 " %" PRIu64 " %" PRId64 "\n", ae__sim->hash, ae__sim->steps,
           ae__sim->now_ns - ae__sim->begun_ns);
}

void ae__sim_fail(const char *format, ...)
{
    char what[160];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    ae_log(AE_ERROR, "simulation: seed %" PRIu64 ", step %" PRIu64 ", %" PRId64 " us: %s",
           ae__sim->config.seed, ae__sim->steps,
           (ae__sim->now_ns - ae__sim->begun_ns) / AE_US, what);
    ae__sim_runtimes_name();
    ae__sim_threads_name();
    report("failed %s\n", what);
    ae__fatal("simulation: %s", what);
}

/* ---- the system's place ---- */

static int64_t sim_now(void)
{
    ae__sim->now_ns += LOOK_NS; /* M3 */
    return ae__sim->now_ns;
}

static uint64_t sim_random(void)
{
    uint64_t high = ae__sim_draw(AE__SIM_PROGRAM);
    uint64_t value = high << 32 | ae__sim_draw(AE__SIM_PROGRAM);

    return value ? value : 1;
}

static unsigned sim_cpus(void)
{
    return ae__sim->config.workers;
}

static bool sim_signals_take(void (*on_signal)(void *), void *context)
{
    if (ae__sim->on_signal) return false;
    ae__sim->on_signal = on_signal;
    ae__sim->signal_context = context;
    return true;
}

static void sim_signals_restore(void)
{
    ae__sim->on_signal = NULL;
}

static const struct ae__os_simulated system_played = {
    .now = sim_now,
    .random = sim_random,
    .cpus = sim_cpus,
    .thread_start = ae__sim_thread_start,
    .thread_join = ae__sim_thread_join,
    .thread_detach = ae__sim_thread_detach,
    .thread_yield = ae__sim_pass,
    .futex_wait = ae__sim_futex_wait,
    .futex_wake = ae__sim_futex_wake,
    .signals_take = sim_signals_take,
    .signals_restore = sim_signals_restore,
};

/* ---- begin and end ---- */

static int fill(const ae_sim_config *in, ae_sim_config *out)
{
    *out = (ae_sim_config){ .size = sizeof *out };
    if (in) {
        if (in->size != sizeof *in || in->policy > AE_SIM_STICKY) return -EINVAL;
        if (in->limit_ns < 0 || in->workers > 1024) return -EINVAL;
        *out = *in;
    }
    if (out->seed == 0) out->seed = 1;
    if (out->workers == 0) out->workers = 4;
    if (out->limit_ns == 0) out->limit_ns = LIMIT_NS;
    if (out->steps_max == 0) out->steps_max = STEPS_MAX;
    return 0;
}

int ae__sim_begin(const ae_sim_config *config)
{
    ae_sim_config full;
    int rc = fill(config, &full);

    if (rc < 0) return rc;
    if (ae__sim) return -EBUSY;
    struct ae__sim *sim = ae__mem_zalloc(sizeof *sim);
    if (!sim) return -ENOMEM;
    sim->config = full;
    sim->hash = mix(full.seed);
    sim->now_ns = sim->begun_ns = BEGIN_NS;
    sim->deadline_ns = INT64_MAX;
    sim->report = -1;
    for (int i = 0; i < AE__SIM_STREAMS; i++) {
        sim->streams[i] = mix(full.seed * AE__SIM_STREAMS + (uint64_t)i) | 1;
    }
    ae__sim = sim;
    ae__sim_net_begin();
    ae__sim_policy_begin();
    ae__sim_thread_adopt_main();
    ae__os_simulated = &system_played;
    return 0;
}

void ae__sim_end(void)
{
    struct ae__sim *sim = ae__sim;

    AE_ASSERT(sim && sim->current == sim->main);
    ae__sim_report_end();
    ae__sim_kill_threads(NULL);
    ae__sim_thread_forget_main();
    ae__sim_net_end();
    ae__os_simulated = NULL;
    ae__mem_free(sim->events);
    ae__mem_free(sim->all);
    ae__mem_free(sim->ready);
    ae__mem_free(sim);
    ae__sim = NULL;
}
