/* SPDX-License-Identifier: Apache-2.0 */
/* See switch.h. The only caller of the arch switch; one frame, not instrumented. */
#include "task/switch.h"

#include "arch/switch.h"
#include "arch/thread.h"
#include "base/assert.h"
#include "task/types.h"

AE_NOINLINE AE_SAN_SWITCH void ae__context_switch(struct ae__context from, void *to_sp,
                                                  struct ae__san *to_san, bool dying)
{
    struct ae__thread *thread = ae__thread_get();
    int saved_errno = *thread->errno_at;

    thread->left = from.san;
    ae__san_leave(from.san, to_san, dying);
    ae__arch_switch(from.save, to_sp);
    thread = ae__thread_get(); /* another one, perhaps */
    ae__san_arrive(from.san->fake, thread->left);
    *thread->errno_at = saved_errno;
}

void ae__context_call(struct ae__context from, void *top, void (*fn)(void))
{
    struct ae__thread *thread = ae__thread_get();
    int saved_errno = *thread->errno_at;

    AE_ASSERT(!AE_ASAN && !AE_TSAN); /* they are told about switches only */
    *thread->errno_at = 0;
    ae__arch_call(from.save, top, fn);
    *thread->errno_at = saved_errno; /* still the same thread */
}

AE_NOINLINE AE_SAN_SWITCH void ae__context_arrived(void)
{
    struct ae__thread *thread = ae__thread_get();

    ae__san_arrive(NULL, thread->left);
    *thread->errno_at = 0;
}
