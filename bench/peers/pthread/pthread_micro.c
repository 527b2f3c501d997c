/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OS thread's side of the task benchmarks: `pthread_micro BENCH WORKERS`.
 *
 * Only what a thread has an answer to: starting and joining, one at a time and many at once, and
 * the memory of one that waits. Many means 10,000 here, not a million: no default system allows
 * more, and the cost per thread does not fall with the count. WORKERS is the number of CPUs it
 * may use. One warm-up pass, then the pass that is reported.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SPAWN_SEQ = 20000,
    SPAWN_MANY = 10000,
    MEMORY_THREADS = 10000,
    STACK_BYTES = 256 * 1024, /* as an Aether task's */
};

static pthread_t handles[SPAWN_MANY];
static pthread_attr_t attr;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void check(int rc)
{
    if (rc == 0)
        return;
    printf("{\"value\": null, \"reason\": \"pthread_create: %s\"}\n", strerror(rc));
    exit(0);
}

static void *identity(void *arg)
{
    return arg;
}

static void *wait_at_gate(void *arg)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return arg;
}

static double spawn_join_seq(void)
{
    double start = now_ns();

    for (int i = 0; i < SPAWN_SEQ; i++) {
        check(pthread_create(&handles[0], &attr, identity, NULL));
        check(pthread_join(handles[0], NULL));
    }
    return (now_ns() - start) / SPAWN_SEQ;
}

static double spawn_join_many(void)
{
    double start = now_ns();

    for (int i = 0; i < SPAWN_MANY; i++)
        check(pthread_create(&handles[i], &attr, identity, NULL));
    for (int i = 0; i < SPAWN_MANY; i++)
        check(pthread_join(handles[i], NULL));
    return (now_ns() - start) / SPAWN_MANY;
}

static double status_kib(const char *key)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");

    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtod(line + strlen(key), NULL);
    }
    if (file)
        fclose(file);
    return kib;
}

static double resident(void)
{
    return (status_kib("VmRSS:") + status_kib("VmPTE:")) * 1024;
}

/* What the process holds; the kernel's own 16 KiB stack and task structure come on top. */
static double parked_task(void)
{
    double before = resident();
    double per;

    pthread_mutex_lock(&gate);
    for (int i = 0; i < MEMORY_THREADS; i++)
        check(pthread_create(&handles[i], &attr, wait_at_gate, NULL));
    usleep(200 * 1000);
    per = (resident() - before) / MEMORY_THREADS;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < MEMORY_THREADS; i++)
        check(pthread_join(handles[i], NULL));
    return per;
}

static void limit_cpus(int workers)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (int i = 0; i < workers; i++)
        CPU_SET(i, &set);
    if (sched_setaffinity(0, sizeof(set), &set))
        perror("sched_setaffinity");
}

int main(int argc, char **argv)
{
    double value;

    if (argc != 3)
        return 2;
    limit_cpus(atoi(argv[2]));
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (strcmp(argv[1], "spawn-join-seq") == 0) {
        spawn_join_seq();
        value = spawn_join_seq();
    } else if (strcmp(argv[1], "spawn-join-many") == 0) {
        spawn_join_many();
        value = spawn_join_many();
    } else if (strcmp(argv[1], "parked-task") == 0) {
        value = parked_task();
    } else {
        printf("{\"value\": null, \"reason\": \"a thread has no such thing\"}\n");
        return 0;
    }
    printf("{\"value\": %.3f}\n", value);
    return 0;
}
