/* SPDX-License-Identifier: Apache-2.0 */
/* A stack overflow is reported by the name of its task. */
#ifndef AE_SCHED_OVERFLOW_H
#define AE_SCHED_OVERFLOW_H

void ae__overflow_watch(void); /* idempotent */

#endif
