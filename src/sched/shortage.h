/* SPDX-License-Identifier: Apache-2.0 */
/* Starts that found no stack wait for one. The invariants K1..K4 are in shortage.c. */
#ifndef AE_SCHED_SHORTAGE_H
#define AE_SCHED_SHORTAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sched/wait.h"
#include "task/stack.h"

struct ae_runtime;
struct ae__task;
struct ae__worker;

struct ae__shortage {
    struct ae__lock lock;                       /* guards what follows */
    struct ae__wakes queues[AE__STACK_CLASSES]; /* tasks that were not started yet, in order */
    _Atomic(uint32_t) waiting;                  /* how many; written under the lock */
    int64_t told_ns;                            /* when the log said so last; 0: never */
    int64_t patience_ns;                        /* how long nothing may move; tests shorten it */
    uint64_t slices;                            /* begun by all workers, when that changed last */
    int64_t still_ns;                           /* when that was */
    uint32_t strikes;                           /* how often all was found stuck since */
};

void ae__shortage_init(struct ae__shortage *shortage);

/* The task, in no queue, found no stack: it is made ready when there is one, maybe at once. */
void ae__shortage_wait(struct ae_runtime *rt, struct ae__task *task);

/* Give those who wait what there is, the calling worker's cache included. */
void ae__shortage_serve(struct ae__worker *w);

/* The same, from the native context; tells the log, and aborts when no task can run any more. */
void ae__shortage_look(struct ae__worker *w);

/* Does anybody wait? Sequentially consistent (K3). */
bool ae__shortage_any(struct ae_runtime *rt);
/* The worker's cache holds stacks. */
bool ae__shortage_holds(const struct ae__worker *w);
/* Until when a worker may sleep while somebody waits: memory may come back from elsewhere. */
int64_t ae__shortage_sleep(int64_t deadline_ns);

#endif
