/* SPDX-License-Identifier: Apache-2.0 */
/* The live page, bundled into the binary by bundle.py. */
#ifndef AETHER_CLI_PAGE_H
#define AETHER_CLI_PAGE_H

#include <stddef.h>

extern const unsigned char live_page[];
extern const size_t live_page_bytes;
extern const char live_page_policy[]; /* its Content-Security-Policy */

#endif
