/* SPDX-License-Identifier: Apache-2.0 */
/* More of the explorer's own tests: what C11 promises of single locations, read-modify-writes,
 * chains of three threads, fences and mixed accesses, and that the bounds bound. */
#include "model.h"

#include <stdatomic.h>
#include <string.h>

static _Atomic(int) x, y, z;
static union {
    uint32_t whole;
    uint8_t parts[4];
} mixed;
static int data, seen[4], old[8], taken;
static memory_order order;

static void reset(void)
{
    atomic_init(&x, 0);
    atomic_init(&y, 0);
    atomic_init(&z, 0);
    mixed.whole = 0;
    data = taken = 0;
    memset(seen, 0, sizeof seen);
    memset(old, 0, sizeof old);
    model_name(&x, "x");
    model_name(&y, "y");
    model_name(&z, "z");
    model_name(&data, "data");
    model_name(&mixed, "mixed");
}

static int get(_Atomic(int) *a)
{
    return atomic_load_explicit(a, memory_order_relaxed);
}

static void put(_Atomic(int) *a, int value)
{
    atomic_store_explicit(a, value, memory_order_relaxed);
}

/* ---- coherence, four shapes ---- */

static void write_read(void *arg)
{
    (void)arg;
    put(&x, 1);
    seen[0] = get(&x);
}

static void write_two(void *arg)
{
    (void)arg;
    put(&x, 2);
}

static void cowr_setup(void)
{
    reset();
    model_thread(write_read, NULL);
    model_thread(write_two, NULL);
}

static void cowr_check(void)
{
    model_assert(seen[0] == 1 || seen[0] == 2);
    if (seen[0] == 2) model_assert(get(&x) == 2); /* read after its own: it is the last */
}

MODEL(coherence_write_read, "a thread sees its own store, or a later one", cowr_setup, cowr_check,
      4, 3)

static void read_write(void *arg)
{
    (void)arg;
    seen[0] = get(&x);
    put(&x, 1);
}

static void corw_setup(void)
{
    reset();
    model_thread(read_write, NULL);
    model_thread(write_two, NULL);
}

static void corw_check(void)
{
    model_assert(seen[0] != 1); /* not from its own future */
    if (seen[0] == 2) model_assert(get(&x) == 1);
}

MODEL(coherence_read_write, "a load does not see its thread's later store", corw_setup, corw_check,
      4, 3)

/* What another thread has read before it released is the oldest that may be read after. */
static void read_release(void *arg)
{
    (void)arg;
    seen[0] = get(&x);
    atomic_store_explicit(&y, 1, order);
}

static void acquire_read(void *arg)
{
    (void)arg;
    seen[1] = atomic_load_explicit(&y, memory_order_acquire);
    seen[2] = get(&x);
}

static void write_one(void *arg)
{
    (void)arg;
    put(&x, 1);
}

static void wrc_start(memory_order o)
{
    reset();
    order = o;
    model_thread(write_one, NULL);
    model_thread(read_release, NULL);
    model_thread(acquire_read, NULL);
}

static void wrc_good(void)
{
    wrc_start(memory_order_release);
}

static void wrc_bad(void)
{
    wrc_start(memory_order_relaxed);
}

static void wrc_check(void)
{
    if (seen[0] && seen[1]) model_assert(seen[2] == 1);
}

MODEL(write_read_causality, "a read value is passed on by release", wrc_good, wrc_check, 4, 3)
MODEL_FAILS(write_read_causality_relaxed, "not by a relaxed store", wrc_bad, wrc_check, "assert", 4,
            3)

/* ISA2: release and acquire chain through a thread that does not touch the data. */
static void isa_first(void *arg)
{
    (void)arg;
    data = 7;
    atomic_store_explicit(&x, 1, memory_order_release);
}

static void isa_middle(void *arg)
{
    (void)arg;
    if (atomic_load_explicit(&x, order) == 1) atomic_store_explicit(&y, 1, memory_order_release);
}

static void isa_last(void *arg)
{
    (void)arg;
    if (atomic_load_explicit(&y, memory_order_acquire) == 1) model_assert(data == 7);
}

static void isa_start(memory_order o)
{
    reset();
    order = o;
    model_thread(isa_first, NULL);
    model_thread(isa_middle, NULL);
    model_thread(isa_last, NULL);
}

static void isa_good(void)
{
    isa_start(memory_order_acquire);
}

static void isa_bad(void)
{
    isa_start(memory_order_relaxed);
}

MODEL(transitive, "release and acquire chain", isa_good, NULL, 4, 3)
MODEL_FAILS(transitive_relaxed, "a relaxed load breaks the chain", isa_bad, NULL, "race on data", 4,
            3)

/* ---- load buffering: the explorer leaves it out, as the repaired C11 model (RC11) does ---- */

static void lb_left(void *arg)
{
    (void)arg;
    seen[0] = get(&x);
    put(&y, 1);
}

static void lb_right(void *arg)
{
    (void)arg;
    seen[1] = get(&y);
    put(&x, 1);
}

static void lb_setup(void)
{
    reset();
    model_thread(lb_left, NULL);
    model_thread(lb_right, NULL);
}

static void lb_check(void)
{
    model_assert(!(seen[0] && seen[1]));
}

MODEL(load_buffering, "no value out of a thread's future", lb_setup, lb_check, 4, 3)

/* ---- read-modify-writes ---- */

static void add_two(void *arg)
{
    int i = 2 * (int)(intptr_t)arg;
    old[i] = atomic_fetch_add_explicit(&x, 1, memory_order_relaxed);
    old[i + 1] = atomic_fetch_add_explicit(&x, 1, memory_order_relaxed);
}

static void add_setup(void)
{
    reset();
    for (intptr_t i = 0; i < 3; i++)
        model_thread(add_two, (void *)i);
}

static void add_check(void)
{
    unsigned met = 0;

    for (int i = 0; i < 6; i++)
        met |= 1u << old[i];
    model_assert(get(&x) == 6 && met == 0x3f);
}

MODEL(rmw_atomicity, "relaxed additions: none lost, each value once", add_setup, add_check, 5, 3)

static void load_add(void *arg)
{
    (void)arg;
    put(&x, get(&x) + 1);
}

static void load_add_setup(void)
{
    reset();
    model_thread(load_add, NULL);
    model_thread(load_add, NULL);
}

static void load_add_check(void)
{
    model_assert(get(&x) == 2);
}

MODEL_FAILS(load_then_store, "a load and a store lose an addition", load_add_setup, load_add_check,
            "assert", 1, 0)

static void winner(void *arg)
{
    int none = 0, id = (int)(intptr_t)arg;

    if (atomic_compare_exchange_strong_explicit(&x, &none, id, memory_order_relaxed,
                                                memory_order_relaxed))
        atomic_fetch_add_explicit(&z, 1, memory_order_relaxed);
    else
        model_assert(none != 0); /* a strong one fails for a reason */
}

static void winner_setup(void)
{
    reset();
    for (intptr_t i = 1; i <= 3; i++)
        model_thread(winner, (void *)i);
}

static void winner_check(void)
{
    model_assert(get(&z) == 1);
}

MODEL(cas_one_winner, "of three exchanges one succeeds", winner_setup, winner_check, 5, 3)

/* A failed compare-exchange is a load of its failure order, and may be a late one. */
static void store_twice(void *arg)
{
    (void)arg;
    put(&x, 1);
    put(&x, 2);
}

static void failed_cas(void *arg)
{
    (void)arg;
    old[0] = 9;
    if (get(&x) == 0) return;
    if (!atomic_compare_exchange_strong_explicit(&x, &old[0], 5, memory_order_acquire,
                                                 memory_order_relaxed))
        seen[0] = old[0];
}

static void failed_setup(void)
{
    reset();
    model_thread(store_twice, NULL);
    model_thread(failed_cas, NULL);
}

static void failed_check(void)
{
    model_assert(get(&x) != 2 || seen[0] != 1);
}

MODEL_FAILS(cas_fails_on_older, "a failed exchange may have read an older value", failed_setup,
            failed_check, "assert", 0, 2)

#if !defined(__clang__) /* it does not say which are weak */
static void weak_cas(void *arg)
{
    int none = 0;
    (void)arg;
    model_assert(atomic_compare_exchange_weak(&x, &none, 1));
}

static void weak_setup(void)
{
    reset();
    model_thread(weak_cas, NULL);
    model_thread(write_two, NULL);
}

MODEL_FAILS(cas_weak, "a weak exchange fails for no reason", weak_setup, NULL, "assert", 0, 1)
#endif

/* ---- fences ---- */

static void fence_left(void *arg)
{
    (void)arg;
    put(&x, 1);
    atomic_thread_fence(memory_order_seq_cst);
    seen[0] = get(&y);
}

static void fence_right(void *arg)
{
    (void)arg;
    put(&y, 1);
    if (order == memory_order_seq_cst)
        atomic_thread_fence(memory_order_seq_cst);
    else
        atomic_thread_fence(memory_order_acq_rel);
    seen[1] = get(&x);
}

static void fence_check(void)
{
    model_assert(seen[0] || seen[1]);
}

static void fences_start(memory_order o)
{
    reset();
    order = o;
    model_thread(fence_left, NULL);
    model_thread(fence_right, NULL);
}

static void fences_good(void)
{
    fences_start(memory_order_seq_cst);
}

static void fences_bad(void)
{
    fences_start(memory_order_acq_rel);
}

MODEL(store_buffering_fences, "two seq_cst fences forbid it", fences_good, fence_check, 4, 3)
MODEL_FAILS(store_buffering_one_fence, "one is not enough", fences_bad, fence_check, "assert", 4, 3)

static void released_by_fence(void *arg)
{
    data = 1;
    if (arg) atomic_thread_fence(memory_order_release);
    put(&x, 1);
}

static void acquired_by_load(void *arg)
{
    (void)arg;
    if (atomic_load_explicit(&x, memory_order_acquire)) model_assert(data == 1);
}

static void half_fence_good(void)
{
    reset();
    model_thread(released_by_fence, &x);
    model_thread(acquired_by_load, NULL);
}

static void half_fence_bad(void)
{
    reset();
    model_thread(released_by_fence, NULL);
    model_thread(acquired_by_load, NULL);
}

MODEL(fence_to_load, "a release fence pairs with an acquire load", half_fence_good, NULL, 4, 2)
MODEL_FAILS(no_fence_to_load, "without it nothing is published", half_fence_bad, NULL,
            "race on data", 4, 2)

/* ---- plain accesses that overlap; memory that is dead ---- */

static void write_whole(void *arg)
{
    (void)arg;
    mixed.whole = 1;
}

static void read_part(void *arg)
{
    seen[0] = mixed.parts[(intptr_t)arg];
}

static void write_part(void *arg)
{
    mixed.parts[(intptr_t)arg] = 3;
}

static void overlap_setup(void)
{
    reset();
    model_thread(write_whole, NULL);
    model_thread(read_part, (void *)2);
}

static void apart_setup(void)
{
    reset();
    model_thread(write_part, (void *)1);
    model_thread(read_part, (void *)2);
}

static void readers_setup(void)
{
    reset();
    model_thread(read_part, (void *)2); /* both write seen[0], with the same value */
    model_thread(write_two, NULL);
}

MODEL_FAILS(race_on_a_byte, "a word is written, a byte of it read", overlap_setup, NULL, "race", 0,
            0)
MODEL(bytes_apart, "neighbours in a word do not race", apart_setup, NULL, 4, 2)
MODEL(one_reader, "a thread alone does not race", readers_setup, NULL, 4, 2)

static void plain_on_atomic(void *arg)
{
    (void)arg;
    *(int *)(void *)&x = 5;
}

static void initialised_late(void)
{
    reset();
    model_thread(write_two, NULL);
    model_thread(plain_on_atomic, NULL);
}

MODEL_FAILS(race_with_an_atomic, "a plain store to an atomic races", initialised_late, NULL,
            "race on x", 0, 0)

static void free_then_use(void *arg)
{
    (void)arg;
    model_free(&data, sizeof data);
    atomic_store_explicit(&x, 1, memory_order_release);
}

static void use_after(void *arg)
{
    (void)arg;
    if (atomic_load_explicit(&x, memory_order_acquire)) data = 1; /* ordered, and dead */
}

static void dead_setup(void)
{
    reset();
    model_revive(&data, sizeof data);
    model_thread(free_then_use, NULL);
    model_thread(use_after, NULL);
}

MODEL_FAILS(use_after_free, "an ordered touch of dead memory", dead_setup, NULL, "use after free",
            1, 1)

/* A frame that has returned: another thread was given its address. */
static _Atomic(uintptr_t) lent;

static __attribute__((noinline)) void lend(void)
{
    volatile int frame = 0;

    atomic_store_explicit(&lent, (uintptr_t)&frame, memory_order_release);
    model_yield();
    frame = frame + 1;
}

static void lender(void *arg)
{
    (void)arg;
    lend();
    model_yield();
}

static void borrower(void *arg)
{
    uintptr_t at = atomic_load_explicit(&lent, memory_order_acquire);

    if (at && arg) seen[1] = *(volatile int *)at;
}

static void frame_setup(void)
{
    reset();
    atomic_init(&lent, 0);
    model_thread(lender, NULL);
    model_thread(borrower, &lent);
}

MODEL_FAILS(use_after_return, "a frame is read that has returned", frame_setup, NULL, "return", 1,
            0)

/* ---- the bounds ---- */

/* Both must be interrupted once for the last line to be reached: two preemptions. */
static void odd_steps(void *arg)
{
    (void)arg;
    if (get(&x) == 0) put(&x, 1);
    if (get(&x) == 2) put(&x, 3);
}

static void even_steps(void *arg)
{
    (void)arg;
    if (get(&x) == 1) put(&x, 2);
    model_assert(get(&x) != 3);
}

static void steps_setup(void)
{
    reset();
    model_thread(odd_steps, NULL);
    model_thread(even_steps, NULL);
}

MODEL(bug_beyond_the_bound, "not reached with one preemption", steps_setup, NULL, 1, 0)
MODEL_FAILS(bug_within_the_bound, "reached with two", steps_setup, NULL, "assert", 2, 0)

static void chooser(void *arg)
{
    (void)arg;
    data = (int)(model_choose(3) * 10 + model_choose(4));
    model_assert(data != 23);
}

static void choose_setup(void)
{
    reset();
    model_thread(chooser, NULL);
    model_thread(write_two, NULL);
}

MODEL_FAILS(choices, "every value of a choice is tried", choose_setup, NULL, "assert", 0, 0)

/* A flag that nobody sets: a spin loop ends as a deadlock, not as an endless execution. */
static void spin_for_ever(void *arg)
{
    (void)arg;
    while (get(&z) == 0)
        model_spin();
}

static void spin_setup(void)
{
    reset();
    model_thread(spin_for_ever, NULL);
    model_thread(write_two, NULL);
}

MODEL_FAILS(endless_spin, "nobody sets what is spun for", spin_setup, NULL, "deadlock", 2, 2)
