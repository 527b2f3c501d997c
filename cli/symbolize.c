/* SPDX-License-Identifier: Apache-2.0 */
/* `aether symbolize`: dumps, stall reports and traces name code as FILE BUILD-ID+0xOFFSET, which
 * costs nothing and is right on any machine; this makes functions and lines of them, where the
 * program and its debug information are. */
#include "cli.h"
#include "places.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char HELP[] =
    "Usage: aether symbolize [FILE|-] [OPTION]...\n\n"
    "Copy FILE (standard input) and turn each place in it that a program on Aether wrote,\n"
    "FILE BUILD-ID+0xOFFSET, into function and file:line. The build-id is compared first, so that\n"
    "another build of the program gives no wrong lines. It asks addr2line, llvm-symbolizer or\n"
    "eu-addr2line, whichever is there, else the program's own symbol table, which has no lines.\n"
    "Input is read to its end before anything is printed.\n\n"
    "  -d, --directory DIR   look for programs in DIR, too: for logs of another machine\n"
    "  -h, --help            this text\n\n"
    "Examples:\n"
    "  aether dump 1234 | aether symbolize\n"
    "  aether symbolize server.log -d build/release\n";

static const struct option LONG[] = {
    { "directory", required_argument, NULL, 'd' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

struct lines {
    char **at;
    size_t count, room;
};

static int keep(struct lines *lines, char *line)
{
    if (lines->count == lines->room) {
        size_t room = lines->room ? 2 * lines->room : 1024;
        char **at = realloc(lines->at, room * sizeof *at);
        if (!at) return -ENOMEM;
        lines->at = at;
        lines->room = room;
    }
    lines->at[lines->count++] = line;
    return 0;
}

static int read_all(FILE *in, struct places *places, struct lines *lines)
{
    char *line = NULL;
    size_t size = 0;
    int rc = 0;

    while (rc == 0 && getline(&line, &size, in) >= 0) {
        rc = places_gather(places, line);
        if (rc == 0) rc = keep(lines, line);
        if (rc == 0) line = NULL;
        size = 0;
    }
    free(line);
    return rc < 0 ? rc : ferror(in) ? -EIO : 0;
}

static int symbolize(FILE *in, const char *directory)
{
    struct places *places = places_create(directory);
    struct lines lines = { NULL, 0, 0 };
    int rc = places ? read_all(in, places, &lines) : -ENOMEM;

    if (rc == 0) places_resolve(places, stderr);
    for (size_t i = 0; i < lines.count; i++) {
        if (rc == 0) places_print(places, lines.at[i], stdout);
        free(lines.at[i]);
    }
    free(lines.at);
    places_destroy(places);
    if (rc == 0 && fflush(stdout) != 0) rc = -EIO;
    return rc == 0 ? 0 : cli_fail(EXIT_FAILURE, "%s", ae_strerror(rc));
}

int cmd_symbolize(int argc, char **argv)
{
    const char *directory = NULL, *name = "-";
    int option;

    while ((option = getopt_long(argc, argv, "d:h", LONG, NULL)) != -1) {
        if (option == 'h') {
            fputs(HELP, stdout);
            return 0;
        }
        if (option != 'd') return cli_fail(EXIT_USAGE, "try aether symbolize --help");
        directory = optarg;
    }
    if (optind < argc) name = argv[optind++];
    if (optind < argc) return cli_fail(EXIT_USAGE, "only one file: try aether symbolize --help");
    if (strcmp(name, "-") == 0) return symbolize(stdin, directory);
    FILE *in = fopen(name, "re");
    if (!in) return cli_fail(EXIT_FAILURE, "cannot read %s: %s", name, strerror(errno));
    int status = symbolize(in, directory);
    fclose(in);
    return status;
}
