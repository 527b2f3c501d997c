/* SPDX-License-Identifier: Apache-2.0 */
/* Tour 1: spawn a task on the default runtime and join it.
 *
 * ae_run(NULL, …) starts one worker thread for each usable CPU. The result travels through the
 * argument, the status through the return value, so nothing is allocated and nobody has to ask who
 * frees it: the spawner's stack cannot be left before the task has been joined. */
#include <aether/aether.h>

#include <stdio.h>

/* [spawn] */
static int do_async_work(void *arg)
{
    int *answer = arg;
    int rc = ae_sleep(10 * AE_MS); /* suspends this task; its worker runs others meanwhile */

    if (rc < 0) return rc;
    *answer = 42;
    return 0;
}

static int async_main(void *arg)
{
    (void)arg;
    int answer = 0;
    ae_task *handle = ae_spawn(do_async_work, &answer);
    int rc = ae_join(handle); /* NULL, not started, joins as -ENOMEM */

    if (rc < 0) return rc;
    printf("the answer is %d\n", answer);
    return 0;
}

int main(void)
{
    int rc = ae_run(NULL, async_main, NULL);

    if (rc < 0) fprintf(stderr, "spawn: %s\n", ae_strerror(rc));
    return rc < 0;
}
/* [end] */
