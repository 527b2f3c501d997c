/* SPDX-License-Identifier: Apache-2.0 */
/* Simulation: a whole network of your servers in one thread, with a clock that jumps and faults on
 * request, decided by a seed. The same seed gives the same run, so a bug once found stays found.
 *
 * The command `aesim --seeds 1..1000 ./prog` runs any program of this library so. With this header
 * a test makes machines (nodes), runs servers on them, breaks the network, and looks. After Zhou et
 * al., "FoundationDB" (SIGMOD 2021), section 4. One simulation at a time, in a process that has
 * no other thread. */
#ifndef AETHER_SIM_H
#define AETHER_SIM_H

#include <aether/defs.h>
#include <aether/run.h>

AE_EXTERN_C_BEGIN

/* Which of the threads that could go on goes on. */
enum ae_sim_policy {
    AE_SIM_MIXED,  /* one of the others, by the seed */
    AE_SIM_RANDOM, /* any */
    AE_SIM_PCT,    /* by priorities that change a few times (Burckhardt et al., ASPLOS 2010) */
    AE_SIM_STARVE, /* any but one, which hardly gets a turn; another one after a while */
    AE_SIM_STICKY, /* the same one for a while, then any */
};

/* Everything 0 is a good default. Start with AE_SIM_CONFIG. */
typedef struct ae_sim_config {
    size_t size;              /* sizeof(ae_sim_config), set by AE_SIM_CONFIG */
    uint64_t seed;            /* 0 = the one of aesim, else 1 */
    enum ae_sim_policy policy;
    unsigned workers;         /* of a runtime that asks for no number; 0 = 4 */
    int64_t limit_ns;         /* virtual time after which it has failed; 0 = 1 day */
    uint64_t steps_max;       /* steps after which it has failed; 0 = 50 million */
} ae_sim_config;

#define AE_SIM_CONFIG .size = sizeof(ae_sim_config)

/* Run `scenario(arg)` in a simulation, on a plain thread that belongs to no node: it may sleep, and
 * use whatever "any thread" may. Returns what it returned, -EBUSY (there is a simulation already),
 * -EINVAL (config) or -ENOMEM. When nothing can ever run again the wait of each task is logged and
 * the process aborts. Nodes are killed at the end. Colour: a plain thread, the only one. */
AE_API int ae_sim_run(const ae_sim_config *config, ae_fn *scenario, void *arg) AE_MUST_CHECK;

/* Run fn(arg) as a task of one worker in virtual time; for unit tests of what sleeps. What it
 * returned, or an error of ae_sim_run or ae_run. Colour: a plain thread, the only one. */
AE_API int ae_test_clock(ae_fn *fn, void *arg) AE_MUST_CHECK;

/* A machine with an IPv4 address of its own; `name` is also its host name. Sockets of different
 * nodes meet over the network, 127.0.0.1 is each one's own. NULL: no memory, or the address is
 * taken or none. It lives until the simulation ends. Colour: the scenario's thread. */
typedef struct ae_sim_node ae_sim_node;
AE_API ae_sim_node *ae_sim_node_create(const char *name, const char *address) AE_MUST_CHECK;

/* Start a process on it: a runtime (config NULL: the defaults) whose first task is main(arg). Also
 * again after its end. -EBUSY: one is running; -ENOMEM. Colour: the scenario's thread. */
AE_API int ae_sim_start(ae_sim_node *node, const ae_config *config, ae_fn *main,
                        void *arg) AE_MUST_CHECK;

/* Wait until main has returned and its runtime ended: what it returned; -ESRCH: it was killed, or
 * never started. stop: ask it to end before, as SIGTERM does.
 * Colour: the scenario's thread, blocks it. */
AE_API int ae_sim_wait(ae_sim_node *node);
AE_API int ae_sim_stop(ae_sim_node *node);

/* End the process where it stands. Its tasks are never heard of again; what they had allocated is
 * lost to this process, and static variables keep their values. kill: the node's kernel lives, and
 * closes its connections. crash: the machine is gone; others learn it when they send, or never.
 * Colour: the scenario's thread. */
AE_API void ae_sim_kill(ae_sim_node *node);
AE_API void ae_sim_crash(ae_sim_node *node);

/* Nothing runs on the node for so long; its network and its clock go on. */
AE_API void ae_sim_pause(ae_sim_node *node, int64_t ns);

/* What a connection between two nodes is like; a NULL node is every other. Times in ns; loss in
 * parts of a million segments, which come late then, as TCP sends them again. 0 in all: the default
 * of 100 us and up to 400 us more. */
typedef struct ae_sim_link {
    int64_t latency_ns, jitter_ns;
    uint32_t loss_ppm;
} ae_sim_link;
AE_API void ae_sim_link_set(ae_sim_node *a, ae_sim_node *b, const ae_sim_link *link);

/* From now on nothing from `from` reaches `to` (NULL: any node), until heal, which ends all cuts.
 * What is under way waits, as TCP tries again for 15 minutes. Colour: the scenario's thread. */
AE_API void ae_sim_cut(ae_sim_node *from, ae_sim_node *to);
AE_API void ae_sim_heal(void);

/* Faults that the kernel of each node makes: parts of a million calls that fail with -ECONNABORTED
 * or -EMFILE (accept), or reset a connection (send). 0: none. Colour: the scenario's thread. */
AE_API void ae_sim_faults(uint32_t ppm);

/* A number below `bound` (> 0) from the seed. Colour: any thread of a simulation. */
AE_API uint32_t ae_sim_random(uint32_t bound);

/* Must hold: else the seed is told, and the process aborts. Colour: any thread. */
AE_API void ae_sim_always(bool condition, const char *what);
/* Must have held once in some seed: aesim adds them up and fails if one never did. `what` is a
 * literal, one of at most 64. Colour: any thread. */
AE_API void ae_sim_sometimes(bool condition, const char *what);

/* Steps so far, and a hash of them: two runs of one seed are the same if these are. */
AE_API uint64_t ae_sim_steps(void);
AE_API uint64_t ae_sim_hash(void);

AE_EXTERN_C_END
#endif
