/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor samples the workers: it sees a task that does not give its worker back, says who it
 * is (stall.c), and sees to it that others do the work that waits there (rescue.c).
 *
 * What a worker pays is one store a slice, `running`: no clock, no lock. The monitor reads that and
 * the count of slices; if both are the same at two looks, it is the same slice, and what that ran
 * in between is the CPU time of its thread and the time it slept in the kernel, but not the time it
 * waited for a CPU: a thread that is not let run is no slow task.
 *
 * M1  watches[] and all that begins or ends a rescue belong to the monitor's thread.
 * M2  While it samples nobody wakes it. It sleeps without an end only after a look at which all
 *     workers were parked and no slice had begun since the look before: `asleep` is set, then the
 *     workers are counted by a read-modify-write of idle.state (release). A worker that unparks
 *     changed that word before, or reads a later value of it (acquire) and then sees `asleep`.
 *     (Of a current-thread runtime: tid and asleep, sequentially consistent on both sides.)
 * M3  `word` is read before what the monitor looks at, and changed by who wakes it, so a wake that
 *     comes between the look and the sleep ends the sleep.
 * M4  It ends after all tasks and before the workers, so a worker that it watches is there, and so
 *     is its thread, except in a current-thread runtime, where it may look at a thread that has
 *     just stopped driving: it finds no clock then, or a signal that is not taken. */
#include "sched/monitor.h"

#include <errno.h>
#include <stdio.h>

#include "aether/time.h"
#include "arch/watch.h"
#include "base/assert.h"
#include "base/mem.h"
#include "sched/sched.h"
#include "sched/stall.h"
#include "sched/types.h"

#define COUNT_ROUNDS 8           /* one look in so many is followed by one after stall_count_ns */
#define PERIOD_MIN_NS (AE_MS / 4)
#define PERIOD_MAX_NS (10 * AE_MS)
#define SETTLED_NS (10 * AE_MS)
#define NEVER INT64_MAX

/* ---- one worker ---- */

/* A new slice, or none. */
static void begin_slice(struct ae__watch *watch, struct ae__worker *w, struct ae__task *task,
                        uint64_t slices)
{
    *watch = (struct ae__watch){ .task = task, .slices = slices, .queued_ns = -1 };
    if (!task) return;
    watch->looked_ns = ae__os_now();
    watch->cpu_ns = ae__os_thread_cpu(atomic_load_explicit(&w->tid, memory_order_relaxed));
}

/* How long it slept in the kernel since the last look, of which it spent `cpu_ns` on a CPU. */
static int64_t slept(struct ae__watch *watch, uint64_t tid, int64_t wall_ns, int64_t cpu_ns)
{
    int64_t queued_ns, slept_ns = wall_ns - cpu_ns;

    watch->blocked = ae__os_thread_sleeps(tid, &queued_ns);
    if (!watch->blocked) return 0;
    if (watch->queued_ns >= 0) slept_ns -= queued_ns - watch->queued_ns;
    watch->queued_ns = queued_ns;
    return slept_ns > 0 ? slept_ns : 0;
}

/* The threshold that comes next, or NEVER. */
static int64_t next_threshold(const ae_config *config, const struct ae__watch *watch, bool counts)
{
    int64_t next_ns = NEVER;

    if (counts && !watch->counted && config->stall_count_ns > 0) next_ns = config->stall_count_ns;
    if (!watch->stuck && config->rescue_ns > 0 && config->rescue_ns < next_ns) {
        next_ns = config->rescue_ns;
    }
    if (!watch->logged && config->stall_log_ns > 0 && config->stall_log_ns < next_ns) {
        next_ns = config->stall_log_ns;
    }
    return next_ns;
}

/* The same slice again: add what it ran since the last look. One that comes later than after
 * `late_ns` (the whole process was stopped) proves nothing about a sleep. */
static void measure(struct ae__watch *watch, struct ae__worker *w, int64_t now_ns, int64_t late_ns)
{
    uint64_t tid = atomic_load_explicit(&w->tid, memory_order_relaxed);
    int64_t cpu_ns = ae__os_thread_cpu(tid);
    int64_t wall_ns = now_ns - watch->looked_ns;
    int64_t ran_ns = cpu_ns - watch->cpu_ns;

    AE_ASSERT(wall_ns >= 0);
    watch->looked_ns = now_ns;
    if (cpu_ns < 0 || watch->cpu_ns < 0) return; /* nobody has it, or no such clock */
    watch->cpu_ns = cpu_ns;
    watch->blocked = false;
    if (wall_ns > late_ns) wall_ns = late_ns;
    if (ran_ns < wall_ns / 2) ran_ns += slept(watch, tid, wall_ns, ran_ns);
    watch->ran_ns += ran_ns;
}

/* Nothing more is decided by how long it lasts: now and then is enough. */
static void look_again(struct ae_runtime *rt, struct ae__watch *watch, struct ae__worker *w)
{
    bool settled = next_threshold(&rt->config, watch, true) == NEVER;
    int64_t each_ns = settled ? SETTLED_NS : rt->monitor.period_ns;
    int64_t now_ns = ae__os_now();

    if (settled && now_ns - watch->looked_ns < each_ns) return;
    measure(watch, w, now_ns, 4 * each_ns);
}

static void end_slice(struct ae_runtime *rt, struct ae__watch *watch)
{
    if (watch->counted) ae__stall_count(rt, &watch->who, watch->ran_ns);
    if (watch->stuck) ae__rescue_end(rt, watch);
}

static bool passed(const struct ae__watch *watch, int64_t limit_ns)
{
    return limit_ns > 0 && watch->ran_ns >= limit_ns;
}

static bool identify(struct ae__worker *w, struct ae__watch *watch)
{
    if (!watch->known) watch->known = ae__stall_whose(w, watch, &watch->who);
    return watch->known;
}

/* Said to block by ae_blocking_begin: no stall, and nothing to be patient with. */
static bool is_in_place(struct ae__worker *w)
{
    return AE_UNLIKELY(atomic_load_explicit(&w->in_place, memory_order_relaxed) > 0);
}

/* Which thresholds has the slice passed? */
static void judge(struct ae_runtime *rt, struct ae__worker *w, struct ae__watch *watch)
{
    const ae_config *config = &rt->config;
    bool in_place = is_in_place(w);

    if (in_place || watch->in_place) watch->ran_ns = 0; /* what comes after it may be a stall */
    watch->in_place = in_place;
    if (!watch->counted && passed(watch, config->stall_count_ns)) {
        watch->counted = identify(w, watch);
    }
    if (watch->stuck) {
        ae__rescue_help(rt, w);
    } else if (passed(watch, config->rescue_ns) || (in_place && config->rescue_ns > 0)) {
        ae__rescue_begin(rt, w, watch);
    }
    if (!watch->logged && passed(watch, config->stall_log_ns) && identify(w, watch)) {
        watch->logged = ae__stall_report(rt, w, watch);
    }
}

/* True: something moves there, or may. *due_ns: when to look again, if that is earlier. */
static bool look_at(struct ae_runtime *rt, uint32_t i, bool counts, int64_t *due_ns)
{
    struct ae__worker *w = rt->workers[i];
    struct ae__watch *watch = &rt->monitor.watches[i];
    struct ae__task *task = atomic_load_explicit(&w->running, memory_order_relaxed);
    uint64_t slices = atomic_load_explicit(&w->counters.slices, memory_order_relaxed);
    bool moves = task || slices != watch->slices;

    if (task && task == watch->task && slices == watch->slices) {
        look_again(rt, watch, w);
        judge(rt, w, watch);
    } else if (moves || watch->task) {
        end_slice(rt, watch);
        begin_slice(watch, w, task, slices);
    }
    if (!task) return moves;
    int64_t limit_ns = next_threshold(&rt->config, watch, counts);
    if (limit_ns == NEVER) return moves;
    if (is_in_place(w) && !watch->stuck) limit_ns = 0;
    int64_t rest_ns = limit_ns - watch->ran_ns;
    if (rest_ns < AE_MS / 20) rest_ns = AE_MS / 20;
    if (watch->looked_ns + rest_ns < *due_ns) *due_ns = watch->looked_ns + rest_ns;
    return moves;
}

/* ---- all workers ---- */

/* M2 */
static bool all_rest(struct ae_runtime *rt)
{
    if (rt->config.flavor == AE_CURRENT_THREAD && atomic_load(&rt->workers[0]->tid) == 0) {
        return true;
    }
    return ae__idle_all_parked(&rt->idle);
}

/* When to look again; NEVER: when somebody begins to work. */
static int64_t look_at_all(struct ae_runtime *rt)
{
    struct ae__monitor *m = &rt->monitor;
    int64_t due_ns = ae__os_now() + m->period_ns;
    bool counts = ++m->rounds % COUNT_ROUNDS == 0, moves = false;

    for (uint32_t i = 0; i < ae__slots(rt); i++) {
        moves |= look_at(rt, i, counts, &due_ns);
    }
    ae__rescue_settle(rt);
    return moves || !all_rest(rt) ? due_ns : NEVER;
}

/* ---- the thread ---- */

static void answer(struct ae_runtime *rt, uint32_t asked)
{
    if (asked & AE__ASK_DUMP) (void)ae__view(rt, AE__VIEW_DUMP, 2);
}

static void sleep_until(struct ae_runtime *rt, uint32_t word, int64_t due_ns)
{
    struct ae__monitor *m = &rt->monitor;

    if (due_ns != NEVER || !m->samples) {
        ae__os_futex_wait(&m->word, word, due_ns);
        return;
    }
    atomic_store(&m->asleep, 1);
    if (all_rest(rt)) ae__os_futex_wait(&m->word, word, NEVER); /* M2 */
    atomic_store(&m->asleep, 0);
}

static void monitor_main(void *arg)
{
    struct ae_runtime *rt = arg;
    struct ae__monitor *m = &rt->monitor;

    for (;;) {
        uint32_t word = atomic_load(&m->word); /* M3 */
        uint32_t asked = atomic_exchange(&m->asked, 0);
        if (asked) answer(rt, asked);
        if (asked & AE__ASK_STOP) return;
        int64_t due_ns = m->samples ? look_at_all(rt) : NEVER;
        sleep_until(rt, word, due_ns);
    }
}

/* Signal-safe. */
static void wake(struct ae__monitor *m)
{
    atomic_fetch_add(&m->word, 1);
    ae__os_futex_wake(&m->word, 1);
}

void ae__monitor_ask(struct ae_runtime *rt, uint32_t what)
{
    AE_DEBUG_ASSERT(what != 0);
    atomic_fetch_or(&rt->monitor.asked, what);
    wake(&rt->monitor);
}

void ae__monitor_stir(struct ae_runtime *rt)
{
    struct ae__monitor *m = &rt->monitor;

    if (!AE_WATCHED) return;
    (void)ae__idle_parked(&rt->idle); /* M2: acquire */
    if (AE_LIKELY(atomic_load(&m->asleep) == 0)) return;
    if (atomic_exchange(&m->asleep, 0) == 1) wake(m);
}

static int64_t period_of(const ae_config *config)
{
    int64_t period_ns = PERIOD_MAX_NS;

    if (config->rescue_ns > 0 && config->rescue_ns < period_ns) period_ns = config->rescue_ns;
    if (config->stall_log_ns > 0 && config->stall_log_ns / 2 < period_ns) {
        period_ns = config->stall_log_ns / 2;
    }
    return period_ns < PERIOD_MIN_NS ? PERIOD_MIN_NS : period_ns;
}

int ae__monitor_start(struct ae_runtime *rt)
{
    struct ae__monitor *m = &rt->monitor;
    const ae_config *config = &rt->config;
    char name[32];

    if (rt->slots_count == rt->workers_count) rt->config.rescue_ns = -1;
    m->may_be_alone = atomic_load(&rt->workers[0]->ring.alone);
    m->period_ns = period_of(config);
    m->samples = config->stall_count_ns > 0 || config->stall_log_ns > 0 || config->rescue_ns > 0;
    if (!AE_WATCHED) m->samples = false;
    if (ae__os_simulated) m->samples = false; /* its threads run one at a time, in no time */
    m->watches = ae__mem_zalloc(rt->slots_count * sizeof *m->watches);
    m->stalls = ae__mem_zalloc(sizeof *m->stalls);
    if (!m->watches || !m->stalls) return -ENOMEM;
    if (!m->samples && !rt->attended && config->flavor == AE_CURRENT_THREAD) return 0;
    if (ae__os_simulated) return 0;
    snprintf(name, sizeof name, "%.10s-mon", config->name);
    int rc = ae__os_thread_start(&m->os, name, monitor_main, rt);
    m->started = rc == 0;
    return rc;
}

void ae__monitor_stop(struct ae_runtime *rt)
{
    struct ae__monitor *m = &rt->monitor;

    if (m->started) {
        ae__monitor_ask(rt, AE__ASK_STOP);
        ae__os_thread_join(m->os);
        m->started = false;
    }
    ae__mem_free(m->watches);
    ae__mem_free(m->stalls);
    m->watches = NULL;
    m->stalls = NULL;
}
