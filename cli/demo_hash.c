/* SPDX-License-Identifier: Apache-2.0 */
/* CPU-bound work, done in the two ways there are. A hash takes tens of milliseconds. On the worker
 * (inline) nothing else runs there meanwhile; by ae_blocking it is a pool thread's work and the
 * worker goes on serving.
 *
 * The count is of one request, so that a page needs one connection for a burst that keeps every
 * worker busy. On the pool at most as many run at once as there are workers: more threads would
 * not hash faster, only take memory (19 MiB each). */
#include "demo.h"

#include <aether/blocking.h>
#include <aether/http.h>
#include <aether/run.h>
#include <aether/task.h>
#include <aether/time.h>
#include <argon2.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* OWASP's first choice for argon2id. */
#define MEMORY_KIB  (19 * 1024)
#define PASSES      2
#define LANES       1
#define SALT_BYTES  16
#define HASH_BYTES  32
#define ENCODED_MAX 128
#define HASHES_MAX  1024

struct hash {
    struct demo *demo;
    bool on_worker;
    int rc;
    char encoded[ENCODED_MAX];
};

static int compute(void *arg)
{
    static const char PASSWORD[] = "correct horse battery staple";
    struct hash *hash = arg;
    unsigned char salt[SALT_BYTES];

    if (getrandom(salt, sizeof salt, 0) != sizeof salt) return -EIO;
    int rc = argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, PASSWORD, sizeof PASSWORD - 1, salt,
                                   sizeof salt, HASH_BYTES, hash->encoded, sizeof hash->encoded);
    if (rc == ARGON2_MEMORY_ALLOCATION_ERROR) return -ENOMEM;
    return rc == ARGON2_OK ? 0 : -EIO;
}

static int compute_on_pool(struct hash *hash)
{
    int rc = ae_sem_acquire(&hash->demo->hashing, 1);
    if (rc < 0) return rc;
    rc = ae_blocking(compute, hash);
    ae_sem_release(&hash->demo->hashing, 1);
    return rc;
}

/* A task of its own, whose result stays in `hash`. */
static int make_hash(void *arg)
{
    struct hash *hash = arg;

    if (ae_cancelled()) {
        hash->rc = -ECANCELED;
    } else {
        hash->rc = hash->on_worker ? compute(hash) : compute_on_pool(hash);
    }
    return 0;
}

static int make_hashes(struct hash *hashes, size_t count)
{
    ae_scope scope;
    int rc = 0;

    ae_scope_begin(&scope);
    for (size_t i = 0; i < count && rc == 0; i++) rc = ae_go(make_hash, &hashes[i]);
    rc = ae_scope_end(&scope, rc);
    for (size_t i = 0; i < count && rc == 0; i++) rc = hashes[i].rc;
    return rc;
}

static int64_t asked_count(ae_http *h)
{
    const char *text = ae_http_query(h, "n");
    char *end;

    if (!text) return 1;
    long long n = strtoll(text, &end, 10);
    return *text && !*end && n >= 1 && n <= HASHES_MAX ? n : -EINVAL;
}

int demo_hash(ae_http *h)
{
    struct demo *demo = ae_http_context(h);
    const char *inline_asked = ae_http_query(h, "inline");
    bool on_worker = inline_asked && strcmp(inline_asked, "0") != 0;
    int64_t n = asked_count(h);
    if (n < 0) return ae_http_fail(h, 400, "n is a number from 1 to %d.", HASHES_MAX);

    struct hash *hashes = ae_http_alloc(h, (size_t)n * sizeof *hashes);
    if (!hashes) return -ENOMEM;
    for (int64_t i = 0; i < n; i++) hashes[i] = (struct hash){ demo, on_worker, -ECANCELED, "" };

    int64_t start = ae_now();
    int rc = make_hashes(hashes, (size_t)n);
    if (rc < 0) return rc;
    return ae_http_printf(h, 200, "application/json",
                          "{\"hashes\":%" PRId64 ",\"inline\":%s,\"ms\":%.1f,\"hash\":\"%s\"}\n", n,
                          on_worker ? "true" : "false", (double)(ae_now() - start) / AE_MS,
                          hashes[0].encoded);
}
