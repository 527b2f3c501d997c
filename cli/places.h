/* SPDX-License-Identifier: Apache-2.0 */
/* Places in programs, as the runtime writes them ("FILE BUILD-ID+0xOFFSET"), and the functions and
 * lines that they are. First all are gathered, then each file is asked once: by addr2line,
 * eu-addr2line or llvm-symbolizer, whichever there is, else by its own symbol table. */
#ifndef AETHER_CLI_PLACES_H
#define AETHER_CLI_PLACES_H

#include <stdint.h>
#include <stdio.h>

struct places;

/* `directory` (may be NULL): where to look for files that are not where the place says. NULL: no
 * memory. */
struct places *places_create(const char *directory);
void places_destroy(struct places *places);

/* Gather the places that a line of text names. 0 or -ENOMEM. */
int places_gather(struct places *places, const char *line);
/* Find out what those are that were gathered since the last time. Complaints (a file that is
 * missing, or another build) go to `complaints`, once for each file; NULL: nowhere. */
void places_resolve(struct places *places, FILE *complaints);
/* The line with its places replaced by what they are; those that are unknown stay. */
void places_print(const struct places *places, const char *line, FILE *out);

#endif
