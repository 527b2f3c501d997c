/* SPDX-License-Identifier: Apache-2.0 */
/* The models folder: GGUF files, found by a scan. A name from outside is compared with what the
 * scan found and never becomes part of a path. */
#ifndef AETHER_CHAT_MODELS_H
#define AETHER_CHAT_MODELS_H

#include <aether/defs.h>

#define CHAT_MODEL_NAME_MAX 128

struct chat_model {
    char name[CHAT_MODEL_NAME_MAX + 1]; /* the file's without ".gguf" */
    uint64_t bytes;
    bool loaded;
};

struct chat_models {
    struct chat_model *items;
    size_t count;
};

/* Whether it may name a model: 1 to 128 of A-Z a-z 0-9 . _ - , first a letter or a digit, no "..",
 * not ending in a dot. Colour: any thread. */
bool chat_model_name_ok(const char *name, size_t length);

/* The *.gguf of a folder with a good name that are regular files, sorted by name. A folder that is
 * not there has none. 0 or -errno. Colour: a plain thread (it reads a disk). */
int chat_models_scan(const char *folder, struct chat_models *out) AE_MUST_CHECK;

/* The one of that name, or NULL. Colour: any thread. */
const struct chat_model *chat_models_find(const struct chat_models *models, const char *name);

/* The file of a model for reading: a descriptor, -ENOENT, -EINVAL (not a name). Opened beneath the
 * folder, never through a symbolic link out of it. Colour: a plain thread. */
int chat_models_open(const char *folder, const char *name) AE_MUST_CHECK;

void chat_models_free(struct chat_models *models); /* accepts an empty one */

#endif
