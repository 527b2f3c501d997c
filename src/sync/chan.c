/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded channels. A ring of items, a queue of senders, a queue of receivers, one lock.
 *
 * Values are handed over: a sender that finds a receiver waiting copies the item into the
 * receiver's memory; a receiver that makes room moves the first waiting sender's item into the
 * ring. So the woken one has nothing left to do, order is that of arrival, and with capacity 0 the
 * ring is never used. An item moves only after the claim on its receiver (or sender) was won: a
 * cancel that came first leaves it where it was, one that comes later finds it delivered.
 *
 * Of waiters that can still be claimed, and leaving out pairs of one select with itself:
 * C1  a receiver waits only while the ring is empty and no sender waits;
 * C2  a sender waits only while the ring is full and no receiver waits;
 * C3  after close nobody waits. */
#include "sync/chan.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

ae_chan *ae_chan_create(size_t item_bytes, size_t capacity)
{
    size_t room = SIZE_MAX / 2 - sizeof(struct ae_chan);

    if (item_bytes > 0 && capacity > room / item_bytes) return NULL;
    struct ae_chan *chan = ae__mem_alloc(sizeof *chan + item_bytes * capacity);
    if (!chan) return NULL;
    *chan = (struct ae_chan){ .item_bytes = item_bytes, .capacity = capacity };
    atomic_init(&chan->fair, UINT64_C(0x9E3779B97F4A7C15)); /* any odd number */
    return chan;
}

void ae_chan_destroy(ae_chan *chan)
{
    if (!chan) return;
    ae__lock_acquire(&chan->lock);
    AE_ASSERT(ae__waitq_is_empty(&chan->senders));
    AE_ASSERT(ae__waitq_is_empty(&chan->receivers));
    ae__lock_release(&chan->lock);
    ae__mem_free(chan);
}

/* ---- the ring; under the lock ---- */

static void copy_item(void *to, const void *from, size_t bytes)
{
    if (AE_LIKELY(bytes == sizeof(uint64_t))) {
        memcpy(to, from, sizeof(uint64_t)); /* a size known here is one load and one store */
    } else if (bytes > 0) {
        memcpy(to, from, bytes);
    }
}

static void push_item(struct ae_chan *chan, const void *item)
{
    AE_ASSERT(chan->length < chan->capacity);
    size_t at = chan->first + chan->length;
    if (at >= chan->capacity) at -= chan->capacity;
    copy_item(chan->items + at * chan->item_bytes, item, chan->item_bytes);
    chan->length++;
}

static void pop_item(struct ae_chan *chan, void *item)
{
    AE_ASSERT(chan->length > 0);
    copy_item(item, chan->items + chan->first * chan->item_bytes, chan->item_bytes);
    if (++chan->first == chan->capacity) chan->first = 0;
    chan->length--;
}

int ae__chan_send_now(struct ae_chan *chan, const struct ae__actor *self, const void *item,
                      struct ae__wakes *wakes)
{
    struct ae__waiter *receiver = NULL;

    if (AE_UNLIKELY(chan->closed)) return -EPIPE;
    if (chan->receivers.head) receiver = ae__waitq_claim(&chan->receivers, self, wakes);
    if (receiver) {
        AE_ASSERT(chan->length == 0); /* C1 */
        copy_item(receiver->item, item, chan->item_bytes);
        return 0;
    }
    if (chan->length == chan->capacity) return -EAGAIN;
    push_item(chan, item);
    return 0;
}

int ae__chan_recv_now(struct ae_chan *chan, const struct ae__actor *self, void *item,
                      struct ae__wakes *wakes)
{
    struct ae__waiter *sender = NULL;
    bool buffered = chan->length > 0;

    if (buffered) pop_item(chan, item);
    if (chan->senders.head) sender = ae__waitq_claim(&chan->senders, self, wakes);
    if (sender && buffered) {
        push_item(chan, sender->item); /* behind the others: C2 says that the ring was full */
    } else if (sender) {
        AE_ASSERT(chan->capacity == 0); /* C2 */
        copy_item(item, sender->item, chan->item_bytes);
    }
    if (buffered || sender) return 0;
    return chan->closed ? -EPIPE : -EAGAIN;
}

/* ---- waiting ---- */

/* Entered with the lock held, which it releases. The waiter's frame is this one; the item's memory
 * is the caller's, who cannot return before. */
AE_NOINLINE static int wait_partner(struct ae_chan *chan, struct ae__waitq *queue,
                                    enum ae__wait_kind kind, struct ae__actor *self, void *item)
{
    struct ae__waiter waiter;

    AE_ASSERT(!chan->closed); /* C3 */
    ae__waiter_init(&waiter, self, ae__wait_begin(self, true, kind, chan), AE__REASON_DONE);
    waiter.item = item;
    ae__waitq_push(queue, &waiter);
    ae__lock_release(&chan->lock);
    uint16_t reason = ae__wait_park(self);
    ae__waitq_settle(&chan->lock, queue, &waiter);
    if (reason != AE__REASON_DONE) return -ECANCELED;
    return waiter.amount == AE__CHAN_CLOSED ? -EPIPE : 0;
}

int ae_send(ae_chan *chan, const void *item)
{
    struct ae__actor *self = ae__actor_self();
    struct ae__wakes wakes;

    if (ae__actor_cancelled(self)) return -ECANCELED;
    ae__wakes_init(&wakes);
    ae__lock_acquire(&chan->lock);
    int rc = ae__chan_send_now(chan, self, item, &wakes);
    if (rc == -EAGAIN) {
        return wait_partner(chan, &chan->senders, AE__WAIT_SEND, self, (void *)item);
    }
    ae__lock_release(&chan->lock);
    if (wakes.head) ae__ready_all(&wakes);
    ae__charge();
    return rc;
}

int ae_recv(ae_chan *chan, void *item)
{
    struct ae__actor *self = ae__actor_self();
    struct ae__wakes wakes;

    if (ae__actor_cancelled(self)) return -ECANCELED;
    ae__wakes_init(&wakes);
    ae__lock_acquire(&chan->lock);
    int rc = ae__chan_recv_now(chan, self, item, &wakes);
    if (rc == -EAGAIN) return wait_partner(chan, &chan->receivers, AE__WAIT_RECV, self, item);
    ae__lock_release(&chan->lock);
    if (wakes.head) ae__ready_all(&wakes);
    ae__charge();
    return rc;
}

int ae_try_send(ae_chan *chan, const void *item)
{
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&chan->lock);
    int rc = ae__chan_send_now(chan, NULL, item, &wakes);
    ae__lock_release(&chan->lock);
    if (wakes.head) ae__ready_all(&wakes);
    return rc;
}

int ae_try_recv(ae_chan *chan, void *item)
{
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&chan->lock);
    int rc = ae__chan_recv_now(chan, NULL, item, &wakes);
    ae__lock_release(&chan->lock);
    if (wakes.head) ae__ready_all(&wakes);
    return rc;
}

/* ---- closing, looking ---- */

void ae_chan_close(ae_chan *chan)
{
    struct ae__waiter *waiter;
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&chan->lock);
    chan->closed = true;
    while ((waiter = ae__waitq_claim(&chan->senders, NULL, &wakes)) != NULL) {
        waiter->amount = AE__CHAN_CLOSED;
    }
    while ((waiter = ae__waitq_claim(&chan->receivers, NULL, &wakes)) != NULL) {
        waiter->amount = AE__CHAN_CLOSED;
    }
    ae__lock_release(&chan->lock);
    if (wakes.head) ae__ready_all(&wakes);
}

size_t ae_chan_length(ae_chan *chan)
{
    ae__lock_acquire(&chan->lock);
    size_t length = chan->length;
    ae__lock_release(&chan->lock);
    return length;
}

size_t ae_chan_capacity(ae_chan *chan)
{
    return chan->capacity;
}
