/* SPDX-License-Identifier: Apache-2.0 */
/* One run of one scenario with at most one kind of fault: what the runner asks of the process that
 * it forks for it, and what that process tells back. It lies in memory that both share. */
#ifndef AE_TESTS_FAULT_RUN_H
#define AE_TESTS_FAULT_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "calls.h"

enum { TALKS_MAX = 24, TALK_BYTES_MAX = 96 * 1024, NOTE_BYTES = 512 };

#define FAULT_FOR_EVER 1000000000L /* as repeat */

enum fault_loop {
    LOOP_NONE,   /* the run that the others are compared with */
    LOOP_ALLOC,  /* the k-th allocation fails */
    LOOP_CALL,   /* the k-th system call of one kind fails in one way */
    LOOP_CANCEL, /* at the k-th suspension that may be cancelled, somebody cancels */
};

enum cancel_how {
    CANCEL_AWAKE,  /* the task, just before it goes to sleep */
    CANCEL_ASLEEP, /* the task, as soon as it sleeps */
    CANCEL_ROOT,   /* everything, by SIGTERM */
    CANCEL_HOWS,
};

/* What a client got for one of its requests. */
struct talk {
    size_t size;
    char bytes[TALK_BYTES_MAX];
};

/* Which points fail, and how. */
struct plan {
    enum fault_loop loop;
    enum fault_call call;
    struct fault fault;
    enum cancel_how how;
    long k, repeat; /* points k .. k + repeat - 1 */
};

struct run {
    /* set by the runner */
    struct plan plan;
    int patience_ms;             /* of a client, for one answer */
    int probe_ms;                /* and when nothing fails any more */
    const struct talk *expected; /* TALKS_MAX of them; NULL: this run makes them */

    /* by the process */
    atomic_bool armed;
    atomic_long seen, injected;
    atomic_long counts[CALL_COUNT]; /* while armed */
    atomic_long allocations, suspensions, live, maps;
    atomic_int port; /* of the first listener on TCP; 0: none yet */
    atomic_bool told_to_end, ended;
    int status; /* that main returned */
    int fds_left;
    bool finished; /* the process came to its own end */
    atomic_bool wrong;
    char note[NOTE_BYTES]; /* of the first thing that was wrong */
    int talks;
    struct talk got[TALKS_MAX];
};

extern struct run *run; /* this process's */

/* Is the calling thread one whose calls may fail now? The client's never do. */
bool fault_armed(void);
/* Count one point of the kind that this run is about; true: fail here. */
bool fault_hit(void);
/* The fault for this call, or NULL. */
const struct fault *fault_take(enum fault_call call);

/* Something that no fault may cause. The first one is kept. */
void fault_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Must everything be as without a fault? */
static inline bool fault_is_hidden(const struct plan *plan)
{
    return plan->loop == LOOP_CALL && plan->fault.hidden;
}

/* SIGTERM to this process, once: a second one would kill it. */
void fault_end_program(void);

#endif
