/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for libFuzzer where the compiler has none: inputs of the corpus, then changed ones, as
 * many as -runs=N says. It does not look at coverage, but is the same in every run.
 *
 *   fuzz_x -runs=N FOLDER|FILE... */
#include "fuzz.h"

#include <dirent.h>
#include <stdbool.h>

enum { INPUTS_MAX = 256, INPUT_BYTES_MAX = 4096 };

struct seed {
    uint8_t bytes[INPUT_BYTES_MAX];
    size_t size;
};

static struct seed *seeds[INPUTS_MAX];
static size_t seed_count;
static uint64_t state = 1;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static size_t below(size_t limit)
{
    return limit ? (size_t)(next_random() % limit) : 0;
}

static void add_file(const char *path)
{
    FILE *file = fopen(path, "rb");

    if (!file || seed_count == INPUTS_MAX) return;
    struct seed *seed = calloc(1, sizeof *seed);
    seed->size = fread(seed->bytes, 1, sizeof seed->bytes, file);
    seeds[seed_count++] = seed;
    fclose(file);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In the order of their names, so that a run can be repeated. */
static void add(const char *path)
{
    char *names[INPUTS_MAX], file[4096];
    size_t count = 0;
    DIR *dir = opendir(path);

    if (!dir) {
        add_file(path);
        return;
    }
    for (struct dirent *e; count < INPUTS_MAX && (e = readdir(dir));) {
        if (e->d_name[0] != '.') names[count++] = copy_of(e->d_name, strlen(e->d_name));
    }
    closedir(dir);
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        snprintf(file, sizeof file, "%s/%s", path, names[i]);
        add_file(file);
        free(names[i]);
    }
}

/* ---- changing ---- */

static void insert(struct seed *s, size_t at, const uint8_t *bytes, size_t size)
{
    if (size > sizeof s->bytes - s->size) size = sizeof s->bytes - s->size;
    memmove(s->bytes + at + size, s->bytes + at, s->size - at);
    memcpy(s->bytes + at, bytes, size);
    s->size += size;
}

static void remove_part(struct seed *s)
{
    size_t at = below(s->size), size = below(s->size - at) + 1;

    if (s->size == 0) return;
    memmove(s->bytes + at, s->bytes + at + size, s->size - at - size);
    s->size -= size;
}

/* A part of this or of another input, here. */
static void splice(struct seed *s)
{
    const struct seed *other = seed_count ? seeds[below(seed_count)] : s;
    size_t from = below(other->size);
    uint8_t part[64];
    size_t size = below(sizeof part);

    if (size > other->size - from) size = other->size - from;
    memcpy(part, other->bytes + from, size);
    insert(s, below(s->size + 1), part, size);
}

static void change(struct seed *s)
{
    static const char marks[] = "\r\n\0 :;,=-/%.?#\"\\\t0123456789abcdefxX\x7f\x80\xff";
    uint8_t byte = below(2) ? (uint8_t)marks[below(sizeof marks)] : (uint8_t)next_random();

    switch (below(5)) {
    case 0:
        if (s->size) s->bytes[below(s->size)] = byte;
        break;
    case 1:
        if (s->size) s->bytes[below(s->size)] ^= (uint8_t)(1u << below(8));
        break;
    case 2:
        insert(s, below(s->size + 1), &byte, 1);
        break;
    case 3:
        remove_part(s);
        break;
    default:
        splice(s);
        break;
    }
}

static void run(const struct seed *s)
{
    char *exact = copy_of(s->bytes, s->size);

    (void)LLVMFuzzerTestOneInput((const uint8_t *)exact, s->size);
    free(exact);
}

int main(int argc, char **argv)
{
    static struct seed changed;
    long runs = 1000;

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-runs=", 6) == 0) {
            runs = atol(argv[i] + 6);
        } else if (argv[i][0] != '-') {
            add(argv[i]);
        }
    }
    for (size_t i = 0; i < seed_count; i++)
        run(seeds[i]);
    for (long n = 0; n < runs; n++) {
        changed.size = 0;
        if (seed_count) changed = *seeds[below(seed_count)];
        for (size_t i = below(6) + 1; i > 0; i--)
            change(&changed);
        run(&changed);
    }
    printf("note: %ld inputs made of %zu\n1 passed, 0 failed\n", runs, seed_count);
    return 0;
}
