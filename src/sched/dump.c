/* SPDX-License-Identifier: Apache-2.0 */
/* The dump: all that there is to know of each task, as text for people and `aether symbolize`.
 *
 * A line for each task. Its stack, with the function and the place of its spawning, follows the
 * first task that has it; the others name it by its number. So a hundred thousand tasks that wait
 * at ten places are a hundred thousand short lines and ten stacks. How long a task has waited isn't
 * known: that would be a clock read in each wait. But its waits are counted, so that of two dumps
 * of a process a task with the same id and count has not moved in between. */
#include "arch/watch.h"
#include "base/assert.h"
#include "base/mem.h"
#include "sched/look.h"
#include "sched/sched.h"
#include "task/names.h"

#define STACKS_MAX 8192u /* told apart; a power of two. More are written in full each time */

/* A stack that was written. */
struct seen {
    uint64_t hash;
    uint32_t number;
};

struct dump {
    struct ae__text *text;
    struct ae__out *out;
    const struct ae_runtime *rt;
    int64_t now_ns;
    struct seen *stacks; /* open addressing; NULL: no memory, so nothing is told apart */
    uint32_t stacks_count;
    const struct ae__node *scope; /* looked at last, and who owns it */
    const struct ae__actor *scope_owner;
    uint64_t states[AE__TASK_DONE + 1];
};

/* ---- stacks ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

static uint64_t hash_of(const struct ae__sight *sight)
{
    uint64_t hash = mix((uint64_t)(uintptr_t)sight->task.fn,
                        (uint64_t)(uintptr_t)sight->task.spawn_site);

    for (unsigned i = 0; i < sight->frames; i++) hash = mix(hash, sight->pcs[i]);
    return hash ? hash : 1;
}

/* The stack's number; *is_new: it is to be written. 0: it has none. */
static uint32_t number_of(struct dump *dump, const struct ae__sight *sight, bool *is_new)
{
    uint64_t hash = hash_of(sight);
    uint32_t at = (uint32_t)hash & (STACKS_MAX - 1);

    *is_new = true;
    if (!dump->stacks || dump->stacks_count >= STACKS_MAX / 2) return 0;
    while (dump->stacks[at].hash && dump->stacks[at].hash != hash) {
        at = (at + 1) & (STACKS_MAX - 1);
    }
    *is_new = dump->stacks[at].hash == 0;
    if (*is_new) dump->stacks[at] = (struct seen){ hash, ++dump->stacks_count };
    return dump->stacks[at].number;
}

static void write_stack(struct dump *dump, const struct ae__sight *sight)
{
    ae__out_text(dump->out, "    function ");
    ae__text_place(dump->text, (uintptr_t)sight->task.fn);
    ae__out_text(dump->out, "\n    spawned at ");
    ae__text_place(dump->text, (uintptr_t)sight->task.spawn_site - 1);
    for (unsigned i = 0; i < sight->frames; i++) {
        ae__out_text(dump->out, i < 10 ? "\n    #" : "\n   #");
        ae__out_number(dump->out, i);
        ae__out_text(dump->out, " ");
        ae__text_place(dump->text, sight->pcs[i] - 1);
    }
    ae__out_text(dump->out, "\n");
}

/* ---- one task ---- */

static void write_wait(struct dump *dump, const struct ae__task *task)
{
    const struct ae__actor *actor = &task->actor;
    uint32_t other = ae__look_index(dump->rt, actor->wait_object);

    ae__out_text(dump->out, ", waits for ");
    ae__out_text(dump->out, ae__wait_name(actor->wait_kind));
    if (actor->wait_kind == AE__WAIT_JOIN && other != UINT32_MAX) {
        ae__out_text(dump->out, " of task ");
        ae__out_number(dump->out, other);
    } else if (actor->wait_object) {
        ae__out_text(dump->out, " ");
        ae__out_hex(dump->out, (uintptr_t)actor->wait_object);
    }
    if (!task->timer.link) return;
    int64_t left_ns = task->timer.when_ns - dump->now_ns;
    ae__out_format(dump->out, ", due in %.3f s", left_ns > 0 ? (double)left_ns / 1e9 : 0.0);
}

static void write_state(struct dump *dump, const struct ae__sight *sight)
{
    const struct ae__task *task = &sight->task;

    ae__out_text(dump->out, " ");
    ae__out_text(dump->out, ae__state_name(task->state));
    if (task->state == AE__TASK_RUNNING) {
        ae__out_text(dump->out, " on worker ");
        ae__out_number(dump->out, task->actor.last_worker);
    }
    bool waits = task->state == AE__TASK_PARKED || task->state == AE__TASK_DEFERRED;
    bool for_stack = task->state == AE__TASK_READY && task->actor.wait_kind == AE__WAIT_STACK;
    if ((waits && task->actor.wait_kind) || for_stack) write_wait(dump, task);
    ae__out_text(dump->out, ", wait ");
    ae__out_number(dump->out, task->actor.wait >> 32);
    if (task->node.cancelled & AE__CANCELLED) ae__out_text(dump->out, ", cancelled");
    if (task->actor.pins) ae__out_text(dump->out, ", pinned");
    if (sight->moving) ae__out_text(dump->out, ", moving");
}

/* The scope lies on its owner's stack: it may be gone by now, and its memory anything. */
static void write_scope(struct dump *dump, const struct ae__node *scope)
{
    struct ae__scope copy;

    if (!scope) return;
    if (scope == &dump->rt->root.node) {
        ae__out_text(dump->out, ", in the root");
        return;
    }
    if (scope != dump->scope) {
        size_t got = ae__os_peek(&copy, (uintptr_t)scope, sizeof copy);
        dump->scope = scope;
        dump->scope_owner = got == sizeof copy ? copy.owner : NULL;
    }
    ae__out_text(dump->out, ", in scope ");
    ae__out_hex(dump->out, (uintptr_t)scope);
    uint32_t owner = ae__look_index(dump->rt, dump->scope_owner);
    if (owner == UINT32_MAX) return;
    ae__out_text(dump->out, " of task ");
    ae__out_number(dump->out, owner);
}

static void write_task(struct dump *dump, const struct ae__sight *sight)
{
    const struct ae__task *task = &sight->task;
    char name[AE__LOOK_NAME];
    bool is_new;

    ae__look_text(dump->text->modules, task->name, name);
    ae__out_text(dump->out, "task ");
    ae__out_number(dump->out, task->index);
    ae__out_text(dump->out, " id ");
    ae__out_hex(dump->out, (uint64_t)task->generation << 32 | task->index);
    if (name[0]) {
        ae__out_text(dump->out, " \"");
        ae__out_text(dump->out, name);
        ae__out_text(dump->out, "\"");
    }
    write_state(dump, sight);
    write_scope(dump, task->node.parent);
    uint32_t number = number_of(dump, sight, &is_new);
    if (number) {
        ae__out_text(dump->out, ", stack ");
        ae__out_number(dump->out, number);
    }
    ae__out_text(dump->out, "\n");
    if (is_new) write_stack(dump, sight);
}

/* ---- the whole ---- */

static void write_worker(struct dump *dump, struct ae__worker *w)
{
    const struct ae__task *current = ae__look_current(w);
    uint32_t task = ae__look_index(dump->rt, current);
    uint32_t park = atomic_load_explicit(&w->park, memory_order_relaxed);

    ae__out_format(dump->out, "worker %u", w->index);
    if (current && task != UINT32_MAX) {
        ae__out_format(dump->out, " runs task %u", task);
    } else {
        ae__out_text(dump->out, park == AE__ASLEEP ? " sleeps" : " looks for work");
    }
    ae__out_format(dump->out, "; %u in its ring, %u in the LIFO slot, %u pinned; ",
                   ae__runq_length(&w->ring),
                   atomic_load_explicit(&w->lifo, memory_order_relaxed) ? 1 : 0,
                   ae__inject_hint(&w->pinned));
    ae__out_format(dump->out, "%llu slices, %llu sleeps\n",
                   (unsigned long long)atomic_load(&w->counters.slices),
                   (unsigned long long)atomic_load(&w->counters.parks));
}

static void write_end(struct dump *dump)
{
    uint64_t all = 0;

    for (unsigned i = AE__TASK_FREE + 1; i <= AE__TASK_DONE; i++) all += dump->states[i];
    ae__out_format(dump->out, "end of dump: %llu tasks", (unsigned long long)all);
    for (unsigned i = AE__TASK_FREE + 1; i <= AE__TASK_DONE; i++) {
        if (!dump->states[i]) continue;
        ae__out_format(dump->out, ", %llu %s", (unsigned long long)dump->states[i],
                       ae__state_name(i));
    }
    ae__out_format(dump->out, "; %u stacks; %.1f ms\n", dump->stacks_count,
                   (double)(ae__os_now() - dump->now_ns) / 1e6);
}

void ae__dump_write(struct ae__text *text)
{
    struct dump dump = { .text = text, .out = text->out, .rt = text->rt, .now_ns = ae__os_now() };
    uint32_t count = ae__look_count(text->rt);
    struct ae__sight sight;

    dump.stacks = ae__mem_zalloc(STACKS_MAX * sizeof *dump.stacks);
    ae__out_format(dump.out,
                   "aether dump of process %u, runtime \"%.32s\", %u workers, up %.1f s\n",
                   ae__os_pid(), text->rt->config.name, text->rt->workers_count,
                   (double)(dump.now_ns - text->rt->began_ns) / 1e9);
    for (uint32_t i = 0; i < ae__slots(text->rt); i++) {
        write_worker(&dump, text->rt->workers[i]);
    }
    ae__out_format(dump.out, "shared queue: %u tasks\n", ae__inject_hint(&text->rt->inject));
    for (uint32_t i = 0; i < count && text->out->rc == 0; i++) {
        if (!ae__look(text->rt, i, true, &sight)) continue;
        if (sight.task.state <= AE__TASK_DONE) dump.states[sight.task.state]++;
        write_task(&dump, &sight);
    }
    write_end(&dump);
    AE_ASSERT(dump.stacks_count <= STACKS_MAX / 2);
    ae__mem_free(dump.stacks);
}
