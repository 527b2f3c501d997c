/* SPDX-License-Identifier: Apache-2.0 */
/* What users of a simulation call: runs, and the lives of its nodes. See aether/sim.h. */
#include <errno.h>
#include <string.h>

#include "aether/time.h"
#include "arch/thread.h"
#include "base/assert.h"
#include "base/mem.h"
#include "driver/names.h"
#include "driver/sim_net.h"
#include "sched/sched.h"

/* ---- runs ---- */

int ae_sim_run(const ae_sim_config *config, ae_fn *scenario, void *arg)
{
    ae_sim_config full = { AE_SIM_CONFIG };

    AE_ASSERT(scenario);
    AE_ASSERT(!ae__in_task());
    if (config) {
        if (config->size != sizeof full) return -EINVAL;
        full = *config;
    }
    bool told = ae__sim_settings(&full);
    int rc = ae__sim_begin(&full);
    if (rc < 0) return rc;
    if (told) ae__sim_settle();
    rc = scenario(arg);
    ae__sim_end();
    return rc;
}

struct test_call {
    ae_fn *fn;
    void *arg;
};

static int run_alone(void *arg)
{
    const struct test_call *call = arg;
    const ae_config config = { AE_CONFIG, .workers = 1 };

    return ae_run(&config, call->fn, call->arg);
}

int ae_test_clock(ae_fn *fn, void *arg)
{
    struct test_call call = { fn, arg };

    return ae_sim_run(NULL, run_alone, &call);
}

uint32_t ae_sim_random(uint32_t bound)
{
    AE_ASSERT(ae__sim);
    return ae__sim_below(AE__SIM_PROGRAM, bound);
}

void ae_sim_always(bool condition, const char *what)
{
    if (condition) return;
    if (ae__sim) ae__sim_fail("it does not hold: %s", what);
    ae__fatal("it does not hold: %s", what);
}

void ae_sim_sometimes(bool condition, const char *what)
{
    if (ae__sim) ae__sim_note_sometimes(condition, what);
}

uint64_t ae_sim_steps(void)
{
    AE_ASSERT(ae__sim);
    return ae__sim->steps;
}

uint64_t ae_sim_hash(void)
{
    AE_ASSERT(ae__sim);
    return ae__sim->hash;
}

/* ---- nodes ---- */

ae_sim_node *ae_sim_node_create(const char *name, const char *address)
{
    unsigned char bytes[4];

    AE_ASSERT(ae__sim && name && address);
    if (ae__names_parse(AE__SIM_INET, address, bytes) < 0) return NULL;
    uint32_t host = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
                    (uint32_t)bytes[2] << 8 | bytes[3];
    if (host == 0 || bytes[0] == 127) return NULL;
    return ae__sim_node_make(name, host);
}

static int give_back(void *arg)
{
    ae_sim_node *node = arg;

    return node->fn(node->arg);
}

/* The first thread of a node's process. */
static void process(void *arg)
{
    ae_sim_node *node = arg;
    ae_runtime *rt;

    int rc = ae_runtime_create(node->has_config ? &node->config : NULL, &rt);
    if (rc == 0) {
        node->running = rt;
        if (node->stop_asked) ae__runtime_signal(rt); /* it came too early */
        rc = ae_block_on(rt, give_back, node);
        node->running = NULL;
        if (ae_runtime_destroy(rt) < 0) {
            ae__sim_fail("tasks of %s did not end in time", node->name);
        }
    }
    ae__sim_drop_sockets(node, false); /* what the process left open */
    node->status = rc;
    node->alive = false;
    ae__sim_step("ended", node->name, (uint64_t)(int64_t)rc);
    ae__sim_wake(node, INT32_MAX);
}

int ae_sim_start(ae_sim_node *node, const ae_config *config, ae_fn *main, void *arg)
{
    AE_ASSERT(ae__sim && node && main);
    if (node->alive) return -EBUSY;
    node->has_config = config != NULL;
    if (config) node->config = *config;
    node->fn = main;
    node->arg = arg;
    node->status = -ESRCH;
    node->dark = node->stop_asked = false;
    ae__sim_step("start", node->name, node->index);
    struct ae__sim_thread *thread = ae__sim_thread_make(node->name, node, process, node);
    if (!thread) return -ENOMEM;
    thread->detached = true;
    node->alive = true;
    return 0;
}

int ae_sim_wait(ae_sim_node *node)
{
    AE_ASSERT(ae__sim && node && !ae__in_task());
    while (node->alive) {
        ae__sim_wait(node, INT64_MAX);
    }
    return node->status;
}

int ae_sim_stop(ae_sim_node *node)
{
    AE_ASSERT(ae__sim && node);
    ae__sim_step("stop", node->name, node->index);
    node->stop_asked = true;
    if (node->alive && node->running) ae__runtime_signal(node->running);
    return ae_sim_wait(node);
}

static void end_process(ae_sim_node *node, bool silently)
{
    AE_ASSERT(ae__sim && node && node != ae__sim_here());
    ae__sim_kill_threads(node);
    ae__sim_drop_sockets(node, silently);
    while (node->runtimes) {
        struct ae__sim_runtime *place = node->runtimes;
        node->runtimes = place->next;
        ae__mem_free(place);
    }
    node->running = NULL;
    node->alive = false;
    node->paused = false;
    node->status = -ESRCH;
    ae__sim_wake(node, INT32_MAX);
}

void ae_sim_kill(ae_sim_node *node)
{
    ae__sim_step("kill", node->name, node->index);
    end_process(node, false);
}

void ae_sim_crash(ae_sim_node *node)
{
    ae__sim_step("crash", node->name, node->index);
    end_process(node, true);
    node->dark = true; /* until it is started again */
}

static void resume(void *object, uint64_t life)
{
    ae_sim_node *node = object;

    if (!node->paused || node->pauses != life) return;
    node->paused = false;
    ae__sim_step("resume", node->name, node->index);
    ae__sim_freeze(node, false);
}

void ae_sim_pause(ae_sim_node *node, int64_t ns)
{
    AE_ASSERT(ae__sim && node && node != ae__sim_here() && ns >= 0);
    ae__sim_step("pause", node->name, node->index);
    node->paused = true;
    ae__sim_freeze(node, true);
    ae__sim_after(ns, resume, node, ++node->pauses);
}
