/* SPDX-License-Identifier: Apache-2.0 */
/* A program that knows nothing of simulation is run in one when the environment says so: aesim sets
 * AE_SIM to a list like "seed=7,policy=pct,report=3". It begins when the program first asks the
 * system for what a simulation has, and ends with the process. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "aether/log.h"
#include "aether/time.h"
#include "base/assert.h"
#include "driver/sim_net.h"
#include "driver/sim_start.h"

#define END_S 60 /* virtual seconds after which a server without clients is told to end */

static bool begun; /* once in a process: a program that makes its own has had it */

static const char *setting(const char *name)
{
    const char *text = ae__os_env("AE_SIM");
    size_t length = strlen(name);

    while (text) {
        if (strncmp(text, name, length) == 0 && text[length] == '=') return text + length + 1;
        text = strchr(text, ',');
        if (text) text++;
    }
    return NULL;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = setting(name);
    char *end;

    if (!text) return otherwise;
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || (*end && *end != ',')) ae__fatal("AE_SIM: %s is no number", name);
    return value;
}

static enum ae_sim_policy policy(void)
{
    static const char *const names[] = { "mixed", "random", "pct", "starve", "sticky" };
    const char *text = setting("policy");

    for (unsigned i = 0; text && i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(text, names[i], length) != 0) continue;
        if (text[length] == '\0' || text[length] == ',') return (enum ae_sim_policy)i;
    }
    if (text) ae__fatal("AE_SIM: want policy=mixed, random, pct, starve or sticky");
    return AE_SIM_MIXED;
}

bool ae__sim_settings(ae_sim_config *config)
{
    if (begun || !ae__os_env("AE_SIM")) return false;
    config->seed = number("seed", config->seed ? config->seed : 1);
    config->workers = (unsigned)number("workers", config->workers);
    config->steps_max = number("steps", config->steps_max);
    config->limit_ns = (int64_t)number("limit", (uint64_t)(config->limit_ns / AE_SEC)) * AE_SEC;
    if (config->policy == AE_SIM_MIXED) config->policy = policy();
    return true;
}

void ae__sim_settle(void)
{
    begun = true;
    ae__sim->report = (int)number("report", 0) - 1; /* + 1, so that none is 0 */
    ae__sim->traces = number("trace", 0) != 0;
    ae__sim->faults_ppm = (uint32_t)number("faults", 0);
    if (number("loss", 0)) {
        ae_sim_link link = { 100 * AE_US, 400 * AE_US, (uint32_t)number("loss", 0) };
        ae_sim_link_set(NULL, NULL, &link);
    }
}

/* A server would serve for ever. */
static void tell_the_end(void *object, uint64_t value)
{
    (void)object;
    (void)value;
    (void)ae__sim_tell_the_end();
}

static void end_with_process(void)
{
    if (!ae__sim) return;
    if (ae__sim->current == ae__sim->main) {
        ae__sim_end();
    } else {
        ae__sim_report_end(); /* a task has called exit */
    }
}

void ae__sim_start(void)
{
    ae_sim_config config = { AE_SIM_CONFIG };

    if (ae__sim || !ae__sim_settings(&config)) return;
    int rc = ae__sim_begin(&config);
    if (rc < 0) ae__fatal("AE_SIM: the simulation does not begin: %s", ae_strerror(rc));
    ae__sim_settle();
    uint32_t clients = (uint32_t)number("clients", 0);
    if (clients > 0) ae__sim_outside_begin(clients, ae__os_env("AE_SIM_SAY"));
    ae__sim_after((int64_t)number("end", END_S) * AE_SEC, tell_the_end, NULL, 0);
    atexit(end_with_process);
}
