/* SPDX-License-Identifier: Apache-2.0 */
/* Where a task is that does not come back: its stack is copied while it stands still, in a signal
 * handler on its thread if it runs, from outside if that sleeps in the kernel (a signal would end
 * many a system call early). Who called whom is worked out on the copy, on the monitor's thread. */
#include "sched/caught.h"

#include "aether/time.h"
#include "arch/thread.h"
#include "arch/unwind.h"
#include "base/assert.h"
#include "base/mem.h"
#include "sched/types.h"

enum { COPY_BYTES = 32768 };
#define PATIENCE_NS (2 * AE_MS) /* the monitor does nothing else meanwhile */

struct catch {
    const struct ae__worker *worker;
    const struct ae__watch *watch;
    struct ae__regs regs;
    size_t bytes;
    bool right; /* it was the slice that was meant */
    unsigned char copy[COPY_BYTES];
};

/* What of the task's stack is in use, as far as there is room. Signal-safe. */
static void copy_stack(struct catch *c)
{
    const struct ae__culprit *who = &c->watch->who;
    uintptr_t sp = c->regs.sp;

    if (sp < who->stack_low || sp >= who->stack_top) return; /* a library's own */
    size_t bytes = who->stack_top - sp;
    c->bytes = ae__os_peek(c->copy, sp, bytes < COPY_BYTES ? bytes : COPY_BYTES);
}

/* In the handler, on the worker's thread. */
static void on_worker(void *context, const struct ae__regs *regs)
{
    struct catch *c = context;
    const struct ae__thread *thread = ae__thread_get();

    if (!thread || thread->worker != c->worker || thread->current != c->watch->task) return;
    if (ae__slices_of(c->worker) != c->watch->slices) return;
    c->regs = *regs;
    c->right = true;
    copy_stack(c);
}

static bool same_place(const struct ae__regs *a, const struct ae__regs *b)
{
    return a->pc == b->pc && a->sp == b->sp;
}

/* It may wake up at any time: what is the same before and after has not moved. */
static void catch_sleeper(struct catch *c, uint64_t tid)
{
    struct ae__regs after;

    if (!ae__os_sleeps_at(tid, &c->regs)) return;
    copy_stack(c);
    c->right = ae__os_sleeps_at(tid, &after) && same_place(&c->regs, &after) &&
               ae__slices_of(c->worker) == c->watch->slices;
}

size_t ae__caught_at(struct ae__worker *w, const struct ae__watch *watch, uintptr_t *pcs,
                     size_t max)
{
    uint64_t tid = atomic_load_explicit(&w->tid, memory_order_relaxed);
    struct catch *c = ae__mem_zalloc(sizeof *c);
    size_t n = 0;

    AE_ASSERT(max > 0);
    if (!c) return 0;
    c->worker = w;
    c->watch = watch;
    if (watch->blocked) {
        catch_sleeper(c, tid);
    } else {
        (void)ae__os_look(tid, on_worker, c, PATIENCE_NS);
    }
    if (c->right) {
        struct ae__stack_copy copy = { c->regs.sp, c->bytes, c->copy };
        n = ae__unwind(&c->regs, &copy, pcs, max);
    }
    ae__mem_free(c);
    return n;
}
