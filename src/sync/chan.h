/* SPDX-License-Identifier: Apache-2.0 */
/* What chan.c and select.c share: the channel, and its two operations without waiting. */
#ifndef AE_SYNC_CHAN_H
#define AE_SYNC_CHAN_H

#include "aether/chan.h"
#include "sched/sched.h"

struct ae_chan {
    /* set at creation */
    size_t item_bytes, capacity;

    struct ae__lock lock; /* guards all below but fair */
    bool closed;
    size_t first, length; /* of what is buffered, in items */
    struct ae__waitq senders, receivers;

    _Atomic(uint64_t) fair; /* random state for selects; a lost update does no harm */
    unsigned char items[];
};

enum { AE__CHAN_CLOSED = 1 }; /* in a waiter's amount: it was let go by close */

/* Under the channel's lock. 0, -EPIPE, or -EAGAIN: it has to wait. `self` is never matched with a
 * waiter of its own (a select may both send and receive on one channel). */
int ae__chan_send_now(struct ae_chan *chan, const struct ae__actor *self, const void *item,
                      struct ae__wakes *wakes);
int ae__chan_recv_now(struct ae_chan *chan, const struct ae__actor *self, void *item,
                      struct ae__wakes *wakes);

#endif
