/* SPDX-License-Identifier: Apache-2.0 */
/* The model checker's interface: write a small concurrent program, have every schedule tried.
 *
 * A model is a setup function that initialises (static) state and starts 2 to 7 threads, and a
 * check that runs when they are done. Sources are compiled with -fsanitize=thread and linked with
 * tsan.c instead of the sanitizer's library, so every atomic and every plain access is seen.
 * setup and check run alone; whatever they touch is ordered before and after all threads.
 * Setup must initialise all state the model uses: it is run again for every execution. */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MODEL_THREADS_MAX = 8, /* thread 0 is setup and check */
};

/* ---- the registry -------------------------------------------------------------------------- */

typedef struct model model;
struct model {
    const char *name;
    const char *about;
    void (*setup)(void);
    void (*check)(void); /* NULL: nothing to check at the end */
    const char *fails;   /* NULL, or what must be found: a part of the failure's message */
    int bound;           /* preemptions per execution */
    int stale;           /* loads per execution that may return an older value; also the
                          * number of spurious failures of a weak compare-exchange */
    model *next;
};

void model_register(model *m);

#define MODEL_DEFINE(id, about_, setup_, check_, fails_, bound_, stale_)                           \
    static model model_def_##id = {                                                                \
        .name = #id,                                                                               \
        .about = about_,                                                                           \
        .setup = setup_,                                                                           \
        .check = check_,                                                                           \
        .fails = fails_,                                                                           \
        .bound = bound_,                                                                           \
        .stale = stale_,                                                                           \
    };                                                                                             \
    __attribute__((constructor)) static void model_register_##id(void)                             \
    {                                                                                              \
        model_register(&model_def_##id);                                                           \
    }

/* A model that must hold in every schedule. */
#define MODEL(id, about, setup, check, bound, stale)                                               \
    MODEL_DEFINE(id, about, setup, check, NULL, bound, stale)

/* A model whose planted bug must be found, with `what` in the message. */
#define MODEL_FAILS(id, about, setup, check, what, bound, stale)                                   \
    MODEL_DEFINE(id, about, setup, check, what, bound, stale)

/* ---- in setup ------------------------------------------------------------------------------ */

/* Start a thread. Returns its number, from 1. */
int model_thread(void (*fn)(void *arg), void *arg);

/* The same, but it may stay blocked for ever: an execution ends when all others have returned
 * and no daemon can go on. For workers that park. */
int model_daemon(void (*fn)(void *arg), void *arg);

/* Call hook(thread) whenever another thread goes on, also in setup and check (0). */
void model_on_switch(void (*hook)(int thread));

/* A name for an object, used in reports. */
#define model_name(object, name) model_name_bytes(object, sizeof *(object), name)
void model_name_bytes(const void *object, size_t bytes, const char *name);

/* ---- in threads ---------------------------------------------------------------------------- */

/* Number of the running thread; 0 in setup and check. */
int model_self(void);

/* Fail the execution unless `condition` holds. */
#define model_assert(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) model_fail("assert: %s (%s:%d)", #condition, __FILE__, __LINE__);        \
    } while (0)
_Noreturn void model_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One of 0..n-1; every value is tried. */
unsigned model_choose(unsigned n);

/* Wait until ready(arg) holds. It is called by the explorer, sees the latest values, and must
 * have no side effects. Orders nothing: read what you waited for by an acquire load. */
void model_block(bool (*ready)(void *arg), void *arg, const char *what);

/* The same, but may also give up at any time: false then. */
bool model_block_timed(bool (*ready)(void *arg), void *arg, const char *what);

/* For the body of a spin loop: blocks until another thread has changed some atomic, so that the
 * search stays finite. */
void model_spin(void);

/* A place where another thread may come in between. */
void model_yield(void);

/* ---- what stands in for the operating system ----------------------------------------------- */

/* FUTEX_WAIT: sleeps only if *word == expected. Orders nothing: the real one promises nothing. */
void model_futex_wait(const uint32_t *word, uint32_t expected);
/* The same with a time limit, which may end at any time. Returns false when it did. */
bool model_futex_wait_timed(const uint32_t *word, uint32_t expected);
/* Wakes at most n sleepers; returns how many. */
int model_futex_wake(const uint32_t *word, int n);

/* A lock in a word of its own, 0 when free; lock and unlock order memory. */
void model_lock(uint32_t *word);
bool model_trylock(uint32_t *word);
void model_unlock(uint32_t *word);

/* Memory is dead from here: a later access by anyone, or an earlier one by another thread that is
 * not ordered before this call, fails the execution. model_revive ends that. */
void model_free(const void *memory, size_t bytes);
void model_revive(const void *memory, size_t bytes);

/* Order without an atomic, for what a model does in place of a system call: publish releases
 * into a slot, receive acquires from it. 16 slots, empty at the start of each execution. */
void model_publish(unsigned slot);
void model_receive(unsigned slot);

/* What membarrier(2) does: each thread passes a full barrier here. */
void model_barrier_all(void);

#endif
