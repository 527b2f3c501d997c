/* SPDX-License-Identifier: Apache-2.0 */
/* The `aether` command: finds the subcommand and runs it. To add one: a file with its function, a
 * line in cli.h, a line in the table below. */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct command commands[] = {
    { "serve", cmd_serve, "serve a directory over HTTP" },
#ifdef AE_CHAT
    { "chat", cmd_chat, "chat with a language model on this machine, in a web page" },
#endif
    { "demo", cmd_demo, "a server with a chat, and a live page about itself" },
    { "top", cmd_top, "what the workers and tasks of a running program do, live" },
    { "dump", cmd_dump, "every task of a running program, with its stack" },
    { "trace", cmd_trace, "what a running program did last, for ui.perfetto.dev" },
    { "symbolize", cmd_symbolize, "turn the addresses in a dump or log into functions and lines" },
    { "doctor", cmd_doctor, "what this system offers, and what is lost where it does not" },
    { "version", cmd_version, "print the version" },
    { "help", cmd_help, "this list; `aether help COMMAND` for one of them" },
    { NULL, NULL, NULL },
};

int cli_fail(int status, const char *format, ...)
{
    va_list args;

    fputs("aether: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

unsigned cli_number(const char *text, unsigned most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || value < 1 || value > most) return 0;
    return (unsigned)value;
}

static const char *spelled_out(const char *name)
{
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) return "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) return "version";
    return name;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        cmd_help(1, argv);
        return EXIT_USAGE;
    }
    const char *name = spelled_out(argv[1]);
    for (const struct command *c = commands; c->name; c++) {
        if (strcmp(c->name, name) == 0) return c->run(argc - 1, argv + 1);
    }
    return cli_fail(EXIT_USAGE, "there is no command \"%s\": try aether help", name);
}
