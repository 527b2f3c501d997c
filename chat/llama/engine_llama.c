/* SPDX-License-Identifier: Apache-2.0 */
/* The llama backend: llama.cpp in this process. Built by chat/fetch.py into a module of its own
 * (engine_module.c says why), against the one version of llama.h that is pinned there.
 *
 * Templates. llama.cpp knows the common chat templates by their marks and renders them; it is given
 * markers in place of the texts. What comes back is cut at the markers: what lies between is the
 * template's and may hold special tokens, the texts are tokenized as plain text, so that nobody can
 * write `<|im_start|>` and be taken for the template. Two things its renderer leaves out are added,
 * since models were trained with them: the system text that ChatML templates put where none is
 * given, and the two lines of dates at the head of Llama 3.1's and 3.2's (with the day that the
 * template itself names where it is told none: the same prompt is then the same every day).
 *
 * One sequence has a context of its own, so streams are computed one after another (sched.c); the
 * compute threads are shared by all sequences of a model and begin on the thread that computes
 * first, so that they have its priority. */
#include <stdio.h>

#include <ggml-cpu.h>
#include <llama.h>

#include "backend.h" /* of the folder above */

#define BATCH_TOKENS 512
#define MARK '\x1e' /* record separator: around a number in place of a text */
#define PREAMBLE_SIGN "Cutting Knowledge Date: December 2023"
#define PREAMBLE PREAMBLE_SIGN "\nToday Date: 26 Jul 2024\n\n"
#define CHATML_SYSTEM "<|im_start|>system"

#define TEMPERATURE 0.3F /* small models wander at more */
#define TOP_P 0.9F
#define TOP_K 40
#define REPEAT_TOKENS 64
#define REPEAT_PENALTY 1.1F

struct chat_backend_model {
    struct llama_model *llama;
    const struct llama_vocab *vocab;
    const char *template; /* NULL: none, ChatML is taken */
    const char *preamble; /* before the system text, or NULL */
    char *system;         /* where none is given, or NULL */
    bool trims;           /* the template takes blanks off the ends of texts */
    int threads, prompt_threads;
    struct ggml_threadpool *pool; /* compute thread only */
};

struct chat_backend_slot {
    struct chat_backend_model *model;
    struct llama_context *context;
    struct llama_sampler *sampler;
    size_t count; /* tokens in it */
    bool attached;
    const atomic_bool *stop;
};

/* ---- templates ---- */

static const char *role_name(enum chat_role role)
{
    return role == CHAT_SYSTEM ? "system" : role == CHAT_USER ? "user" : "assistant";
}

/* The rendered template, freed by the caller. -ENOTSUP: llama.cpp does not know it. */
static int apply(const struct chat_backend_model *model, const struct llama_chat_message *messages,
                 size_t count, char **out)
{
    int32_t room = 4096;
    char *text = malloc((size_t)room);
    for (;;) {
        if (!text) return -ENOMEM;
        int32_t length =
            llama_chat_apply_template(model->template, messages, count, true, text, room);
        if (length >= 0 && length < room) {
            text[length] = '\0';
            *out = text;
            return 0;
        }
        free(text);
        if (length < 0) return -ENOTSUP;
        room = length + 1;
        text = malloc((size_t)room);
    }
}

/* Whether it can be rendered at all, and what it does with blanks around a text. */
static int probe_template(struct chat_backend_model *model)
{
    struct llama_chat_message message = { "user", "  \x1e" "0\x1e  " };
    char *text = NULL;
    int rc = apply(model, &message, 1, &text);
    if (rc < 0) return rc;
    model->trims = strstr(text, " \x1e") == NULL;
    free(text);
    return 0;
}

/* Past a line end in the template's source: one, or `\n` in a literal. NULL: there is none. */
static const char *past_line_end(const char *text)
{
    if (text[0] == '\n') return text + 1;
    return text[0] == '\\' && text[1] == 'n' ? text + 2 : NULL;
}

/* ChatML templates name their own system text between the marks, in a string literal. */
static char *chatml_system(const char *template)
{
    const char *mark = strstr(template, CHATML_SYSTEM);
    const char *begin = mark ? past_line_end(mark + strlen(CHATML_SYSTEM)) : NULL;
    const char *end = begin ? strstr(begin, "<|im_end|>") : NULL;
    size_t length = end ? (size_t)(end - begin) : 0;
    if (length == 0 || memchr(begin, '\'', length) || memchr(begin, '{', length)) return NULL;
    return strndup(begin, length);
}

static int read_template(struct chat_backend_model *model)
{
    model->template = llama_model_chat_template(model->llama, NULL);
    if (model->template && strstr(model->template, PREAMBLE_SIGN)) model->preamble = PREAMBLE;
    if (model->template) model->system = chatml_system(model->template);
    return probe_template(model);
}

/* ---- models ---- */

static void model_close(struct chat_backend_model *model)
{
    if (model->pool) ggml_threadpool_free(model->pool);
    if (model->llama) llama_model_free(model->llama);
    free(model->system);
    free(model);
}

/* Errors of loading are worth a line; a computation that was told to stop says it is one. */
static atomic_int loading;

static void log_error(enum ggml_log_level level, const char *text, void *context)
{
    (void)context;
    if (level == GGML_LOG_LEVEL_ERROR && atomic_load(&loading) > 0) fputs(text, stderr);
}

static int model_open(const char *path, const char *options, unsigned threads,
                      struct chat_backend_model **out)
{
    (void)options;
    llama_log_set(log_error, NULL);
    llama_backend_init();
    struct chat_backend_model *model = calloc(1, sizeof(*model));
    if (!model) return -ENOMEM;
    struct llama_model_params params = llama_model_default_params();
    params.n_gpu_layers = 0;
    model->threads = (int)threads;
    model->prompt_threads = (int)threads;
    atomic_fetch_add(&loading, 1);
    model->llama = llama_model_load_from_file(path, params);
    atomic_fetch_sub(&loading, 1);
    int rc = model->llama ? 0 : -ENOEXEC;
    if (rc == 0) {
        model->vocab = llama_model_get_vocab(model->llama);
        rc = llama_model_has_decoder(model->llama) ? read_template(model) : -ENOTSUP;
    }
    if (rc < 0) {
        model_close(model);
        return rc;
    }
    *out = model;
    return 0;
}

static unsigned model_context(const struct chat_backend_model *model)
{
    int32_t tokens = llama_model_n_ctx_train(model->llama);
    return tokens > 0 ? (unsigned)tokens : 1;
}

/* Keys and values, two bytes each, of every layer. */
static size_t token_bytes(const struct chat_backend_model *model)
{
    const struct llama_model *llama = model->llama;
    int32_t heads = llama_model_n_head(llama), kv_heads = llama_model_n_head_kv(llama);
    if (heads <= 0 || kv_heads <= 0) return 1;
    size_t width = (size_t)(llama_model_n_embd(llama) / heads * kv_heads);
    return 2 * 2 * width * (size_t)llama_model_n_layer(llama);
}

/* ---- tokens ---- */

static int append(const struct chat_backend_model *model, const char *text, size_t length,
                  bool special, struct chat_tokens *tokens)
{
    if (length == 0) return 0;
    if (length > INT32_MAX / 2) return -EINVAL;
    int rc = chat_tokens_reserve(tokens, length + 8); /* a token has a byte at least */
    if (rc < 0) return rc;
    int32_t count = llama_tokenize(model->vocab, text, (int32_t)length,
                                   tokens->ids + tokens->count,
                                   (int32_t)(tokens->room - tokens->count), false, special);
    if (count < 0) return -EINVAL;
    tokens->count += (size_t)count;
    return 0;
}

static int tokenize(const struct chat_backend_model *model, const char *text, size_t length,
                    struct chat_tokens *tokens)
{
    return append(model, text, length, false, tokens);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int append_turn(const struct chat_backend_model *model, const struct chat_turn *turn,
                       struct chat_tokens *tokens)
{
    const char *text = turn->text;
    size_t length = turn->length;
    while (model->trims && length > 0 && is_blank(text[length - 1])) {
        length--;
    }
    while (model->trims && length > 0 && is_blank(text[0])) {
        text++;
        length--;
    }
    return append(model, text, length, false, tokens);
}

/* The template's parts as tokens, and at each marker the text it stands for. */
static int append_rendered(const struct chat_backend_model *model, const char *rendered,
                           const struct chat_turn *turns, size_t count, struct chat_tokens *tokens)
{
    int rc = 0;
    const char *at = rendered;
    for (const char *mark; rc == 0 && (mark = strchr(at, MARK)) != NULL;) {
        char *end;
        unsigned long turn = strtoul(mark + 1, &end, 10);
        rc = append(model, at, (size_t)(mark - at), true, tokens);
        if (rc == 0 && (*end != MARK || turn >= count)) rc = -ENOTSUP;
        if (rc == 0) rc = append_turn(model, &turns[turn], tokens);
        at = end + 1;
    }
    return rc < 0 ? rc : append(model, at, strlen(at), true, tokens);
}

static int append_bos(const struct chat_backend_model *model, struct chat_tokens *tokens)
{
    if (!llama_vocab_get_add_bos(model->vocab)) return 0;
    int rc = chat_tokens_reserve(tokens, 1);
    if (rc == 0) tokens->ids[tokens->count++] = llama_vocab_bos(model->vocab);
    return rc;
}

/* Some templates write it themselves. */
static void drop_second_bos(const struct chat_backend_model *model, struct chat_tokens *tokens,
                            size_t at)
{
    int32_t bos = llama_vocab_bos(model->vocab);
    if (tokens->count < at + 2 || tokens->ids[at] != bos || tokens->ids[at + 1] != bos) return;
    tokens->count--;
    memmove(tokens->ids + at, tokens->ids + at + 1, (tokens->count - at) * sizeof(*tokens->ids));
}

struct marker {
    char text[sizeof(PREAMBLE) + 16];
};

static int render_all(const struct chat_backend_model *model, const struct chat_turn *turns,
                      size_t count, struct chat_tokens *tokens)
{
    struct llama_chat_message *messages = calloc(count, sizeof(*messages));
    struct marker *markers = calloc(count, sizeof(*markers));
    char *rendered = NULL;
    int rc = messages && markers ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        bool first = i == 0 && turns[i].role == CHAT_SYSTEM && model->preamble;
        snprintf(markers[i].text, sizeof(markers[i].text), "%s%c%zu%c",
                 first ? model->preamble : "", MARK, i, MARK);
        messages[i] = (struct llama_chat_message){ role_name(turns[i].role), markers[i].text };
    }
    size_t before = tokens->count;
    if (rc == 0) rc = apply(model, messages, count, &rendered);
    if (rc == 0) rc = append_bos(model, tokens);
    if (rc == 0) rc = append_rendered(model, rendered, turns, count, tokens);
    if (rc == 0) drop_second_bos(model, tokens, before);
    free(rendered);
    free(markers);
    free(messages);
    return rc;
}

static int render(const struct chat_backend_model *model, const struct chat_turn *turns,
                  size_t count, struct chat_tokens *tokens)
{
    bool adds = count > 0 && turns[0].role != CHAT_SYSTEM && (model->system || model->preamble);
    if (!adds) return render_all(model, turns, count, tokens);
    struct chat_turn *more = calloc(count + 1, sizeof(*more));
    if (!more) return -ENOMEM;
    const char *system = model->system ? model->system : "";
    more[0] = (struct chat_turn){ CHAT_SYSTEM, system, strlen(system) };
    memcpy(more + 1, turns, count * sizeof(*turns));
    int rc = render_all(model, more, count + 1, tokens);
    free(more);
    return rc;
}

static size_t piece(const struct chat_backend_model *model, int32_t token, char *buf, size_t size)
{
    int32_t length = llama_token_to_piece(model->vocab, token, buf, (int32_t)size, 0, false);
    return length > 0 ? (size_t)length : 0;
}

static bool ends(const struct chat_backend_model *model, int32_t token)
{
    return llama_vocab_is_eog(model->vocab, token);
}

/* ---- sequences ---- */

static bool told_to_stop(void *arg)
{
    struct chat_backend_slot *slot = arg;
    return slot->stop && atomic_load(slot->stop);
}

static void slot_close(struct chat_backend_slot *slot)
{
    if (slot->sampler) llama_sampler_free(slot->sampler);
    if (slot->context) llama_free(slot->context);
    free(slot);
}

static int slot_open(struct chat_backend_model *model, unsigned context_tokens,
                     struct chat_backend_slot **out)
{
    struct chat_backend_slot *slot = calloc(1, sizeof(*slot));
    if (!slot) return -ENOMEM;
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = context_tokens;
    params.n_batch = BATCH_TOKENS;
    params.n_ubatch = BATCH_TOKENS;
    params.n_seq_max = 1;
    params.n_outputs_max = 1;
    params.n_threads = model->threads;
    params.n_threads_batch = model->prompt_threads;
    params.abort_callback = told_to_stop;
    params.abort_callback_data = slot;
    params.no_perf = true;
    slot->model = model;
    slot->context = llama_init_from_model(model->llama, params);
    if (!slot->context) {
        slot_close(slot);
        return -ENOMEM;
    }
    *out = slot;
    return 0;
}

static bool truncate_to(struct chat_backend_slot *slot, size_t count)
{
    llama_memory_t memory = llama_get_memory(slot->context);
    bool kept = llama_memory_seq_rm(memory, 0, (llama_pos)count, -1);
    if (!kept) llama_memory_clear(memory, false);
    slot->count = kept ? count : 0;
    return kept;
}

static void attach_threads(struct chat_backend_slot *slot)
{
    struct chat_backend_model *model = slot->model;
    if (!model->pool) {
        int most = model->threads > model->prompt_threads ? model->threads : model->prompt_threads;
        struct ggml_threadpool_params params = ggml_threadpool_params_default(most);
        params.poll = 0; /* threads that wait give their CPU to the workers */
        model->pool = ggml_threadpool_new(&params);
    }
    if (model->pool) llama_attach_threadpool(slot->context, model->pool, model->pool);
    slot->attached = true;
}

static void begin(struct chat_backend_slot *slot, const struct chat_sampling *sampling)
{
    struct chat_sampling s = *sampling;
    if (!s.given) s = (struct chat_sampling){ TEMPERATURE, TOP_P, TOP_K, s.seed, false };
    if (!slot->attached) attach_threads(slot);
    if (slot->sampler) llama_sampler_free(slot->sampler);
    struct llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
    slot->sampler = chain;
    if (!(s.temperature > 0)) {
        llama_sampler_chain_add(chain, llama_sampler_init_greedy());
        return;
    }
    if (s.top_k > 0) llama_sampler_chain_add(chain, llama_sampler_init_top_k((int32_t)s.top_k));
    if (!s.given) { /* after top_k: over the whole vocabulary it costs four times the rest */
        llama_sampler_chain_add(chain, llama_sampler_init_penalties(
            llama_vocab_n_tokens(slot->model->vocab), REPEAT_TOKENS, REPEAT_PENALTY, 0, 0));
    }
    if (s.top_p < 1) llama_sampler_chain_add(chain, llama_sampler_init_top_p(s.top_p, 1));
    llama_sampler_chain_add(chain, llama_sampler_init_temp(s.temperature));
    uint32_t seed = s.seed ? (uint32_t)(s.seed ^ s.seed >> 32) : LLAMA_DEFAULT_SEED;
    llama_sampler_chain_add(chain, llama_sampler_init_dist(seed));
}

static int decode(struct chat_backend_slot *slot, const int32_t *tokens, size_t count)
{
    int32_t copy[BATCH_TOKENS]; /* the batch wants them writable */
    memcpy(copy, tokens, count * sizeof(*copy));
    switch (llama_decode(slot->context, llama_batch_get_one(copy, (int32_t)count))) {
    case 0: return 0;
    case 1: return -ENOMEM;
    case 2: return -ECANCELED;
    default: return -EIO;
    }
}

static int eval(struct chat_backend_slot *slot, const int32_t *tokens, size_t count,
                const atomic_bool *stop)
{
    int rc = 0;
    size_t done = 0;
    slot->stop = stop;
    while (rc == 0 && done < count) {
        size_t part = count - done < BATCH_TOKENS ? count - done : BATCH_TOKENS;
        rc = decode(slot, tokens + done, part);
        done += part;
    }
    slot->stop = NULL;
    if (rc == 0) {
        slot->count += count;
    } else {
        truncate_to(slot, slot->count);
    }
    return rc;
}

static int32_t sample(struct chat_backend_slot *slot)
{
    return llama_sampler_sample(slot->sampler, slot->context, -1);
}

AE_API extern const struct chat_backend chat_backend_module;
const struct chat_backend chat_backend_module = {
    .abi = CHAT_BACKEND_ABI,
    .kind = "llama",
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
