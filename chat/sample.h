/* SPDX-License-Identifier: Apache-2.0 */
/* The sample conversation as the body of an import: sample/deep-dive.json, by embed.py. */
#ifndef AETHER_CHAT_SAMPLE_H
#define AETHER_CHAT_SAMPLE_H

#include <stddef.h>

extern const unsigned char chat_sample[];
extern const size_t chat_sample_size;

#endif
