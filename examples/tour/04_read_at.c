/* SPDX-License-Identifier: Apache-2.0 */
/* Tour 4: read a file at an offset.
 *
 * The task suspends until the data is there; the buffer may lie on its stack, because a task that
 * waits cannot return. What is cached is copied at once. The rest is read by io_uring where the
 * runtime has it (config.driver, or AE_DRIVER=uring), else by a thread of the blocking pool. */
#include <aether/aether.h>

#include <fcntl.h>
#include <stdio.h>

/* [read-at] */
static int start(void *arg)
{
    ae_file *file;
    char buf[4096];
    int rc = ae_file_open(arg, O_RDONLY, 0, &file);
    if (rc < 0) return rc;

    ssize_t n = ae_file_readat(file, buf, sizeof buf, 0);
    ae_file_close(file);
    if (n < 0) return (int)n;
    printf("Read %zd bytes\n", n);
    return 0;
}

int main(int argc, char **argv)
{
    int rc = ae_run(NULL, start, argc > 1 ? argv[1] : "large_file.bin");

    if (rc < 0) fprintf(stderr, "read_at: %s\n", ae_strerror(rc));
    return rc < 0;
}
/* [end] */
