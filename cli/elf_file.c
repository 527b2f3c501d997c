/* SPDX-License-Identifier: Apache-2.0 */
/* See elf_file.h. 64-bit files of this machine's byte order, which is what it writes itself. */
#include "elf_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool holds(const struct elf_file *elf, uint64_t at, uint64_t bytes)
{
    return at <= elf->size && bytes <= elf->size - at;
}

static bool is_elf(const struct elf_file *elf)
{
    const Elf64_Ehdr *head = (const void *)elf->bytes;

    return elf->size >= sizeof *head && memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 &&
           head->e_ident[EI_CLASS] == ELFCLASS64;
}

int elf_file_open(struct elf_file *elf, const char *path)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    *elf = (struct elf_file){ NULL, 0 };
    if (fd < 0) return -errno;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes != MAP_FAILED) *elf = (struct elf_file){ bytes, (size_t)about.st_size };
    }
    close(fd);
    if (elf->bytes && is_elf(elf)) return 0;
    elf_file_close(elf);
    return -ENOEXEC;
}

void elf_file_close(struct elf_file *elf)
{
    /* the mapping is ours, whatever its type says */
    if (elf->bytes) munmap((void *)(uintptr_t)elf->bytes, elf->size);
    elf->bytes = NULL;
}

/* Section number `i`, or NULL. */
static const Elf64_Shdr *section(const struct elf_file *elf, unsigned i)
{
    const Elf64_Ehdr *head = (const void *)elf->bytes;
    uint64_t at = head->e_shoff + (uint64_t)i * sizeof(Elf64_Shdr);

    if (i >= head->e_shnum || head->e_shentsize != sizeof(Elf64_Shdr) || at % 8) return NULL;
    if (!holds(elf, head->e_shoff, 0) || !holds(elf, at, sizeof(Elf64_Shdr))) return NULL;
    const Elf64_Shdr *found = (const void *)(elf->bytes + at);
    bool empty = found->sh_type == SHT_NOBITS;
    return empty || holds(elf, found->sh_offset, found->sh_size) ? found : NULL;
}

/* The id, if this note is one. */
static bool take_note(const struct elf_file *elf, const Elf64_Shdr *notes, char *out)
{
    const Elf64_Nhdr *note = (const void *)(elf->bytes + notes->sh_offset);
    const unsigned char *id = (const unsigned char *)note + sizeof *note + 4;

    if (notes->sh_offset % 4 || notes->sh_size < sizeof *note + 4) return false;
    if (note->n_type != NT_GNU_BUILD_ID || note->n_namesz != 4) return false;
    if (memcmp(id - 4, "GNU", 4) != 0 || note->n_descsz > notes->sh_size - sizeof *note - 4) {
        return false;
    }
    for (size_t i = 0; i < note->n_descsz && i < (ELF_ID_BYTES - 1) / 2; i++) {
        snprintf(out + 2 * i, 3, "%02x", id[i]);
    }
    return true;
}

void elf_file_id(const struct elf_file *elf, char out[ELF_ID_BYTES])
{
    const Elf64_Ehdr *head = (const void *)elf->bytes;

    out[0] = 0;
    for (unsigned i = 0; i < head->e_shnum; i++) {
        const Elf64_Shdr *notes = section(elf, i);
        if (notes && notes->sh_type == SHT_NOTE && take_note(elf, notes, out)) return;
    }
}

/* ---- functions ---- */

struct best {
    const Elf64_Sym *symbol;
    const char *name, *source;
};

/* NULL: it has none that ends. */
static const char *name_of(const struct elf_file *elf, const Elf64_Sym *symbol,
                           const Elf64_Shdr *names)
{
    const char *text = (const char *)elf->bytes + names->sh_offset;

    if (symbol->st_name >= names->sh_size) return NULL;
    bool ends = memchr(text + symbol->st_name, 0, names->sh_size - symbol->st_name);
    return ends ? text + symbol->st_name : NULL;
}

static void look_at(const struct elf_file *elf, const Elf64_Sym *symbol, const Elf64_Shdr *names,
                    uint64_t offset, const char *source, struct best *best)
{
    if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx == SHN_UNDEF) return;
    if (symbol->st_value > offset) return;
    if (symbol->st_size && offset - symbol->st_value >= symbol->st_size) return;
    if (best->symbol && best->symbol->st_value >= symbol->st_value) return;
    const char *name = name_of(elf, symbol, names);
    bool local = ELF64_ST_BIND(symbol->st_info) == STB_LOCAL;
    if (name) *best = (struct best){ symbol, name, local && source ? source : "" };
}

static void look_in(const struct elf_file *elf, const Elf64_Shdr *table, uint64_t offset,
                    struct best *best)
{
    const Elf64_Shdr *names = section(elf, table->sh_link);
    const Elf64_Sym *symbols = (const void *)(elf->bytes + table->sh_offset);
    const char *source = NULL;

    if (!names || names->sh_type != SHT_STRTAB || table->sh_offset % 8) return;
    for (uint64_t i = 0; i < table->sh_size / sizeof *symbols; i++) {
        bool is_file = ELF64_ST_TYPE(symbols[i].st_info) == STT_FILE;
        if (is_file) source = name_of(elf, &symbols[i], names);
        look_at(elf, &symbols[i], names, offset, source, best);
    }
}

const char *elf_file_function(const struct elf_file *elf, uint64_t offset, uint64_t *into,
                              const char **source)
{
    const Elf64_Ehdr *head = (const void *)elf->bytes;
    struct best best = { NULL, NULL, "" };

    for (unsigned i = 0; i < head->e_shnum; i++) {
        const Elf64_Shdr *table = section(elf, i);
        if (!table || (table->sh_type != SHT_SYMTAB && table->sh_type != SHT_DYNSYM)) continue;
        look_in(elf, table, offset, &best);
    }
    if (best.symbol) *into = offset - best.symbol->st_value;
    *source = best.source;
    return best.name;
}

bool elf_file_loaded_at(const struct elf_file *elf, uint64_t at, uint64_t *offset)
{
    const Elf64_Ehdr *head = (const void *)elf->bytes;
    uint64_t bytes = (uint64_t)head->e_phnum * sizeof(Elf64_Phdr);

    if (head->e_phentsize != sizeof(Elf64_Phdr) || head->e_phoff % 8) return false;
    if (!holds(elf, head->e_phoff, bytes)) return false;
    const Elf64_Phdr *parts = (const void *)(elf->bytes + head->e_phoff);
    for (unsigned i = 0; i < head->e_phnum; i++) {
        const Elf64_Phdr *p = &parts[i];
        if (p->p_type != PT_LOAD || at < p->p_offset || at - p->p_offset >= p->p_filesz) continue;
        *offset = at - p->p_offset + p->p_vaddr;
        return true;
    }
    return false;
}
