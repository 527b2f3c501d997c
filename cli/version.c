/* SPDX-License-Identifier: Apache-2.0 */
/* `aether version`. */
#include "cli.h"

#include <stdio.h>

int cmd_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("aether %s\n", ae_version());
    return 0;
}
