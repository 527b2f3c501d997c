/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes: task group, deadline and cancel token in one object on the stack. */
#ifndef AETHER_SCOPE_H
#define AETHER_SCOPE_H

#include <aether/defs.h>

AE_EXTERN_C_BEGIN

typedef struct ae_scope {
    void *opaque[24];
} ae_scope;

typedef struct ae_shield {
    void *opaque[24];
} ae_shield;

/* Open a scope: what is spawned until its end belongs to it. begin and end pair up like brackets
 * in one task (or thread), which is asserted.
 * end waits for every child (not cancellable; an outer cancel reaches the children too), frees
 * handles nobody consumed, and returns `rc`, except when rc is -ECANCELED: an outer scope was
 * cancelled: -ECANCELED; the own deadline passed: -ETIMEDOUT; cancelled by ae_scope_cancel: its
 * `cause`. So -ECANCELED leaving a scope always means an outer one.
 * Colour: any thread, may block (end). */
AE_API void ae_scope_begin(ae_scope *scope);
AE_API int ae_scope_end(ae_scope *scope, int rc) AE_MUST_CHECK;

/* Cancel the scope at this time (CLOCK_MONOTONIC, ns, as ae_now gives). Set again: the new one
 * counts; an outer scope's earlier one still wins. Owner only.
 * Colour: any thread, never suspends. */
AE_API void ae_scope_deadline(ae_scope *scope, int64_t deadline_ns);

/* Cancel everything inside, with what ae_scope_end shall make of it (0 or a negative errno
 * value). The first cause stays. By the owner or a task inside.
 * Colour: any thread, never suspends. */
AE_API void ae_scope_cancel(ae_scope *scope, int cause);

/* Wait until all children have returned, without ending the scope. By the owner, also from inside
 * of further scopes and shields: these decide whether the caller is cancelled, so with a scope of
 * its own around the wait it has a deadline. 0; -ECANCELED: cancelled before the call, or while
 * children were left. What is spawned meanwhile is waited for as well; handles stay valid.
 * Colour: any thread, may block. */
AE_API int ae_scope_wait(ae_scope *scope) AE_MUST_CHECK;

/* How many children have not returned yet. Colour: any thread. */
AE_API size_t ae_scope_live(ae_scope *scope);

/* Between begin and end the cancels and deadlines of outer scopes are hidden, so that cleanup may
 * block; what begins inside gets begin + grace_ns as its deadline (-ECANCELED from then on).
 * grace_ns < 0: none. Owner only, pairs up like scopes.
 * Colour: any thread, never suspends. */
AE_API void ae_shield_begin(ae_shield *shield, int64_t grace_ns);
AE_API void ae_shield_end(ae_shield *shield);

AE_EXTERN_C_END
#endif
