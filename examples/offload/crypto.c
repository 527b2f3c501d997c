/* SPDX-License-Identifier: Apache-2.0 */
/* A server that hashes passwords: /inline on its worker, /offloaded on the blocking pool.
 *
 * Argon2 is made to be slow: tens of milliseconds and 19 MiB for one hash. While a worker computes
 * it, every other request of that worker waits; on the pool they do not. */
#include <aether/aether.h>
#include <aether/http.h>
#include <argon2.h>
#include <errno.h>
#include <string.h>

enum { PASSES = 2, MEMORY_KIB = 19 * 1024, HASH_BYTES = 16 };

struct hash {
    const char *password;
    unsigned char bytes[HASH_BYTES];
};

/* [work] */
static int hash_password(void *arg)
{
    struct hash *hash = arg;
    static const char salt[] = "0123456789abcdef"; /* yours is random, and stored with the hash */
    int rc = argon2id_hash_raw(PASSES, MEMORY_KIB, 1, hash->password, strlen(hash->password), salt,
                               sizeof(salt) - 1, hash->bytes, sizeof(hash->bytes));

    if (rc == ARGON2_OK) return 0;
    return rc == ARGON2_MEMORY_ALLOCATION_ERROR ? -ENOMEM : -EINVAL;
}

static int make_hash(struct hash *hash, bool in_place)
{
    if (in_place) return hash_password(hash); /* the worker is ours until it is done */
    return ae_blocking(hash_password, hash);  /* this task waits, its worker does not */
}
/* [end] */

static int answer(ae_http *h)
{
    struct hash hash = { .password = "correct horse battery staple" };
    char hex[2 * HASH_BYTES + 1];
    int rc = make_hash(&hash, strcmp(ae_http_path(h), "/inline") == 0);

    if (rc < 0) return rc;
    for (int i = 0; i < HASH_BYTES; i++) {
        hex[2 * i] = "0123456789abcdef"[hash.bytes[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[hash.bytes[i] & 15];
    }
    hex[2 * HASH_BYTES] = '\0';
    return ae_http_text(h, 200, hex);
}

static int plaintext(ae_http *h)
{
    return ae_http_text(h, 200, "Hello, World!");
}

int main(int argc, char **argv)
{
    ae_http_server *server;

    if (ae_http_server_create(NULL, &server) < 0) return 1;
    ae_http_route(server, "GET /plaintext", plaintext, NULL);
    ae_http_route(server, "GET /inline", answer, NULL);
    ae_http_route(server, "GET /offloaded", answer, NULL);
    return ae_http_run(server, argc > 1 ? argv[1] : "127.0.0.1:8080") < 0;
}
