/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what a program says of itself: see src/sched/stats.c for the format. Lines that are not
 * known are skipped, and what does not fit is left out. */
#include "top.h"

#include <stdlib.h>
#include <string.h>

static void take_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

/* The number behind a word of a line; 0 if the word is not there. */
static uint64_t number_after(const char *line, const char *word)
{
    const char *at = strstr(line, word);

    return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

static void read_worker(const char *line, struct top_frame *f)
{
    if (f->workers_count == TOP_WORKERS) return;
    struct top_worker *w = &f->workers[f->workers_count++];
    const char *task = strstr(line, " task ");

    *w = (struct top_worker){ .task = task ? atoll(task + 6) : -1 };
    (void)sscanf(line, "worker %*u %15s", w->state);
    w->slices = number_after(line, " slices ");
    w->steals = number_after(line, " steals ");
    w->parks = number_after(line, " parks ");
    w->queued = number_after(line, " queued ");
    w->asleep_ns = number_after(line, " asleep_ns ");
    w->io_syscalls = number_after(line, " io_syscalls ");
}

static void read_site(char *line, struct top_frame *f)
{
    char *spawned = strstr(line, " spawned at "), *name = strstr(line, " name ");
    int function = 0;

    if (f->sites_count == TOP_SITES || !spawned || !name || name < spawned) return;
    struct top_site *site = &f->sites[f->sites_count];
    unsigned long long n[4];
    *spawned = *name = 0;
    if (sscanf(line, "site %llu %llu %llu %llu %n", &n[0], &n[1], &n[2], &n[3], &function) != 4) {
        return;
    }
    *site = (struct top_site){ n[0], n[1], n[2], n[3], "", "", "" };
    take_text(site->function, sizeof site->function, line + function);
    take_text(site->spawned, sizeof site->spawned, spawned + 12);
    take_text(site->name, sizeof site->name, name + 6);
    f->sites_count++;
}

static void read_stall(char *line, struct top_frame *f)
{
    char *name = strstr(line, " name ");
    int spawned = 0;

    if (f->stalls_count == TOP_SITES || !name) return;
    struct top_stall *stall = &f->stalls[f->stalls_count];
    unsigned long long n[3];
    *name = 0;
    if (sscanf(line, "stall %llu %llu %llu %n", &n[0], &n[1], &n[2], &spawned) != 3) return;
    *stall = (struct top_stall){ n[0], n[1], n[2], "", "" };
    take_text(stall->spawned, sizeof stall->spawned, line + spawned);
    take_text(stall->name, sizeof stall->name, name + 6);
    f->stalls_count++;
}

/* "state 12 on the pool": the words come last. */
static void read_words(const char *line, struct top_value *out, unsigned *count)
{
    unsigned long long value;
    int words = 0;

    if (*count == TOP_WORDS || sscanf(line, "%*s %llu %n", &value, &words) != 1) return;
    out[*count].value = value;
    take_text(out[*count].name, sizeof out[*count].name, line + words);
    (*count)++;
}

static void read_histogram(const char *line, ae_histogram *out)
{
    unsigned bucket = 0;

    for (const char *at = strchr(line, ' '); at; at = strchr(at + 1, ' ')) {
        long long ns;
        unsigned long long count;
        if (sscanf(at, " %lld:%llu", &ns, &count) != 2) continue;
        while (bucket + 1 < AE_HISTOGRAM_BUCKETS && ae_histogram_ns(bucket) < ns) bucket++;
        out->count[bucket] = count;
    }
}

static void read_value(const char *line, struct top_frame *f)
{
    unsigned long long value;
    char name[32];

    if (f->values_count == TOP_VALUES || sscanf(line, "%31s %llu", name, &value) != 2) return;
    f->values[f->values_count].value = value;
    take_text(f->values[f->values_count].name, sizeof name, name);
    f->values_count++;
}

static bool begins(const char *line, const char *word)
{
    size_t length = strlen(word);

    return strncmp(line, word, length) == 0 && line[length] == ' ';
}

static void read_line(char *line, struct top_frame *f)
{
    if (begins(line, "worker")) {
        read_worker(line, f);
    } else if (begins(line, "site")) {
        read_site(line, f);
    } else if (begins(line, "stall")) {
        read_stall(line, f);
    } else if (begins(line, "state")) {
        read_words(line, f->states, &f->states_count);
    } else if (begins(line, "wait")) {
        read_words(line, f->waits, &f->waits_count);
    } else if (begins(line, "slice_ns")) {
        read_histogram(line, &f->slice);
    } else if (begins(line, "wait_ns")) {
        read_histogram(line, &f->wait);
    } else if (begins(line, "aether")) {
        take_text(f->version, sizeof f->version, line + 7);
    } else if (begins(line, "name")) {
        take_text(f->program, sizeof f->program, line + 5);
    } else if (begins(line, "driver")) {
        take_text(f->driver, sizeof f->driver, line + 7);
    } else if (strcmp(line, "end") == 0) {
        f->whole = true;
    } else {
        read_value(line, f);
    }
}

void top_read(FILE *from, struct places *places, struct top_frame *out)
{
    char *line = NULL;
    size_t size = 0;

    memset(out, 0, sizeof *out);
    while (getline(&line, &size, from) >= 0) {
        line[strcspn(line, "\n")] = 0;
        (void)places_gather(places, line); /* without memory they stay numbers */
        read_line(line, out);
    }
    free(line);
}

uint64_t top_get(const struct top_frame *frame, const char *name)
{
    for (unsigned i = 0; i < frame->values_count; i++) {
        if (strcmp(frame->values[i].name, name) == 0) return frame->values[i].value;
    }
    return 0;
}
