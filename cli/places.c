/* SPDX-License-Identifier: Apache-2.0 */
/* See places.h. */
#include "places.h"

#include "ask_tool.h"
#include "elf_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096
#define FILE_BYTES 512

struct file {
    struct file *next;
    char name[FILE_BYTES];  /* as it was in its process, blanks and all */
    char id[ELF_ID_BYTES];  /* "-": it had none */
    struct place *waiting;  /* to be resolved */
    bool failed;            /* and said so */
};

struct place {
    struct place *next;     /* in its bucket */
    struct place *waiting;  /* next in its file */
    struct file *file;
    uint64_t offset;
    char *text;             /* what it is; NULL: not known */
};

struct places {
    const char *directory;
    struct file *files;
    struct place *buckets[BUCKETS];
};

struct places *places_create(const char *directory)
{
    struct places *places = calloc(1, sizeof *places);

    if (places) places->directory = directory;
    return places;
}

void places_destroy(struct places *places)
{
    if (!places) return;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct place *place = places->buckets[i], *next; place; place = next) {
            next = place->next;
            free(place->text);
            free(place);
        }
    }
    for (struct file *file = places->files, *next; file; file = next) {
        next = file->next;
        free(file);
    }
    free(places);
}

/* ---- finding places in text ---- */

struct found {
    const char *begin, *end; /* in the line */
    char file[FILE_BYTES], id[ELF_ID_BYTES];
    uint64_t offset;
};

/* %20 is a blank. */
static bool read_name(const char *from, const char *to, char *out)
{
    size_t length = 0;
    unsigned code;

    while (from < to && length + 1 < FILE_BYTES) {
        bool escaped = *from == '%' && to - from >= 3 && sscanf(from + 1, "%2x", &code) == 1;
        out[length++] = escaped ? (char)code : *from;
        from += escaped ? 3 : 1;
    }
    out[length] = 0;
    return length > 0;
}

/* What stands around the "+0x" at `plus`, if that is a place. */
static bool read_place(const char *line, const char *plus, struct found *out)
{
    const char *id = plus, *name;
    char *end;

    while (id > line && (isxdigit((unsigned char)id[-1]) || id[-1] == '-')) id--;
    size_t length = (size_t)(plus - id);
    bool none = length == 1 && *id == '-';
    if (id == line || id[-1] != ' ' || length >= ELF_ID_BYTES) return false;
    if (length < 8 && !none) return false;
    name = id - 1;
    while (name > line && !isspace((unsigned char)name[-1]) && name[-1] != '"') name--;
    if (!read_name(name, id - 1, out->file)) return false;
    memcpy(out->id, id, length);
    out->id[length] = 0;
    out->offset = strtoull(plus + 1, &end, 16);
    out->begin = name;
    out->end = end;
    return isxdigit((unsigned char)plus[3]);
}

static bool next_place(const char *line, const char *from, struct found *out)
{
    for (const char *plus = from; (plus = strstr(plus, "+0x")); plus++) {
        if (read_place(line, plus, out) && out->begin >= from) return true;
    }
    return false;
}

/* ---- keeping them ---- */

static struct file *find_file(const struct places *places, const struct found *found)
{
    struct file *file = places->files;

    while (file && (strcmp(file->name, found->file) != 0 || strcmp(file->id, found->id) != 0)) {
        file = file->next;
    }
    return file;
}

static struct place *const *bucket_of(const struct places *places, uint64_t offset)
{
    return &places->buckets[offset * UINT64_C(0x9E3779B97F4A7C15) >> 52];
}

static struct place *find_place(const struct places *places, const struct found *found)
{
    const struct file *file = find_file(places, found);
    struct place *place = *bucket_of(places, found->offset);

    while (place && (place->file != file || place->offset != found->offset)) place = place->next;
    return place;
}

static struct file *add_file(struct places *places, const struct found *found)
{
    struct file *file = calloc(1, sizeof *file);

    if (!file) return NULL;
    memcpy(file->name, found->file, sizeof file->name);
    memcpy(file->id, found->id, sizeof file->id);
    file->next = places->files;
    places->files = file;
    return file;
}

static int add_place(struct places *places, const struct found *found)
{
    struct file *file = find_file(places, found);
    struct place *place = calloc(1, sizeof *place);
    size_t bucket = (size_t)(bucket_of(places, found->offset) - places->buckets);

    if (!file) file = add_file(places, found);
    if (!file || !place) {
        free(place);
        return -ENOMEM;
    }
    *place = (struct place){ .next = places->buckets[bucket], .waiting = file->waiting,
                             .file = file, .offset = found->offset };
    places->buckets[bucket] = place;
    file->waiting = place;
    return 0;
}

int places_gather(struct places *places, const char *line)
{
    struct found found;
    int rc = 0;

    for (const char *at = line; rc == 0 && next_place(line, at, &found); at = found.end) {
        if (!find_place(places, &found)) rc = add_place(places, &found);
    }
    return rc;
}

/* ---- asking ---- */

static void complain(struct file *file, FILE *to, const char *what)
{
    if (to && !file->failed) fprintf(to, "aether: %s: %s\n", file->name, what);
    file->failed = true;
}

/* Open the file as it was then: 0, -ENOENT, or -ESTALE if it is another build. */
static int open_as_was(const struct file *file, const char *path, struct elf_file *elf)
{
    char id[ELF_ID_BYTES];

    if (elf_file_open(elf, path) < 0) return -ENOENT;
    elf_file_id(elf, id);
    if (strcmp(file->id, "-") == 0 || strncmp(id, file->id, strlen(file->id)) == 0) return 0;
    elf_file_close(elf);
    return -ESTALE;
}

static int open_any(const struct places *places, const struct file *file, char path[FILE_BYTES],
                    struct elf_file *elf)
{
    const char *base = strrchr(file->name, '/');
    int rc;

    snprintf(path, FILE_BYTES, "%s", file->name);
    rc = open_as_was(file, path, elf);
    if (rc == 0 || !places->directory) return rc;
    int length = snprintf(path, FILE_BYTES, "%s/%s", places->directory,
                          base ? base + 1 : file->name);
    if (length >= FILE_BYTES) return rc;
    int other = open_as_was(file, path, elf);
    return other == -ENOENT ? rc : other;
}

static char *from_symbols(const struct elf_file *elf, uint64_t offset)
{
    char text[ASK_TEXT_BYTES];
    uint64_t into = 0;
    const char *source;
    const char *name = elf_file_function(elf, offset, &into, &source);

    if (!name) return NULL;
    snprintf(text, sizeof text, "%.900s+0x%llx", name, (unsigned long long)into);
    return strdup(text);
}

static void ask_batch(const struct elf_file *elf, const char *path, struct place **batch, size_t n)
{
    static char answers[ASK_BATCH_MAX][ASK_TEXT_BYTES];
    uint64_t offsets[ASK_BATCH_MAX];

    for (size_t i = 0; i < n; i++) offsets[i] = batch[i]->offset;
    (void)ask_tool(path, offsets, n, answers); /* without one: the symbol table */
    for (size_t i = 0; i < n; i++) {
        batch[i]->text = answers[i][0] ? strdup(answers[i]) : from_symbols(elf, offsets[i]);
    }
}

static void ask_file(const struct elf_file *elf, const char *path, struct file *file)
{
    struct place *batch[ASK_BATCH_MAX];
    size_t n = 0;

    for (struct place *place = file->waiting; place; place = place->waiting) {
        batch[n++] = place;
        if (n < ASK_BATCH_MAX && place->waiting) continue;
        ask_batch(elf, path, batch, n);
        n = 0;
    }
}

void places_resolve(struct places *places, FILE *complaints)
{
    char path[FILE_BYTES];
    struct elf_file elf;

    for (struct file *file = places->files; file; file = file->next) {
        if (!file->waiting) continue;
        int rc = open_any(places, file, path, &elf);
        if (rc == 0) {
            ask_file(&elf, path, file);
            elf_file_close(&elf);
        } else {
            complain(file, complaints, rc == -ESTALE ? "it is another build than the one that ran"
                                                     : "it is not here, or no program");
        }
        file->waiting = NULL;
    }
}

void places_print(const struct places *places, const char *line, FILE *out)
{
    const char *at = line;
    struct found found;

    while (next_place(line, at, &found)) {
        const struct place *place = find_place(places, &found);
        fwrite(at, 1, (size_t)(found.begin - at), out);
        if (place && place->text) {
            fputs(place->text, out);
        } else {
            fwrite(found.begin, 1, (size_t)(found.end - found.begin), out);
        }
        at = found.end;
    }
    fputs(at, out);
}
