/* SPDX-License-Identifier: Apache-2.0 */
/* `aether help [COMMAND]`. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static int help_one(const char *name)
{
    char asked[] = "--help";
    char shown[32];

    for (const struct command *c = commands; c->name; c++) {
        if (strcmp(c->name, name) != 0) continue;
        snprintf(shown, sizeof shown, "%s", c->name);
        return c->run(2, (char *[]){ shown, asked, NULL });
    }
    return cli_fail(EXIT_USAGE, "there is no command \"%s\": try aether help", name);
}

int cmd_help(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] != '-' && strcmp(argv[1], "help") != 0) return help_one(argv[1]);
    puts("Usage: aether COMMAND [OPTION]...\n\n"
         "Aether: async/await for C.\n");
    for (const struct command *c = commands; c->name; c++) printf("  %-10s %s\n", c->name, c->help);
    puts("\nEach command explains itself: aether COMMAND --help");
    return 0;
}
