/* SPDX-License-Identifier: Apache-2.0 */
/* The compute pool: its threads, how they sleep and who wakes them.
 *
 * It is apart from the workers that run tasks, so that a loop over a million items delays nobody's
 * I/O. There is one default pool in a process, whatever number of runtimes: it stands for the CPUs,
 * of which there is one set. It is made at the first call and never ended.
 *
 * N1  A sleeper announces itself (signal, then sleepers) before it looks for work a last time; who
 *     makes work visible looks for sleepers after that. All of it is sequentially consistent: one
 *     of the two sees the other.
 * N2  Who turns `signal` back to AWAKE, by a compare-and-swap, takes the sleeper out of the count,
 *     so that one wake is not counted on twice.
 * N3  One piece of work wakes one sleeper. Who took it and sees that there is more wakes the next.
 * N4  A thread that waits for a job sleeps as LEAPS + the thief's index, and may run only what
 *     comes from that thief's deque (steal.c). It is woken by the thief's share, by the end of the
 *     job, and by mail. */
#include <errno.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/rng.h"
#include "par/threads.h"

enum { SPINS = 300 }; /* looks for work before sleeping; some 20 us */

#define SLOTS_BYTES ((AE__PAR_SLOTS + AE__PAR_SPARE) * sizeof(struct ae__job_slot))

/* ---- sleeping ---- */

static bool unsleep(struct ae__par_worker *w, uint32_t as)
{
    /* N2 */
    if (!atomic_compare_exchange_strong(&w->signal, &as, AE__PAR_AWAKE)) return false;
    atomic_fetch_sub(&w->pool->sleepers, 1);
    return true;
}

void ae__par_sleep(struct ae__par_worker *w, uint32_t as, bool (*busy)(void *context),
                   void *context)
{
    atomic_store(&w->signal, as); /* N1 */
    atomic_fetch_add(&w->pool->sleepers, 1);
    if (busy(context)) {
        (void)unsleep(w, as);
        return;
    }
    while (atomic_load(&w->signal) == as) {
        ae__os_futex_wait(&w->signal, as, INT64_MAX);
    }
}

static bool wake_from(struct ae__par_worker *w, uint32_t as)
{
    if (as == AE__PAR_AWAKE || !unsleep(w, as)) return false;
    ae__os_futex_wake(&w->signal, 1);
    return true;
}

void ae__par_wake(struct ae__par_worker *w)
{
    (void)wake_from(w, atomic_load(&w->signal));
}

static bool wake_any(struct ae_par_pool *pool, uint32_t as)
{
    for (uint32_t i = 0; i < pool->width; i++) {
        struct ae__par_worker *w = pool->workers[i];
        if (atomic_load(&w->signal) == as && wake_from(w, as)) return true;
    }
    return false;
}

void ae__par_wake_one(struct ae_par_pool *pool, const struct ae__par_worker *source)
{
    if (atomic_load(&pool->sleepers) == 0) return; /* N1 */
    if (source && wake_any(pool, AE__PAR_LEAPS + source->index)) return;
    (void)wake_any(pool, AE__PAR_SLEEPS);
}

/* ---- a thread's life ---- */

static bool work_once(struct ae__par_worker *w)
{
    if (AE_UNLIKELY(ae__par_has_mail(w)) && ae__par_run_mail(w)) return true;
    if (ae__par_steal_any(w)) return true;
    if (!ae__par_has_pending(w->pool)) return false;
    return ae__par_run_root(w) || ae__par_run_stray(w);
}

static bool is_busy(void *context)
{
    struct ae__par_worker *w = context;

    return ae__par_has_mail(w) || ae__par_any_public(w) || ae__par_has_pending(w->pool) ||
           atomic_load(&w->pool->stopping);
}

static void look_for_work(struct ae__par_worker *w)
{
    for (int i = w->pool->spins ? SPINS : 1; i > 0; i--) {
        if (work_once(w)) return;
        ae__cpu_relax();
    }
    ae__par_sleep(w, AE__PAR_SLEEPS, is_busy, w);
}

static void thread_main(void *arg)
{
    struct ae__par_worker *w = arg;
    const ae_par_config *config = &w->pool->config;

    w->base.errno_at = ae__thread_errno();
    ae__thread_set(&w->base);
    if (config->on_start) config->on_start(config->context, w->index);
    while (!atomic_load_explicit(&w->pool->stopping, memory_order_acquire)) {
        look_for_work(w);
    }
    if (config->on_stop) config->on_stop(config->context, w->index);
    ae__thread_set(NULL);
}

/* ---- making and ending a pool ---- */

static int make_worker(struct ae_par_pool *pool, uint32_t index)
{
    struct ae__par_worker *w = ae__mem_aligned(_Alignof(struct ae__par_worker), sizeof *w);

    if (!w) return -ENOMEM;
    pool->workers[index] = w;
    w->pool = pool;
    w->index = index;
    w->rng = ae__os_random() | 1;
    w->base.actor.kind = AE__ACTOR_THREAD;
    w->base.actor.node = &w->base.node;
    w->base.actor.last_worker = AE__PAR_MARK;
    w->base.node.kind = AE__NODE_THREAD;
    ae__list_init(&w->base.node.sibling);
    /* Pages, not a block: what nobody uses is never touched. */
    struct ae__job_slot *slots = ae__os_map(SLOTS_BYTES);
    if (!slots) return -ENOMEM;
    ae__deque_init(&w->deque, slots, AE__PAR_SLOTS);
    return 0;
}

static void free_pool(struct ae_par_pool *pool)
{
    for (uint32_t i = 0; pool->workers && i < pool->width; i++) {
        struct ae__par_worker *w = pool->workers[i];
        if (w && w->deque.base) ae__os_unmap(w->deque.base, SLOTS_BYTES);
        ae__mem_free(w);
    }
    ae__mem_free(pool->workers);
    ae__mem_free(pool);
}

static unsigned number_of(const char *text)
{
    unsigned n = 0;

    for (; text && *text >= '0' && *text <= '9' && n <= AE__PAR_WORKERS_MAX; text++) {
        n = n * 10 + (unsigned)(*text - '0');
    }
    return n;
}

static unsigned count_threads(const ae_par_config *config)
{
    unsigned n = config->workers;

    if (n == 0) n = number_of(ae__os_env("AE_PAR_WORKERS"));
    if (n == 0) n = ae__os_cpus();
    return n < AE__PAR_WORKERS_MAX ? n : AE__PAR_WORKERS_MAX;
}

static int start_threads(struct ae_par_pool *pool, uint32_t wanted)
{
    const char *name = pool->config.name ? pool->config.name : "aether-par";
    char full[32];
    int rc = 0;

    for (uint32_t i = 0; i < wanted && rc == 0; i++) {
        snprintf(full, sizeof full, "%.11s-%u", name, i);
        rc = ae__os_thread_start(&pool->workers[i]->os, full, thread_main, pool->workers[i]);
        if (rc == 0) pool->threads++;
    }
    return pool->threads > 0 ? 0 : rc; /* with some of them it works too */
}

static void stop_threads(struct ae_par_pool *pool)
{
    atomic_store(&pool->stopping, 1);
    for (uint32_t i = 0; i < pool->threads; i++) {
        ae__par_wake(pool->workers[i]);
    }
    for (uint32_t i = 0; i < pool->threads; i++) {
        ae__os_thread_join(pool->workers[i]->os);
    }
}

/* The workers' records are all there before the first thread looks around. */
static int make_workers(struct ae_par_pool *pool, uint32_t wanted)
{
    int rc = 0;

    pool->workers = ae__mem_zalloc((wanted + AE__PAR_SEATS) * sizeof(struct ae__par_worker *));
    if (!pool->workers) return -ENOMEM;
    pool->width = wanted + AE__PAR_SEATS;
    for (uint32_t i = 0; i < pool->width && rc == 0; i++) {
        rc = make_worker(pool, i);
    }
    return rc;
}

static int config_read(const ae_par_config *config, ae_par_config *out)
{
    *out = (ae_par_config){ .size = sizeof *out };
    if (!config) return 0;
    if (config->size != sizeof *config) return -EINVAL;
    *out = *config;
    return 0;
}

int ae_par_pool_create(const ae_par_config *config, ae_par_pool **out)
{
    ae_par_config full;
    int rc = config_read(config, &full);

    if (rc < 0) return rc;
    struct ae_par_pool *pool = ae__mem_aligned(_Alignof(struct ae_par_pool), sizeof *pool);
    if (!pool) return -ENOMEM;
    pool->config = full;
    pool->roots_end = &pool->roots;
    pool->spins = ae__os_cpus() > 1;
    uint32_t wanted = count_threads(&full);
    rc = make_workers(pool, wanted);
    if (rc == 0) rc = start_threads(pool, wanted);
    if (rc < 0) {
        free_pool(pool);
        return rc;
    }
    *out = pool;
    return 0;
}

void ae_par_pool_destroy(ae_par_pool *pool)
{
    if (!pool) return;
    AE_ASSERT(!ae__par_has_pending(pool)); /* a call is still in it */
    stop_threads(pool);
    free_pool(pool);
}

/* ---- the default pool ---- */

static _Atomic(struct ae_par_pool *) default_pool;

int ae__par_default(struct ae_par_pool **out)
{
    struct ae_par_pool *pool = atomic_load_explicit(&default_pool, memory_order_acquire);
    struct ae_par_pool *before = NULL;

    if (AE_LIKELY(pool != NULL)) {
        *out = pool;
        return 0;
    }
    int rc = ae_par_pool_create(NULL, &pool);
    if (rc < 0) return rc;
    if (!atomic_compare_exchange_strong(&default_pool, &before, pool)) {
        ae_par_pool_destroy(pool); /* somebody was faster */
        pool = before;
    }
    *out = pool;
    return 0;
}

unsigned ae__par_threads(const struct ae__par_worker *w)
{
    return w->pool->threads + (w->index >= w->pool->threads ? 1 : 0);
}

static const struct ae_par_pool *pool_of_caller(void)
{
    const struct ae__par_worker *w = ae__par_self();
    struct ae_par_pool *pool = NULL;

    if (w) return w->pool;
    return ae__par_default(&pool) < 0 ? NULL : pool;
}

int ae_par_index(void)
{
    const struct ae__par_worker *w = ae__par_self();

    return w ? (int)w->index : -1;
}

unsigned ae_par_width(void)
{
    const struct ae_par_pool *pool = pool_of_caller();

    return pool ? pool->width : 0;
}

unsigned ae_par_workers(void)
{
    const struct ae_par_pool *pool = pool_of_caller();

    return pool ? pool->threads : 0;
}
