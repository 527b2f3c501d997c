/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking pool: run code that blocks or computes without holding a worker. */
#ifndef AETHER_BLOCKING_H
#define AETHER_BLOCKING_H

#include <aether/defs.h>
#include <aether/task.h>

AE_EXTERN_C_BEGIN

/* Run `fn(arg)` on a pool thread, wait, return its result; the caller suspends, its worker does
 * not. The job inherits the caller's scope. -ECANCELED: cancelled before it began (fn was not
 * called); once begun it is waited for. A full queue is waited for; -EAGAIN if no thread at all
 * can be made. On a plain thread fn is simply called. Colour: any thread, may block. */
AE_API int ae_blocking(ae_fn *fn, void *arg) AE_MUST_CHECK;

/* The joinable form: ae_join, ae_detach, ae_cancel and scopes work as with tasks (fn is called
 * exactly once, also when cancelled before). NULL: the queue is full, or no memory; `arg` is still
 * yours. fn runs on a plain thread: it may use the *any thread, may block* functions.
 * Colour: any thread, never suspends. */
AE_API ae_task *ae_spawn_blocking(ae_fn *fn, void *arg) AE_MUST_CHECK;

AE_EXTERN_C_END
#endif
