/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks that hold their worker for long: counted per spawn site, reported once each. See stall.c.
 */
#ifndef AE_SCHED_STALL_H
#define AE_SCHED_STALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define AE__SITES_MAX 256   /* spawn sites that are told apart; the rest goes to one more */
#define AE__SITE_NAME 32
#define AE__SLOW_BUCKETS 6  /* from the counted threshold on, each ten times the last */

struct ae_runtime;
struct ae__task;
struct ae__watch;
struct ae__worker;

/* Written by the monitor; read by anyone, relaxed. `name` is final before `spawn_site`, which is
 * published by release; NULL: the entry is free. */
struct ae__site {
    _Atomic(uintptr_t) spawn_site;
    char name[AE__SITE_NAME];
    _Atomic(uint64_t) stalls;     /* slices that were seen to last */
    _Atomic(uint64_t) total_ns;
    _Atomic(int64_t) longest_ns;
    bool logged;                  /* the monitor's */
};

struct ae__stalls {
    struct ae__site sites[AE__SITES_MAX + 1]; /* the last: all others */
    _Atomic(uint64_t) slow[AE__SLOW_BUCKETS];
    _Atomic(uint64_t) reports;
};

/* Whose slice it is: read from a control block that may be used again any time. */
struct ae__culprit {
    uint32_t index;
    uintptr_t spawn_site;
    uintptr_t fn;
    uintptr_t stack_low, stack_top; /* 0: not known */
    char name[AE__SITE_NAME];
};

/* True: it was still in that slice when all was read. */
bool ae__stall_whose(struct ae__worker *w, const struct ae__watch *watch,
                     struct ae__culprit *out);

/* A slice of more than the counted threshold has ended after about ran_ns. */
void ae__stall_count(struct ae_runtime *rt, const struct ae__culprit *who, int64_t ran_ns);

/* Say in the log who has held the worker for so long, once a site; AE_STALL_ABORT: and stop. False:
 * it was not to be caught; try again at the next look. */
bool ae__stall_report(struct ae_runtime *rt, struct ae__worker *w, struct ae__watch *watch);

#endif
