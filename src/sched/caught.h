/* SPDX-License-Identifier: Apache-2.0 */
/* Where a task is that does not come back. See caught.c. */
#ifndef AE_SCHED_CAUGHT_H
#define AE_SCHED_CAUGHT_H

#include <stddef.h>
#include <stdint.h>

struct ae__watch;
struct ae__worker;

/* Where the watched slice is, and its return addresses, innermost first: how many, at most `max`.
 * 0: it was not to be caught this time. The monitor's thread. */
size_t ae__caught_at(struct ae__worker *w, const struct ae__watch *watch, uintptr_t *pcs,
                     size_t max);

#endif
