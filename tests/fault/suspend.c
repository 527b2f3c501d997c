/* SPDX-License-Identifier: Apache-2.0 */
/* Cancels at a suspension: the three doors through which every wait goes (sched/wait.h) are wrapped
 * by the linker, so nothing in the library knows of it. */
#include "run.h"

#include "aether/task.h"
#include "sched/spawn.h"
#include "sched/wait.h"
#include "task/types.h"

uint16_t __real_ae__wait_park(struct ae__actor *self);
uint16_t __wrap_ae__wait_park(struct ae__actor *self);
bool __real_ae__wait_commit(struct ae__actor *actor);
bool __wrap_ae__wait_commit(struct ae__actor *actor);
void __real_ae__task_defer_commit(struct ae__task *task);
void __wrap_ae__task_defer_commit(struct ae__task *task);

/* The sleeper whose turn it is, until it sleeps. */
static struct ae__actor *_Atomic target;

static void cancel_actor(struct ae__actor *actor)
{
    struct ae__task *task = AE_CONTAINER_OF(actor, struct ae__task, actor);

    (void)ae_cancel_id(task->rt, (uint64_t)task->generation << 32 | task->index);
}

/* A suspension that a cancel may end; true: it is the k-th. */
static bool hit(struct ae__actor *actor)
{
    bool cancellable = atomic_load(&actor->wait) & AE__WAIT_CANCELLABLE;

    if (!fault_armed() || !cancellable || actor->kind != AE__ACTOR_TASK) return false;
    atomic_fetch_add(&run->suspensions, 1);
    return run->plan.loop == LOOP_CANCEL && fault_hit();
}

static void before_sleep(struct ae__actor *actor)
{
    if (!hit(actor)) return;
    switch (run->plan.how) {
    case CANCEL_AWAKE:
        cancel_actor(actor);
        break;
    case CANCEL_ASLEEP:
        atomic_store(&target, actor);
        break;
    default:
        fault_end_program();
        break;
    }
}

uint16_t __wrap_ae__wait_park(struct ae__actor *self)
{
    before_sleep(self);
    uint16_t reason = __real_ae__wait_park(self);
    struct ae__actor *me = self;
    (void)atomic_compare_exchange_strong(&target, &me, NULL); /* it did not come to sleeping */
    return reason;
}

bool __wrap_ae__wait_commit(struct ae__actor *actor)
{
    struct ae__actor *me = actor;
    bool asleep = __real_ae__wait_commit(actor);

    /* Its registers are saved: who cancels now is somebody else. */
    if (asleep && atomic_compare_exchange_strong(&target, &me, NULL)) cancel_actor(actor);
    return asleep;
}

void __wrap_ae__task_defer_commit(struct ae__task *task)
{
    before_sleep(&task->actor);
    __real_ae__task_defer_commit(task);
}
