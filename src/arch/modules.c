/* SPDX-License-Identifier: Apache-2.0 */
/* The loaded modules and their build-ids, from the loader's own list (dl_iterate_phdr(3)). A
 * build-id is an ELF note of type 3 by "GNU". */
#include "arch/modules.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define MODULES_MAX 256
#define ID_BYTES 20 /* SHA-1, which linkers use; longer ones are cut */

struct module {
    uintptr_t base, low, high; /* offset 0; [low, high) is what was loaded */
    char id[2 * ID_BYTES + 1];
    char file[256];
};

struct ae__modules {
    size_t count;
    struct module at[MODULES_MAX];
};

/* ---- one module ---- */

static size_t aligned(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

static void take_id(const unsigned char *bytes, size_t count, char *out)
{
    static const char digits[] = "0123456789abcdef";

    if (count > ID_BYTES) count = ID_BYTES;
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * count] = 0;
}

static void read_notes(const char *notes, size_t bytes, size_t alignment, char *id)
{
    size_t at = 0;

    while (at + sizeof(ElfW(Nhdr)) <= bytes) {
        const ElfW(Nhdr) *note = (const void *)(notes + at);
        size_t name = at + sizeof *note;
        size_t content = name + aligned(note->n_namesz, alignment);
        if (content > bytes || note->n_descsz > bytes - content) return;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
            memcmp(notes + name, "GNU", 4) == 0) {
            take_id((const unsigned char *)notes + content, note->n_descsz, id);
            return;
        }
        at = content + aligned(note->n_descsz, alignment);
    }
}

static void read_range(const struct dl_phdr_info *info, struct module *out)
{
    out->base = info->dlpi_addr;
    out->low = UINTPTR_MAX;
    out->high = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_LOAD) continue;
        if (from < out->low) out->low = from;
        if (from + part->p_memsz > out->high) out->high = from + part->p_memsz;
    }
}

static bool in_module(const struct module *module, uintptr_t address, size_t bytes)
{
    return address >= module->low && address < module->high && bytes <= module->high - address;
}

static void read_id(const struct dl_phdr_info *info, struct module *out)
{
    memcpy(out->id, "-", 2);
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_NOTE || !in_module(out, from, part->p_memsz)) continue;
        read_notes((const char *)from, part->p_memsz, part->p_align == 8 ? 8 : 4, out->id);
    }
}

/* The program itself has no name in the list. */
static void read_name(const struct dl_phdr_info *info, struct module *out)
{
    ssize_t length;

    snprintf(out->file, sizeof out->file, "%s", info->dlpi_name ? info->dlpi_name : "");
    if (out->file[0]) return;
    length = readlink("/proc/self/exe", out->file, sizeof out->file - 1);
    if (length > 0) {
        out->file[length] = 0;
    } else {
        memcpy(out->file, "?", 2);
    }
}

static void read_module(const struct dl_phdr_info *info, struct module *out)
{
    read_range(info, out);
    read_id(info, out);
    read_name(info, out);
}

/* ---- saying a place ---- */

struct line {
    char *buf;
    size_t size, length;
};

static void add(struct line *line, const char *text)
{
    for (; *text && line->length + 1 < line->size; text++) {
        line->buf[line->length++] = *text;
    }
    line->buf[line->length] = 0;
}

/* Blanks and quotes would end the name for who reads it, also in JSON: escaped as in URLs. */
static void add_name(struct line *line, const char *name)
{
    char one[8];

    for (; *name; name++) {
        bool plain = *name > ' ' && *name != 0x7f && !strchr("\\\"%", *name);
        snprintf(one, sizeof one, plain ? "%c" : "%%%02X", (unsigned char)*name);
        add(line, one);
    }
}

static size_t say(const struct module *module, uintptr_t pc, char *buf, size_t size)
{
    struct line line = { buf, size, 0 };
    char number[24];

    buf[0] = 0;
    snprintf(number, sizeof number, "0x%zx", (size_t)(module ? pc - module->base : pc));
    if (module) {
        add_name(&line, module->file);
        add(&line, " ");
        add(&line, module->id);
        add(&line, "+");
    }
    add(&line, number);
    return line.length;
}

/* ---- one address ---- */

struct look {
    uintptr_t pc;
    bool found;
    struct module module;
};

static int look_at(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct look *look = arg;

    (void)size;
    read_range(info, &look->module);
    if (!in_module(&look->module, look->pc, 1)) return 0;
    read_module(info, &look->module);
    look->found = true;
    return 1;
}

size_t ae__os_where(uintptr_t pc, char *buf, size_t size)
{
    struct look look = { .pc = pc };

    dl_iterate_phdr(look_at, &look);
    return say(look.found ? &look.module : NULL, pc, buf, size);
}

/* ---- many ---- */

static int collect(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct ae__modules *modules = arg;

    (void)size;
    if (modules->count == MODULES_MAX) return 1;
    read_module(info, &modules->at[modules->count++]);
    return 0;
}

struct ae__modules *ae__modules_read(void)
{
    struct ae__modules *modules = ae__mem_alloc(sizeof *modules);

    if (!modules) return NULL;
    modules->count = 0;
    dl_iterate_phdr(collect, modules);
    return modules;
}

void ae__modules_free(struct ae__modules *modules)
{
    ae__mem_free(modules);
}

static const struct module *find(const struct ae__modules *modules, uintptr_t address,
                                 size_t bytes)
{
    for (size_t i = 0; i < modules->count; i++) {
        if (in_module(&modules->at[i], address, bytes)) return &modules->at[i];
    }
    return NULL;
}

size_t ae__modules_where(const struct ae__modules *modules, uintptr_t pc, char *buf, size_t size)
{
    return say(find(modules, pc, 1), pc, buf, size);
}

bool ae__modules_hold(const struct ae__modules *modules, uintptr_t address, size_t bytes)
{
    return find(modules, address, bytes) != NULL;
}
