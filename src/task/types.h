/* SPDX-License-Identifier: Apache-2.0 */
/* The cast of characters.
 *
 * actor   who can wait: a task or a plain thread. Holds the wait word (sched/wait.h).
 * task    one control block: an actor with a function, and a stack from its first run on. Owned by
 *         exactly one place at a time: a run queue, a wait, a driver (deferred), or the worker
 *         running it. Control blocks are type-stable: never unmapped before the runtime ends, so a
 *         late claim on one that was reused fails by its sequence number and harms nothing.
 * thread  one OS thread: a worker's, or a plain one that called in.
 * node    a place in the tree of cancellation: scope, shield, task, thread, root.
 * scope   a node that owns children. */
#ifndef AE_TASK_TYPES_H
#define AE_TASK_TYPES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "aether/run.h"
#include "aether/task.h"
#include "base/compiler.h"
#include "base/list.h"
#include "task/lock.h"

struct ae_runtime;
struct ae__worker;
struct ae__fd;
struct ae__node;
struct ae__stack;
struct ae__wheel;
struct ae__locals;
struct ae__san;

enum ae__actor_kind { AE__ACTOR_TASK = 1, AE__ACTOR_THREAD = 2 };

/* What an actor waits for; names in task/names.c, shown by dumps and gdb. */
enum ae__wait_kind {
    AE__WAIT_NONE,
    AE__WAIT_JOIN,
    AE__WAIT_SCOPE,
    AE__WAIT_SLEEP,
    AE__WAIT_READ,
    AE__WAIT_WRITE,
    AE__WAIT_ACCEPT,
    AE__WAIT_CONNECT,
    AE__WAIT_FD,
    AE__WAIT_MUTEX,
    AE__WAIT_SEM,
    AE__WAIT_EVENT,
    AE__WAIT_GROUP,
    AE__WAIT_SEND,
    AE__WAIT_RECV,
    AE__WAIT_SELECT,
    AE__WAIT_BLOCKING,
    AE__WAIT_STACK,
    AE__WAIT_KINDS,
};

struct ae__actor {
    struct ae__actor *next;     /* in the one queue or wake list that owns it */
    _Atomic(uint64_t) wait;     /* the wait word: see sched/wait.h */
    struct ae__node *node;      /* innermost open scope or shield, else the own base node */
    const void *wait_object;    /* what it waits on, for people */
    uint8_t kind;               /* enum ae__actor_kind */
    uint8_t wait_kind;          /* enum ae__wait_kind */
    uint16_t pins;              /* > 0: stays on its worker */
    uint32_t last_worker;       /* slot that ran it last */
    _Atomic(uint32_t) cancels;  /* how often a cancel looked at it (W4) */
    uint32_t cancels_seen;      /* by the wait at hand; the actor's, then its commit's */
};

enum ae__node_kind {
    AE__NODE_TASK = 1, /* base of a task; tasks spawned inside belong to the scope above */
    AE__NODE_JOB,      /* base of a task that runs on the blocking pool */
    AE__NODE_THREAD,   /* base of a plain thread */
    AE__NODE_SCOPE,
    AE__NODE_SHIELD,
    AE__NODE_ROOT,
};

enum ae__cancel_bits {
    AE__CANCELLED = 1,       /* the only bit that is inherited */
    AE__CANCEL_OWN = 2,      /* by ae_scope_cancel on this very scope */
    AE__CANCEL_DEADLINE = 4, /* by this scope's own deadline */
};

struct ae__node {
    struct ae__lock lock;            /* guards inner, children, live; taken parent before child */
    _Atomic(uint32_t) cancelled;     /* enum ae__cancel_bits; set under lock, read by anyone */
    uint8_t kind;
    struct ae__node *parent;
    struct ae__node *inner;          /* scope opened by the same owner inside this node */
    struct ae__list sibling;         /* in the parent's children (tasks, and scopes of block_on) */
};

struct ae__waiter;
struct ae__waitq { /* FIFO of waiting frames, see sched/wait.h; zero-valid */
    struct ae__waiter *head, *tail;
};

/* A timer: in the wheel that it was armed on until it fires or is disarmed. */
struct ae__wakes;
struct ae__timer {
    struct ae__timer *next, **link;  /* guarded by the wheel's lock; link NULL = not in it */
    int64_t when_ns;
    struct ae__wheel *wheel;
    void (*fire)(struct ae__timer *timer, struct ae__wakes *wakes); /* under the wheel's lock */
};

/* Behind ae_scope and ae_shield, and the runtime's root. */
struct ae__scope {
    struct ae__node node;
    struct ae_runtime *rt;          /* NULL: a plain thread's scope that belongs to none */
    struct ae__actor *owner;
    struct ae__list children;
    uint32_t live;                   /* children without a handle that have not returned */
    uint32_t waiter_seq;             /* of  */
    struct ae__actor *waiter;        /* the owner, waiting for live == 0 */
    int64_t deadline_ns;             /* AE_FOREVER: none */
    int32_t cause;                   /* of AE__CANCEL_OWN */
    bool timer_armed;                /* owner only */
    struct ae__timer timer;
};

enum ae__task_state {
    AE__TASK_FREE,
    AE__TASK_DEFERRED, /* waits without a stack */
    AE__TASK_READY,    /* in a run queue (also before its first run) */
    AE__TASK_RUNNING,
    AE__TASK_PARKED,
    AE__TASK_BLOCKING, /* a job of the blocking pool */
    AE__TASK_DONE,     /* returned; kept for its handle */
};

enum ae__task_flags {
    AE__TASK_LOCALS = 1,    /* locals were set */
    AE__TASK_SETTLE = 2,    /* was deferred: unlink timer and fd before fn runs */
    AE__TASK_LEFT = 8,      /* it suspended while somebody waited in ae__slice_call */
    AE__TASK_CANCELLED = 4, /* had been cancelled when it returned; final once DONE */
};

/* How a task ends while others hold on to it. The invariants L1..L4 are in sched/spawn.c. */
enum ae__task_life {
    AE__LIFE_DONE = 1,    /* it returned: status and flags are final */
    AE__LIFE_HANDLE = 2,  /* a handle exists; else the scope counts it as live */
    AE__LIFE_WATCHED = 4, /* somebody was or is in `watchers` */
    AE__LIFE_NAMED = 8,   /* its id was given out: an ae_cancel_id may come */
};

struct ae__task {
    struct ae__actor actor;
    struct ae__node node;
    void *sp;                  /* saved stack pointer while not running; of a pool job: its thread's
                                * actor (struct ae__actor *) */
    struct ae__stack *stack;   /* NULL before the first run */
    ae_fn *fn;
    void *arg;
    struct ae_runtime *rt;
    struct ae__waitq watchers; /* joiners and selects; guarded by the parent scope's lock */
    int32_t status;            /* what fn returned; final once DONE */
    uint32_t index;            /* in the slab */
    _Atomic(uint32_t) generation; /* low 8 bits also in the handle; relaxed */
    _Atomic(uint8_t) state;    /* enum ae__task_state */
    _Atomic(uint8_t) life;     /* enum ae__task_life */
    uint8_t flags;             /* enum ae__task_flags; the running task's */
    uint8_t stack_class : 6;
    uint8_t priority : 2;      /* a seat */
    int32_t started_by;        /* see ae_started_by */
    const char *name;
    void *spawn_site;          /* return address of the spawning call */
    struct ae__locals *locals;
    struct ae__timer timer;    /* of a sleep or a deferred start */
    struct ae__fd *fd;         /* of a deferred start */
    unsigned fd_events;
};

/* One OS thread. A worker's record lives in the worker. */
struct ae__thread {
    struct ae__actor actor;        /* of the thread itself, when no task runs on it */
    struct ae__node node;          /* its base */
    struct ae__task *current;      /* the task that runs here, or NULL */
    struct ae__worker *worker;     /* NULL: a plain thread */
    struct ae_runtime *rt;        /* worker or pool thread; else NULL */
    struct ae__pool *pool;         /* a pool thread's lane; else NULL */
    _Atomic(uint32_t) token;       /* futex: 1 = a wake is there */
    int *errno_at;                 /* this thread's errno */
    struct ae__san *left;          /* the context that was switched away from last */
    struct ae__timer *timers;      /* armed by a plain thread for itself; it fires them itself */
    void *fault_stack;             /* the alternate signal stack that we made for it, or NULL */
};

static inline uint32_t ae__task_generation(const struct ae__task *task)
{
    return atomic_load_explicit(&task->generation, memory_order_relaxed);
}

static inline uint64_t ae__task_id(struct ae__task *task)
{
    return (uint64_t)ae__task_generation(task) << 32 | task->index;
}

static inline bool ae__task_is_done(struct ae__task *task)
{
    /* acquire pairs with the end in sched/spawn.c (L1) */
    return atomic_load_explicit(&task->life, memory_order_acquire) & AE__LIFE_DONE;
}

#define AE__TASK_BYTES 256
_Static_assert(sizeof(struct ae__task) <= AE__TASK_BYTES, "a control block is four cache lines");
_Static_assert(sizeof(struct ae__scope) <= sizeof(ae_scope), "grow ae_scope");
_Static_assert(sizeof(struct ae__scope) <= sizeof(ae_shield), "grow ae_shield");

static inline struct ae__task *ae__task_of(struct ae__actor *actor)
{
    return AE_CONTAINER_OF(actor, struct ae__task, actor);
}

/* The three cache lines of a control block that a start or an end touches. A hint: any address. */
static inline void ae__prefetch_task(const void *task)
{
    uintptr_t at = (uintptr_t)task;

    __builtin_prefetch((const void *)at, 1);
    __builtin_prefetch((const void *)(at + 64), 1);
    __builtin_prefetch((const void *)(at + 128), 1);
}

static inline struct ae__thread *ae__thread_of(struct ae__actor *actor)
{
    return AE_CONTAINER_OF(actor, struct ae__thread, actor);
}

static inline struct ae__scope *ae__scope_of(struct ae__node *node)
{
    return AE_CONTAINER_OF(node, struct ae__scope, node);
}

#endif
