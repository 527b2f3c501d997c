/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded channels of fixed-size values, and select over channels, time, tasks and descriptors. */
#ifndef AETHER_CHAN_H
#define AETHER_CHAN_H

#include <aether/defs.h>
#include <aether/task.h>

AE_EXTERN_C_BEGIN

typedef struct ae_chan ae_chan;

/* Items are copied in and out. capacity 0: a sender meets a receiver. NULL: no memory.
 * Any number of senders and receivers. Colour: any thread. */
AE_API ae_chan *ae_chan_create(size_t item_bytes, size_t capacity) AE_MUST_CHECK;
/* Nobody may use or wait on it any more (asserted for waiters). Accepts NULL. */
AE_API void ae_chan_destroy(ae_chan *chan);

/* Sending fails with -EPIPE from now on; receivers get what is buffered, then -EPIPE. Idempotent.
 * Colour: any thread. */
AE_API void ae_chan_close(ae_chan *chan);

/* 0; -EPIPE: closed; -ECANCELED: nothing was sent or taken. Colour: any thread, may block. */
AE_API int ae_send(ae_chan *chan, const void *item) AE_MUST_CHECK;
AE_API int ae_recv(ae_chan *chan, void *item) AE_MUST_CHECK;

/* The same without waiting: -EAGAIN. Not cancellable. Colour: any thread. */
AE_API int ae_try_send(ae_chan *chan, const void *item) AE_MUST_CHECK;
AE_API int ae_try_recv(ae_chan *chan, void *item) AE_MUST_CHECK;

AE_API size_t ae_chan_length(ae_chan *chan);   /* buffered now. Colour: any thread */
AE_API size_t ae_chan_capacity(ae_chan *chan);

enum ae_case_op {
    AE_CASE_NONE,  /* never chosen */
    AE_CASE_SEND,  /* chan, item */
    AE_CASE_RECV,  /* chan, item */
    AE_CASE_TIMER, /* when_ns */
    AE_CASE_TASK,  /* task: it has returned (the handle is not consumed) */
    AE_CASE_FD,    /* fd, events: as ae_fd_wait; only inside a task */
};

typedef struct ae_case {
    enum ae_case_op op;
    int rc;             /* out, of the chosen case: 0 or -EPIPE; events for AE_CASE_FD */
    ae_chan *chan;
    void *item;         /* sent from or received into */
    int64_t when_ns;
    ae_task *task;
    int fd;
    unsigned events;
    void *opaque[12];   /* the library's while it waits */
} ae_case;

/* Wait until one case can proceed, do exactly that one, return its index (-ECANCELED: none was
 * done). select is fair among ready cases, select_ordered prefers the first. At most 240 cases.
 * Colour: any thread, may block. */
AE_API int ae_select(ae_case *cases, size_t count) AE_MUST_CHECK;
AE_API int ae_select_ordered(ae_case *cases, size_t count) AE_MUST_CHECK;

AE_EXTERN_C_END
#endif
