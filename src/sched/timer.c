/* SPDX-License-Identifier: Apache-2.0 */
/* Which wheel a timer goes to: see timer.h. */
#include "sched/timer.h"

#include "base/assert.h"
#include "sched/sched.h"
#include "sched/worker.h"

/* A plain thread without a runtime fires its timers itself, while it sleeps. */
static void arm_on_thread(struct ae__timer *timer, int64_t when_ns)
{
    struct ae__thread *thread = ae__thread_self();

    timer->wheel = NULL;
    timer->when_ns = when_ns;
    timer->next = thread->timers;
    timer->link = &thread->timers;
    if (timer->next) timer->next->link = &timer->next;
    thread->timers = timer;
}

void ae__timer_arm(struct ae_runtime *rt, struct ae__timer *timer, int64_t when_ns,
                   void (*fire)(struct ae__timer *, struct ae__wakes *))
{
    struct ae__worker *w = ae__worker_self();

    AE_DEBUG_ASSERT(fire);
    timer->fire = fire;
    if (!rt) {
        arm_on_thread(timer, when_ns);
        return;
    }
    if (!w || w->rt != rt) w = rt->workers[0];
    if (ae__wheel_arm(&w->wheel, timer, when_ns)) ae__worker_unpark(w);
}

void ae__timer_disarm(struct ae__timer *timer)
{
    if (timer->wheel) {
        ae__wheel_disarm(timer->wheel, timer);
    } else if (timer->link) {
        AE_ASSERT(*timer->link == timer); /* by the thread that armed it */
        *timer->link = timer->next;
        if (timer->next) timer->next->link = timer->link;
        timer->link = NULL;
    }
}
