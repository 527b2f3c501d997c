/* SPDX-License-Identifier: Apache-2.0 */
/* Who sleeps, who searches, whom to wake.
 *
 *   state  uint32: [ parked : 16 | searching : 16 ]
 *
 * I1  state changes by read-modify-writes; with the list of sleepers, under the lock. A worker is
 *     in the list exactly while it is parked and nobody has chosen it. Sequentially consistent are
 *     the change by which a worker goes to sleep and the load by which a producer looks: the two
 *     that must not both miss. What begins or ends a search is relaxed: who searches sleeps later.
 * I2  A producer publishes work, then reads state (RMW or after an RMW on the queue). If a worker
 *     searches, or none sleeps, it wakes nobody: the searcher will find the work, or re-scans after
 *     it was the last one to give up (I3). Else it chooses exactly one sleeper, which counts as
 *     searching from that moment on, so that a burst wakes one at a time.
 * I3  The last searcher to park first leaves the searching count, then re-scans every queue, and
 *     wakes somebody if it finds work. Producer and last searcher cannot both miss (the Dekker
 *     pair: publish/state against state/queues).
 * I4  At most half of the workers search. */
#ifndef AE_SCHED_IDLE_H
#define AE_SCHED_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "task/lock.h"

#define AE__WORKERS_MAX 1024u

struct ae__idle {
    AE_CACHE_ALIGNED _Atomic(uint32_t) state;
    uint32_t workers;
    struct ae__lock lock;
    uint32_t sleeping;
    uint16_t *sleepers; /* indices; the last to park is the first to be woken: its cache is warm */
};

/* `sleepers` has room for `workers`. All start unparked. */
void ae__idle_init(struct ae__idle *idle, uint32_t workers, uint16_t *sleepers);

/* I2: the worker to wake, or -1. It is counted as unparked and searching already. */
int ae__idle_notify(struct ae__idle *idle);

/* I4: may the caller search? Then it counts as searching. */
bool ae__idle_begin_search(struct ae__idle *idle);
/* The caller found work. True: it was the last searcher (and should wake another). */
bool ae__idle_end_search(struct ae__idle *idle);

/* The caller goes to sleep. True: it was the last searcher and must re-scan (I3). */
bool ae__idle_park(struct ae__idle *idle, uint32_t index, bool searching);

/* The caller woke up. True: it had been chosen by ae__idle_notify, so it counts as searching;
 * false: it woke by itself. */
bool ae__idle_unpark(struct ae__idle *idle, uint32_t index);

uint32_t ae__idle_parked(struct ae__idle *idle); /* about; an acquire */
/* Are all of them asleep? A read-modify-write of state, release: who unparks later, and then asks
 * ae__idle_parked, sees what the caller wrote before. */
bool ae__idle_all_parked(struct ae__idle *idle);

#endif
