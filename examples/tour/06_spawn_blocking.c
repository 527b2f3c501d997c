/* SPDX-License-Identifier: Apache-2.0 */
/* Tour 6: CPU-heavy work on the blocking pool.
 *
 * Argon2 takes tens of milliseconds of pure computing. ae_blocking runs it on a thread of the
 * pool (512 at most) while the calling task is suspended, so its worker goes on serving others.
 * The job borrows the caller's stack: the caller is there until the job has returned. */
#include <aether/aether.h>

#include <argon2.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HASH_BYTES 16

/* [spawn-blocking] */
struct request {
    const char *password;
    const char *salt; /* fixed, so that the output can be compared; yours is random */
    unsigned char hash[HASH_BYTES];
};

static int hash_password(void *arg) /* on a pool thread */
{
    struct request *r = arg;
    int rc = argon2id_hash_raw(2, 19 * 1024, 1, r->password, strlen(r->password), r->salt,
                               strlen(r->salt), r->hash, sizeof r->hash);

    if (rc == ARGON2_OK) return 0;
    return rc == ARGON2_MEMORY_ALLOCATION_ERROR ? -ENOMEM : -EINVAL;
}

static int handle_request(struct request *r)
{
    int rc = ae_blocking(hash_password, r); /* this task waits, its worker does not */

    if (rc < 0) return rc;
    for (int i = 0; i < HASH_BYTES; i++) {
        printf("%02x", r->hash[i]);
    }
    printf("\n");
    return 0;
}
/* [end] */

static int app(void *arg)
{
    (void)arg;
    struct request good = { .password = "correct horse", .salt = "battery staple" };
    struct request bad = { .password = "correct horse", .salt = "short" };

    int rc = handle_request(&good);
    if (rc < 0) return rc;

    rc = handle_request(&bad); /* Argon2 wants eight bytes of salt: the error comes back to us */
    printf("a short salt: %s\n", ae_strerror(rc));
    return rc == -EINVAL || rc == 0 ? 0 : rc;
}

int main(void)
{
    int rc = ae_run(NULL, app, NULL);

    if (rc < 0) fprintf(stderr, "hash: %s\n", ae_strerror(rc));
    return rc < 0;
}
