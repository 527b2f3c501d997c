/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aether's side of the task benchmarks: `aether_micro BENCH WORKERS`.
 *
 * One warm-up pass in the process, then the pass that is reported, as one JSON object on stdout.
 * Only the public headers are used. bench/run.py takes the medians.
 */
#include "micro.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct micro *const tables[] = {
    micro_tasks, micro_channels, micro_waits, micro_memory, micro_steals,
};

static unsigned workers;
static char notes[512];

unsigned micro_workers(void)
{
    return workers;
}

double micro_per_op(int64_t start_ns, uint64_t ops)
{
    return (double)(ae_now() - start_ns) / (double)ops;
}

void micro_check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "aether_micro: %s\n", what);
    exit(1);
}

void micro_ok(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "aether_micro: %s: %s\n", what, ae_strerror(rc));
    exit(1);
}

ae_task *micro_spawn(ae_fn *fn, void *arg)
{
    ae_task *task = ae_spawn(fn, arg);

    micro_check(task != NULL, "spawn: no memory");
    return task;
}

void micro_note(const char *key, double value)
{
    size_t used = strlen(notes);

    snprintf(notes + used, sizeof(notes) - used, ", \"%s\": %.1f", key, value);
}

double micro_status(const char *key)
{
    char line[256];
    double kib = -1;
    FILE *file = fopen("/proc/self/status", "r");

    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtod(line + strlen(key), NULL);
    }
    if (file)
        fclose(file);
    micro_check(kib >= 0, "no such line in /proc/self/status");
    return kib * 1024;
}

static const struct micro *find(const char *name)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const struct micro *micro = tables[i]; micro->name; micro++) {
            if (strcmp(micro->name, name) == 0)
                return micro;
        }
    }
    return NULL;
}

static int run(void *arg)
{
    const struct micro *micro = arg;
    double value;

    if (micro->kind == MICRO_TIMED)
        micro->pass();
    notes[0] = '\0';
    value = micro->pass();
    printf("{\"value\": %.3f%s}\n", value, notes);
    return 0;
}

int main(int argc, char **argv)
{
    const struct micro *micro = argc == 3 ? find(argv[1]) : NULL;
    ae_config config = {AE_CONFIG};

    if (!micro) {
        fprintf(stderr, "usage: aether_micro BENCH WORKERS\n");
        return 2;
    }
    workers = (unsigned)strtoul(argv[2], NULL, 10);
    config.workers = workers;
    return ae_run(&config, run, (void *)micro) ? 1 : 0;
}
