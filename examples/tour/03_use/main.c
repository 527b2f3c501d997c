/* SPDX-License-Identifier: Apache-2.0 */
/* Tour 3: a program of your own. Three build files beside it show how to find the library. */
#include <aether/aether.h>

#include <stdio.h>

static int hello(void *arg)
{
    (void)arg;
    printf("aether %s: task %s\n", ae_version(), ae_self_id() ? "running" : "missing");
    return 0;
}

int main(void)
{
    return ae_run(NULL, hello, NULL) < 0;
}
