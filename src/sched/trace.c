/* SPDX-License-Identifier: Apache-2.0 */
/* What the flight recorders hold, as a trace in Chrome's JSON format ("Trace Event Format", 2016),
 * which ui.perfetto.dev and chrome://tracing show: a track for each worker with its sampled slices
 * and its sleeps, marks for steals, timers and I/O, a curve for the length of each ring. */
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sched/look.h"
#include "sched/recorder.h"
#include "sched/sched.h"

static const char *const names[AE__EVENTS] = {
    [AE__EVENT_SLICE] = "slice",   [AE__EVENT_SLEEP] = "asleep", [AE__EVENT_STEAL] = "steal",
    [AE__EVENT_TIMERS] = "timers", [AE__EVENT_IO] = "I/O",       [AE__EVENT_QUEUE] = "queue",
    [AE__EVENT_STALL] = "stall",
};

struct trace {
    struct ae__text *text;
    struct ae__out *out;
    struct ae__tick_scale scale;
    uint32_t track; /* worker, or the number of workers: the monitor */
    bool any;       /* an event was written */
};

/* Microseconds since the runtime began, in which the format counts. */
static double time_of(const struct trace *trace, uint64_t ticks)
{
    double before = (double)(int64_t)(trace->scale.ticks - ticks) * trace->scale.ns_per_tick;

    return ((double)(trace->scale.ns - trace->text->rt->began_ns) - before) / 1e3;
}

/* The name of the task, if its block still holds it, or the place of its function. */
static void write_task_name(struct trace *trace, const struct ae__entry_copy *e)
{
    const struct ae_runtime *rt = trace->text->rt;
    char name[AE__LOOK_NAME] = "";
    struct ae__sight sight;
    uint32_t index = ae__entry_task(e);

    if (index < ae__look_count(rt) && ae__look(rt, index, false, &sight) &&
        (sight.task.generation & 0xffffff) == ae__entry_generation(e)) {
        ae__look_text(trace->text->modules, sight.task.name, name);
    }
    if (name[0]) {
        ae__out_text(trace->out, name);
    } else {
        ae__text_place(trace->text, e->value);
    }
}

/* Up to the arguments, whose object it leaves open. phase: X has a length, i is a moment, C a value
 * of a curve. */
static void begin_event(struct trace *trace, const struct ae__entry_copy *e, char phase)
{
    bool has_task = ae__entry_kind(e) == AE__EVENT_SLICE || ae__entry_kind(e) == AE__EVENT_STALL;

    ae__out_text(trace->out, trace->any ? ",\n{\"name\":\"" : "\n{\"name\":\"");
    trace->any = true;
    if (has_task) {
        write_task_name(trace, e);
    } else {
        ae__out_text(trace->out, names[ae__entry_kind(e)]);
    }
    if (phase == 'C') ae__out_format(trace->out, " %u", trace->track);
    ae__out_format(trace->out, "\",\"cat\":\"%s\",\"ph\":\"%c\",\"ts\":%.3f,\"pid\":%u,\"tid\":%u",
                   names[ae__entry_kind(e)], phase, time_of(trace, e->begin), ae__os_pid(),
                   trace->track + 1);
    if (phase == 'X') {
        ae__out_format(trace->out, ",\"dur\":%.3f",
                       (double)e->length * trace->scale.ns_per_tick / 1e3);
    }
    if (phase == 'i') ae__out_text(trace->out, ",\"s\":\"t\"");
    ae__out_text(trace->out, ",\"args\":{");
}

static void write_argument(struct trace *trace, const char *name, uint64_t value)
{
    ae__out_text(trace->out, name);
    ae__out_number(trace->out, value);
}

static void write_place(struct trace *trace, const char *name, uintptr_t pc)
{
    ae__out_text(trace->out, name);
    ae__text_place(trace->text, pc); /* nothing in it needs to be escaped */
    ae__out_text(trace->out, "\"");
}

static void write_entry(struct trace *trace, const struct ae__entry_copy *e)
{
    enum ae__event kind = ae__entry_kind(e);

    if (kind <= AE__EVENT_NONE || kind >= AE__EVENTS) return;
    switch (kind) {
    case AE__EVENT_SLICE:
    case AE__EVENT_STALL:
        begin_event(trace, e, 'X');
        write_argument(trace, "\"task\":", ae__entry_task(e));
        write_place(trace, ",\"function\":\"", (uintptr_t)e->value);
        break;
    case AE__EVENT_SLEEP:
        begin_event(trace, e, 'X');
        break;
    case AE__EVENT_QUEUE:
        begin_event(trace, e, 'C');
        write_argument(trace, "\"ring\":", e->value);
        write_argument(trace, ",\"shared\":", ae__entry_task(e));
        break;
    default:
        begin_event(trace, e, 'i');
        write_argument(trace, "\"tasks\":", e->value);
        if (kind == AE__EVENT_STEAL) {
            write_argument(trace, ",\"from worker\":", ae__entry_task(e));
        }
    }
    ae__out_text(trace->out, "}}");
}

static void write_track_name(struct trace *trace, const char *name)
{
    ae__out_format(trace->out,
                   "%s{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":%u,\"tid\":%u,"
                   "\"args\":{\"name\":\"%s\"}}",
                   trace->any ? ",\n" : "\n", ae__os_pid(), trace->track + 1, name);
    trace->any = true;
}

static void write_track(struct trace *trace, const struct ae__recorder *r, const char *name,
                        struct ae__entry_copy *entries)
{
    uint32_t count = r ? ae__recorder_read(r, entries) : 0;

    AE_ASSERT(count <= AE__RECORDER_SIZE);
    write_track_name(trace, name);
    for (uint32_t i = 0; i < count; i++) write_entry(trace, &entries[i]);
    uint64_t from = r ? atomic_load_explicit(&r->slept_from, memory_order_relaxed) : 0;
    if (from && from < trace->scale.ticks) { /* the sleep that it is in */
        write_entry(trace, &(struct ae__entry_copy){ from, trace->scale.ticks - from,
                                                     AE__EVENT_SLEEP, 0 });
    }
}

void ae__trace_write(struct ae__text *text)
{
    struct trace trace = { .text = text, .out = text->out };
    struct ae_runtime *rt = text->rt;
    uint32_t slots = ae__slots(rt);
    struct ae__entry_copy *entries = ae__mem_alloc(AE__RECORDER_SIZE * sizeof *entries);
    char name[32];

    ae__recorder_scale(rt, &trace.scale);
    ae__out_text(text->out, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
    for (uint32_t i = 0; entries && i < slots; i++) {
        trace.track = i;
        snprintf(name, sizeof name, "%s %u", rt->workers[i]->spare ? "spare" : "worker", i);
        write_track(&trace, rt->workers[i]->recorder, name, entries);
    }
    trace.track = slots;
    if (entries) write_track(&trace, rt->recorder, "stalls", entries);
    ae__out_text(text->out, "\n]}\n");
    ae__mem_free(entries);
}
