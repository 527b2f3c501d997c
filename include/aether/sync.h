/* SPDX-License-Identifier: Apache-2.0 */
/* Mutex, semaphore, event, wait group: for tasks and plain threads alike. All fair (FIFO), all
 * valid when zeroed unless an init is named, none needs a destroy; nobody may wait on one when its
 * memory goes. */
#ifndef AETHER_SYNC_H
#define AETHER_SYNC_H

#include <aether/defs.h>

AE_EXTERN_C_BEGIN

/* A lock that may be held across suspensions. The owner is a task (or thread), not a worker. */
typedef struct ae_mutex {
    void *opaque[4];
} ae_mutex;

AE_API void ae_mutex_lock(ae_mutex *mutex);  /* not cancellable. Colour: any thread, may block */
AE_API int ae_mutex_acquire(ae_mutex *mutex) AE_MUST_CHECK; /* 0 or -ECANCELED: not acquired */
AE_API bool ae_mutex_try(ae_mutex *mutex) AE_MUST_CHECK;    /* Colour: any thread */
AE_API void ae_mutex_unlock(ae_mutex *mutex); /* asserts the owner. Colour: any thread */

/* Counting semaphore; waiters for many permits are not overtaken by those for few. */
typedef struct ae_sem {
    void *opaque[4];
} ae_sem;

AE_API void ae_sem_init(ae_sem *sem, size_t permits);
AE_API int ae_sem_acquire(ae_sem *sem, size_t permits) AE_MUST_CHECK; /* 0 or -ECANCELED: none */
AE_API bool ae_sem_try(ae_sem *sem, size_t permits) AE_MUST_CHECK;
AE_API void ae_sem_release(ae_sem *sem, size_t permits);
AE_API size_t ae_sem_available(ae_sem *sem);

/* A flag to wait for; stays set until reset. */
typedef struct ae_event {
    void *opaque[4];
} ae_event;

AE_API void ae_event_set(ae_event *event);   /* wakes all. Colour: any thread */
AE_API void ae_event_reset(ae_event *event);
AE_API bool ae_event_is_set(ae_event *event);
AE_API int ae_event_wait(ae_event *event) AE_MUST_CHECK; /* 0 or -ECANCELED */

/* Counts work that is under way; wait returns when the count is 0. */
typedef struct ae_wait_group {
    void *opaque[4];
} ae_wait_group;

AE_API void ae_wait_group_add(ae_wait_group *group, size_t count);
AE_API void ae_wait_group_done(ae_wait_group *group); /* asserts that the count was > 0 */
AE_API int ae_wait_group_wait(ae_wait_group *group) AE_MUST_CHECK; /* 0 or -ECANCELED */

AE_EXTERN_C_END
#endif
