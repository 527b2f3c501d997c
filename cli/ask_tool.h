/* SPDX-License-Identifier: Apache-2.0 */
/* Asks whichever tool for debug information this machine has what lies at offsets of a file. */
#ifndef AETHER_CLI_ASK_TOOL_H
#define AETHER_CLI_ASK_TOOL_H

#include <stddef.h>
#include <stdint.h>

#define ASK_BATCH_MAX 200 /* offsets at once: they stand on a command line */
#define ASK_TEXT_BYTES 1024

/* answers[i]: "function file:line", with what it was inlined in; "" if the tool does not know.
 * 0; -ENOENT: there is no tool here; or another error. */
int ask_tool(const char *file, const uint64_t *offsets, size_t count,
             char answers[][ASK_TEXT_BYTES]);

#endif
