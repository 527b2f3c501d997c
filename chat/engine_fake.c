/* SPDX-License-Identifier: Apache-2.0 */
/* The fake backend: deterministic, needs no file, and takes exactly the time it is told to, so that
 * tests can say what they expect. Everything else about a stream is as with a real model.
 *
 * Options: TOKEN_US[,PROMPT_US], microseconds for a token of the answer and one of the prompt.
 *
 * Tokenizer: a token is three bytes, the last one of a text fewer; so a text of n bytes has
 * (n + 2) / 3 tokens, every text can be got back from its tokens, and characters are cut through.
 *
 * The answer is decided by the last question:
 *   "echo: TEXT"  TEXT
 *   "count: N"    N tokens of numbered words
 *   "fail: TEXT"  TEXT, then an error
 *   anything else a fixed Markdown page that quotes the question */
#include <stdio.h>
#include <time.h>

#include <aether/time.h>

#include "backend.h"

#define CONTEXT_TOKENS 8192
#define ROLE_TOKEN (1 << 28) /* + enum chat_role: a turn begins */
#define END_TOKEN (1 << 29)
#define TOKEN_BYTES 3
#define ANSWER_BYTES_MAX 32768
#define SLICE_NS 1000000 /* how soon it sees that it shall stop */

struct chat_backend_model {
    unsigned token_us, prompt_us;
};

struct chat_backend_slot {
    const struct chat_backend_model *model;
    struct chat_tokens seen;
    unsigned room;
    bool fails;
    size_t answer_at; /* bytes of the answer that were sampled */
    size_t answer_length;
    char answer[ANSWER_BYTES_MAX];
};

static int model_open(const char *path, const char *options, unsigned threads,
                      struct chat_backend_model **out)
{
    (void)path;
    (void)threads;
    unsigned token_us = 1000, prompt_us = 0;
    int end = 0;
    if (options) {
        int found = sscanf(options, "%6u%n,%6u%n", &token_us, &end, &prompt_us, &end);
        if (found < 1 || options[end] != '\0') return -EINVAL;
    }
    struct chat_backend_model *model = calloc(1, sizeof(*model));
    if (!model) return -ENOMEM;
    model->token_us = token_us;
    model->prompt_us = prompt_us;
    *out = model;
    return 0;
}

static void model_close(struct chat_backend_model *model)
{
    free(model);
}

static unsigned model_context(const struct chat_backend_model *model)
{
    (void)model;
    return CONTEXT_TOKENS;
}

static size_t token_bytes(const struct chat_backend_model *model)
{
    (void)model;
    return sizeof(int32_t);
}

/* ---- tokens: three bytes and how many of them count ---- */

static int32_t token_of(const char *bytes, size_t length)
{
    int32_t token = (int32_t)length << 24;
    for (size_t i = 0; i < length; i++) {
        token |= (int32_t)(unsigned char)bytes[i] << (8 * i);
    }
    return token;
}

static size_t piece(const struct chat_backend_model *model, int32_t token, char *buf, size_t size)
{
    (void)model;
    if (token >= ROLE_TOKEN) return 0;
    size_t length = (size_t)(token >> 24);
    if (length > size) length = size;
    for (size_t i = 0; i < length; i++) {
        buf[i] = (char)((token >> (8 * i)) & 0xff);
    }
    return length;
}

static bool ends(const struct chat_backend_model *model, int32_t token)
{
    (void)model;
    return token == END_TOKEN;
}

static int tokenize(const struct chat_backend_model *model, const char *text, size_t length,
                    struct chat_tokens *tokens)
{
    (void)model;
    int rc = chat_tokens_reserve(tokens, length / TOKEN_BYTES + 1);
    if (rc < 0) return rc;
    for (size_t at = 0; at < length; at += TOKEN_BYTES) {
        size_t bytes = length - at < TOKEN_BYTES ? length - at : TOKEN_BYTES;
        tokens->ids[tokens->count++] = token_of(text + at, bytes);
    }
    return 0;
}

static int render(const struct chat_backend_model *model, const struct chat_turn *turns,
                  size_t count, struct chat_tokens *tokens)
{
    for (size_t i = 0; i < count; i++) {
        int rc = chat_tokens_reserve(tokens, 2);
        if (rc < 0) return rc;
        tokens->ids[tokens->count++] = ROLE_TOKEN + (int32_t)turns[i].role;
        rc = tokenize(model, turns[i].text, turns[i].length, tokens);
        if (rc < 0) return rc;
    }
    int rc = chat_tokens_reserve(tokens, 1);
    if (rc < 0) return rc;
    tokens->ids[tokens->count++] = ROLE_TOKEN + CHAT_ASSISTANT;
    return 0;
}

/* ---- a sequence ---- */

static int slot_open(struct chat_backend_model *model, unsigned context_tokens,
                     struct chat_backend_slot **out)
{
    struct chat_backend_slot *slot = calloc(1, sizeof(*slot));
    if (!slot || chat_tokens_reserve(&slot->seen, context_tokens) < 0) {
        free(slot);
        return -ENOMEM;
    }
    slot->model = model;
    slot->room = context_tokens;
    *out = slot;
    return 0;
}

static void slot_close(struct chat_backend_slot *slot)
{
    free(slot->seen.ids);
    free(slot);
}

static bool truncate_to(struct chat_backend_slot *slot, size_t count)
{
    if (count < slot->seen.count) slot->seen.count = count;
    return true;
}

static void begin(struct chat_backend_slot *slot, const struct chat_sampling *sampling)
{
    (void)sampling;
    slot->answer_length = 0;
    slot->answer_at = 0;
}

/* False if it was told to stop. */
static bool spend(int64_t ns, const atomic_bool *stop)
{
    for (int64_t until = ae_now() + ns, left = ns; left > 0; left = until - ae_now()) {
        if (atomic_load(stop)) return false;
        struct timespec slice = { 0, left < SLICE_NS ? left : SLICE_NS };
        nanosleep(&slice, NULL);
    }
    return !atomic_load(stop);
}

static int eval(struct chat_backend_slot *slot, const int32_t *tokens, size_t count,
                const atomic_bool *stop)
{
    if (slot->seen.count + count > slot->room) return -ENOMEM;
    unsigned each_us = slot->answer_length > 0 ? slot->model->token_us : slot->model->prompt_us;
    if (!spend((int64_t)each_us * (int64_t)count * 1000, stop)) return -ECANCELED;
    memcpy(slot->seen.ids + slot->seen.count, tokens, count * sizeof(*tokens));
    slot->seen.count += count;
    return 0;
}

/* ---- the answer ---- */

static size_t last_question(const struct chat_backend_slot *slot, char *buf, size_t size)
{
    size_t at = slot->seen.count;
    while (at > 0 && slot->seen.ids[at - 1] != ROLE_TOKEN + CHAT_USER) {
        at--;
    }
    size_t length = 0;
    for (; at < slot->seen.count && slot->seen.ids[at] < ROLE_TOKEN && length < size; at++) {
        length += piece(slot->model, slot->seen.ids[at], buf + length, size - length);
    }
    return length;
}

static size_t counted(char *buf, size_t size, unsigned tokens)
{
    size_t length = 0, bytes = (size_t)tokens * TOKEN_BYTES;
    if (bytes > size - 16) bytes = size - 16;
    for (unsigned n = 1; length < bytes; n++) {
        length += (size_t)snprintf(buf + length, 16, "word %u ", n);
    }
    return bytes;
}

static const char markdown[] =
    "### What this is\n"
    "The **fake** engine answers with this text, whatever was asked.\n\n"
    "1. **First** \xe2\x80\x94 it is deterministic\n"
    "2. **Second** \xe2\x80\x94 it takes 1 \xc2\xb5s or more a token\n\n"
    "| Column | Value |\n|--------|-------|\n| a | 1 |\n| b | 2 |\n\n"
    "```c\nint main(void)\n{\n    return 0;\n}\n```\n\nYou asked: ";

static size_t written(char *buf, size_t size, const char *question, size_t length)
{
    size_t head = sizeof(markdown) - 1;
    memcpy(buf, markdown, head);
    if (length > size - head - 2) length = size - head - 2;
    memcpy(buf + head, question, length);
    buf[head + length] = '\n';
    return head + length + 1;
}

static bool opens(const char *text, size_t length, const char *word)
{
    return length >= strlen(word) && memcmp(text, word, strlen(word)) == 0;
}

static void decide(struct chat_backend_slot *slot)
{
    char *question = malloc(ANSWER_BYTES_MAX);
    slot->fails = question == NULL;
    if (!question) return;
    size_t length = last_question(slot, question, ANSWER_BYTES_MAX - 1);
    question[length] = '\0';
    slot->fails = opens(question, length, "fail: ");
    if (slot->fails || opens(question, length, "echo: ")) {
        slot->answer_length = length - 6;
        memcpy(slot->answer, question + 6, length - 6);
    } else if (opens(question, length, "count: ")) {
        unsigned long tokens = strtoul(question + 7, NULL, 10);
        if (tokens > CONTEXT_TOKENS) tokens = CONTEXT_TOKENS;
        slot->answer_length = counted(slot->answer, sizeof(slot->answer), (unsigned)tokens);
    } else {
        slot->answer_length = written(slot->answer, sizeof(slot->answer), question, length);
    }
    free(question);
}

static int32_t sample(struct chat_backend_slot *slot)
{
    if (slot->answer_length == 0) decide(slot);
    size_t left = slot->answer_length - slot->answer_at;
    if (left == 0) return slot->fails ? -EIO : END_TOKEN;
    size_t bytes = left < TOKEN_BYTES ? left : TOKEN_BYTES;
    int32_t token = token_of(slot->answer + slot->answer_at, bytes);
    slot->answer_at += bytes;
    return token;
}

const struct chat_backend chat_backend_fake = {
    .abi = CHAT_BACKEND_ABI,
    .kind = "fake",
    .model_open = model_open,
    .model_close = model_close,
    .model_context = model_context,
    .token_bytes = token_bytes,
    .tokenize = tokenize,
    .render = render,
    .piece = piece,
    .ends = ends,
    .slot_open = slot_open,
    .slot_close = slot_close,
    .truncate = truncate_to,
    .begin = begin,
    .eval = eval,
    .sample = sample,
};
