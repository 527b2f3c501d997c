/* SPDX-License-Identifier: Apache-2.0 */
/* See look.h.
 *
 * Control blocks and stacks are mapped as long as the runtime is: reading them is safe at any time,
 * whatever they hold. What was read of a task is one moment's if state, saved stack pointer, wait
 * word and generation are the same afterwards: each wait raises the sequence in the wait word. Only
 * a task that yielded in between, and stands at the same place again, cannot be told from one that
 * did not; nor is there a difference to be seen. */
#include "sched/look.h"

#include <errno.h>

#include "arch/peek.h"
#include "arch/watch.h"
#include "base/assert.h"
#include "base/mem.h"
#include "sched/sched.h"

#define TRIES 3

uint32_t ae__look_count(const struct ae_runtime *rt)
{
    return atomic_load_explicit(&rt->slab.used, memory_order_relaxed);
}

uint32_t ae__look_index(const struct ae_runtime *rt, const void *task)
{
    uintptr_t base = (uintptr_t)rt->slab.base, at = (uintptr_t)task;

    if (at < base || (at - base) % AE__TASK_BYTES) return UINT32_MAX;
    uintptr_t index = (at - base) / AE__TASK_BYTES;
    return index < ae__look_count(rt) ? (uint32_t)index : UINT32_MAX;
}

static bool is_suspended(const struct ae__task *task)
{
    return task->stack && task->sp &&
           (task->state == AE__TASK_PARKED || task->state == AE__TASK_READY);
}

/* One that says PARKED and whose wait is still ARMED, or was claimed, may be on its way off the
 * worker, its registers not saved yet. (IDLE: it waits for one that it called, S4 in slice.c.) */
static bool has_saved_registers(const struct ae__task *task)
{
    unsigned wait = (unsigned)(task->actor.wait & 0xff);

    return task->state == AE__TASK_READY || wait == AE__WAIT_PARKED || wait == AE__WAIT_IDLE;
}

static unsigned walk(const struct ae__task *task, uintptr_t *pcs)
{
    struct ae__stack head;

    /* A stack whose memory was given back reads as zeros. */
    ae__peek(&head, task->stack, sizeof head);
    uintptr_t low = (uintptr_t)head.low, high = (uintptr_t)task->stack;
    if (low == 0 || low > high || high - low > ae__stack_class_bytes(AE__STACK_CLASSES - 1)) {
        return 0;
    }
    return ae__peek_frames(task->sp, head.low, task->stack, pcs, AE__LOOK_FRAMES);
}

static bool same_moment(const struct ae__task *a, const struct ae__task *b)
{
    return a->state == b->state && a->sp == b->sp && a->actor.wait == b->actor.wait &&
           a->generation == b->generation && a->stack == b->stack;
}

bool ae__look(const struct ae_runtime *rt, uint32_t index, bool with_frames,
              struct ae__sight *out)
{
    const struct ae__task *task = ae__slab_at(&rt->slab, index);
    struct ae__task after;

    _Static_assert(sizeof out->task % 8 == 0, "ae__peek copies words");
    for (int try = 0; try < TRIES; try++) {
        ae__peek(&out->task, task, sizeof out->task);
        if (out->task.state == AE__TASK_FREE) return false;
        out->frames = 0;
        out->moving = false;
        if (!with_frames || !is_suspended(&out->task)) return true;
        if (!has_saved_registers(&out->task)) continue;
        out->frames = walk(&out->task, out->pcs);
        ae__peek(&after, task, sizeof after);
        if (same_moment(&out->task, &after)) return true;
    }
    out->frames = 0;
    out->moving = true;
    return true;
}

const struct ae__task *ae__look_current(const struct ae__worker *w)
{
    return atomic_load_explicit(&w->running, memory_order_relaxed);
}

/* Printable and harmless in quotes, in JSON too; cut at the first zero byte. */
static void make_plain(char *text)
{
    for (; *text; text++) {
        bool plain = *text >= ' ' && *text < 0x7f && *text != '"' && *text != '\\';
        if (!plain) *text = '?';
    }
}

void ae__look_text(const struct ae__modules *modules, const char *text, char out[AE__LOOK_NAME])
{
    out[0] = 0;
    if (!text) return;
    if (modules && ae__modules_hold(modules, (uintptr_t)text, AE__LOOK_NAME)) {
        ae__peek_text(out, text, AE__LOOK_NAME);
    } else {
        size_t got = ae__os_peek(out, (uintptr_t)text, AE__LOOK_NAME - 1);
        out[got] = 0;
    }
    make_plain(out);
}

/* ---- writing ---- */

static void (*const views[])(struct ae__text *text) = {
    [AE__VIEW_DUMP] = ae__dump_write,
    [AE__VIEW_TRACE] = ae__trace_write,
    [AE__VIEW_STATS] = ae__stats_write,
};

static int view_to(struct ae_runtime *rt, enum ae__view view, struct ae__out *out)
{
    struct ae__modules *modules = ae__modules_read();
    struct ae__text text = { .rt = rt, .modules = modules, .out = out };

    if (!modules) return -ENOMEM;
    views[view](&text);
    ae__modules_free(modules);
    return ae__out_finish(out);
}

int ae__view_write(struct ae_runtime *rt, enum ae__view view,
                   int (*write)(void *context, const void *data, size_t size), void *context)
{
    struct ae__out *out = ae__mem_alloc(sizeof *out);

    AE_ASSERT(rt);
    AE_ASSERT(view <= AE__VIEW_STATS);
    if (!out) return -ENOMEM;
    ae__out_init(out, write, context);
    /* The runtime's end waits for this. */
    atomic_fetch_add_explicit(&rt->outside, 1, memory_order_relaxed);
    int rc = view_to(rt, view, out);
    atomic_fetch_sub_explicit(&rt->outside, 1, memory_order_release);
    ae__mem_free(out);
    return rc;
}

static int write_fd(void *context, const void *data, size_t size)
{
    return ae__os_write((int)(intptr_t)context, data, size);
}

int ae__view(struct ae_runtime *rt, enum ae__view view, int fd)
{
    return ae__view_write(rt, view, write_fd, (void *)(intptr_t)fd);
}

void ae__text_place(struct ae__text *text, uintptr_t pc)
{
    char place[AE__WHERE_BYTES];

    ae__out_bytes(text->out, place, ae__modules_where(text->modules, pc, place, sizeof place));
}
