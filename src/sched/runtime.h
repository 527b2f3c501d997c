/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the scheduler: the life of a runtime. */
#ifndef AE_SCHED_RUNTIME_H
#define AE_SCHED_RUNTIME_H

#include "sched/types.h"
#include "sched/worker.h"

/* shutdown.c: what ae_runtime_create had made so far, and all of it at the end. No task is left. */
void ae__runtime_free(struct ae_runtime *rt);

/* The slots from `from` on go; they have no thread. */
void ae__runtime_drop_spares(struct ae_runtime *rt, uint32_t from);

/* runtime.c */
/* Of a current-thread runtime. try: become its driver, if there is none; leave: be it no more. */
bool ae__drive_try(struct ae_runtime *rt);
/* The driver, a plain thread, is the worker's from begin (its record before) to end. */
struct ae__thread *ae__drive_begin(struct ae__worker *w);
void ae__drive_end(struct ae__worker *w, struct ae__thread *before);
void ae__drive_leave(struct ae_runtime *rt);
bool ae__drive_callers(struct ae_runtime *rt); /* is a thread in ae_block_on? */
uint64_t ae__tasks_live(struct ae_runtime *rt);
/* If a signal asked for the end: cancel the root. If starts wait for a stack: see to it. */
void ae__runtime_signalled(struct ae_runtime *rt);

#endif
