/* SPDX-License-Identifier: Apache-2.0 */
/* `aether demo`, which `./dev run` starts: one server on this machine with a chat, and a page that
 * shows, live, what the runtime beneath it does. A build without chat has that page at / too. */
#include "cli.h"
#include "demo.h"
#include "page/page.h"

#include <aether/http.h>
#include <aether/http_static.h>
#include <aether/run.h>
#include <aether/time.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTS_TRIED 100

static const char HELP[] =
    "Usage: aether demo [OPTION]...\n\n"
    "Start a server on this machine and print its URL. At / is a chat whose conversations last as\n"
    "long as it runs; at /-/ it draws what the runtime does, live; /plaintext, /json, /hash and\n"
    "/files/ are there to be loaded.\n\n"
    "  -l, --listen ADDR   a loopback address, 127.0.0.1:8080 unless given; when the port is\n"
    "                      taken the next free one is used\n"
    "  -w, --workers N     worker threads; as many as there are usable CPUs unless given\n"
    "      --files DIR     what /files/ shows; docs in the current directory unless given\n"
    "      --log           a line per request on stdout\n"
    "  -h, --help          this text\n\n"
    "SIGINT and SIGTERM drain: requests under way are answered, then it ends with status 0.\n";

struct demo_options {
    const char *address, *directory;
    unsigned workers;
    bool log, help;
};

enum { OPT_FILES = 256, OPT_LOG };

static const struct option LONG[] = {
    { "listen", required_argument, NULL, 'l' },
    { "workers", required_argument, NULL, 'w' },
    { "files", required_argument, NULL, OPT_FILES },
    { "log", no_argument, NULL, OPT_LOG },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

/* ---- the routes ---- */

static int page(ae_http *h)
{
    int rc = ae_http_header(h, "Content-Security-Policy", live_page_policy);

    if (rc == 0) rc = ae_http_header(h, "X-Content-Type-Options", "nosniff");
    if (rc == 0) rc = ae_http_header(h, "Referrer-Policy", "no-referrer");
    if (rc == 0) rc = ae_http_header(h, "Cache-Control", "no-cache");
    if (rc < 0) return rc;
    return ae_http_respond(h, 200, "text/html; charset=utf-8", live_page, live_page_bytes);
}

static int plaintext(ae_http *h)
{
    return ae_http_text(h, 200, "Hello, World!");
}

static int json(ae_http *h)
{
    static const char BODY[] = "{\"message\":\"Hello, World!\"}";

    return ae_http_respond(h, 200, "application/json", BODY, sizeof BODY - 1);
}

static int ping(ae_http *h)
{
    int rc = ae_http_header(h, "Cache-Control", "no-store");

    return rc < 0 ? rc : ae_http_text(h, 200, "pong\n");
}

static int no_files(ae_http *h)
{
    return ae_http_fail(h, 404, "No directory was given: aether demo --files DIR");
}

#ifdef AE_CHAT
static int add_chat(struct demo *demo)
{
    return chat_demo(demo->server, &demo->chat);
}
#else
static int add_chat(struct demo *demo)
{
    return ae_http_route(demo->server, "GET /{$}", page, demo);
}
#endif

/* The first error is kept by the server and shows when it listens. */
static void add_routes(struct demo *demo, ae_http_files *files)
{
    ae_http_use(demo->server, demo_measure, demo);
    ae_http_route(demo->server, "GET /-/{$}", page, demo);
    ae_http_route(demo->server, "GET /-/events", demo_events, demo);
    ae_http_route(demo->server, "GET /plaintext", plaintext, demo);
    ae_http_route(demo->server, "GET /json", json, demo);
    ae_http_route(demo->server, "GET /ping", ping, demo);
    ae_http_route(demo->server, "GET /hash", demo_hash, demo);
    if (files) {
        ae_http_files_mount(demo->server, "/files/", files);
    } else {
        ae_http_route(demo->server, "GET /files/", no_files, demo);
    }
}

/* ---- options ---- */

/* 0, or the exit status. */
static int take_option(int option, struct demo_options *o)
{
    switch (option) {
    case 'l': o->address = optarg; return 0;
    case 'w':
        o->workers = cli_number(optarg, 1024);
        if (o->workers) return 0;
        return cli_fail(EXIT_USAGE, "--workers takes a number from 1 to 1024, not \"%s\"", optarg);
    case OPT_FILES: o->directory = optarg; return 0;
    case OPT_LOG: o->log = true; return 0;
    case 'h': o->help = true; return 0;
    }
    return cli_fail(EXIT_USAGE, "try aether demo --help");
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]:", 6) == 0 ||
           strncmp(address, "unix:", 5) == 0;
}

static int parse(int argc, char **argv, struct demo_options *o)
{
    int option, status = 0;

    *o = (struct demo_options){ .address = "127.0.0.1:8080" };
    while (status == 0 && (option = getopt_long(argc, argv, "l:w:h", LONG, NULL)) != -1) {
        status = take_option(option, o);
    }
    if (status) return status;
    if (optind < argc) {
        return cli_fail(EXIT_USAGE, "\"%s\" is not an option: try aether demo --help",
                        argv[optind]);
    }
    if (is_loopback(o->address)) return 0;
    return cli_fail(EXIT_USAGE, "the demo is for this machine only: try -l 127.0.0.1:8080 "
                    "(aether serve listens anywhere)");
}

/* ---- its life ---- */

/* Beside the server: set what the workers allow, then sleep until the end begins. */
static int watch(void *arg)
{
    struct demo *demo = arg;

    ae_sem_release(&demo->hashing, ae_runtime_workers(ae_runtime_current()));
#ifdef AE_CHAT
    (void)chat_watch(demo->chat);
#endif
    while (ae_sleep(3600 * AE_SEC) == 0) continue;
    atomic_store(&demo->ending, true);
    return 0;
}

static void end(struct demo *demo, ae_http_files *files)
{
    ae_http_server_destroy(demo->server);
#ifdef AE_CHAT
    chat_destroy(demo->chat);
#endif
    ae_http_files_close(files);
}

static int run(struct demo *demo, const struct demo_options *o)
{
    char url[AE_ADDR_TEXT_MAX + 16];
    int status = cli_listen(demo->server, o->address, PORTS_TRIED);
    if (status) return status;

    cli_url(demo->server, url, sizeof url);
    printf("Aether %s: %s (Ctrl-C ends it)\n", ae_version(), url);
    fflush(stdout);
    return cli_run_server(&(struct serving){ .server = demo->server, .workers = o->workers,
                                             .log = o->log, .also = watch, .also_arg = demo });
}

static int open_files(const char *directory, ae_http_files **out)
{
    int rc = ae_http_files_open(directory ? directory : "docs", NULL, out);

    if (rc == 0 || !directory) return 0;
    return cli_fail(EXIT_FAILURE, "cannot show %s at /files/: %s", directory, ae_strerror(rc));
}

int cmd_demo(int argc, char **argv)
{
    static struct demo demo;
    struct demo_options o;
    ae_http_files *files = NULL;
    int status = parse(argc, argv, &o);

    if (status) return status;
    if (o.help) {
        fputs(HELP, stdout);
        return 0;
    }
    status = open_files(o.directory, &files);
    if (status) return status;

    demo.started_ns = ae_now();
    ae_sem_init(&demo.hashing, 0);
    int rc = ae_http_server_create(NULL, &demo.server);
    if (rc == 0) rc = add_chat(&demo);
    if (rc == 0) add_routes(&demo, files);
    status = rc == 0 ? run(&demo, &o) : cli_fail(EXIT_FAILURE, "%s", ae_strerror(rc));
    end(&demo, files);
    return status;
}
