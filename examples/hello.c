/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest program: start a runtime, run one task, say who it is. */
#include <aether/aether.h>

#include <stdio.h>

static int hello(void *arg)
{
    const char *whom = arg;

    ae_self_set_name("greeter");
    printf("hello, %s, from the task \"%s\"\n", whom, ae_self_name());
    return 0;
}

int main(int argc, char **argv)
{
    int rc = ae_run(NULL, hello, argc > 1 ? argv[1] : "world");

    if (rc < 0) fprintf(stderr, "hello: %s\n", ae_strerror(rc));
    return rc < 0;
}
