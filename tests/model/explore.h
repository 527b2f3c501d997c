/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the explorer share; models include model.h only.
 *
 * search   walks the tree of choices depth first, one execution per leaf (search.c)
 * threads  the fibers of the running execution and who may go next (threads.c)
 * memory   store histories, vector clocks, races (memory.c)
 * tsan     the compiler's entry points, which call memory (tsan.c) */
#ifndef MODEL_EXPLORE_H
#define MODEL_EXPLORE_H

#include "model.h"

/* ---- search.c: choices --------------------------------------------------------------------- */

enum model__mode {
    MODE_SEARCH, /* depth first, bounded */
    MODE_RANDOM, /* choices at random, no bound */
    MODE_REPLAY, /* choices given */
};

struct model__limits {
    enum model__mode mode;
    int bound;
    int stale;
    uint64_t executions_max;
    double seconds_max;
    uint64_t seed;
    const char *replay;
    bool quiet;
    bool full;   /* no choice is left out */
    bool deepen; /* with growing bounds, until time is over or there is no more to see */
};

struct model__result {
    bool failed;
    bool exhaustive;
    bool complete;      /* no bound kept anything from being seen */
    int searched_bound; /* the last bounds searched, or those that were seen exhaustively */
    int searched_stale;
    char message[512];
    char schedule[16384]; /* the failing choices, as --replay takes them */
    int bound;            /* the preemption bound at which it failed */
    unsigned threads;
    unsigned depth; /* most choices in one execution */
    uint64_t executions;
    uint64_t redundant; /* begun, and left when they turned out to be like others */
    uint64_t discarded; /* before something was learned that made the search begin anew */
    uint64_t steps;
    double seconds;
};

void model__search(const model *m, const struct model__limits *l, struct model__result *r);

/* Take one of n alternatives; 0 is the plain one. */
unsigned model__choose(unsigned n);

/* Take one of the n threads that are left of `of`: raw[i] is the place of the i-th among all, which
 * is what a schedule that is printed names. */
unsigned model__choose_thread(const uint8_t *raw, unsigned n, unsigned of, bool rare);

/* The same where all but 0 are improbable in random mode (a preemption, a stale value). */
unsigned model__choose_rare(unsigned n);

/* Preemptions and stale loads left in this execution. */
extern int model__preemptions_left;
extern int model__stale_left;

/* Something was not tried for want of these. */
extern bool model__preemptions_hit;
extern bool model__stale_hit;

/* True while choices that can change nothing are left out (threads.c, P1 to P3). */
extern bool model__pruning;
extern bool model__learning; /* known.c may grow */
extern bool model__exact; /* not at random: also P2 */

/* True while a failing schedule is run once more, to be written down as it is without pruning. */
extern bool model__recording;

/* Something was learned of what threads share: the search begins anew with it. */
extern bool model__learned;

/* Leave an execution whose like has been seen. */
_Noreturn void model__redundant(void);

/* True while the failing schedule is run once more to be shown. */
extern bool model__tracing;
void model__trace(const void *pc, const void *address, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- threads.c: scheduling ----------------------------------------------------------------- */

/* True inside a model thread; false in setup, check and the explorer itself. */
extern bool model__running;
extern int model__self;

void model__threads_reset(void);
unsigned model__threads_count(void);

/* Run the threads until all are done; returns in the explorer's own context. */
void model__threads_run(void);

/* Call before each visible operation: another thread may be scheduled here. With an address: the
 * operation reads, or writes, what is there and nothing else that others can see. */
void model__point(void);
void model__point_at(const void *address, bool write);

/* The operation that the running thread's plain accesses now belong to writes what somebody's
 * condition reads. */
void model__segment_is_hot(void);

/* A condition that is asked reads this. */
extern bool model__asking;
void model__asked(const void *address);

/* Some atomic got another value: threads that spin may look again. */
void model__changed(void);

/* The running thread read a value that is not the latest one. */
void model__read_stale(void);

/* The stacks of all threads, and whether an address in them lies below what its thread uses now: a
 * frame that has returned. */
extern uintptr_t model__stacks;
extern size_t model__stacks_bytes;
bool model__is_dead_stack(uintptr_t address);

/* Leave the execution for good: back into the explorer. */
_Noreturn void model__abandon(void);

/* Visible operations so far in this process; for the watchdog. */
extern uint64_t model__steps;

/* ---- known.c: what threads share, over all executions of a search -------------------------- */

struct model__known { /* eight aligned bytes */
    uintptr_t key;
    uint8_t readers, writers; /* threads that ever did so atomically, as bits */
    bool hot;                 /* what follows such an operation is seen by somebody's condition */
};

void model__known_reset(void);
struct model__known *model__known_at(const void *address);

/* Plain memory that conditions read, and whether a write touches it. */
void model__known_condition(const void *address);
bool model__known_in_condition(const void *address, unsigned size);

/* ---- memory.c ------------------------------------------------------------------------------ */

/* Values of the compilers' morder argument. */
enum model__order {
    ORDER_RELAXED,
    ORDER_CONSUME,
    ORDER_ACQUIRE,
    ORDER_RELEASE,
    ORDER_ACQ_REL,
    ORDER_SEQ_CST,
};

enum model__rmw {
    RMW_EXCHANGE,
    RMW_ADD,
    RMW_SUB,
    RMW_AND,
    RMW_OR,
    RMW_XOR,
    RMW_NAND,
};

struct model__at { /* one access: where, how wide, from where in the code */
    void *address;
    unsigned size;
    const void *pc;
};

void model__memory_reset(void);
void model__memory_start(int child); /* what setup did is before the child */

uint64_t model__load(struct model__at at, int order);
void model__store(struct model__at at, uint64_t value, int order);
uint64_t model__rmw(struct model__at at, enum model__rmw op, uint64_t operand, int order);
bool model__cas(struct model__at at, uint64_t *expected, uint64_t desired, bool weak, int success,
                int failure);
void model__fence(int order);
void model__plain(struct model__at at, bool write);

/* A read-modify-write that is no scheduling point and leaves no trace; for locks. */
void model__swap(uint32_t *word, uint32_t value, int order);

/* The name given to an address, or its number. The text lives until the next call but three. */
const char *model__name_of(const void *address);
void model__names_reset(void);

#endif
