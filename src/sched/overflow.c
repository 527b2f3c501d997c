/* SPDX-License-Identifier: Apache-2.0 */
/* A stack overflow is reported by the name of its task, from the fault handler, on its alternate
 * stack: only memory and write(2). */
#include "sched/overflow.h"

#include "arch/os.h"
#include "sched/worker.h"

struct text {
    char bytes[256];
    size_t length;
};

static void add(struct text *text, const char *part)
{
    while (*part && text->length < sizeof text->bytes) {
        text->bytes[text->length++] = *part++;
    }
}

static void add_number(struct text *text, uint64_t value)
{
    char digits[24];
    char *at = digits + sizeof digits;

    *--at = 0;
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    add(text, at);
}

static void report(const struct ae__task *task)
{
    struct text text = { .length = 0 };

    add(&text, "aether: stack overflow in task ");
    add_number(&text, task->index);
    add(&text, " (");
    add(&text, task->name ? task->name : "unnamed");
    add(&text, "): its stack has ");
    add_number(&text, ae__stack_class_bytes(task->stack_class) >> 10);
    add(&text, " KiB; ask for more by ae_task_opts.stack_bytes or ae_config.stack_bytes\n");
    ae__os_write_error(text.bytes, text.length);
}

/* Below its own stack, by address or by stack pointer: nobody else's fault. */
static bool is_below(const struct ae__stack *stack, uintptr_t where)
{
    uintptr_t low = (uintptr_t)stack->low;

    return where < low && low - where < ((uintptr_t)8 << 20);
}

static bool on_fault(uintptr_t address, uintptr_t sp)
{
    struct ae__worker *w = ae__worker_self();
    struct ae__task *task = w ? w->thread.current : NULL;

    if (!task || !task->stack) return false;
    /* A wild pointer that happens to hit a guard is no overflow: sp must be near as well. */
    bool near = sp < (uintptr_t)task->stack->low + 16384;
    if (!is_below(task->stack, sp) && !(near && is_below(task->stack, address))) return false;
    report(task);
    return true;
}

void ae__overflow_watch(void)
{
    ae__os_faults_take(on_fault);
}
