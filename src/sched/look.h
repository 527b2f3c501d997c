/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at the tasks of a runtime while they run: for dumps, traces and `aether top`. Nobody is
 * stopped and no lock is taken; what is seen of a task is from one moment, or left out. */
#ifndef AE_SCHED_LOOK_H
#define AE_SCHED_LOOK_H

#include "arch/modules.h"
#include "base/out.h"
#include "sched/types.h"

#define AE__LOOK_FRAMES 32
#define AE__LOOK_NAME 48

/* A task at one moment. */
struct ae__sight {
    struct ae__task task;              /* a copy; its atomics are plain by now */
    bool moving;                       /* it ran while it was looked at: there are no frames */
    unsigned frames;
    uintptr_t pcs[AE__LOOK_FRAMES];    /* return addresses, innermost first */
};

/* How many control blocks there are to look at. */
uint32_t ae__look_count(const struct ae_runtime *rt);
/* False: nobody has the block. with_frames: walk the stack, if the task is suspended. */
bool ae__look(const struct ae_runtime *rt, uint32_t index, bool with_frames,
              struct ae__sight *out);

/* The block's place in the slab, or UINT32_MAX if that is no task of `rt`. */
uint32_t ae__look_index(const struct ae_runtime *rt, const void *task);

/* A string of the program's: cut, made printable, without quotes; "" if it is not to be had any
 * more. Its memory may be gone: a task may end, and its name with it. */
void ae__look_text(const struct ae__modules *modules, const char *text,
                   char out[AE__LOOK_NAME]);

/* The task that worker `w` runs, or NULL. */
const struct ae__task *ae__look_current(const struct ae__worker *w);

/* ---- what is written of them ---- */

struct ae__text {
    struct ae_runtime *rt;
    const struct ae__modules *modules;
    struct ae__out *out;
};

void ae__text_place(struct ae__text *text, uintptr_t pc);

void ae__dump_write(struct ae__text *text);  /* dump.c */
void ae__trace_write(struct ae__text *text); /* trace.c */
void ae__stats_write(struct ae__text *text); /* stats.c */

#endif
