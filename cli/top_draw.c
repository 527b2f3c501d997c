/* SPDX-License-Identifier: Apache-2.0 */
/* One picture of `aether top`, as lines of text. */
#include "top.h"

#include <stdlib.h>
#include <string.h>

#define BAR_CELLS 24
#define SITES_DRAWN 10
#define TEXT_BYTES 24

#define BOLD  "\x1b[1m"
#define DIM   "\x1b[2m"
#define RED   "\x1b[31m"
#define GREEN "\x1b[32m"
#define AMBER "\x1b[33m"
#define PLAIN "\x1b[0m"

struct picture {
    const struct top_frame *before, *now;
    const struct places *places;
    FILE *out;
    bool colour;
    double seconds; /* between the two */
};

static const char *style(const struct picture *p, const char *sequence)
{
    return p->colour ? sequence : "";
}

/* ---- numbers for people ---- */

/* 1234567 is "1.23 M". */
static const char *amount(double value, char out[TEXT_BYTES])
{
    static const char *const units[] = { "", " k", " M", " G", " T" };
    unsigned unit = 0;

    while (value >= 9999.5 && unit < 4) {
        value /= 1000;
        unit++;
    }
    snprintf(out, TEXT_BYTES, unit && value < 100 ? "%.1f%s" : "%.0f%s", value, units[unit]);
    return out;
}

static const char *duration(double ns, char out[TEXT_BYTES])
{
    static const char *const units[] = { "ns", "µs", "ms", "s" };
    unsigned unit = 0;

    while (ns >= 999.5 && unit < 3) {
        ns /= 1000;
        unit++;
    }
    snprintf(out, TEXT_BYTES, ns < 10 && unit ? "%.1f %s" : "%.0f %s", ns, units[unit]);
    return out;
}

static void uptime(double seconds, char out[TEXT_BYTES])
{
    unsigned long all = (unsigned long)seconds;

    if (all >= 86400) {
        snprintf(out, TEXT_BYTES, "%lu d %lu h", all / 86400, all / 3600 % 24);
    } else if (all >= 3600) {
        snprintf(out, TEXT_BYTES, "%lu h %lu min", all / 3600, all / 60 % 60);
    } else if (all >= 60) {
        snprintf(out, TEXT_BYTES, "%lu min %lu s", all / 60, all % 60);
    } else {
        snprintf(out, TEXT_BYTES, "%.1f s", seconds);
    }
}

static double per_second(const struct picture *p, uint64_t now, uint64_t before)
{
    return now > before && p->seconds > 0 ? (double)(now - before) / p->seconds : 0;
}

static double rate(const struct picture *p, const char *name)
{
    return per_second(p, top_get(p->now, name), top_get(p->before, name));
}

/* "12.3 k steals/s": a rate and its name. */
static void draw_rate(const struct picture *p, const char *name, const char *words)
{
    char text[TEXT_BYTES];

    fprintf(p->out, "   %s%s%s %s", style(p, BOLD), amount(rate(p, name), text), style(p, PLAIN),
            words);
}

static void draw_level(const struct picture *p, const char *name, const char *words)
{
    char text[TEXT_BYTES];

    fprintf(p->out, "   %s%s%s %s", style(p, BOLD), amount((double)top_get(p->now, name), text),
            style(p, PLAIN), words);
}

/* ---- the parts ---- */

static void draw_head(const struct picture *p)
{
    char up[TEXT_BYTES];

    uptime((double)top_get(p->now, "up_ns") / 1e9, up);
    fprintf(p->out, "%saether top%s  process %llu \"%s\"  %s, %s, up %s\n\n", style(p, BOLD),
            style(p, PLAIN), (unsigned long long)top_get(p->now, "pid"), p->now->program,
            p->now->version, p->now->driver, up);
}

static void draw_counts(const struct picture *p)
{
    fputs("tasks ", p->out);
    draw_level(p, "tasks_live", "live");
    draw_rate(p, "tasks_spawned", "spawned/s");
    draw_rate(p, "slices", "slices/s");
    draw_rate(p, "tasks_stolen", "stolen/s");
    draw_level(p, "queued_shared", "in the shared queue");
    fputs("\nI/O   ", p->out);
    draw_rate(p, "io_syscalls", "system calls/s");
    draw_rate(p, "io_events", "events/s");
    draw_rate(p, "timers_fired", "timers/s");
    draw_rate(p, "wakes", "wakes/s");
    draw_level(p, "rescues", "rescues");
    fputs("\npool  ", p->out);
    draw_level(p, "blocking_threads", "threads");
    draw_level(p, "blocking_idle", "idle");
    draw_level(p, "blocking_queued", "queued");
    draw_rate(p, "blocking_jobs", "jobs/s");
    fputs("\nstacks", p->out);
    draw_level(p, "stacks_live", "in use");
    draw_level(p, "stacks_cached", "cached");
    fputs("\n", p->out);
}

/* Of what was counted in between; of all, if that is nothing. */
static void draw_times(const struct picture *p, const char *words, const ae_histogram *before,
                       const ae_histogram *now)
{
    static const double quantiles[] = { 0.5, 0.99, 1.0 };
    static const char *const names[] = { "p50", "p99", "max" };
    ae_histogram between = *now;
    uint64_t all = 0;
    char text[TEXT_BYTES];

    for (unsigned i = 0; i < AE_HISTOGRAM_BUCKETS; i++) {
        between.count[i] -= before->count[i] <= now->count[i] ? before->count[i] : 0;
        all += between.count[i];
    }
    fprintf(p->out, "%s", words);
    for (unsigned i = 0; i < 3; i++) {
        int64_t ns = ae_histogram_quantile(all ? &between : now, quantiles[i]);
        fprintf(p->out, "   %s %s%s%s", names[i], style(p, BOLD), duration((double)ns, text),
                style(p, PLAIN));
    }
    fprintf(p->out, "   %s(%s sampled)%s\n", style(p, DIM), amount((double)all, text),
            style(p, PLAIN));
}

static void draw_bar(const struct picture *p, double share)
{
    int full = (int)(share * BAR_CELLS + 0.5);

    fputs(style(p, share > 0.9 ? RED : share > 0.6 ? AMBER : GREEN), p->out);
    for (int i = 0; i < BAR_CELLS; i++) fputs(i < full ? "█" : "░", p->out);
    fprintf(p->out, "%s %3.0f %%", style(p, PLAIN), share * 100);
}

static void draw_worker(const struct picture *p, unsigned i)
{
    static const struct top_worker none;
    const struct top_worker *w = &p->now->workers[i];
    const struct top_worker *b = i < p->before->workers_count ? &p->before->workers[i] : &none;
    char slices[TEXT_BYTES], steals[TEXT_BYTES], parks[TEXT_BYTES], calls[TEXT_BYTES];
    double busy = 1 - per_second(p, w->asleep_ns, b->asleep_ns) / 1e9;

    fprintf(p->out, "%6u  ", i);
    draw_bar(p, busy < 0 ? 0 : busy > 1 ? 1 : busy);
    fprintf(p->out, "  %9s %9s %9s %9s %7llu  ",
            amount(per_second(p, w->slices, b->slices), slices),
            amount(per_second(p, w->steals, b->steals), steals),
            amount(per_second(p, w->parks, b->parks), parks),
            amount(per_second(p, w->io_syscalls, b->io_syscalls), calls),
            (unsigned long long)w->queued);
    if (w->task >= 0) {
        fprintf(p->out, "task %lld\n", w->task);
    } else {
        fprintf(p->out, "%s%s%s\n", style(p, DIM), w->state, style(p, PLAIN));
    }
}

static void draw_workers(const struct picture *p)
{
    fprintf(p->out, "\n%sworker  %-*s  %9s %9s %9s %9s %7s  now%s\n", style(p, DIM), BAR_CELLS + 6,
            "busy", "slices/s", "steals/s", "sleeps/s", "calls/s", "queued", style(p, PLAIN));
    for (unsigned i = 0; i < p->now->workers_count; i++) draw_worker(p, i);
}

static void draw_words(const struct picture *p, const char *title, const struct top_value *values,
                       unsigned count)
{
    char text[TEXT_BYTES];

    fprintf(p->out, "%s%-8s%s", style(p, DIM), title, style(p, PLAIN));
    for (unsigned i = 0; i < count; i++) {
        if (!values[i].value) continue;
        fprintf(p->out, " %s%s%s %s  ", style(p, BOLD), amount((double)values[i].value, text),
                style(p, PLAIN), values[i].name);
    }
    fputs("\n", p->out);
}

/* "function file:line" without the folders, the rest as it is; into `out`. */
static void short_place(const struct picture *p, const char *place, char out[128])
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);

    out[0] = 0;
    if (!memory) return;
    places_print(p->places, place, memory);
    fclose(memory);
    if (!text) return;
    char *inlined = strstr(text, ", inlined in ");
    if (inlined) *inlined = 0;
    char *slash = strrchr(text, '/');
    char *blank = strchr(text, ' ');
    if (slash && blank && blank < slash) {
        snprintf(out, 128, "%.*s %s", (int)(blank - text), text, slash + 1);
    } else {
        snprintf(out, 128, "%s", slash ? slash + 1 : text);
    }
    free(text);
}

static void draw_sites(const struct picture *p)
{
    char function[128], spawned[128];

    fprintf(p->out, "\n%s%8s %8s %8s %8s  %-40s  spawned at%s\n", style(p, DIM), "tasks", "waiting",
            "ready", "running", "function", style(p, PLAIN));
    for (unsigned i = 0; i < p->now->sites_count && i < SITES_DRAWN; i++) {
        const struct top_site *site = &p->now->sites[i];
        short_place(p, site->function, function);
        short_place(p, site->spawned, spawned);
        fprintf(p->out, "%8llu %8llu %8llu %8llu  %-40.60s  %.60s\n",
                (unsigned long long)site->tasks, (unsigned long long)site->parked,
                (unsigned long long)site->ready, (unsigned long long)site->running,
                site->name[0] ? site->name : function, spawned);
    }
}

static void draw_stalls(const struct picture *p)
{
    char spawned[128], longest[TEXT_BYTES], total[TEXT_BYTES];

    if (!p->now->stalls_count) return;
    fprintf(p->out, "\n%s%8s %9s %9s  %-40s  %s%s\n", style(p, DIM), "slow", "longest", "in all",
            "tasks that kept their worker, spawned at", "name", style(p, PLAIN));
    for (unsigned i = 0; i < p->now->stalls_count && i < SITES_DRAWN; i++) {
        const struct top_stall *stall = &p->now->stalls[i];
        short_place(p, stall->spawned, spawned);
        fprintf(p->out, "%s%8llu%s %9s %9s  %-40.60s  %s\n", style(p, RED),
                (unsigned long long)stall->count, style(p, PLAIN),
                duration((double)stall->longest_ns, longest),
                duration((double)stall->total_ns, total), spawned, stall->name);
    }
}

void top_draw(const struct top_frame *before, const struct top_frame *now,
              const struct places *places, bool colour, FILE *out)
{
    struct picture p = { before, now, places, out, colour, 0 };

    p.seconds = (double)(top_get(now, "up_ns") - top_get(before, "up_ns")) / 1e9;
    draw_head(&p);
    draw_counts(&p);
    draw_times(&p, "slices", &before->slice, &now->slice);
    draw_times(&p, "queues", &before->wait, &now->wait);
    draw_workers(&p);
    fputs("\n", out);
    draw_words(&p, "states", now->states, now->states_count);
    draw_words(&p, "waits", now->waits, now->waits_count);
    draw_sites(&p);
    draw_stalls(&p);
}
