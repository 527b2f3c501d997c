/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine needs of the thing that computes: tokenizer, template, evaluation, sampling. The
 * fake one is linked in, the llama one is a module that is loaded when it is there. What order
 * streams are computed in, and what becomes of their text, is not the backend's affair (sched.c).
 *
 * A model may be used by several threads at once; a slot, one sequence with its memory, by one. */
#ifndef AETHER_CHAT_BACKEND_H
#define AETHER_CHAT_BACKEND_H

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

/* Raised with each change of this file that a module built before would not understand. The
 * module's file carries it in its name. */
#define CHAT_BACKEND_ABI 2

/* The package of llama.cpp that fetch.py builds; it reads both lines here. */
#define CHAT_LLAMA_VERSION "0.3.36"

struct chat_backend_model;
struct chat_backend_slot;

struct chat_tokens {
    int32_t *ids;
    size_t count, room;
};

static inline int chat_tokens_reserve(struct chat_tokens *tokens, size_t more)
{
    if (tokens->room - tokens->count >= more) return 0;
    size_t room = tokens->count + more + tokens->room / 2;
    int32_t *ids = realloc(tokens->ids, room * sizeof(*ids));
    if (!ids) return -ENOMEM;
    tokens->ids = ids;
    tokens->room = room;
    return 0;
}

struct chat_sampling {
    float temperature; /* 0 = always the likeliest */
    float top_p;
    unsigned top_k;
    uint64_t seed; /* 0 = random */
    bool given;    /* false: the backend's own choice for its models */
};

struct chat_backend {
    unsigned abi;
    const char *kind;

    /* On a plain thread: 0, -ENOEXEC (not a model), -ENOTSUP (it cannot be told how to talk),
     * -ENOMEM. `path` is not kept. */
    int (*model_open)(const char *path, const char *options, unsigned threads,
                      struct chat_backend_model **out);
    void (*model_close)(struct chat_backend_model *model);
    unsigned (*model_context)(const struct chat_backend_model *model); /* tokens it was made for */
    size_t (*token_bytes)(const struct chat_backend_model *model); /* of a slot, for each token */

    /* Append the tokens of a text alone, or of a whole conversation up to where the answer begins;
     * a turn's text never gives a special token. 0, -ENOMEM, -EINVAL. */
    int (*tokenize)(const struct chat_backend_model *model, const char *text, size_t length,
                    struct chat_tokens *tokens);
    int (*render)(const struct chat_backend_model *model, const struct chat_turn *turns,
                  size_t count, struct chat_tokens *tokens);

    /* The bytes of a token, at most `size` of them; special ones have none. They need not be whole
     * characters. */
    size_t (*piece)(const struct chat_backend_model *model, int32_t token, char *buf, size_t size);
    bool (*ends)(const struct chat_backend_model *model, int32_t token);

    /* A sequence with room for so many tokens. 0, -ENOMEM. */
    int (*slot_open)(struct chat_backend_model *model, unsigned context_tokens,
                     struct chat_backend_slot **out);
    void (*slot_close)(struct chat_backend_slot *slot);

    /* On the compute thread. truncate: keep the first `count` tokens, forget the others; true if
     * it could, else the slot is empty. eval: append tokens; as soon as `*stop` is true it gives
     * up: -ECANCELED, and the slot is as before; -EIO, -ENOMEM. sample: the next token after the
     * last one evaluated, or a negative error. */
    bool (*truncate)(struct chat_backend_slot *slot, size_t count);
    void (*begin)(struct chat_backend_slot *slot, const struct chat_sampling *sampling);
    int (*eval)(struct chat_backend_slot *slot, const int32_t *tokens, size_t count,
                const atomic_bool *stop);
    int32_t (*sample)(struct chat_backend_slot *slot);
};

extern const struct chat_backend chat_backend_fake;

/* The one symbol of a module. */
#define CHAT_BACKEND_SYMBOL "chat_backend_module"

#endif
