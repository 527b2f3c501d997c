/* SPDX-License-Identifier: Apache-2.0 */
/* `aether serve`: a directory over HTTP. */
#include "cli.h"

#include <aether/http_static.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char HELP[] =
    "Usage: aether serve [DIR] [OPTION]...\n\n"
    "Serve the files of DIR (the current directory) over HTTP/1.1. Files and directories that\n"
    "begin with a dot are hidden, and symbolic links are followed only inside DIR.\n\n"
    "  -l, --listen ADDR   127.0.0.1:8080 unless given; :8080 for all interfaces, [::1]:8080,\n"
    "                      unix:/path, port 0 for any free one\n"
    "  -w, --workers N     worker threads; as many as there are usable CPUs unless given\n"
    "      --no-listing    a directory without index.html is 404\n"
    "      --cache VALUE   send `Cache-Control: VALUE` with files\n"
    "      --log           a line per request on stdout\n"
    "  -h, --help          this text\n\n"
    "SIGINT and SIGTERM drain: requests under way are answered, then it ends with status 0.\n"
    "A second one ends it at once.\n\n"
    "Examples:\n"
    "  aether serve\n"
    "  aether serve public -l :8080 --log\n"
    "  aether serve dist --cache 'public, max-age=3600' --no-listing\n";

struct serve_options {
    const char *directory, *address;
    unsigned workers;
    bool log, help;
    ae_http_files_opts files;
};

enum { OPT_NO_LISTING = 256, OPT_CACHE, OPT_LOG };

static const struct option LONG[] = {
    { "listen", required_argument, NULL, 'l' },
    { "workers", required_argument, NULL, 'w' },
    { "no-listing", no_argument, NULL, OPT_NO_LISTING },
    { "cache", required_argument, NULL, OPT_CACHE },
    { "log", no_argument, NULL, OPT_LOG },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

/* 0, or the exit status. */
static int take_option(int option, struct serve_options *o)
{
    switch (option) {
    case 'l': o->address = optarg; return 0;
    case 'w':
        o->workers = cli_number(optarg, 1024);
        if (o->workers) return 0;
        return cli_fail(EXIT_USAGE, "--workers takes a number from 1 to 1024, not \"%s\"", optarg);
    case OPT_NO_LISTING: o->files.no_listing = true; return 0;
    case OPT_CACHE: o->files.cache_control = optarg; return 0;
    case OPT_LOG: o->log = true; return 0;
    case 'h': o->help = true; return 0;
    }
    return cli_fail(EXIT_USAGE, "try aether serve --help");
}

static int parse(int argc, char **argv, struct serve_options *o)
{
    int option, status = 0;

    *o = (struct serve_options){
        .directory = ".", .address = "127.0.0.1:8080", .files = { AE_HTTP_FILES_OPTS }
    };
    while (status == 0 && (option = getopt_long(argc, argv, "l:w:h", LONG, NULL)) != -1) {
        status = take_option(option, o);
    }
    if (status) return status;
    if (optind < argc) o->directory = argv[optind++];
    if (optind < argc) return cli_fail(EXIT_USAGE, "only one directory: try aether serve --help");
    return 0;
}

static int open_failed(int rc, const char *directory)
{
    const char *advice = rc == -ENOENT    ? "there is no such directory"
                         : rc == -ENOTDIR ? "it is not a directory; name the one it is in"
                         : rc == -EACCES  ? "you may not read it: try chmod or another user"
                                          : ae_strerror(rc);

    return cli_fail(EXIT_FAILURE, "cannot serve %s: %s", directory, advice);
}

static int serve(const struct serve_options *o, ae_http_server *server)
{
    char url[AE_ADDR_TEXT_MAX + 16];
    int status = cli_listen(server, o->address, 1);
    if (status) return status;

    cli_url(server, url, sizeof url);
    printf("Serving %s at %s (Ctrl-C ends it)\n", o->directory, url);
    fflush(stdout);
    return cli_run_server(
        &(struct serving){ .server = server, .workers = o->workers, .log = o->log });
}

int cmd_serve(int argc, char **argv)
{
    struct serve_options o;
    ae_http_files *files = NULL;
    ae_http_server *server = NULL;
    int status = parse(argc, argv, &o);

    if (status) return status;
    if (o.help) {
        fputs(HELP, stdout);
        return 0;
    }
    int rc = ae_http_files_open(o.directory, &o.files, &files);
    if (rc < 0) return open_failed(rc, o.directory);

    rc = ae_http_server_create(NULL, &server);
    if (rc == 0) rc = ae_http_files_mount(server, "/", files);
    status = rc == 0 ? serve(&o, server) : cli_fail(EXIT_FAILURE, "%s", ae_strerror(rc));
    ae_http_server_destroy(server);
    ae_http_files_close(files);
    return status;
}
