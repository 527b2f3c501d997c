/* SPDX-License-Identifier: Apache-2.0 */
/* What a user's first program does: start the runtime, spawn, join. */
#include <aether/aether.h>
#include <stdio.h>

static int answer(void *arg)
{
    *(int *)arg = 42;
    return 0;
}

static int hello(void *arg)
{
    int value = 0;
    int rc = ae_join(ae_spawn(answer, &value));

    (void)arg;
    if (rc < 0) return rc;
    printf("hello %d\n", value);
    return 0;
}

int main(void)
{
    return ae_run(NULL, hello, NULL) < 0;
}
