/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of one execution: fibers that are switched only at visible operations.
 *
 * A fiber is made once and lives as long as the process. It waits in fiber_main for a function to
 * run; an execution that ends while a fiber is in the middle of one (a daemon, a failure) leaves it
 * there, and the next start jumps back to the fiber's base frame. Switches are _setjmp/_longjmp,
 * which make no system call.
 *
 * Choices that can change nothing are left out of a search (--full: they are not):
 *
 *   P1  Nobody comes in before an operation on a place that no other thread ever touches, or that
 *       nobody writes (known.c): the same is reached by coming in after it.
 *   P2  A thread that was preempted before an operation sleeps until another one does something
 *       that conflicts with it. To go on earlier is the same as to have done the operation first,
 *       and costs no fewer preemptions. These are sleep sets (Godefroid, 1996), but only of the
 *       thread that was running: of others the other order may cost more, and the bound must hold.
 *   P3  What a condition reads counts as read by who waits for it. Where it reads plain memory, no
 *       operation is left out that is followed, before the next one, by a write to that. */
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

/* What a visible operation touches. */
struct operation {
    struct model__known *at[4];
    uint8_t count;
    bool write;
    bool all; /* anything */
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

    struct operation next;    /* before which it was preempted, if it sleeps (P2) */
    struct operation segment; /* the last one, with what follows it */
};

struct options { /* who may go on */
    int thread[MODEL_THREADS_MAX + 1];
    uint8_t raw[MODEL_THREADS_MAX + 1]; /* their places among all, those that sleep included */
    unsigned n, of;
};

bool model__running;
int model__self;
uint64_t model__steps;
uintptr_t model__stacks;
size_t model__stacks_bytes;
bool model__asking;

static struct thread threads[MODEL_THREADS_MAX];
static int threads_used = 1;
static uint64_t changes;
static unsigned steps_now;
static uint32_t asleep; /* threads, as bits (P2) */
static struct operation *asked; /* what the condition that is asked reads */
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

    asleep &= ~(1u << to);
    for (int i = 1; i < threads_used; i++) {
        threads[i].ran |= 1u << to;
        threads[i].waits_for &= ~(1u << to);
    }
    tell_switch(to);
    t->fresh = true;
    if (t->started) _longjmp(t->context, 1);
    t->started = true;
    t->segment = (struct operation){ .all = true };
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

static void add_option(struct options *o, int thread)
{
    if (!(asleep >> thread & 1)) {
        o->thread[o->n] = thread;
        o->raw[o->n++] = (uint8_t)o->of;
    }
    o->of++;
}

/* The others that may run, in turn after this one; with_timed: also those that may give up. */
static void others(struct options *o, bool with_timed)
{
    o->n = o->of = 0;
    for (int i = 1; i < threads_used; i++) {
        int t = model__self + i;
        if (t >= threads_used) t -= threads_used - 1;
        if (t == model__self || t == 0) continue;
        if (must_wait(&threads[t])) continue;
        if (may_run(&threads[t]) ||
            (with_timed && threads[t].state == STATE_BLOCKED && threads[t].timed))
            add_option(o, t);
    }
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
    struct options o;

    others(&o, false);
    if (o.of == 0 && self()->state != STATE_READY && only_daemons_left()) {
        tell_switch(0);
        model__running = false;
        _longjmp(explorer, 1);
    }
    others(&o, true);
    if (or_self) add_option(&o, model__self);
    if (o.n == 0 && o.of > 0) model__redundant();
    if (o.n == 0) deadlock();
    hop(o.thread[model__choose_thread(o.raw, o.n, o.of, false)]);
}

static void count_step(void)
{
    model__steps++;
    if (++steps_now > STEPS_MAX) model_fail("no end after %d operations: livelock?", STEPS_MAX);
}

/* ---- visible operations -------------------------------------------------------------------- */

static void add_key(struct operation *p, const void *address)
{
    struct model__known *k = model__known_at(address);

    for (unsigned i = 0; i < p->count; i++)
        if (p->at[i] == k) return;
    if (p->count == sizeof p->at / sizeof p->at[0])
        p->all = true;
    else
        p->at[p->count++] = k;
}

static bool conflict(const struct operation *a, const struct operation *b)
{
    if (a->all || b->all) return true;
    if (!a->write && !b->write) return false;
    for (unsigned i = 0; i < a->count; i++)
        for (unsigned j = 0; j < b->count; j++)
            if (a->at[i] == b->at[j]) return true;
    return false;
}

/* This is done now: who sleeps before a conflicting operation may go on again (P2). */
static void disturb(const struct operation *p)
{
    if (!asleep) return;
    for (int t = 1; t < threads_used; t++)
        if (asleep >> t & 1 && conflict(p, &threads[t].next)) asleep &= ~(1u << t);
}

/* Keep who does what where; something learned makes earlier decisions of P1 doubtful. */
static void learn(const struct operation *p)
{
    for (unsigned i = 0; i < p->count; i++) {
        struct model__known *k = p->at[i];
        uint8_t *who = p->write ? &k->writers : &k->readers, bit = (uint8_t)(1u << model__self);
        if (*who & bit) continue;
        *who |= bit;
        uint8_t all = k->readers | k->writers;
        if (k->writers && all & (all - 1)) model__learned = true;
    }
}

/* May another thread ever conflict with it (P1, P3)? */
static bool is_shared(const struct operation *p)
{
    uint8_t self_bit = (uint8_t)(1u << model__self);

    if (p->all) return true;
    for (unsigned i = 0; i < p->count; i++) {
        const struct model__known *k = p->at[i];
        uint8_t rivals = p->write ? k->readers | k->writers : k->writers;
        if (k->hot || rivals & ~self_bit) return true;
    }
    return false;
}

/* P2, P3: may it sleep before this? */
static bool may_sleep(const struct operation *p)
{
    if (!model__pruning || !model__exact || p->all) return false;
    for (unsigned i = 0; i < p->count; i++)
        if (p->at[i]->hot) return false;
    return true;
}

void model__segment_is_hot(void)
{
    const struct operation *p = &self()->segment;

    if (!model__learning) return;
    for (unsigned i = 0; i < p->count; i++) {
        if (!p->at[i]->hot) model__learned = true;
        p->at[i]->hot = true;
    }
}

/* Somebody else may come in before the operation. */
static void may_be_preempted(const struct operation *p)
{
    bool left_out = model__pruning && !is_shared(p);
    struct options o;
    unsigned pick;

    if (left_out && !model__recording) return;
    others(&o, true);
    if (o.of == 0) return;
    memmove(o.raw + 1, o.raw, o.n);
    o.raw[0] = 0; /* go on */
    for (unsigned i = 1; i <= o.n; i++)
        o.raw[i]++;
    pick = model__choose_thread(o.raw, left_out ? 1 : o.n + 1, o.of + 1, true);
    if (pick == 0) return;
    model__preemptions_left--;
    if (may_sleep(p)) {
        asleep |= 1u << model__self;
        self()->next = *p;
    }
    hop(o.thread[pick - 1]);
    self()->fresh = false; /* the operation at hand comes next */
}

static bool has_others(void)
{
    struct options o;

    others(&o, true);
    return o.of > 0;
}

static void point(const struct operation *p)
{
    bool fresh = self()->fresh;

    count_step();
    self()->fresh = false;
    self()->segment = *p;
    if (model__learning) learn(p);
    /* Whoever could come in between here could have been chosen in its place: the same schedule. */
    if (!fresh && model__preemptions_left != 0)
        may_be_preempted(p);
    else if (!fresh && !model__preemptions_hit)
        model__preemptions_hit = is_shared(p) && has_others();
    disturb(p);
}

void model__point(void)
{
    struct operation p = { .all = true };

    if (model__running) point(&p);
}

void model__point_at(const void *address, bool write)
{
    struct operation p = { .write = write };

    if (!model__running) return;
    add_key(&p, address);
    point(&p);
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
    asleep = 0;
    model__asking = false;
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

void model__asked(const void *address)
{
    add_key(asked, address);
}

/* Ask a condition, and keep what it reads (P3). */
static bool ask_and_keep(bool (*ready)(void *arg), void *arg, struct operation *p)
{
    bool answer;

    asked = p;
    model__asking = model__pruning;
    answer = ask(ready, arg);
    model__asking = false;
    if (model__learning) learn(p);
    if (p->count == 0) p->all = true;
    return answer;
}

/* With a word the operation is one on that, else whatever the condition reads. */
static bool wait_until(bool (*ready)(void *arg), void *arg, const char *what, bool timed,
                       const void *word)
{
    struct operation p = { .write = word != NULL };
    struct thread *t = self();
    bool met;

    if (!model__running) {
        if (!ready(arg)) model_fail("would block in setup or check: %s", what);
        return true;
    }
    if (word)
        add_key(&p, word);
    else
        ask_and_keep(ready, arg, &p);
    point(&p);
    if (ask(ready, arg)) return true;
    if (model__tracing) model__trace(__builtin_return_address(0), NULL, "waits: %s", what);
    t->state = STATE_BLOCKED;
    t->timed = timed;
    t->ready = ready;
    t->ready_arg = arg;
    t->what = what;
    give_way(timed);
    t->state = STATE_READY;
    met = ask_and_keep(ready, arg, &p);
    disturb(&p);
    t->fresh = met; /* giving up is a step of its own */
    if (model__tracing)
        model__trace(__builtin_return_address(0), NULL, "%s: %s", met ? "goes on" : "gives up",
                     what);
    return met;
}

void model_block(bool (*ready)(void *arg), void *arg, const char *what)
{
    wait_until(ready, arg, what, false, NULL);
}

bool model_block_timed(bool (*ready)(void *arg), void *arg, const char *what)
{
    return wait_until(ready, arg, what, true, NULL);
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
    asleep = 0;
    t->segment = (struct operation){ .all = true };
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
    wait_until(lock_is_free, word, "lock", false, word);
    model__swap(word, (uint32_t)model__self + 1, ORDER_ACQUIRE);
    if (model__tracing) model__trace(__builtin_return_address(0), word, "locked");
}

bool model_trylock(uint32_t *word)
{
    model__point_at(word, true);
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
    model__point_at(word, true);
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
    struct operation p = { .write = true };
    struct thread *t = self();
    bool woken;

    model__point_at(word, true);
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
    add_key(&p, word);
    disturb(&p);
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

    model__point_at(word, true);
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
