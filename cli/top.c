/* SPDX-License-Identifier: Apache-2.0 */
/* `aether top`: what the workers and tasks of a running program do, once a second, until Ctrl-C. */
#include "top.h"

#include "attach.h"
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const char HELP[] =
    "Usage: aether top [PID|SOCKET] [OPTION]...\n\n"
    "Show what the workers and tasks of a running program do, anew each second, until Ctrl-C.\n"
    "Without PID the only program that runs is taken. The servers of this command can be watched;\n"
    "any other program on Aether if it was started with AE_DEBUG_SOCKET=on.\n\n"
    "  -i, --interval S   seconds between two pictures, 0.1 to 60; 1 unless given\n"
    "      --once         one picture of one interval, as plain text\n"
    "  -h, --help         this text\n\n"
    "busy: the share of time the worker did not sleep. slices: how long tasks keep a worker.\n"
    "queues: how long a task that becomes ready waits for its worker. Both are sampled.\n";

enum { OPT_ONCE = 256 };

static const struct option LONG[] = {
    { "interval", required_argument, NULL, 'i' },
    { "once", no_argument, NULL, OPT_ONCE },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

struct top_options {
    double interval_s;
    bool once, help;
};

static volatile sig_atomic_t ended; /* tidy: allow volatile: a signal handler sets it */

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

/* ---- options ---- */

static int take_option(int option, struct top_options *o)
{
    char *end;

    switch (option) {
    case 'i':
        o->interval_s = strtod(optarg, &end);
        if (!*end && o->interval_s >= 0.1 && o->interval_s <= 60) return 0;
        return cli_fail(EXIT_USAGE, "--interval takes seconds from 0.1 to 60, not \"%s\"", optarg);
    case OPT_ONCE: o->once = true; return 0;
    case 'h': o->help = true; return 0;
    }
    return cli_fail(EXIT_USAGE, "try aether top --help");
}

static int parse(int argc, char **argv, struct top_options *o)
{
    int option, status = 0;

    *o = (struct top_options){ .interval_s = 1 };
    while (status == 0 && (option = getopt_long(argc, argv, "i:h", LONG, NULL)) != -1) {
        status = take_option(option, o);
    }
    if (status == 0 && argc - optind > 1) {
        return cli_fail(EXIT_USAGE, "only one program: aether top PID");
    }
    return status;
}

/* ---- watching ---- */

struct watch {
    const char *path;
    struct places *places;
    struct top_frame *before, *now;
};

/* The next picture's figures. False: the program does not answer any more. */
static bool look(struct watch *w)
{
    struct top_frame *oldest = w->before;
    FILE *from = attach_ask(w->path, "stats");

    if (!from) return false;
    w->before = w->now;
    w->now = oldest;
    top_read(from, w->places, w->now);
    fclose(from);
    places_resolve(w->places, NULL);
    return w->now->whole;
}

static void wait_interval(double seconds)
{
    struct timespec left = { .tv_sec = (time_t)seconds };

    left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
    (void)nanosleep(&left, NULL); /* a signal ends it early */
}

/* Cells, not bytes: a character of several bytes takes one. */
static void put_clipped(const char *line, size_t length, unsigned columns)
{
    unsigned cells = 0;
    bool skipped = false;

    for (size_t i = 0; i < length; i++) {
        if (line[i] == 0x1b) {
            size_t end = i + strcspn(line + i, "m");
            fwrite(line + i, 1, end - i + 1, stdout);
            i = end;
            continue;
        }
        bool starts = ((unsigned char)line[i] & 0xc0) != 0x80;
        if (starts) skipped = cells++ >= columns;
        if (!skipped) fputc(line[i], stdout);
    }
}

/* In place of the last picture, without flicker: each line is overwritten and its rest cleared. */
static void show(const char *text)
{
    struct winsize size = { .ws_row = 50, .ws_col = 200 };

    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    if (size.ws_row == 0) size.ws_row = 50;
    if (size.ws_col == 0) size.ws_col = 200;
    fputs("\x1b[H", stdout);
    for (unsigned row = 1; *text && row < size.ws_row; row++) {
        size_t length = strcspn(text, "\n");
        put_clipped(text, length, size.ws_col);
        fputs("\x1b[0m\x1b[K\n", stdout);
        text += length + (text[length] == '\n');
    }
    fputs("\x1b[J", stdout);
    fflush(stdout);
}

static int draw(struct watch *w, bool colour)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);

    if (!memory) return -ENOMEM;
    top_draw(w->before, w->now, w->places, colour, memory);
    fclose(memory);
    show(text);
    free(text);
    return 0;
}

static int watch_on(struct watch *w, const struct top_options *o)
{
    struct sigaction action = { .sa_handler = on_signal };
    bool there = true;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    fputs("\x1b[?1049h\x1b[?25l", stdout); /* the other screen, no cursor */
    while (!ended && (there = look(w)) && draw(w, true) == 0) {
        wait_interval(o->interval_s);
    }
    fputs("\x1b[?25h\x1b[?1049l", stdout);
    fflush(stdout);
    if (!there) fprintf(stderr, "aether: the program has ended\n");
    return 0;
}

static int watch(struct watch *w, const struct top_options *o)
{
    bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");

    if (!look(w)) return cli_fail(EXIT_FAILURE, "%s does not answer", w->path);
    wait_interval(o->once ? o->interval_s : 0.1);
    if (!o->once && isatty(STDOUT_FILENO)) return watch_on(w, o);
    if (!look(w)) return cli_fail(EXIT_FAILURE, "the program has ended");
    top_draw(w->before, w->now, w->places, colour, stdout);
    return 0;
}

int cmd_top(int argc, char **argv)
{
    char path[ATTACH_PATH_BYTES];
    struct top_options o;
    int status = parse(argc, argv, &o);

    if (status) return status;
    if (o.help) {
        fputs(HELP, stdout);
        return 0;
    }
    status = attach_find(optind < argc ? argv[optind] : NULL, path);
    if (status) return status;
    struct watch w = { .path = path, .places = places_create(NULL) };
    w.before = calloc(2, sizeof *w.before);
    struct top_frame *frames = w.before;
    w.now = frames ? frames + 1 : NULL;
    status = w.places && frames ? watch(&w, &o) : cli_fail(EXIT_FAILURE, "no memory");
    free(frames);
    places_destroy(w.places);
    return status;
}
