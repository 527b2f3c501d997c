/* SPDX-License-Identifier: Apache-2.0 */
/* The one thread-local variable, and what happens to it when a thread ends. */
#include "arch/thread.h"

#include <errno.h>
#include <pthread.h>

__attribute__((tls_model("initial-exec"), visibility("hidden"), used))
_Thread_local struct ae__thread *ae__tls_thread;

static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static void (*_Atomic exit_destroy)(struct ae__thread *);

static void on_exit_of_thread(void *value)
{
    ae__tls_thread = value; /* destroy may look itself up */
    void (*destroy)(struct ae__thread *) = exit_destroy;
    if (destroy) destroy(value);
    ae__tls_thread = NULL;
}

static void make_key(void)
{
    pthread_key_create(&exit_key, on_exit_of_thread);
}

void ae__thread_set(struct ae__thread *thread)
{
    pthread_once(&exit_once, make_key);
    ae__tls_thread = thread;
    pthread_setspecific(exit_key, thread);
}

void ae__thread_swap(struct ae__thread *thread)
{
    ae__tls_thread = thread;
}

void ae__thread_at_exit(void (*destroy)(struct ae__thread *))
{
    exit_destroy = destroy;
}

int *ae__thread_errno(void)
{
    return &errno;
}
