/* SPDX-License-Identifier: Apache-2.0 */
/* The explorer's own tests: programs whose outcome is known. Those marked MODEL_FAILS hold a bug
 * that must be found; the others must be quiet. */
#include "model.h"

#include <stdatomic.h>
#include <string.h>

static _Atomic(int) x, y, turn[2];
static int data, seen[2], total;

static void reset(void)
{
    atomic_init(&x, 0);
    atomic_init(&y, 0);
    atomic_init(&turn[0], 0);
    atomic_init(&turn[1], 0);
    data = total = 0;
    seen[0] = seen[1] = -1;
    model_name(&x, "x");
    model_name(&y, "y");
    model_name(&data, "data");
}

/* ---- message passing ----------------------------------------------------------------------- */

static memory_order mp_store, mp_load;

static void mp_writer(void *arg)
{
    (void)arg;
    data = 42;
    atomic_store_explicit(&x, 1, mp_store);
}

static void mp_reader(void *arg)
{
    (void)arg;
    if (atomic_load_explicit(&x, mp_load) == 1) model_assert(data == 42);
}

static void mp_start(memory_order store, memory_order load)
{
    reset();
    mp_store = store;
    mp_load = load;
    model_thread(mp_writer, NULL);
    model_thread(mp_reader, NULL);
}

static void mp_good(void)
{
    mp_start(memory_order_release, memory_order_acquire);
}

static void mp_no_release(void)
{
    mp_start(memory_order_relaxed, memory_order_acquire);
}

static void mp_no_acquire(void)
{
    mp_start(memory_order_release, memory_order_relaxed);
}

MODEL(message_passing, "release and acquire order plain data", mp_good, NULL, 3, 2)
MODEL_FAILS(message_passing_no_release, "a relaxed store publishes nothing", mp_no_release, NULL,
            "race on data", 3, 2)
MODEL_FAILS(message_passing_no_acquire, "a relaxed load receives nothing", mp_no_acquire, NULL,
            "race on data", 3, 2)

/* The same by fences around relaxed accesses. */
static void mpf_writer(void *arg)
{
    (void)arg;
    data = 42;
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&x, 1, memory_order_relaxed);
}

static void mpf_reader(void *arg)
{
    (void)arg;
    if (atomic_load_explicit(&x, memory_order_relaxed) != 1) return;
    atomic_thread_fence(memory_order_acquire);
    model_assert(data == 42);
}

static void mpf_setup(void)
{
    reset();
    model_thread(mpf_writer, NULL);
    model_thread(mpf_reader, NULL);
}

MODEL(message_passing_fences, "fences order plain data", mpf_setup, NULL, 3, 2)

/* ---- store buffering ----------------------------------------------------------------------- */

static memory_order sb_store, sb_load;

static void sb_left(void *arg)
{
    (void)arg;
    atomic_store_explicit(&x, 1, sb_store);
    seen[0] = atomic_load_explicit(&y, sb_load);
}

static void sb_right(void *arg)
{
    (void)arg;
    atomic_store_explicit(&y, 1, sb_store);
    seen[1] = atomic_load_explicit(&x, sb_load);
}

static void sb_check(void)
{
    model_assert(seen[0] == 1 || seen[1] == 1);
}

static void sb_start(memory_order store, memory_order load)
{
    reset();
    sb_store = store;
    sb_load = load;
    model_thread(sb_left, NULL);
    model_thread(sb_right, NULL);
}

static void sb_seq_cst(void)
{
    sb_start(memory_order_seq_cst, memory_order_seq_cst);
}

static void sb_acq_rel(void)
{
    sb_start(memory_order_release, memory_order_acquire);
}

MODEL(store_buffering, "seq_cst forbids both reading 0", sb_seq_cst, sb_check, 3, 2)
MODEL_FAILS(store_buffering_acq_rel, "release and acquire do not", sb_acq_rel, sb_check, "assert",
            3, 2)

/* ---- Dekker: push, then look for sleepers; announce, then look again ------------------------- */

static bool token_given(void *arg)
{
    (void)arg;
    return atomic_load_explicit(&turn[0], memory_order_relaxed) != 0;
}

static bool dekker_rmw;

static void dekker_pusher(void *arg)
{
    int sleeping;
    (void)arg;
    atomic_store_explicit(&x, 1, memory_order_release); /* the work */
    sleeping = dekker_rmw ? atomic_fetch_add_explicit(&y, 0, memory_order_seq_cst)
                          : atomic_load_explicit(&y, memory_order_seq_cst);
    if (sleeping) atomic_store_explicit(&turn[0], 1, memory_order_release);
}

static void dekker_parker(void *arg)
{
    (void)arg;
    atomic_fetch_add_explicit(&y, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&x, memory_order_acquire) == 0) model_block(token_given, NULL, "park");
}

static void dekker_start(bool rmw)
{
    reset();
    dekker_rmw = rmw;
    model_thread(dekker_pusher, NULL);
    model_thread(dekker_parker, NULL);
}

static void dekker_good(void)
{
    dekker_start(true);
}

static void dekker_load(void)
{
    dekker_start(false);
}

static void dekker_late(void *arg)
{
    (void)arg;
    if (atomic_load_explicit(&x, memory_order_seq_cst) == 0) {
        atomic_fetch_add_explicit(&y, 1, memory_order_seq_cst);
        model_block(token_given, NULL, "park");
    }
}

static void dekker_no_recheck(void)
{
    reset();
    dekker_rmw = true;
    model_thread(dekker_pusher, NULL);
    model_thread(dekker_late, NULL);
}

MODEL(lost_wakeup, "a read-modify-write on both sides", dekker_good, NULL, 3, 2)
MODEL_FAILS(lost_wakeup_load, "a seq_cst load is not enough (Tokio 1788)", dekker_load, NULL,
            "deadlock", 3, 2)
MODEL_FAILS(lost_wakeup_no_recheck, "announced after the last look", dekker_no_recheck, NULL,
            "deadlock", 3, 0)

/* ---- a queue whose pop reads, then writes ---------------------------------------------------- */

static bool pop_by_cas;
static int taken[2];

static void popper(void *arg)
{
    int index = atomic_load_explicit(&x, memory_order_acquire);
    (void)arg;
    if (pop_by_cas) {
        while (index < 2 && !atomic_compare_exchange_weak_explicit(
                                &x, &index, index + 1, memory_order_acq_rel, memory_order_acquire))
            ;
    } else if (index < 2) {
        atomic_store_explicit(&x, index + 1, memory_order_release);
    }
    if (index < 2) taken[index]++;
}

static void pop_start(bool by_cas)
{
    reset();
    memset(taken, 0, sizeof taken);
    model_name(&taken, "taken");
    pop_by_cas = by_cas;
    model_thread(popper, NULL);
    model_thread(popper, NULL);
}

static void pop_good(void)
{
    pop_start(true);
}

static void pop_bad(void)
{
    pop_start(false);
}

static void pop_check(void)
{
    model_assert(taken[0] == 1 && taken[1] == 1);
}

MODEL(queue_pop, "pop by compare-exchange", pop_good, pop_check, 3, 2)
MODEL_FAILS(queue_pop_broken, "pop by load and store gives one item twice", pop_bad, pop_check,
            "race on taken", 3, 0)

/* ---- plain races, coherence, release sequences ----------------------------------------------- */

static void adder(void *arg)
{
    (void)arg;
    total++;
}

static void race_setup(void)
{
    reset();
    model_name(&total, "total");
    model_thread(adder, NULL);
    model_thread(adder, NULL);
}

MODEL_FAILS(plain_race, "two threads add without a lock", race_setup, NULL, "race on total", 0, 0)

static void coherence_writer(void *arg)
{
    (void)arg;
    atomic_store_explicit(&x, 1, memory_order_relaxed);
    atomic_store_explicit(&x, 2, memory_order_relaxed);
}

static void coherence_reader(void *arg)
{
    int a, b;
    (void)arg;
    a = atomic_load_explicit(&x, memory_order_relaxed);
    b = atomic_load_explicit(&x, memory_order_relaxed);
    model_assert(a <= b);
}

static void coherence_setup(void)
{
    reset();
    model_thread(coherence_writer, NULL);
    model_thread(coherence_reader, NULL);
    model_thread(coherence_reader, NULL);
}

MODEL(coherence, "one location never goes back", coherence_setup, NULL, 3, 3)

static bool sequence_rmw;

static void sequence_middle(void *arg)
{
    (void)arg;
    if (sequence_rmw)
        atomic_fetch_add_explicit(&x, 1, memory_order_relaxed);
    else if (atomic_load_explicit(&x, memory_order_relaxed) == 1)
        atomic_store_explicit(&x, 2, memory_order_relaxed);
}

static void sequence_reader(void *arg)
{
    (void)arg;
    if (atomic_load_explicit(&x, memory_order_acquire) == 2) model_assert(data == 42);
}

static void sequence_start(bool rmw)
{
    reset();
    mp_store = memory_order_release;
    sequence_rmw = rmw;
    model_thread(mp_writer, NULL);
    model_thread(sequence_middle, NULL);
    model_thread(sequence_reader, NULL);
}

static void sequence_good(void)
{
    sequence_start(true);
    /* 1 + 1 after the writer, or 0 + 1 and then 1: only the former is read as 2 */
}

static void sequence_bad(void)
{
    sequence_start(false);
}

MODEL(release_sequence, "a relaxed add continues it", sequence_good, NULL, 3, 2)
MODEL_FAILS(release_sequence_broken, "a relaxed store ends it", sequence_bad, NULL, "race on data",
            3, 2)

/* Independent reads of independent writes: acquire allows two orders, seq_cst does not. */
static int reads[2][2];

static void iriw_write(void *arg)
{
    atomic_store_explicit((_Atomic(int) *)arg, 1, sb_store);
}

static void iriw_xy(void *arg)
{
    (void)arg;
    reads[0][0] = atomic_load_explicit(&x, sb_load);
    reads[0][1] = atomic_load_explicit(&y, sb_load);
}

static void iriw_yx(void *arg)
{
    (void)arg;
    reads[1][0] = atomic_load_explicit(&y, sb_load);
    reads[1][1] = atomic_load_explicit(&x, sb_load);
}

static void iriw_start(memory_order store, memory_order load)
{
    reset();
    sb_store = store;
    sb_load = load;
    model_thread(iriw_write, &x);
    model_thread(iriw_write, &y);
    model_thread(iriw_xy, NULL);
    model_thread(iriw_yx, NULL);
}

static void iriw_seq_cst(void)
{
    iriw_start(memory_order_seq_cst, memory_order_seq_cst);
}

static void iriw_acq_rel(void)
{
    iriw_start(memory_order_release, memory_order_acquire);
}

static void iriw_check(void)
{
    model_assert(!(reads[0][0] && !reads[0][1] && reads[1][0] && !reads[1][1]));
}

MODEL(iriw, "seq_cst gives one order of independent writes", iriw_seq_cst, iriw_check, 3, 2)
MODEL_FAILS(iriw_acq_rel, "release and acquire do not", iriw_acq_rel, iriw_check, "assert", 3, 2)

/* ---- locks, futexes, deadlock, lifetime ------------------------------------------------------ */

static uint32_t lock_a, lock_b;

static void lock_ab(void *arg)
{
    (void)arg;
    model_lock(&lock_a);
    model_lock(&lock_b);
    total++;
    model_unlock(&lock_b);
    model_unlock(&lock_a);
}

static void lock_ba(void *arg)
{
    (void)arg;
    model_lock(&lock_b);
    model_lock(&lock_a);
    total++;
    model_unlock(&lock_a);
    model_unlock(&lock_b);
}

static void locks_good(void)
{
    reset();
    lock_a = lock_b = 0;
    model_thread(lock_ab, NULL);
    model_thread(lock_ab, NULL);
    model_thread(lock_ab, NULL);
}

static void locks_bad(void)
{
    reset();
    lock_a = lock_b = 0;
    model_thread(lock_ab, NULL);
    model_thread(lock_ba, NULL);
}

static void locks_check(void)
{
    model_assert(total == 3);
}

MODEL(locks, "locked additions, no race, none lost", locks_good, locks_check, 3, 2)
MODEL_FAILS(lock_order, "two locks in two orders", locks_bad, NULL, "deadlock", 3, 0)

/* A spin lock of the code's own: exchange until it is free. */
static void spinner(void *arg)
{
    (void)arg;
    while (atomic_exchange_explicit(&x, 1, memory_order_acquire) != 0)
        model_spin();
    total++;
    atomic_store_explicit(&x, 0, memory_order_release);
}

static void spin_setup(void)
{
    reset();
    for (int i = 0; i < 3; i++)
        model_thread(spinner, NULL);
}

MODEL(spin_lock, "three spinners, finite search", spin_setup, locks_check, 3, 2)

static _Atomic(uint32_t) word;

static void sleeper(void *arg)
{
    (void)arg;
    while (atomic_load_explicit(&word, memory_order_acquire) == 0)
        model_futex_wait((const uint32_t *)&word, 0);
    model_assert(data == 42);
}

static void waker(void *arg)
{
    data = 42;
    atomic_store_explicit(&word, 1, memory_order_release);
    if (arg) model_futex_wake((const uint32_t *)&word, 1);
}

static void futex_start(void *wakes)
{
    reset();
    atomic_init(&word, 0);
    model_thread(sleeper, NULL);
    model_thread(waker, wakes);
}

static void futex_good(void)
{
    futex_start(&word);
}

static void futex_bad(void)
{
    futex_start(NULL);
}

MODEL(futex, "value checked under the futex's lock", futex_good, NULL, 3, 2)
MODEL_FAILS(futex_no_wake, "a store alone wakes nobody", futex_bad, NULL, "deadlock", 3, 0)

static void freer(void *arg)
{
    (void)arg;
    if (atomic_load_explicit(&x, memory_order_acquire) == 1) model_free(&data, sizeof data);
}

static void late_user(void *arg)
{
    (void)arg;
    atomic_store_explicit(&x, 1, memory_order_release);
    data = 1;
}

static void late_setup(void)
{
    reset();
    model_thread(late_user, NULL);
    model_thread(freer, NULL);
}

MODEL_FAILS(late_touch, "memory touched after it was freed", late_setup, NULL, "data", 3, 2)

static void timed_waiter(void *arg)
{
    (void)arg;
    seen[0] = model_block_timed(token_given, NULL, "timed wait");
}

static void token_giver(void *arg)
{
    (void)arg;
    atomic_store_explicit(&turn[0], 1, memory_order_relaxed);
}

static void timed_setup(void)
{
    reset();
    model_thread(timed_waiter, NULL);
    model_thread(token_giver, NULL);
}

static void timed_check(void)
{
    model_assert(seen[0] == 1);
}

MODEL_FAILS(timeout, "a time limit may end first", timed_setup, timed_check, "seen", 3, 0)

static void crasher(void *arg)
{
    if (atomic_load(&x) == 1) *(volatile int *)arg = 1;
}

static void crash_setup(void)
{
    reset();
    model_thread(crasher, NULL);
    model_thread(spinner, NULL);
}

MODEL_FAILS(crash, "a segmentation fault in one schedule", crash_setup, NULL, "crash", 3, 0)
