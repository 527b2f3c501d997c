/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated threads: contexts of one real thread that give way to each other where a real one would
 * sleep, and nowhere else. See sim.h for the invariants cited here.
 *
 * The thread-local record is changed with the context. While it is being changed the thread has its
 * carrier as record, so that the switch itself (task/switch.h) needs to know nothing of this; a
 * thread that brings no record of its own keeps it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aether/log.h"
#include "arch/switch.h"
#include "arch/thread.h"
#include "base/assert.h"
#include "base/mem.h"
#include "driver/sim.h"
#include "task/names.h"
#include "task/stack.h"
#include "task/switch.h"

#define STACK_BYTES ((size_t)512 << 10)

/* ---- who is there ---- */

static void grow(struct ae__sim *sim)
{
    uint32_t room = sim->threads_room ? 2 * sim->threads_room : 16;
    struct ae__sim_thread **all = ae__mem_zalloc(room * sizeof(struct ae__sim_thread *));
    struct ae__sim_thread **ready = ae__mem_zalloc(room * sizeof(struct ae__sim_thread *));

    if (!all || !ready) ae__fatal("no memory for the simulation's threads");
    if (sim->all) {
        memcpy(all, sim->all, sim->all_count * sizeof(struct ae__sim_thread *));
        memcpy(ready, sim->ready, sim->ready_count * sizeof(struct ae__sim_thread *));
    }
    ae__mem_free(sim->all);
    ae__mem_free(sim->ready);
    sim->all = all;
    sim->ready = ready;
    sim->threads_room = room;
}

static void push_ready(struct ae__sim_thread *thread)
{
    struct ae__sim *sim = ae__sim;

    AE_ASSERT(sim->ready_count < sim->all_count);
    thread->ready_place = sim->ready_count;
    sim->ready[sim->ready_count++] = thread;
}

static void drop_ready(struct ae__sim_thread *thread)
{
    struct ae__sim *sim = ae__sim;
    struct ae__sim_thread *last = sim->ready[--sim->ready_count];

    AE_ASSERT(sim->ready[thread->ready_place] == thread);
    sim->ready[thread->ready_place] = last;
    last->ready_place = thread->ready_place;
}

static void make_ready(struct ae__sim_thread *thread)
{
    AE_ASSERT(thread->state == AE__SIM_WAITS);
    thread->state = AE__SIM_READY;
    thread->waits_on = NULL;
    thread->deadline_ns = INT64_MAX;
    thread->frozen = thread->node->paused;
    if (!thread->frozen) push_ready(thread);
}

static void enlist(struct ae__sim_thread *thread, const char *name, ae_sim_node *node)
{
    struct ae__sim *sim = ae__sim;

    if (sim->all_count == sim->threads_room) grow(sim);
    snprintf(thread->name, sizeof thread->name, "%.15s", name);
    thread->node = node;
    thread->id = ++sim->threads_made;
    thread->deadline_ns = INT64_MAX;
    thread->carrier.errno_at = ae__thread_errno();
    thread->carrier.actor.kind = AE__ACTOR_THREAD;
    thread->carrier.actor.node = &thread->carrier.node;
    thread->carrier.node.kind = AE__NODE_THREAD;
    ae__list_init(&thread->carrier.node.sibling);
    thread->place = sim->all_count;
    sim->all[sim->all_count++] = thread;
    thread->frozen = node->paused;
    if (!thread->frozen) push_ready(thread);
    ae__sim_policy_thread(thread);
}

static void delist(struct ae__sim_thread *thread)
{
    struct ae__sim *sim = ae__sim;
    struct ae__sim_thread *last = sim->all[--sim->all_count];

    AE_ASSERT(sim->all[thread->place] == thread);
    sim->all[thread->place] = last;
    last->place = thread->place;
}

static void free_thread(struct ae__sim_thread *thread)
{
    if (thread->stack) {
        ae__san_stack_gone(&thread->san, thread->stack, STACK_BYTES);
        ae__os_unmap(thread->stack - ae__os_page_bytes(), STACK_BYTES + ae__os_page_bytes());
    }
    ae__mem_free(thread);
}

/* ---- switching ---- */

static void bury(void)
{
    struct ae__sim_thread *dead = ae__sim->grave;

    ae__sim->grave = NULL;
    if (dead) free_thread(dead);
}

/* What sanitizers know the stack by that the thread stands on: its own, or the one of its task. */
static struct ae__san *stood_on(struct ae__sim_thread *thread, struct ae__thread *record)
{
    struct ae__task *task = record ? record->current : NULL;

    return task ? &task->stack->san : &thread->san;
}

/* Give the real thread to `to`; back here when somebody gives it back. */
static void switch_to(struct ae__sim_thread *to, bool dying)
{
    struct ae__sim_thread *from = ae__sim->current;

    AE_ASSERT(to != from);
    from->record = ae__thread_get();
    from->at = stood_on(from, from->record);
    struct ae__context here = { &from->sp, from->at };
    ae__sim->current = to;
    ae__thread_swap(&to->carrier);
    ae__context_switch(here, to->sp, to->at, dying);
    AE_ASSERT(ae__sim->current == from);
    ae__thread_swap(from->record);
    bury();
}

/* Let the next one run, which may be the caller. M1 */
static void next(bool dying)
{
    struct ae__sim *sim = ae__sim;

    ae__sim_fire_due();
    while (sim->ready_count == 0) {
        ae__sim_jump();
    }
    struct ae__sim_thread *to = ae__sim_choose();
    AE_ASSERT(to->state == AE__SIM_READY && !to->frozen);
    ae__sim_step("run", to->name, to->id);
    if (to != sim->current) switch_to(to, dying);
}

void ae__sim_pass(void)
{
    next(false);
}

void ae__sim_wait(const void *on, int64_t deadline_ns)
{
    struct ae__sim_thread *self = ae__sim->current;

    AE_ASSERT(self->state == AE__SIM_READY);
    drop_ready(self);
    self->state = AE__SIM_WAITS;
    self->waits_on = on;
    self->deadline_ns = deadline_ns;
    if (deadline_ns < ae__sim->deadline_ns) ae__sim->deadline_ns = deadline_ns;
    next(false);
}

void ae__sim_wake(const void *on, int count)
{
    AE_ASSERT(on != NULL);
    for (uint32_t i = 0; i < ae__sim->all_count && count > 0; i++) {
        if (ae__sim->all[i]->waits_on != on) continue;
        make_ready(ae__sim->all[i]);
        count--;
    }
}

bool ae__sim_expire(void)
{
    struct ae__sim *sim = ae__sim;
    int64_t next_ns = INT64_MAX;
    bool any = false;

    for (uint32_t i = 0; i < sim->all_count; i++) {
        struct ae__sim_thread *thread = sim->all[i];
        if (thread->deadline_ns == INT64_MAX) continue;
        if (thread->deadline_ns <= sim->now_ns) {
            make_ready(thread);
            any = true;
        } else if (thread->deadline_ns < next_ns) {
            next_ns = thread->deadline_ns;
        }
    }
    sim->deadline_ns = next_ns;
    return any;
}

/* ---- life ---- */

static void end_current(void)
{
    struct ae__sim_thread *self = ae__sim->current;

    drop_ready(self);
    self->state = AE__SIM_ENDED;
    if (self->joiner) make_ready(self->joiner);
    self->joiner = NULL;
    if (self->detached) {
        delist(self);
        AE_ASSERT(!ae__sim->grave);
        ae__sim->grave = self; /* its stack is still stood on */
    }
    next(true);
}

/* First code of a thread, on its own stack. */
AE_NORETURN static void thread_main(void)
{
    ae__context_arrived();
    struct ae__sim_thread *self = ae__sim->current;

    bury();
    self->fn(self->arg);
    end_current();
    __builtin_unreachable();
}

struct ae__sim_thread *ae__sim_thread_make(const char *name, ae_sim_node *node, void (*fn)(void *),
                                           void *arg)
{
    size_t page = ae__os_page_bytes();
    struct ae__sim_thread *thread = ae__mem_zalloc(sizeof *thread);
    char *base = thread ? ae__os_map(STACK_BYTES + page) : NULL;

    if (!base) {
        ae__mem_free(thread);
        return NULL;
    }
    (void)ae__os_guard(base, page, true);
    thread->stack = base + page;
    thread->fn = fn;
    thread->arg = arg;
    ae__san_stack_made(&thread->san, thread->stack, STACK_BYTES);
    thread->at = &thread->san;
    thread->sp = ae__arch_prepare(thread->stack + STACK_BYTES, thread_main);
    enlist(thread, name, node);
    return thread;
}

void ae__sim_thread_adopt_main(void)
{
    struct ae__sim_thread *thread = ae__mem_zalloc(sizeof *thread);

    if (!thread) ae__fatal("no memory for the simulation's threads");
    ae__san_native(&thread->san);
    enlist(thread, "main", ae__sim->nodes);
    ae__sim->main = ae__sim->current = thread;
}

void ae__sim_thread_forget_main(void)
{
    struct ae__sim_thread *main = ae__sim->main;

    AE_ASSERT(ae__sim->current == main);
    drop_ready(main);
    delist(main);
    AE_ASSERT(ae__sim->all_count == 0);
    ae__mem_free(main);
}

/* All of a node; NULL: all but the caller. */
void ae__sim_kill_threads(const ae_sim_node *node)
{
    struct ae__sim *sim = ae__sim;

    for (uint32_t i = 0; i < sim->all_count;) {
        struct ae__sim_thread *thread = sim->all[i];
        if (thread == sim->current || (node && thread->node != node)) {
            AE_ASSERT(!node || thread->node != node); /* nobody kills itself */
            i++;
            continue;
        }
        if (thread->state == AE__SIM_READY && !thread->frozen) drop_ready(thread);
        delist(thread);
        free_thread(thread);
    }
}

void ae__sim_freeze(const ae_sim_node *node, bool freeze)
{
    struct ae__sim *sim = ae__sim;

    for (uint32_t i = 0; i < sim->all_count; i++) {
        struct ae__sim_thread *thread = sim->all[i];
        if (thread->node != node || thread->state != AE__SIM_READY) continue;
        if (thread->frozen == freeze) continue;
        thread->frozen = freeze;
        if (freeze) {
            drop_ready(thread);
        } else {
            push_ready(thread);
        }
    }
}

/* ---- as the system has them ---- */

static struct ae__sim_thread *thread_of(ae__os_thread handle)
{
    return (struct ae__sim_thread *)(uintptr_t)handle.handle;
}

int ae__sim_thread_start(ae__os_thread *out, const char *name, void (*fn)(void *), void *arg)
{
    struct ae__sim_thread *thread = ae__sim_thread_make(name, ae__sim_here(), fn, arg);

    if (!thread) return -EAGAIN;
    out->handle = (uintptr_t)thread;
    return 0;
}

void ae__sim_thread_join(ae__os_thread handle)
{
    struct ae__sim_thread *thread = thread_of(handle);

    AE_ASSERT(!thread->detached && !thread->joiner);
    if (thread->state != AE__SIM_ENDED) {
        thread->joiner = ae__sim->current;
        ae__sim_wait(thread, INT64_MAX);
    }
    AE_ASSERT(thread->state == AE__SIM_ENDED);
    delist(thread);
    free_thread(thread);
}

void ae__sim_thread_detach(ae__os_thread handle)
{
    struct ae__sim_thread *thread = thread_of(handle);

    thread->detached = true;
    if (thread->state != AE__SIM_ENDED) return;
    delist(thread);
    free_thread(thread);
}

void ae__sim_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    if (atomic_load(word) != expected || deadline_ns <= ae__sim->now_ns) {
        ae__sim_pass();
        return;
    }
    ae__sim_wait((const void *)word, deadline_ns);
}

void ae__sim_futex_wake(_Atomic(uint32_t) *word, int count)
{
    ae__sim_wake((const void *)word, count);
}

void ae__sim_threads_name(void)
{
    for (uint32_t i = 0; i < ae__sim->all_count; i++) {
        struct ae__sim_thread *thread = ae__sim->all[i];
        struct ae__thread *record = thread == ae__sim->current ? ae__thread_get() : thread->record;
        unsigned kind = record ? record->actor.wait_kind : AE__WAIT_NONE;
        if (thread->state == AE__SIM_ENDED) continue;
        ae_log(AE_ERROR, "thread %u (%s) of %s %s%s%s", thread->id, thread->name,
               thread->node->name, thread->state == AE__SIM_WAITS ? "waits" : "could run",
               kind ? ", for " : "", kind ? ae__wait_name((enum ae__wait_kind)kind) : "");
    }
}
