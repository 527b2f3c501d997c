/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes and shields against a stack of a few lines: the input is a program of opening, closing,
 * cancelling and spawning. */
#include "aether/aether.h"
#include "fuzz.h"

#include <errno.h>
#include <stdbool.h>

enum { DEPTH_MAX = 12, TASKS_MAX = 40 };

struct frame {
    bool is_shield, marked, own;
    int cause, live;
    ae_scope scope;
    ae_shield shield;
};

struct tower {
    struct frame frames[DEPTH_MAX + 1]; /* 0: the caller's */
    int depth, spawned;
    _Atomic(int) ended;
};

static int sleeper(void *arg)
{
    struct tower *tower = arg;
    int rc = ae_sleep_until(AE_FOREVER);

    CHECK(rc == -ECANCELED);
    tower->ended++;
    return rc;
}

static void open_frame(struct tower *t, bool is_shield)
{
    struct frame *top = &t->frames[t->depth], *next = top + 1;

    if (t->depth == DEPTH_MAX) return;
    *next = (struct frame){ .is_shield = is_shield, .marked = !is_shield && top->marked };
    t->depth++;
    if (is_shield) {
        ae_shield_begin(&next->shield, -1);
    } else {
        ae_scope_begin(&next->scope);
    }
}

/* Everything inside, except behind a shield. */
static void cancel_frame(struct tower *t, int index, int cause)
{
    struct frame *frame = &t->frames[index];

    if (index < 1 || frame->is_shield) return;
    ae_scope_cancel(&frame->scope, cause);
    if (!frame->own) frame->cause = cause;
    frame->own = true;
    for (int i = index; i <= t->depth && (i == index || !t->frames[i].is_shield); i++) {
        t->frames[i].marked = true;
    }
}

static int expected_end(const struct tower *t, int rc)
{
    const struct frame *top = &t->frames[t->depth];

    if (rc != -ECANCELED || t->frames[t->depth - 1].marked) return rc;
    return top->own ? top->cause : rc;
}

static void close_frame(struct tower *t)
{
    struct frame *top = &t->frames[t->depth];

    if (t->depth == 0) return;
    if (top->is_shield) {
        ae_shield_end(&top->shield);
    } else {
        if (top->live > 0 && !top->marked) cancel_frame(t, t->depth, -EIO);
        int rc = top->marked ? -ECANCELED : 0;
        int expected = expected_end(t, rc);
        CHECK(ae_scope_end(&top->scope, rc) == expected);
    }
    t->depth--;
}

static void spawn(struct tower *t)
{
    struct frame *top = &t->frames[t->depth];

    if (t->depth == 0 || top->is_shield || t->spawned == TASKS_MAX) return;
    CHECK(ae_go(sleeper, t) == 0);
    t->spawned++;
    top->live++;
}

static void step(struct tower *t, uint8_t op)
{
    switch (op % 8) {
    case 0:
    case 1:
        open_frame(t, false);
        break;
    case 2:
        open_frame(t, true);
        break;
    case 3:
        cancel_frame(t, op / 8 % (DEPTH_MAX + 1), -(op / 8));
        break;
    case 4:
        spawn(t);
        break;
    case 5:
        ae_yield();
        break;
    default:
        close_frame(t);
        break;
    }
}

static int run(void *arg)
{
    struct input *in = arg;
    struct tower t = { .depth = 0 };

    while (in->at < in->end) {
        uint8_t op = take_byte(in);
        if (op % 8 == 3 && op / 8 % (DEPTH_MAX + 1) > t.depth) continue;
        step(&t, op);
        CHECK(ae_cancelled() == t.frames[t.depth].marked);
        int rc = ae_sleep(0);
        CHECK(rc == (t.frames[t.depth].marked ? -ECANCELED : 0));
    }
    while (t.depth > 0)
        close_frame(&t);
    CHECK(t.ended == t.spawned);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ae_runtime *rt;
    struct input in = { data, data + size };
    const ae_config config = { AE_CONFIG, .flavor = AE_CURRENT_THREAD };

    if (!rt) CHECK(ae_runtime_create(&config, &rt) == 0);
    CHECK(ae_block_on(rt, run, &in) == 0);
    return 0;
}
