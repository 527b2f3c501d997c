/* SPDX-License-Identifier: Apache-2.0 */
/* Memory as the C11 model lets threads see it: store histories, vector clocks and races.
 *
 * Each atomic location keeps its last HISTORY stores in modification order, which is the order of
 * execution. A load may return any of them that coherence and happens-before still allow; an older
 * one than the last is a choice of the search and is paid from the model's `stale` budget. A
 * read-modify-write reads the last, a compare-exchange that fails any. So store buffering, a
 * missing release and a seq_cst load in the place of a read-modify-write are all seen; load
 * buffering and a modification order that differs from the execution's are not.
 *
 *   M1  clock[t].at[u] is the last epoch of u that happens before what t does next.
 *   M2  a thread's epoch grows after each release, so an access at epoch e of u happens before t
 *       exactly when e <= clock[t].at[u].
 *   M3  a release sequence goes on only through read-modify-writes (the C++20 rule, the stricter).
 *   M4  a seq_cst fence is also an acquire-release operation on one common location. That is
 *       slightly stronger than C11.
 *   M5  plain accesses are no scheduling points: two that race are unordered in every schedule in
 *       which both happen, so the clocks find them without interleaving. */
#include "explore.h"

#include <stdio.h>
#include <string.h>

enum {
    HISTORY = 8,
    CELL_BYTES = 8,
    CELLS = 4096, /* power of two */
    ACCESSES = 14,
    LOCATIONS = 1024,
    NAMES = 128,
    SLOTS = 16,
};

struct clock {
    uint32_t at[MODEL_THREADS_MAX];
};

struct store {
    uint64_t value;
    struct clock sync;                   /* what an acquiring reader learns */
    uint32_t read_at[MODEL_THREADS_MAX]; /* epoch of each thread's first read of it, 0: none */
    uint32_t epoch;
    uint32_t order; /* among seq_cst stores and fences, 0: none */
    int thread;
};

struct location {
    void *address;
    unsigned size;
    unsigned count;        /* stores ever made; the last is history[(count - 1) % HISTORY] */
    struct location *next; /* others in the same cell */
    struct store history[HISTORY];
};

struct access {
    const void *pc;
    uint32_t epoch;
    uint8_t thread;
    uint8_t bytes; /* which of the cell's */
    bool write;
    bool atomic;
};

struct cell { /* eight aligned bytes */
    uintptr_t key;
    struct location *locations;
    uint8_t count;
    uint8_t dead;  /* bytes that were freed */
    uint64_t last;  /* digest of the latest access: the same once more changes nothing */
    uint64_t wrote; /* of the latest plain write: what its thread does before it releases is less */
    struct access accesses[ACCESSES];
};

static struct cell cells[CELLS / 2] __attribute__((aligned(64))); /* in the order of first use */
static struct {
    uintptr_t key;
    uint32_t generation;
    uint32_t cell;
} places[CELLS] __attribute__((aligned(64))); /* by hash */
static struct location locations[LOCATIONS];
static unsigned locations_used;
static unsigned cells_used;
static uint32_t generation;

static struct clock clocks[MODEL_THREADS_MAX];
static struct clock pending[MODEL_THREADS_MAX];  /* seen by relaxed loads, for acquire fences */
static struct clock released[MODEL_THREADS_MAX]; /* at the last release fence */
static uint32_t fenced[MODEL_THREADS_MAX];       /* order of the last seq_cst fence */
static struct clock fence_clock;
static uint32_t seq_cst_order;
static struct clock slots[SLOTS];

static struct {
    const void *address;
    size_t bytes;
    const char *name;
} names[NAMES];
static unsigned names_used;

static void join(struct clock *into, const struct clock *from)
{
    for (int i = 0; i < MODEL_THREADS_MAX; i++)
        if (into->at[i] < from->at[i]) into->at[i] = from->at[i];
}

static bool is_acquire(int order)
{
    return order == ORDER_ACQUIRE || order == ORDER_CONSUME || order >= ORDER_ACQ_REL;
}

static bool is_release(int order)
{
    return order >= ORDER_RELEASE;
}

static const char *order_name(int order)
{
    static const char *const text[] = { "relaxed", "consume", "acquire",
                                        "release", "acq_rel", "seq_cst" };
    return order >= 0 && order <= ORDER_SEQ_CST ? text[order] : "?";
}

/* ---- start and end of an execution --------------------------------------------------------- */

void model__memory_reset(void)
{
    generation++;
    locations_used = 0;
    cells_used = 0;
    seq_cst_order = 0;
    memset(&fence_clock, 0, sizeof fence_clock);
    memset(slots, 0, sizeof slots);
}

void model__memory_start(int child)
{
    memset(&clocks[child], 0, sizeof clocks[child]);
    memset(&pending[child], 0, sizeof pending[child]);
    memset(&released[child], 0, sizeof released[child]);
    fenced[child] = 0;
    clocks[child].at[child] = 1;
}

void model__names_reset(void)
{
    names_used = 0;
}

void model_name_bytes(const void *object, size_t bytes, const char *name)
{
    if (names_used == NAMES) model_fail("more than %d names", NAMES);
    names[names_used].address = object;
    names[names_used].bytes = bytes;
    names[names_used++].name = name;
}

const char *model__name_of(const void *address)
{
    static char text[4][64];
    static unsigned turn;
    char *out = text[turn++ % 4];
    const char *best = NULL;
    size_t offset = SIZE_MAX;

    for (unsigned i = 0; i < names_used; i++) {
        size_t distance = (size_t)((const char *)address - (const char *)names[i].address);
        if (distance < names[i].bytes && distance < offset) {
            offset = distance;
            best = names[i].name;
        }
    }
    if (!best)
        snprintf(out, sizeof text[0], "%p", address);
    else if (offset == 0)
        snprintf(out, sizeof text[0], "%s", best);
    else
        snprintf(out, sizeof text[0], "%s+%zu", best, offset);
    return out;
}

/* ---- cells: who touched which bytes -------------------------------------------------------- */

static struct cell *new_cell(size_t place, uintptr_t key)
{
    struct cell *c = &cells[cells_used];

    if (cells_used == CELLS / 2) model_fail("too much memory touched in one execution");
    places[place].key = key;
    places[place].generation = generation;
    places[place].cell = cells_used++;
    c->key = key;
    c->locations = NULL;
    c->count = 0;
    c->dead = 0;
    c->last = 0;
    c->wrote = 0;
    return c;
}

static inline struct cell *cell_at(uintptr_t key)
{
    size_t i = (size_t)((key / CELL_BYTES) * 0x9E3779B97F4A7C15ull >> 40) & (CELLS - 1);

    for (;; i = (i + 1) & (CELLS - 1)) {
        if (places[i].generation != generation) return new_cell(i, key);
        if (places[i].key == key) return &cells[places[i].cell];
    }
}

static const char *kind(bool write, bool atomic)
{
    if (atomic) return write ? "atomic write" : "atomic read";
    return write ? "write" : "read";
}

_Noreturn static void race(const struct access *a, const struct access *now, const void *address)
{
    model__trace(a->pc, address, "race: thread %d, %s, and", a->thread, kind(a->write, a->atomic));
    model__trace(now->pc, address, "race: thread %d, %s, unordered", now->thread,
                 kind(now->write, now->atomic));
    model_fail("race on %s: %s by thread %d and %s by thread %d", model__name_of(address),
               kind(a->write, a->atomic), a->thread, kind(now->write, now->atomic), now->thread);
}

_Noreturn static void touched_dead(const struct access *now, const void *address)
{
    model__trace(now->pc, address, "%s of dead memory", kind(now->write, now->atomic));
    model_fail("use after free: thread %d, %s of %s", now->thread, kind(now->write, now->atomic),
               model__name_of(address));
}

/* Whatever would race with the earlier `a`, which is ordered before `now`, also races with it. */
static bool makes_needless(const struct access *now, const struct access *a)
{
    if (a->bytes & ~now->bytes) return false;
    if (a->thread == now->thread && a->write == now->write && a->atomic == now->atomic) return true;
    return now->write && (!now->atomic || a->atomic);
}

/* Check an access against the earlier ones, and keep it. */
static void check_cell(struct cell *c, const struct access *now)
{
    const void *address = (const void *)(c->key + (unsigned)__builtin_ctz(now->bytes));
    const uint32_t *clock = clocks[now->thread].at;
    unsigned kept = 0;

    if (c->dead & now->bytes) touched_dead(now, address);
    for (unsigned i = 0; i < c->count; i++) {
        const struct access *a = &c->accesses[i];
        bool ordered = a->thread == now->thread || a->epoch <= clock[a->thread];
        if (!ordered && a->bytes & now->bytes && (a->write || now->write) &&
            !(a->atomic && now->atomic))
            race(a, now, address);
        if (ordered && makes_needless(now, a)) continue;
        if (kept != i) c->accesses[kept] = *a;
        kept++;
    }
    if (kept == ACCESSES) model_fail("too many unordered accesses to %s", model__name_of(address));
    c->accesses[kept] = *now;
    c->count = (uint8_t)(kept + 1);
}

static inline void touch_cell(struct cell *c, unsigned bytes, const void *pc, bool write,
                              bool atomic)
{
    int self = model__self;
    uint32_t epoch = clocks[self].at[self];
    uint64_t digest = (uint64_t)epoch << 32 | (unsigned)self << 16 | bytes << 8 |
                      (unsigned)write << 1 | (unsigned)atomic;

    if (c->last == digest) return;
    if (c->wrote >> 16 == digest >> 16 && !(bytes & ~(unsigned)(c->wrote >> 8 & 0xff))) return;
    c->last = digest;
    if (write && !atomic) c->wrote = digest;
    struct access now = { pc, epoch, (uint8_t)self, (uint8_t)bytes, write, atomic };
    struct access *only = &c->accesses[0];
    if (c->count == 1 && only->thread == self && !c->dead && makes_needless(&now, only))
        *only = now; /* as is most often so */
    else
        check_cell(c, &now);
}

/* Note an access to all cells it covers, and check it against the earlier ones. */
static inline void touch(struct model__at at, bool write)
{
    uintptr_t address = (uintptr_t)at.address, end = address + at.size;

    if (address - model__stacks < model__stacks_bytes && model__is_dead_stack(address))
        model_fail("use after return: thread %d, %s of a frame that is gone", model__self,
                   kind(write, false));
    while (address < end) {
        uintptr_t key = address & ~(uintptr_t)(CELL_BYTES - 1);
        unsigned first = (unsigned)(address - key);
        unsigned n = (unsigned)(end - address);
        if (n > CELL_BYTES - first) n = CELL_BYTES - first;
        touch_cell(cell_at(key), ((1u << n) - 1) << first, at.pc, write, false);
        address = key + CELL_BYTES;
    }
}

/* An atomic lies within one cell. */
static inline struct cell *touch_atomic(struct model__at at, bool write)
{
    uintptr_t address = (uintptr_t)at.address, key = address & ~(uintptr_t)(CELL_BYTES - 1);
    struct cell *c = cell_at(key);

    if (address - model__stacks < model__stacks_bytes && model__is_dead_stack(address))
        model_fail("use after return: thread %d, %s of a frame that is gone", model__self,
                   kind(write, true));
    touch_cell(c, ((1u << at.size) - 1) << (address - key), at.pc, write, true);
    return c;
}

/* ---- locations: what an atomic's readers may see ------------------------------------------- */

static uint64_t peek(const void *address, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, address, size); /* little endian */
    return value;
}

static void poke(void *address, unsigned size, uint64_t value)
{
    memcpy(address, &value, size);
}

static struct store *last_store(struct location *l)
{
    return &l->history[(l->count - 1) % HISTORY];
}

/* Forget the past: `value` was there before anything that is still unordered. */
static void restart(struct location *l, uint64_t value)
{
    memset(&l->history[0], 0, sizeof l->history[0]);
    l->history[0].value = value;
    l->count = 1;
}

static struct location *location_in(struct cell *c, struct model__at at)
{
    struct location *l = c->locations;
    uint64_t value = peek(at.address, at.size);

    while (l && (l->address != at.address || l->size != at.size))
        l = l->next;
    if (!l) {
        if (locations_used == LOCATIONS) model_fail("more than %d atomics", LOCATIONS);
        l = &locations[locations_used++];
        l->address = at.address;
        l->size = at.size;
        l->next = c->locations;
        c->locations = l;
        restart(l, value);
    } else if (last_store(l)->value != value) {
        restart(l, value); /* changed by code that is not instrumented */
    }
    return l;
}

/* True if a load by this thread may not return anything older than s. */
static bool is_floor(const struct store *s, const struct clock *now, bool seq_cst, int self)
{
    if (s->epoch <= now->at[s->thread]) return true;
    for (int t = 0; t < MODEL_THREADS_MAX; t++)
        if (s->read_at[t] && s->read_at[t] <= now->at[t]) return true;
    if (s->order && (seq_cst || s->order <= fenced[self])) return true;
    return seq_cst && s->epoch <= fence_clock.at[s->thread];
}

/* How many of the last stores a load may return, the latest included. */
static unsigned visible(struct location *l, bool seq_cst)
{
    int self = model__self;
    unsigned n = 1, most = l->count < HISTORY ? l->count : HISTORY;

    while (n < most) {
        const struct store *s = &l->history[(l->count - n) % HISTORY];
        if (is_floor(s, &clocks[self], seq_cst, self)) break;
        n++;
    }
    return n;
}

static struct store *choose_store(struct location *l, int order)
{
    unsigned n, pick;

    if (l->count == 1) return last_store(l);
    if (model__stale_left == 0) {
        if (!model__stale_hit) model__stale_hit = visible(l, order == ORDER_SEQ_CST) > 1;
        return last_store(l);
    }
    n = visible(l, order == ORDER_SEQ_CST);
    pick = n > 1 ? model__choose_rare(n) : 0;
    if (pick > 0) {
        model__stale_left--;
        model__read_stale();
    }
    return &l->history[(l->count - 1 - pick) % HISTORY];
}

static uint64_t read_store(struct store *s, int order)
{
    int self = model__self;

    if (!s->read_at[self]) s->read_at[self] = clocks[self].at[self];
    join(is_acquire(order) ? &clocks[self] : &pending[self], &s->sync);
    return s->value;
}

/* Append a store. `chain` is the store whose release sequence it continues, or NULL. */
static void append(struct location *l, uint64_t value, int order, const struct store *chain)
{
    int self = model__self;
    struct clock sync = released[self];
    struct store *s;

    if (chain) join(&sync, &chain->sync); /* M3 */
    if (is_release(order)) join(&sync, &clocks[self]);
    if (last_store(l)->value != value) model__changed();
    s = &l->history[l->count++ % HISTORY];
    memset(s->read_at, 0, sizeof s->read_at);
    s->value = value;
    s->sync = sync;
    s->epoch = clocks[self].at[self];
    s->thread = self;
    s->order = order == ORDER_SEQ_CST ? ++seq_cst_order : 0;
    if (is_release(order)) clocks[self].at[self]++; /* M2 */
    poke(l->address, l->size, value);
}

/* ---- the operations ------------------------------------------------------------------------ */

uint64_t model__load(struct model__at at, int order)
{
    struct location *l;
    uint64_t value;

    if (!model__running) {
        if (model__asking) model__asked(at.address);
        return peek(at.address, at.size);
    }
    model__point_at(at.address, false);
    l = location_in(touch_atomic(at, false), at);
    value = read_store(choose_store(l, order), order);
    if (model__tracing)
        model__trace(at.pc, at.address, "load %s -> %#llx%s", order_name(order),
                     (unsigned long long)value, value == last_store(l)->value ? "" : " (older)");
    return value;
}

void model__store(struct model__at at, uint64_t value, int order)
{
    if (!model__running) {
        poke(at.address, at.size, value);
        return;
    }
    model__point_at(at.address, true);
    append(location_in(touch_atomic(at, true), at), value, order, NULL);
    if (model__tracing)
        model__trace(at.pc, at.address, "store %s %#llx", order_name(order),
                     (unsigned long long)value);
}

static uint64_t combine(enum model__rmw op, uint64_t a, uint64_t b, unsigned size)
{
    uint64_t mask = size == 8 ? UINT64_MAX : (1ull << (size * 8)) - 1;

    switch (op) {
    case RMW_EXCHANGE:
        return b & mask;
    case RMW_ADD:
        return (a + b) & mask;
    case RMW_SUB:
        return (a - b) & mask;
    case RMW_AND:
        return a & b;
    case RMW_OR:
        return (a | b) & mask;
    case RMW_XOR:
        return (a ^ b) & mask;
    case RMW_NAND:
        return ~(a & b) & mask;
    }
    return a;
}

uint64_t model__rmw(struct model__at at, enum model__rmw op, uint64_t operand, int order)
{
    static const char *const text[] = { "exchange", "add", "sub", "and", "or", "xor", "nand" };
    uint64_t value = peek(at.address, at.size);
    struct location *l;
    struct store chain;

    if (!model__running) {
        poke(at.address, at.size, combine(op, value, operand, at.size));
        return value;
    }
    model__point_at(at.address, true);
    l = location_in(touch_atomic(at, true), at);
    chain = *last_store(l);
    value = read_store(last_store(l), order);
    append(l, combine(op, value, operand, at.size), order, &chain);
    if (model__tracing)
        model__trace(at.pc, at.address, "%s %s %#llx: %#llx -> %#llx", text[op], order_name(order),
                     (unsigned long long)operand, (unsigned long long)value,
                     (unsigned long long)last_store(l)->value);
    return value;
}

/* The store that a compare-exchange reads: the last, or, if that makes it fail, an older one. A
 * weak one that reads what it expects may fail all the same. */
static struct store *choose_compared(struct location *l, uint64_t expected, bool weak, int failure,
                                     bool *done)
{
    struct store *last = last_store(l), *s = choose_store(l, failure);

    if (s != last && s->value != expected) {
        *done = false;
        return s;
    }
    *done = last->value == expected;
    if (*done && weak && model__stale_left == 0) model__stale_hit = true;
    if (*done && weak && model__stale_left > 0 && model__choose_rare(2) != 0) {
        model__stale_left--;
        model__read_stale();
        *done = false;
    }
    return last;
}

bool model__cas(struct model__at at, uint64_t *expected, uint64_t desired, bool weak, int success,
                int failure)
{
    struct location *l;
    struct store *read, chain;
    uint64_t wanted = *expected;
    bool done;

    if (!model__running) {
        uint64_t value = peek(at.address, at.size);
        done = value == *expected;
        if (done) poke(at.address, at.size, desired);
        *expected = value;
        return done;
    }
    model__point_at(at.address, true);
    l = location_in(touch_atomic(at, true), at);
    chain = *last_store(l);
    read = choose_compared(l, wanted, weak, failure, &done);
    *expected = read_store(read, done ? success : failure);
    if (model__tracing)
        model__trace(at.pc, at.address, "cas %s %#llx -> %#llx: %s, was %#llx%s",
                     order_name(done ? success : failure), (unsigned long long)wanted,
                     (unsigned long long)desired, done ? "done" : "failed",
                     (unsigned long long)*expected, read == last_store(l) ? "" : " (older)");
    if (done) append(l, desired, success, &chain);
    return done;
}

void model__fence(int order)
{
    int self = model__self;

    if (!model__running) return;
    model__point();
    if (is_acquire(order)) join(&clocks[self], &pending[self]);
    if (order == ORDER_SEQ_CST) { /* M4 */
        join(&clocks[self], &fence_clock);
        fence_clock = clocks[self];
        fenced[self] = ++seq_cst_order;
    }
    if (is_release(order)) {
        released[self] = clocks[self];
        clocks[self].at[self]++;
    }
    if (model__tracing) model__trace(NULL, NULL, "fence %s", order_name(order));
}

void model__plain(struct model__at at, bool write)
{
    uintptr_t key = (uintptr_t)at.address & ~(uintptr_t)(CELL_BYTES - 1);

    if (!model__running) {
        if (model__asking && !write) model__known_condition(at.address);
        return;
    }
    touch(at, write);
    if (!write) return;
    if (model__known_in_condition(at.address, at.size)) model__segment_is_hot();
    /* The value arrives after this call: what an atomic there held is read again then. */
    for (struct location *l = cell_at(key)->locations; l; l = l->next)
        if ((char *)l->address < (char *)at.address + at.size &&
            (char *)at.address < (char *)l->address + l->size)
            restart(l, last_store(l)->value);
}

/* ---- edges and lifetimes that models ask for ----------------------------------------------- */

void model__swap(uint32_t *word, uint32_t value, int order)
{
    struct model__at at = { word, sizeof *word, NULL };
    struct location *l =
        location_in(cell_at((uintptr_t)word & ~(uintptr_t)(CELL_BYTES - 1)), at);
    struct store chain = *last_store(l);

    read_store(last_store(l), order);
    append(l, value, order, &chain);
}

void model_publish(unsigned slot)
{
    int self = model__self;

    if (!model__running) return;
    join(&slots[slot % SLOTS], &clocks[self]);
    clocks[self].at[self]++;
}

void model_receive(unsigned slot)
{
    if (model__running) join(&clocks[model__self], &slots[slot % SLOTS]);
}

/* M4 for every thread at once: what any of them did happens before what any does next. */
void model_barrier_all(void)
{
    model__point();
    if (!model__running) return;
    seq_cst_order++;
    for (int i = 0; i < MODEL_THREADS_MAX; i++) {
        join(&fence_clock, &clocks[i]);
    }
    for (int i = 0; i < MODEL_THREADS_MAX; i++) {
        join(&clocks[i], &fence_clock);
        clocks[i].at[i]++;
        fenced[i] = seq_cst_order;
    }
}

static void set_dead(const void *memory, size_t bytes, bool dead)
{
    uintptr_t at = (uintptr_t)memory, to = at + bytes;

    while (at < to) {
        uintptr_t key = at & ~(uintptr_t)(CELL_BYTES - 1);
        struct cell *c = cell_at(key);
        uint8_t bits = (uint8_t)(0xff << (at - key));
        if (to - key < CELL_BYTES) bits &= (uint8_t)(0xff >> (CELL_BYTES - (to - key)));
        c->dead = dead ? c->dead | bits : c->dead & (uint8_t)~bits;
        c->last = c->wrote = 0;
        at = key + CELL_BYTES;
    }
}

void model_free(const void *memory, size_t bytes)
{
    struct model__at at = { (void *)(uintptr_t)memory, (unsigned)bytes,
                            __builtin_return_address(0) };

    if (model__running) touch(at, true);
    if (model__tracing) model__trace(at.pc, memory, "free %zu bytes", bytes);
    set_dead(memory, bytes, true);
}

void model_revive(const void *memory, size_t bytes)
{
    if (model__running) set_dead(memory, bytes, false); /* at the start all is alive */
}
