/* SPDX-License-Identifier: Apache-2.0 */
/* The simulation: one OS thread plays threads, clock, network and disks, and a seed decides all
 * that is not the program's to decide. The same seed gives the same run.
 *
 * It sits beneath the two seams. Above them is the real code: workers, queues, timers, the pool,
 * the descriptor objects of the epoll driver (fd.c) and its attempts (try.c). Beneath are simulated
 * threads (os.h) and a simulated kernel with sockets of numbers from AE__SIM_NUMBERS on.
 *
 * M1  Everything runs on the one thread that began it. A simulated thread runs until it waits
 *     (futex, join, poll), passes (yield, poll without waiting) or ends; only there others run. So
 *     nothing here has a lock, and whoever holds one of the runtime's locks is never interrupted.
 * M2  What happens depends on the seed and the program alone: never on an address, a real clock, or
 *     what the process did before. Whatever is chosen is drawn from a stream of the seed's, and
 *     enters the hash.
 * M3  The clock goes on a little with each step and each look at it, so that loops that wait for
 *     time end; it jumps only when no thread can run, to what comes next.
 * M4  An event that is scheduled holds a reference to what it will touch. */
#ifndef AE_DRIVER_SIM_H
#define AE_DRIVER_SIM_H

#include "aether/net.h"
#include "aether/sim.h"
#include "arch/os.h"
#include "arch/sanitize.h"
#include "base/list.h"
#include "driver/epoll.h"
#include "task/types.h"

#define AE__SIM_INET 2 /* AF_INET */
#define AE__SIM_NUMBERS (1 << 28) /* descriptors from here on are simulated */

enum { AE__SIM_CLAIMS = 64 };

struct ae__sim_socket;

/* ---- threads: sim_thread.c ---- */

enum ae__sim_thread_state { AE__SIM_READY, AE__SIM_WAITS, AE__SIM_ENDED };

struct ae__sim_thread {
    struct ae__thread carrier;     /* its thread-local record while contexts are switched */
    struct ae__thread *record;     /* its own while others run */
    void *sp;
    struct ae__san san, *at;       /* of its stack; of the one that it left from */
    char *stack;                   /* NULL: the real thread's */
    void (*fn)(void *);
    void *arg;
    char name[16];
    ae_sim_node *node;
    uint32_t id;                   /* counts up: never used again */
    uint32_t place;                /* among all */
    uint32_t ready_place;          /* among those that are ready */
    uint32_t priority;             /* AE_SIM_PCT: the highest goes first */
    uint8_t state;                 /* enum ae__sim_thread_state */
    bool frozen;                   /* ready, but its node is paused */
    bool detached;
    const void *waits_on;          /* a futex word or a port; NULL */
    int64_t deadline_ns;           /* INT64_MAX: none */
    struct ae__sim_thread *joiner;
};

/* ---- what comes later: sim.c ---- */

struct ae__sim_event {
    int64_t when_ns;
    uint64_t order;                /* those of one time go in the order they were made */
    void (*fire)(void *object, uint64_t value);
    void *object;
    uint64_t value;
};

/* One stream of the seed for each kind of choice, so that one more of a kind changes no other. */
enum ae__sim_stream { AE__SIM_SCHEDULE, AE__SIM_NETWORK, AE__SIM_PROGRAM, AE__SIM_STREAMS };

struct ae__sim {
    ae_sim_config config;
    enum ae_sim_policy policy;     /* AE_SIM_MIXED is resolved */
    uint64_t streams[AE__SIM_STREAMS];
    uint64_t hash, steps;
    int64_t now_ns, begun_ns;
    uint64_t order;
    bool traces;
    struct ae__sim_claim {
        const char *what;
        bool held;
    } claims[AE__SIM_CLAIMS];      /* of ae_sim_sometimes */
    uint32_t claims_count;
    int report;                    /* where the last line goes; -1: nowhere */

    struct ae__sim_event *events;  /* a heap */
    uint32_t events_count, events_room;

    struct ae__sim_thread **all, **ready;
    uint32_t all_count, ready_count, threads_room, threads_made;
    struct ae__sim_thread *current, *main, *grave;
    int64_t deadline_ns;           /* no thread's is before it */

    /* sim_policy.c */
    uint32_t victim;               /* AE_SIM_STARVE: id */
    uint64_t change_step;          /* AE_SIM_PCT, AE_SIM_STARVE */
    uint32_t lowest, in_a_row;

    /* sim_net.c */
    struct ae__sim_socket **sockets;
    uint32_t sockets_room;
    uint64_t inodes;
    ae_sim_node *nodes;            /* the first is where threads of no other node are */
    uint32_t nodes_count;
    struct ae__sim_rule *rules;    /* the newest first */
    uint32_t faults_ppm;

    /* signals */
    void (*on_signal)(void *context);
    void *signal_context;
    bool signalled;
};
extern struct ae__sim *ae__sim; /* NULL: there is none, and the system is real */

/* From one node to another; a NULL node: any. */
struct ae__sim_rule {
    struct ae__sim_rule *next;
    const ae_sim_node *from, *to;
    ae_sim_link link;
    bool cut;
};

/* A runtime of a node, for reports. */
struct ae__sim_runtime {
    struct ae_runtime *rt;
    struct ae__sim_runtime *next;
};

struct ae_sim_node {
    char name[32];
    uint32_t address;              /* IPv4, host order */
    uint32_t index;
    ae_sim_node *next;
    bool alive, paused, stop_asked;
    bool dark;                     /* crashed: nothing reaches it */
    uint64_t pauses;
    uint16_t port;                 /* the next one given to who asks for none */
    struct ae__sim_runtime *runtimes;
    struct ae_runtime *running;
    bool has_config;
    ae_config config;
    ae_fn *fn;
    void *arg;
    int status;
    struct ae__sim_path *paths;    /* Unix sockets with a name */
};

/* sim.c */
int ae__sim_begin(const ae_sim_config *config);
void ae__sim_end(void);
uint32_t ae__sim_draw(enum ae__sim_stream stream);                      /* 32 bits */
uint32_t ae__sim_below(enum ae__sim_stream stream, uint32_t bound);
bool ae__sim_chance(enum ae__sim_stream stream, uint32_t in_a_million);
/* A step of the simulation: counted, hashed, and told if it traces. */
void ae__sim_step(const char *what, const char *name, uint64_t value);
void ae__sim_after(int64_t delay_ns, void (*fire)(void *, uint64_t), void *object, uint64_t value);
/* Fire what is due. */
void ae__sim_fire_due(void);
void ae__sim_fire_all(void); /* at the end: whatever there is */
/* Nothing can run: let time pass until something can. */
void ae__sim_jump(void);
/* Signal the program to end, if it takes signals and somebody listens; once. False: not done. */
bool ae__sim_tell_the_end(void);
void ae__sim_report_end(void);
void ae__sim_note_sometimes(bool condition, const char *what);
AE_NORETURN void ae__sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* sim_settings.c: what aesim asks for, by the environment. */
bool ae__sim_settings(ae_sim_config *config); /* false: nothing */
void ae__sim_settle(void);                    /* the rest of it, once begun */

/* sim_outside.c: clients that a program knows nothing of */
void ae__sim_outside_begin(uint32_t clients, const char *say);

/* sim_thread.c */
struct ae__sim_thread *ae__sim_thread_make(const char *name, ae_sim_node *node, void (*fn)(void *),
                                           void *arg);
void ae__sim_thread_adopt_main(void);
void ae__sim_thread_forget_main(void);
void ae__sim_wait(const void *on, int64_t deadline_ns); /* until woken by it, or the deadline */
void ae__sim_wake(const void *on, int count);
void ae__sim_pass(void);                                /* others may run */
bool ae__sim_expire(void);       /* wake threads whose deadline has come; true: there were some */
void ae__sim_kill_threads(const ae_sim_node *node);
void ae__sim_freeze(const ae_sim_node *node, bool freeze);
void ae__sim_threads_name(void); /* log what they wait for */

/* As os.h has them. */
int ae__sim_thread_start(ae__os_thread *out, const char *name, void (*fn)(void *), void *arg);
void ae__sim_thread_join(ae__os_thread handle);
void ae__sim_thread_detach(ae__os_thread handle);
void ae__sim_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns);
void ae__sim_futex_wake(_Atomic(uint32_t) *word, int count);

/* sim_policy.c */
void ae__sim_policy_begin(void);
void ae__sim_policy_thread(struct ae__sim_thread *thread); /* it is new */
struct ae__sim_thread *ae__sim_choose(void);               /* of those that are ready */

/* sim_driver.c: ports, which are what drivers wait at */
struct ae__sim_port;
extern const struct ae__driver_ops ae__sim_ops;
void ae__sim_port_push(struct ae__sim_port *port, struct ae__sim_socket *socket);
void ae__sim_port_drop(struct ae__sim_port *port, struct ae__sim_socket *socket);
void ae__sim_runtimes_name(void); /* log what all tasks wait for */

static inline bool ae__sim_owns(int number)
{
    return number >= AE__SIM_NUMBERS;
}

static inline ae_sim_node *ae__sim_here(void)
{
    return ae__sim->current->node;
}

#endif
