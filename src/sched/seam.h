/* SPDX-License-Identifier: Apache-2.0 */
/* What the hard files (wait, runq, inject, idle, wheel) need of the rest, so that each can be
 * compiled alone and linked to a model checker that plays the rest. */
#ifndef AE_SCHED_SEAM_H
#define AE_SCHED_SEAM_H

#include <stdbool.h>
#include <stdint.h>

struct ae__actor;
struct ae__wakes;

/* thread.c: give the worker up (a task), or sleep (a thread), until claimed. The wait word is
 * ARMED or CLAIMED; whoever saved the actor's registers calls ae__wait_commit. */
void ae__seam_park(struct ae__actor *self);

/* scope.c: is the innermost node of the actor (the caller) cancelled? Sequentially consistent. */
bool ae__seam_cancelled(const struct ae__actor *self);

/* wait.c, for those who park. ARMED -> PARKED; false: it was claimed before, so the caller makes it
 * ready (or just goes on, if it is the actor itself). */
/* Before: note the cancels so far, and claim for one that was there already (W4). */
void ae__wait_look(struct ae__actor *self);
bool ae__wait_commit(struct ae__actor *actor);
/* CLAIMED -> IDLE; the reason. */
uint16_t ae__wait_finish(struct ae__actor *self);

/* ready.c */
void ae__ready(struct ae__actor *actor);
void ae__ready_all(struct ae__wakes *wakes);

#endif
