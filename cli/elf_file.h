/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of an ELF file itself: its build-id, and which function of its symbol table an
 * offset lies in. Files are not trusted: every offset is checked. */
#ifndef AETHER_CLI_ELF_FILE_H
#define AETHER_CLI_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file {
    const unsigned char *bytes; /* the whole file, mapped */
    size_t size;
};

int elf_file_open(struct elf_file *elf, const char *path); /* 0 or -errno; -ENOEXEC: no ELF file */
void elf_file_close(struct elf_file *elf);

/* Its build-id in hex ("" if it has none); `out` has room for 2 * 32 digits and the zero byte. */
#define ELF_ID_BYTES 65
void elf_file_id(const struct elf_file *elf, char out[ELF_ID_BYTES]);

/* The function that begins last before `offset`, and how far into it that is. NULL: none. `source`:
 * the source file of a static one, "" of others. The texts lie in the file. */
const char *elf_file_function(const struct elf_file *elf, uint64_t offset, uint64_t *into,
                              const char **source);

/* What is at `at` in the file is at which offset in memory? False: nowhere. */
bool elf_file_loaded_at(const struct elf_file *elf, uint64_t at, uint64_t *offset);

#endif
