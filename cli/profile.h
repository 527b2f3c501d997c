/* SPDX-License-Identifier: Apache-2.0 */
/* `aether doctor --profile PID`: the command (profile.c), the threads it watches
 * (profile_watch.c), and whose code is at an address (profile_code.c). */
#ifndef AETHER_CLI_PROFILE_H
#define AETHER_CLI_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

/* Watch a process for some seconds, or until Ctrl-C, and print where its workers' time went.
 * `samples` false: by the kernel's clocks alone. The exit status. */
int profile_process(unsigned pid, unsigned seconds, bool samples);

/* ---- whose code ---- */

enum profile_class { PROFILE_USER, PROFILE_SCHEDULER, PROFILE_DRIVER, PROFILE_CLASSES };

struct profile_code;
int profile_code_open(unsigned pid, struct profile_code **out); /* 0 or -errno */
void profile_code_close(struct profile_code *code);
enum profile_class profile_code_class(struct profile_code *code, uint64_t address);
/* Is libaether one of its files? Or is it part of the program: was a function of it met so far? */
bool profile_code_has_runtime(const struct profile_code *code);

/* ---- its workers ---- */

struct profile_watch;

struct profile_times {
    unsigned workers;
    double seconds;
    uint64_t user_ticks, kernel_ticks, wall_ticks; /* of all workers together */
    uint64_t samples[PROFILE_CLASSES];
    int refused;        /* no samples: -errno of perf_event_open; 0 */
    bool kernel_hidden; /* samples are of the program's own code only */
    bool has_monitor;   /* a thread that each runtime with workers has */
    bool current;       /* there is no worker: the main thread was watched */
    bool ended;         /* the process, meanwhile */
};

int profile_watch_create(unsigned pid, bool samples, struct profile_watch **out); /* 0 or -errno */
void profile_watch_destroy(struct profile_watch *watch);
/* For `seconds`, or until a signal sets `*stop`. */
void profile_watch_run(struct profile_watch *watch, struct profile_code *code, unsigned seconds,
                       bool (*stopped)(void));
void profile_watch_times(const struct profile_watch *watch, struct profile_times *out);

#endif
