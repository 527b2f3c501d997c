/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of a model program: picks models, runs the search, prints a line for each. */
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    struct model__limits limits; /* bound and stale < 0: as the model says */
    const char *only;            /* run models whose name contains this, or the one that is it */
    bool exact;
    bool list;
    bool expect_failure;
    bool any; /* expect_failure: of any model, the first will do */
};

static model *first, **last = &first;

void model_register(model *m)
{
    m->next = NULL;
    *last = m;
    last = &m->next;
}

static void usage(void)
{
    puts("usage: model_X [options] [part of a model's name]\n"
         "  --list             the models and what they are about\n"
         "  --bound N          preemptions per execution (default: the model's own)\n"
         "  --stale N          loads per execution that may return an older value\n"
         "  --replay SCHEDULE  one execution, as a failure printed it, with its trace\n"
         "  --random N         N random executions without bounds, instead of a search\n"
         "  --seed N           for --random\n"
         "  --max N            executions per model at most\n"
         "  --seconds N        per model at most (default 60)\n"
         "  --deepen           from two preemptions on, with growing bounds, until time is over\n"
         "  --full             leave no choice out, also where it can change nothing\n"
         "  --expect-fail      succeed if every selected model fails (for mutants)\n"
         "  --expect-any       succeed as soon as one of them fails");
}

static bool take_number(const char *name, const char *option, const char *value, double *out)
{
    if (strcmp(name, option) != 0) return false;
    if (!value) {
        usage();
        exit(2);
    }
    *out = strtod(value, NULL);
    return true;
}

static bool parse_valued(struct options *o, const char *name, const char *value)
{
    double n = 0;

    if (take_number(name, "--bound", value, &n))
        o->limits.bound = (int)n;
    else if (take_number(name, "--stale", value, &n))
        o->limits.stale = (int)n;
    else if (take_number(name, "--max", value, &n))
        o->limits.executions_max = (uint64_t)n;
    else if (take_number(name, "--seconds", value, &n))
        o->limits.seconds_max = n;
    else if (take_number(name, "--seed", value, &n))
        o->limits.seed = (uint64_t)n;
    else if (take_number(name, "--random", value, &n)) {
        o->limits.mode = MODE_RANDOM;
        o->limits.executions_max = (uint64_t)n;
    } else if (strcmp(name, "--replay") == 0 && value) {
        o->limits.mode = MODE_REPLAY;
        o->limits.replay = value;
    } else
        return false;
    return true;
}

static void parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        if (parse_valued(o, argv[i], i + 1 < argc ? argv[i + 1] : NULL))
            i++;
        else if (strcmp(argv[i], "--list") == 0)
            o->list = true;
        else if (strcmp(argv[i], "--deepen") == 0)
            o->limits.deepen = true;
        else if (strcmp(argv[i], "--full") == 0)
            o->limits.full = true;
        else if (strcmp(argv[i], "--expect-fail") == 0)
            o->expect_failure = true;
        else if (strcmp(argv[i], "--expect-any") == 0)
            o->expect_failure = o->any = true;
        else if (argv[i][0] != '-')
            o->only = argv[i];
        else {
            usage();
            exit(strcmp(argv[i], "--help") == 0 ? 0 : 2);
        }
    }
}

/* 1,234,567 */
static const char *grouped(uint64_t n)
{
    static char text[32];
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), used = 0;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

static const char *verdict(const model *m, const struct options *o, const struct model__result *r)
{
    if (o->expect_failure) return r->failed ? "ok (caught)" : "FAILED: not caught";
    if (!m->fails) return r->failed ? "FAILED" : "ok";
    if (!r->failed) return "FAILED: nothing found";
    return strstr(r->message, m->fails) ? "ok (found)" : "FAILED: another bug found";
}

static void print_failure(const char *program, const model *m, const struct model__result *r)
{
    printf("    %s\n    with %d preemptions; again: %s %s --replay %s\n", r->message, r->bound,
           program, m->name, r->schedule);
}

static bool run_model(const char *program, const model *m, const struct options *o)
{
    static struct model__result r;
    struct model__limits l = o->limits;
    const char *word;
    bool good;

    if (l.bound < 0) l.bound = m->bound;
    if (l.stale < 0) l.stale = m->stale;
    l.quiet = (m->fails || o->expect_failure) && l.mode != MODE_REPLAY;
    model__search(m, &l, &r);
    word = verdict(m, o, &r);
    good = strncmp(word, "ok", 2) == 0;
    if (r.failed && (!good || l.quiet)) print_failure(program, m, &r);
    printf("%-34s %u threads %12s executions  depth %4u  bound %d.%d  %-14s %6.2f s  %s\n", m->name,
           r.threads, grouped(r.executions), r.depth, r.searched_bound, r.searched_stale,
           r.complete     ? "complete"
           : r.exhaustive ? "exhaustive"
           : r.failed   ? "stopped"
                        : "not exhaustive",
           r.seconds, word);
    fflush(stdout);
    return good;
}

static bool is_selected(const model *m, const struct options *o)
{
    if (!o->only) return true;
    return o->exact ? strcmp(m->name, o->only) == 0 : strstr(m->name, o->only) != NULL;
}

int main(int argc, char **argv)
{
    struct options o = { .limits = { .bound = -1,
                                     .stale = -1,
                                     .executions_max = UINT64_MAX,
                                     .seconds_max = 60,
                                     .seed = 1 } };
    unsigned passed = 0, failed = 0;

    parse(argc, argv, &o);
    for (const model *m = first; m && o.only; m = m->next)
        if (strcmp(m->name, o.only) == 0) o.exact = true;
    for (const model *m = first; m; m = m->next) {
        if (!is_selected(m, &o)) continue;
        if (o.list)
            printf("%-34s %s\n", m->name, m->about);
        else if (run_model(argv[0], m, &o))
            passed++;
        else
            failed++;
        if (o.any && passed > 0) break;
    }
    if (o.list) return 0;
    if (o.any && passed > 0) failed = 0;
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
