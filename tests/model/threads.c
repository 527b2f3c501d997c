/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of one execution: fibers that are switched only at visible operations.
 *
 * A fiber is made once and lives as long as the process. It waits in fiber_main for a function to
 * run; an execution that ends while a fiber is in the middle of one (a daemon, a failure) leaves it
 * there, and the next start jumps back to the fiber's base frame. Switches are _setjmp/_longjmp,
 * which make no system call. */
#include "explore.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum {
    STACK_BYTES = 256 * 1024,
    GUARD_BYTES = 64 * 1024,
    SLOT_BYTES = GUARD_BYTES + STACK_BYTES,
    STEPS_MAX = 20000, /* visible operations in one execution */
};

enum state {
    STATE_NONE,
    STATE_READY,
    STATE_BLOCKED,
    STATE_DONE,
};

struct thread {
    uintptr_t live; /* the lowest live address of its stack while others run */
    jmp_buf context;
    jmp_buf base; /* the frame in fiber_main that starts functions */
    bool has_fiber;
    bool started; /* in this execution */
    bool fresh;   /* has just been chosen, and done nothing visible since */

    enum state state;
    bool daemon;
    bool timed;
    void (*fn)(void *arg);
    void *arg;

    bool (*ready)(void *arg); /* while blocked */
    void *ready_arg;
    const char *what;

    uint64_t changes_own;  /* changes this thread made */
    uint64_t changes_seen; /* others' changes when its spin loop last went round */
    bool stale;            /* read an older value since then */
    bool spun;

    uint32_t ran;       /* threads that have run since its spin loop last went round */
    uint32_t waits_for; /* threads that must run, or be unable to, before it goes round again */

    const uint32_t *futex; /* slept on, NULL when woken */
};

bool model__running;
int model__self;
uint64_t model__steps;
uintptr_t model__stacks;
size_t model__stacks_bytes;

static struct thread threads[MODEL_THREADS_MAX];
static int threads_used = 1;
static uint64_t changes;
static unsigned steps_now;
static jmp_buf explorer;
static void (*switch_hook)(int thread);

static void give_way(bool or_self);

static struct thread *self(void)
{
    return &threads[model__self];
}

/* ---- fibers -------------------------------------------------------------------------------- */

static void fiber_main(void)
{
    struct thread *t = self(); /* this fiber's for ever */

    _setjmp(t->base);
    self()->fn(self()->arg);
    self()->state = STATE_DONE;
    give_way(false);
    abort(); /* a finished thread is never chosen */
}

static void map_stacks(void)
{
    const size_t bytes = (size_t)MODEL_THREADS_MAX * SLOT_BYTES;
    char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    for (size_t i = 0; i < MODEL_THREADS_MAX && base != MAP_FAILED; i++)
        mprotect(base + i * SLOT_BYTES, GUARD_BYTES, PROT_NONE);
    if (base == MAP_FAILED) {
        perror("model: stacks");
        exit(2);
    }
    model__stacks = (uintptr_t)base;
    model__stacks_bytes = bytes;
}

bool model__is_dead_stack(uintptr_t address)
{
    size_t i = (address - model__stacks) / SLOT_BYTES;

    return (int)i != model__self && address < threads[i].live;
}

static void make_fiber(struct thread *t)
{
    static ucontext_t here, there;
    char *stack;

    if (!model__stacks) map_stacks();
    stack = (char *)model__stacks + (size_t)(t - threads) * SLOT_BYTES;
    t->has_fiber = true;
    getcontext(&there);
    there.uc_stack.ss_sp = stack + GUARD_BYTES;
    there.uc_stack.ss_size = STACK_BYTES;
    there.uc_link = NULL;
    makecontext(&there, fiber_main, 0);
    swapcontext(&here, &there); /* never comes back here: fiber_main leaves by _longjmp */
    abort();
}

/* What the hook does is neither a step nor an access. */
static void tell_switch(int to)
{
    model__self = to;
    if (!switch_hook) return;
    model__running = false;
    switch_hook(to);
    model__running = true;
}

/* Go on with thread `to`; its context was left by hop(), or it has not started yet. */
_Noreturn static void enter(int to)
{
    struct thread *t = &threads[to];

    for (int i = 1; i < threads_used; i++) {
        threads[i].ran |= 1u << to;
        threads[i].waits_for &= ~(1u << to);
    }
    tell_switch(to);
    t->fresh = true;
    if (t->started) _longjmp(t->context, 1);
    t->started = true;
    if (t->has_fiber) _longjmp(t->base, 1);
    make_fiber(t);
    abort();
}

static void hop(int to)
{
    if (to == model__self) {
        self()->fresh = true;
        return;
    }
    self()->live = self()->state == STATE_DONE ? UINTPTR_MAX
                                               : (uintptr_t)__builtin_frame_address(0);
    if (_setjmp(self()->context) == 0) enter(to);
}

/* ---- who may go on ------------------------------------------------------------------------- */

/* Ask a condition of the model's: what it reads is neither a step nor an access. */
static bool ask(bool (*ready)(void *arg), void *arg)
{
    bool answer;

    model__running = false;
    answer = ready(arg);
    model__running = true;
    return answer;
}

static bool may_run(struct thread *t)
{
    if (t->state == STATE_READY) return true;
    return t->state == STATE_BLOCKED && ask(t->ready, t->ready_arg);
}

static uint32_t able_to_run(void)
{
    uint32_t mask = 0;

    for (int t = 1; t < threads_used; t++)
        if (t != model__self && may_run(&threads[t])) mask |= 1u << t;
    return mask;
}

/* Is it the turn of others before this one may spin on? */
static bool must_wait(const struct thread *t)
{
    return t->waits_for && t->waits_for & able_to_run();
}

/* The others that may run, in turn after this one; with_timed: also those that may give up. */
static unsigned others(int *out, bool with_timed)
{
    unsigned n = 0;

    for (int i = 1; i < threads_used; i++) {
        int t = model__self + i;
        if (t >= threads_used) t -= threads_used - 1;
        if (t == model__self || t == 0) continue;
        if (must_wait(&threads[t])) continue;
        if (may_run(&threads[t]) ||
            (with_timed && threads[t].state == STATE_BLOCKED && threads[t].timed))
            out[n++] = t;
    }
    return n;
}

static bool only_daemons_left(void)
{
    for (int t = 1; t < threads_used; t++)
        if (!threads[t].daemon && threads[t].state != STATE_DONE) return false;
    return true;
}

_Noreturn static void deadlock(void)
{
    char text[400] = "";
    size_t used = 0;

    for (int t = 1; t < threads_used && used < sizeof text; t++)
        if (threads[t].state == STATE_BLOCKED)
            used += (size_t)snprintf(text + used, sizeof text - used, "%sthread %d in %s",
                                     used ? ", " : "", t, threads[t].what);
    model_fail("deadlock: %s", text);
}

/* This thread cannot go on, or is polite: another one is free to. Returns when chosen again. */
static void give_way(bool or_self)
{
    int options[MODEL_THREADS_MAX];
    unsigned n = others(options, false);

    if (n == 0 && self()->state != STATE_READY && only_daemons_left()) {
        tell_switch(0);
        model__running = false;
        _longjmp(explorer, 1);
    }
    n = others(options, true);
    if (or_self) options[n++] = model__self;
    if (n == 0) deadlock();
    hop(options[model__choose(n)]);
}

static void count_step(void)
{
    model__steps++;
    if (++steps_now > STEPS_MAX) model_fail("no end after %d operations: livelock?", STEPS_MAX);
}

void model__point(void)
{
    int options[MODEL_THREADS_MAX];
    unsigned n, pick;
    bool fresh;

    if (!model__running) return;
    count_step();
    fresh = self()->fresh;
    self()->fresh = false;
    /* Whoever could come in between here could have been chosen in its place: the same schedule. */
    if (fresh || model__preemptions_left == 0) return;
    n = others(options, true);
    if (n == 0) return;
    pick = model__choose_rare(n + 1);
    if (pick == 0) return;
    model__preemptions_left--;
    hop(options[pick - 1]);
    self()->fresh = false; /* the operation at hand comes next */
}

/* ---- start and end of an execution --------------------------------------------------------- */

void model__threads_reset(void)
{
    for (int t = 0; t < MODEL_THREADS_MAX; t++) {
        threads[t].state = STATE_NONE;
        threads[t].started = false;
    }
    model__running = false;
    model__self = 0;
    threads_used = 1;
    changes = 0;
    steps_now = 0;
    switch_hook = NULL;
}

void model_on_switch(void (*hook)(int thread))
{
    switch_hook = hook;
    hook(model__self);
}

unsigned model__threads_count(void)
{
    return (unsigned)threads_used - 1;
}

static int add_thread(void (*fn)(void *arg), void *arg, bool daemon)
{
    struct thread *t = &threads[threads_used];

    if (model__running) model_fail("threads are started in setup");
    if (threads_used == MODEL_THREADS_MAX) model_fail("too many threads");
    t->state = STATE_READY;
    t->daemon = daemon;
    t->timed = false;
    t->fn = fn;
    t->arg = arg;
    t->changes_own = 0;
    t->changes_seen = 0;
    t->stale = false;
    t->spun = false;
    t->ran = t->waits_for = 0;
    t->live = UINTPTR_MAX;
    t->futex = NULL;
    model__memory_start(threads_used);
    return threads_used++;
}

int model_thread(void (*fn)(void *arg), void *arg)
{
    return add_thread(fn, arg, false);
}

int model_daemon(void (*fn)(void *arg), void *arg)
{
    return add_thread(fn, arg, true);
}

void model__threads_run(void)
{
    if (_setjmp(explorer) != 0) return;
    if (threads_used == 1) return;
    model__running = true;
    give_way(false);
}

int model_self(void)
{
    return model__self;
}

/* ---- waiting ------------------------------------------------------------------------------- */

static bool wait_until(bool (*ready)(void *arg), void *arg, const char *what, bool timed)
{
    struct thread *t = self();
    bool met;

    if (!model__running) {
        if (!ready(arg)) model_fail("would block in setup or check: %s", what);
        return true;
    }
    model__point();
    if (ask(ready, arg)) return true;
    if (model__tracing) model__trace(__builtin_return_address(0), NULL, "waits: %s", what);
    t->state = STATE_BLOCKED;
    t->timed = timed;
    t->ready = ready;
    t->ready_arg = arg;
    t->what = what;
    give_way(timed);
    t->state = STATE_READY;
    met = ask(ready, arg);
    t->fresh = met; /* giving up is a step of its own */
    if (model__tracing)
        model__trace(__builtin_return_address(0), NULL, "%s: %s", met ? "goes on" : "gives up",
                     what);
    return met;
}

void model_block(bool (*ready)(void *arg), void *arg, const char *what)
{
    wait_until(ready, arg, what, false);
}

bool model_block_timed(bool (*ready)(void *arg), void *arg, const char *what)
{
    return wait_until(ready, arg, what, true);
}

void model_yield(void)
{
    model__point();
}

void model__changed(void)
{
    changes++;
    self()->changes_own++;
}

void model__read_stale(void)
{
    self()->stale = true;
}

static bool others_changed(void *arg)
{
    struct thread *t = arg;
    return changes - t->changes_own != t->changes_seen;
}

void model_spin(void)
{
    struct thread *t = self();

    if (!model__running) model_fail("would spin for ever in setup or check");
    count_step();
    /* Fair, as CHESS (Musuvathi and Qadeer, 2008): those that could have run since the last round
     * and have not come first, or two that spin could keep a third from ever going on. */
    t->waits_for = t->spun ? able_to_run() & ~t->ran : 0;
    t->ran = 0;
    t->spun = true;
    if (t->stale || others_changed(t)) {
        give_way(!must_wait(t));
    } else {
        t->state = STATE_BLOCKED;
        t->timed = false;
        t->ready = others_changed;
        t->ready_arg = t;
        t->what = "a spin loop";
        give_way(false);
        t->state = STATE_READY;
    }
    t->stale = false;
    t->changes_seen = changes - t->changes_own;
}

/* ---- locks and futexes --------------------------------------------------------------------- */

static bool lock_is_free(void *arg)
{
    return *(volatile uint32_t *)arg == 0;
}

void model_lock(uint32_t *word)
{
    if (!model__running) {
        if (*word != 0) model_fail("lock %s is still held", model__name_of(word));
        *word = 1;
        return;
    }
    wait_until(lock_is_free, word, "lock", false);
    model__swap(word, (uint32_t)model__self + 1, ORDER_ACQUIRE);
    if (model__tracing) model__trace(__builtin_return_address(0), word, "locked");
}

bool model_trylock(uint32_t *word)
{
    model__point();
    if (!lock_is_free(word)) return false;
    model_lock(word);
    return true;
}

void model_unlock(uint32_t *word)
{
    if (!model__running) {
        *word = 0;
        return;
    }
    model__point();
    if (*word != (uint32_t)model__self + 1) model_fail("unlock of a lock held by another");
    model__swap(word, 0, ORDER_RELEASE);
    if (model__tracing) model__trace(__builtin_return_address(0), word, "unlocked");
}

static bool futex_woken(void *arg)
{
    return ((struct thread *)arg)->futex == NULL;
}

static bool futex_sleep(const uint32_t *word, uint32_t expected, bool timed)
{
    struct thread *t = self();
    bool woken;

    model__point();
    if (*(const volatile uint32_t *)word != expected) return true;
    t->futex = word;
    if (model__tracing) model__trace(__builtin_return_address(0), word, "futex sleep");
    /* No scheduling point between the comparison and the sleep. */
    t->state = STATE_BLOCKED;
    t->timed = timed;
    t->ready = futex_woken;
    t->ready_arg = t;
    t->what = "futex wait";
    give_way(timed);
    t->state = STATE_READY;
    woken = t->futex == NULL;
    t->fresh = woken; /* giving up is a step of its own */
    t->futex = NULL;
    return woken;
}

void model_futex_wait(const uint32_t *word, uint32_t expected)
{
    futex_sleep(word, expected, false);
}

bool model_futex_wait_timed(const uint32_t *word, uint32_t expected)
{
    return futex_sleep(word, expected, true);
}

int model_futex_wake(const uint32_t *word, int n)
{
    int woken = 0;

    model__point();
    while (woken < n) {
        int sleepers[MODEL_THREADS_MAX];
        unsigned count = 0;
        for (int t = 1; t < threads_used; t++)
            if (threads[t].state == STATE_BLOCKED && threads[t].futex == word)
                sleepers[count++] = t;
        if (count == 0) break;
        threads[sleepers[model__choose(count)]].futex = NULL;
        woken++;
    }
    if (model__tracing)
        model__trace(__builtin_return_address(0), word, "futex wake: %d woken", woken);
    return woken;
}
