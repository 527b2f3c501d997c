/* SPDX-License-Identifier: Apache-2.0 */
/* The clock, sleeping, intervals. */
#include "aether/time.h"

#include <errno.h>

#include "base/assert.h"
#include "sched/sched.h"
#include "sched/worker.h"

int64_t ae_now(void)
{
    return ae__os_now();
}

/* A timer that is armed belongs to the actor's present wait: the sequence is the current one. */
static void wake_sleeper(struct ae__actor *actor, struct ae__wakes *wakes)
{
    uint64_t word = atomic_load_explicit(&actor->wait, memory_order_relaxed);

    (void)ae__wait_wake(actor, (uint32_t)(word >> 32), AE__REASON_TIME, wakes);
}

static void fire_task(struct ae__timer *timer, struct ae__wakes *wakes)
{
    wake_sleeper(&AE_CONTAINER_OF(timer, struct ae__task, timer)->actor, wakes);
}

static void fire_thread(struct ae__timer *timer, struct ae__wakes *wakes)
{
    (void)timer;
    wake_sleeper(&ae__thread_self()->actor, wakes);
}

/* The timer of a task's sleep lies in its control block: timers that cascade then touch dense
 * memory, not cold stacks. */
static int sleep_task(struct ae__task *task, int64_t when_ns)
{
    AE_DEBUG_ASSERT(!task->timer.link); /* the last sleep's was taken back */
    ae__wait_begin(&task->actor, true, AE__WAIT_SLEEP, NULL);
    ae__timer_arm(task->rt, &task->timer, when_ns, fire_task);
    uint16_t reason = ae__wait_park(&task->actor);
    if (reason == AE__REASON_TIME) return 0;
    ae__timer_disarm(&task->timer);
    return -ECANCELED;
}

static int sleep_thread(struct ae__actor *self, int64_t when_ns)
{
    struct ae__timer timer = { .link = NULL };

    ae__wait_begin(self, true, AE__WAIT_SLEEP, NULL);
    ae__timer_arm(NULL, &timer, when_ns, fire_thread);
    uint16_t reason = ae__wait_park(self);
    ae__timer_disarm(&timer);
    return reason == AE__REASON_TIME ? 0 : -ECANCELED;
}

static int sleep_from(int64_t now_ns, int64_t when_ns)
{
    struct ae__actor *self = ae__actor_self();

    if (ae__actor_cancelled(self)) return -ECANCELED;
    if (when_ns <= now_ns) {
        ae__charge();
        return 0;
    }
    if (self->kind == AE__ACTOR_THREAD) return sleep_thread(self, when_ns);
    return sleep_task(ae__task_of(self), when_ns);
}

int ae_sleep_until(int64_t when_ns)
{
    return sleep_from(ae__os_now(), when_ns);
}

int ae_sleep(int64_t ns)
{
    int64_t now_ns = ae__os_now();

    return sleep_from(now_ns, ns < AE_FOREVER - now_ns ? now_ns + ns : AE_FOREVER);
}

void ae_interval_init(ae_interval *interval, int64_t period_ns, enum ae_missed missed)
{
    AE_ASSERT(period_ns > 0);
    interval->period_ns = period_ns;
    interval->next_ns = ae__os_now() + period_ns;
    interval->missed = missed;
}

int ae_interval_tick(ae_interval *interval)
{
    AE_ASSERT(interval->period_ns > 0); /* ae_interval_init */
    int rc = ae_sleep_until(interval->next_ns);

    if (rc < 0) return rc;
    int64_t now_ns = ae__os_now(), period_ns = interval->period_ns;
    bool late = now_ns - interval->next_ns >= period_ns;
    if (late && interval->missed == AE_MISSED_DELAY) {
        interval->next_ns = now_ns + period_ns;
    } else if (late && interval->missed == AE_MISSED_SKIP) {
        interval->next_ns += ((now_ns - interval->next_ns) / period_ns + 1) * period_ns;
    } else {
        interval->next_ns += period_ns;
    }
    return 0;
}
