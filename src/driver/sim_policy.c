/* SPDX-License-Identifier: Apache-2.0 */
/* Which thread goes on: the policies of a simulation. Each is drawn from the seed's own stream for
 * it, so another policy meets the same network.
 *
 * Random finds most bugs; PCT (Burckhardt et al., "A Randomized Scheduler with Probabilistic
 * Guarantees of Finding Bugs", ASPLOS 2010) those that need a few orders out of very many; starving
 * one thread, those that need it to be late; sticking to one, those that need others to be. */
#include "base/assert.h"
#include "driver/sim.h"

enum {
    CHANGE_STEPS = 400,   /* on the average between two changes of PCT */
    VICTIM_STEPS = 2000,  /* how long one is starved, on the average */
    VICTIM_TURNS = 64,    /* one turn in so many is its own */
    STICK = 8,            /* a thread that can go on is left for another one turn in so many */
    IN_A_ROW_MAX = 300,   /* turns of PCT's first: it may be waiting for the others in a loop */
    FIRST_PRIORITY = 1 << 30,
};

static uint32_t below(uint32_t bound)
{
    return ae__sim_below(AE__SIM_SCHEDULE, bound);
}

void ae__sim_policy_begin(void)
{
    static const enum ae_sim_policy mix[] = {
        AE_SIM_RANDOM, AE_SIM_PCT, AE_SIM_RANDOM, AE_SIM_STARVE, AE_SIM_STICKY,
    };
    struct ae__sim *sim = ae__sim;

    sim->policy = sim->config.policy;
    if (sim->policy == AE_SIM_MIXED) {
        sim->policy = mix[sim->config.seed % (sizeof mix / sizeof mix[0])];
    }
    sim->lowest = FIRST_PRIORITY;
    sim->change_step = 1 + below(CHANGE_STEPS);
}

void ae__sim_policy_thread(struct ae__sim_thread *thread)
{
    thread->priority = FIRST_PRIORITY + 1 + below(FIRST_PRIORITY);
}

static struct ae__sim_thread *any(void)
{
    AE_ASSERT(ae__sim->ready_count > 0);
    return ae__sim->ready[below(ae__sim->ready_count)];
}

static struct ae__sim_thread *highest(void)
{
    struct ae__sim_thread *best = ae__sim->ready[0];

    for (uint32_t i = 1; i < ae__sim->ready_count; i++) {
        struct ae__sim_thread *other = ae__sim->ready[i];
        if (other->priority > best->priority) best = other;
    }
    return best;
}

static struct ae__sim_thread *by_priority(void)
{
    struct ae__sim *sim = ae__sim;
    struct ae__sim_thread *best = highest();

    sim->in_a_row = best == sim->current ? sim->in_a_row + 1 : 0;
    if (sim->steps < sim->change_step && sim->in_a_row < IN_A_ROW_MAX) return best;
    if (sim->steps >= sim->change_step) {
        sim->change_step = sim->steps + 1 + below(2 * CHANGE_STEPS);
    }
    sim->in_a_row = 0;
    best->priority = sim->lowest > 0 ? sim->lowest-- : 0;
    return highest();
}

static struct ae__sim_thread *starving_one(void)
{
    struct ae__sim *sim = ae__sim;

    if (sim->steps >= sim->change_step) {
        sim->change_step = sim->steps + 1 + below(2 * VICTIM_STEPS);
        sim->victim = any()->id;
    }
    struct ae__sim_thread *thread = any();
    if (thread->id != sim->victim || sim->ready_count == 1) return thread;
    if (below(VICTIM_TURNS) == 0) return thread;
    uint32_t next = (thread->ready_place + 1) % sim->ready_count;
    return sim->ready[next];
}

static struct ae__sim_thread *sticking(void)
{
    struct ae__sim_thread *current = ae__sim->current;
    bool can = current->state == AE__SIM_READY && !current->frozen;

    return can && below(STICK) != 0 ? current : any();
}

struct ae__sim_thread *ae__sim_choose(void)
{
    if (ae__sim->ready_count == 1) return ae__sim->ready[0];
    switch (ae__sim->policy) {
    case AE_SIM_PCT:
        return by_priority();
    case AE_SIM_STARVE:
        return starving_one();
    case AE_SIM_STICKY:
        return sticking();
    case AE_SIM_MIXED:
    case AE_SIM_RANDOM:
        break;
    }
    return any();
}
