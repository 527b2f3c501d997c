/* SPDX-License-Identifier: Apache-2.0 */
/* A small unwinder over the tables that compilers write for exceptions (.eh_frame; DWARF 4, 6.4,
 * and the Linux Standard Base, 10.6). libgcc's can only unwind the stack that it stands on, and
 * frame pointers are not kept by libc, where stalls like to be. This one has a copy of somebody
 * else's stack, may not know all registers, and stops where it knows no further. */
#include "arch/unwind.h"

#include <link.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
enum { REG_SP = 7, REG_FP = 6, REG_RA = 16 };
#else
enum { REG_SP = 31, REG_FP = 29, REG_RA = 30 };
#endif

enum { REMEMBERED = 8, OPERANDS = 16, GUESS_WORDS = 512 };

/* ---- reading tables ---- */

struct reader {
    const unsigned char *at, *end;
    bool bad; /* it ended too early, or has what we cannot read */
};

static bool has(struct reader *r, size_t bytes)
{
    if (!r->bad && (size_t)(r->end - r->at) >= bytes) return true;
    r->bad = true;
    return false;
}

static uint64_t fixed(struct reader *r, size_t bytes)
{
    uint64_t value = 0;

    if (!has(r, bytes)) return 0;
    memcpy(&value, r->at, bytes); /* both CPUs are little-endian */
    r->at += bytes;
    return value;
}

static int64_t fixed_signed(struct reader *r, size_t bytes)
{
    unsigned unused = 64 - 8 * (unsigned)bytes;

    return (int64_t)(fixed(r, bytes) << unused) >> unused;
}

static uint64_t leb(struct reader *r, bool is_signed)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;

    do {
        byte = (uint8_t)fixed(r, 1);
        if (shift < 64) value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    if (is_signed && shift < 64 && byte & 0x40) value |= UINT64_MAX << shift;
    return value;
}

static uint64_t uleb(struct reader *r)
{
    return leb(r, false);
}

static int64_t sleb(struct reader *r)
{
    return (int64_t)leb(r, true);
}

/* A pointer as DW_EH_PE_* says; `data`: what data-relative ones begin at. */
static uintptr_t encoded(struct reader *r, uint8_t encoding, uintptr_t data)
{
    uintptr_t here = (uintptr_t)r->at, value = 0;

    if (encoding == 0xff) return 0; /* omitted */
    switch (encoding & 0x0f) {
    case 0x00:
    case 0x04:
    case 0x0c:
        value = (uintptr_t)fixed(r, 8);
        break;
    case 0x01:
        value = (uintptr_t)uleb(r);
        break;
    case 0x02:
        value = (uintptr_t)fixed(r, 2);
        break;
    case 0x03:
        value = (uintptr_t)fixed(r, 4);
        break;
    case 0x09:
        value = (uintptr_t)sleb(r);
        break;
    case 0x0a:
        value = (uintptr_t)fixed_signed(r, 2);
        break;
    case 0x0b:
        value = (uintptr_t)fixed_signed(r, 4);
        break;
    default:
        r->bad = true;
    }
    if ((encoding & 0x70) == 0x10) value += here;
    if ((encoding & 0x70) == 0x30) value += data;
    return value; /* 0x80, indirect: only of personality routines, which nobody asks for */
}

/* ---- the rules of one place ---- */

enum how { SAME, UNDEFINED, AT_CFA, IS_CFA, REGISTER, AT_EXPRESSION, IS_EXPRESSION };

struct rule {
    uint8_t how; /* enum how */
    int64_t value;
    const unsigned char *code; /* of an expression of `value` bytes */
};

struct rules {
    struct rule reg[AE__REGS];
    struct rule cfa; /* REGISTER: number in `base`, offset in `value`; or IS_EXPRESSION */
    uint64_t base;
};

struct entry {
    uint64_t code_align;
    int64_t data_align;
    uint64_t ra;
    uint8_t encoding;
    bool has_data;  /* augmentation data, with a length */
    bool is_signal; /* the frame was interrupted, not called */
    struct reader initial; /* instructions of the CIE */
};

struct machine {
    const struct entry *entry;
    struct rules now, initial, kept[REMEMBERED];
    unsigned depth;
    uintptr_t at, target;
};

static void set(struct machine *m, uint64_t reg, enum how how, int64_t value)
{
    if (reg < AE__REGS) m->now.reg[reg] = (struct rule){ .how = (uint8_t)how, .value = value };
}

static void set_expression(struct machine *m, struct reader *r, uint64_t reg, enum how how)
{
    uint64_t bytes = uleb(r);

    if (!has(r, bytes)) return;
    struct rule rule = { .how = (uint8_t)how, .value = (int64_t)bytes, .code = r->at };
    if (reg < AE__REGS) m->now.reg[reg] = rule;
    if (reg == UINT64_MAX) m->now.cfa = rule;
    r->at += bytes;
}

static void set_cfa(struct machine *m, uint64_t base, int64_t offset)
{
    m->now.base = base;
    m->now.cfa = (struct rule){ .how = REGISTER, .value = offset };
}

static void remember(struct machine *m, struct reader *r)
{
    if (m->depth == REMEMBERED) {
        r->bad = true;
    } else {
        m->kept[m->depth++] = m->now;
    }
}

static void recall(struct machine *m, struct reader *r)
{
    if (m->depth == 0) {
        r->bad = true;
    } else {
        m->now = m->kept[--m->depth];
    }
}

static void restore(struct machine *m, uint64_t reg)
{
    if (reg < AE__REGS) m->now.reg[reg] = m->initial.reg[reg];
}

/* DWARF 4, 6.4.2 and 7.23. */
static void step_extended(struct machine *m, struct reader *r, uint8_t op)
{
    int64_t scale = m->entry->data_align;
    uint64_t reg = 0;

    if ((op >= 0x05 && op <= 0x09) || (op >= 0x0c && op <= 0x0d) || (op >= 0x10 && op <= 0x12) ||
        (op >= 0x14 && op <= 0x16)) {
        reg = uleb(r);
    }
    switch (op) { /* long: one case per instruction */
    case 0x00: /* nop */
    case 0x2d: /* aarch64: the return address is signed */
        break;
    case 0x02:
        m->at += fixed(r, 1) * m->entry->code_align;
        break;
    case 0x03:
        m->at += fixed(r, 2) * m->entry->code_align;
        break;
    case 0x04:
        m->at += fixed(r, 4) * m->entry->code_align;
        break;
    case 0x05:
        set(m, reg, AT_CFA, (int64_t)uleb(r) * scale);
        break;
    case 0x06:
        restore(m, reg);
        break;
    case 0x07:
        set(m, reg, UNDEFINED, 0);
        break;
    case 0x08:
        set(m, reg, SAME, 0);
        break;
    case 0x09:
        set(m, reg, REGISTER, (int64_t)uleb(r));
        break;
    case 0x0a:
        remember(m, r);
        break;
    case 0x0b:
        recall(m, r);
        break;
    case 0x0c:
        set_cfa(m, reg, (int64_t)uleb(r));
        break;
    case 0x0d:
        m->now.base = reg;
        break;
    case 0x0e:
        m->now.cfa.value = (int64_t)uleb(r);
        break;
    case 0x0f:
        set_expression(m, r, UINT64_MAX, IS_EXPRESSION);
        break;
    case 0x10:
        set_expression(m, r, reg, AT_EXPRESSION);
        break;
    case 0x11:
        set(m, reg, AT_CFA, sleb(r) * scale);
        break;
    case 0x12:
        set_cfa(m, reg, sleb(r) * scale);
        break;
    case 0x13:
        m->now.cfa.value = sleb(r) * scale;
        break;
    case 0x14:
        set(m, reg, IS_CFA, (int64_t)uleb(r) * scale);
        break;
    case 0x15:
        set(m, reg, IS_CFA, sleb(r) * scale);
        break;
    case 0x16:
        set_expression(m, r, reg, IS_EXPRESSION);
        break;
    case 0x2e: /* the size of arguments */
        (void)uleb(r);
        break;
    default:
        r->bad = true;
    }
}

/* Up to the place in question. */
static bool run(struct machine *m, struct reader r)
{
    while (r.at < r.end && !r.bad && m->at <= m->target) {
        uint8_t op = (uint8_t)fixed(&r, 1);
        uint8_t low = op & 0x3f;
        switch (op & 0xc0) {
        case 0x40:
            m->at += low * m->entry->code_align;
            break;
        case 0x80:
            set(m, low, AT_CFA, (int64_t)uleb(&r) * m->entry->data_align);
            break;
        case 0xc0:
            restore(m, low);
            break;
        default:
            step_extended(m, &r, op);
        }
    }
    return !r.bad;
}

/* ---- applying them ---- */

struct frame {
    struct ae__regs regs;
    const struct ae__stack_copy *stack;
    bool is_return; /* pc is behind a call */
};

static bool load(const struct ae__stack_copy *stack, uintptr_t from, uintptr_t *out)
{
    uintptr_t offset = from - stack->base;

    if (from < stack->base || offset > stack->bytes || stack->bytes - offset < sizeof *out) {
        return false;
    }
    memcpy(out, stack->data + offset, sizeof *out);
    return true;
}

static bool value_of(const struct ae__regs *regs, uint64_t reg, uintptr_t *out)
{
#if defined(__x86_64__)
    if (reg == REG_RA) {
        *out = regs->pc;
        return true;
    }
#endif
    if (reg == REG_SP) {
        *out = regs->sp;
        return true;
    }
    if (reg >= AE__REGS || !(regs->known >> reg & 1)) return false;
    *out = regs->reg[reg];
    return true;
}

/* Two operands: DWARF 4, 2.5.1.4 and 2.5.1.5. */
static bool binary(uint8_t op, uintptr_t a, uintptr_t b, uintptr_t *out)
{
    intptr_t x = (intptr_t)a, y = (intptr_t)b;

    switch (op) {
    case 0x1a:
        *out = a & b;
        return true;
    case 0x1c:
        *out = a - b;
        return true;
    case 0x1e:
        *out = a * b;
        return true;
    case 0x21:
        *out = a | b;
        return true;
    case 0x22:
        *out = a + b;
        return true;
    case 0x24:
        *out = b < 64 ? a << b : 0;
        return true;
    case 0x25:
        *out = b < 64 ? a >> b : 0;
        return true;
    case 0x29:
        *out = x == y;
        return true;
    case 0x2a:
        *out = x >= y;
        return true;
    case 0x2b:
        *out = x > y;
        return true;
    case 0x2c:
        *out = x <= y;
        return true;
    case 0x2d:
        *out = x < y;
        return true;
    case 0x2e:
        *out = x != y;
        return true;
    default:
        return false;
    }
}

/* A value that one operation pushes: a literal, a constant, a register and an offset. */
static bool pushed(const struct frame *f, struct reader *r, uint8_t op, uintptr_t *out)
{
    if (op >= 0x30 && op <= 0x4f) {
        *out = op - 0x30;
    } else if (op >= 0x70 && op <= 0x8f) {
        int64_t offset = sleb(r);
        if (!value_of(&f->regs, op - 0x70u, out)) return false;
        *out += (uintptr_t)offset;
    } else if (op == 0x08 || op == 0x0a || op == 0x0c) {
        *out = (uintptr_t)fixed(r, 1u << (op - 0x08) / 2);
    } else if (op == 0x09 || op == 0x0b || op == 0x0d) {
        *out = (uintptr_t)fixed_signed(r, 1u << (op - 0x09) / 2);
    } else if (op == 0x10 || op == 0x11) {
        *out = (uintptr_t)leb(r, op == 0x11);
    } else {
        return false;
    }
    return !r->bad;
}

static bool evaluate(const struct frame *f, const struct rule *rule, const uintptr_t *first,
                     uintptr_t *out)
{
    struct reader r = { rule->code, rule->code + rule->value, false };
    uintptr_t stack[OPERANDS + 1];
    unsigned n = 0;

    if (first) stack[n++] = *first;
    while (r.at < r.end) {
        uint8_t op = (uint8_t)fixed(&r, 1);
        if (n < OPERANDS && pushed(f, &r, op, &stack[n])) {
            n++;
        } else if (n >= 1 && op == 0x06) { /* dereference */
            if (!load(f->stack, stack[n - 1], &stack[n - 1])) return false;
        } else if (n >= 1 && op == 0x23) {
            stack[n - 1] += (uintptr_t)uleb(&r);
        } else if (n >= 2 && binary(op, stack[n - 2], stack[n - 1], &stack[n - 2])) {
            n--;
        } else {
            return false;
        }
    }
    if (n == 0 || r.bad) return false;
    *out = stack[n - 1];
    return true;
}

/* The register's value in the caller. False: nobody knows. */
static bool recover(const struct frame *f, const struct rule *rule, uint64_t reg, uintptr_t cfa,
                    uintptr_t *out)
{
    uintptr_t where;

    switch ((enum how)rule->how) {
    case SAME:
        return value_of(&f->regs, reg, out);
    case AT_CFA:
        return load(f->stack, cfa + (uintptr_t)rule->value, out);
    case IS_CFA:
        *out = cfa + (uintptr_t)rule->value;
        return true;
    case REGISTER:
        return value_of(&f->regs, (uint64_t)rule->value, out);
    case AT_EXPRESSION:
        return evaluate(f, rule, &cfa, &where) && load(f->stack, where, out);
    case IS_EXPRESSION:
        return evaluate(f, rule, &cfa, out);
    case UNDEFINED:
        break;
    }
    return false;
}

static int is_in_object(struct dl_phdr_info *info, size_t size, void *context)
{
    uintptr_t pc = *(const uintptr_t *)context;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + p->p_vaddr;
        bool runs = p->p_type == PT_LOAD && p->p_flags & PF_X;
        if (runs && pc > begin && pc - begin < p->p_memsz) return 1;
    }
    return 0;
}

/* Of a thread that sleeps only pc and sp are known. A function that keeps a frame pointer has saved
 * its caller's, which is further up the stack, next to the return address: the first such pair. */
static bool guess_frame_pointer(struct frame *f)
{
    uintptr_t at = f->regs.sp & ~(uintptr_t)7, top = f->stack->base + f->stack->bytes;
    uintptr_t above, pc;

    for (int words = 0; words < GUESS_WORDS; words++, at += sizeof at) {
        if (!load(f->stack, at, &above) || !load(f->stack, at + sizeof at, &pc)) return false;
        if (above <= at || above >= top || above % sizeof at != 0) continue;
        if (!dl_iterate_phdr(is_in_object, &pc)) continue;
        f->regs.reg[REG_FP] = at;
        f->regs.known |= UINT64_C(1) << REG_FP;
        return true;
    }
    return false;
}

static bool find_cfa(struct frame *f, const struct rules *rules, uintptr_t *cfa)
{
    if (rules->cfa.how == IS_EXPRESSION) return evaluate(f, &rules->cfa, NULL, cfa);
    if (rules->base == REG_FP && !value_of(&f->regs, REG_FP, cfa) && !guess_frame_pointer(f)) {
        return false;
    }
    if (!value_of(&f->regs, rules->base, cfa)) return false;
    *cfa += (uintptr_t)rules->cfa.value;
    return true;
}

static bool to_caller(struct frame *f, const struct rules *rules, const struct entry *entry)
{
    struct ae__regs caller = { .known = 0 };
    uintptr_t cfa, pc;

    if (!find_cfa(f, rules, &cfa) || cfa < f->regs.sp) return false;
    if (entry->ra >= AE__REGS) return false;
    const struct rule *ra = &rules->reg[entry->ra];
    if (ra->how == SAME && f->is_return) return false; /* only a leaf has it in a register */
    if (!recover(f, ra, entry->ra, cfa, &pc)) return false;
    for (uint64_t reg = 0; reg < AE__REGS; reg++) {
        if (recover(f, &rules->reg[reg], reg, cfa, &caller.reg[reg])) {
            caller.known |= UINT64_C(1) << reg;
        }
    }
    caller.pc = pc;
    caller.sp = caller.reg[REG_SP] = cfa;
    caller.known |= UINT64_C(1) << REG_SP;
    f->regs = caller;
    f->is_return = !entry->is_signal;
    return true;
}

/* ---- finding them ---- */

/* The common part (CIE) at `at`. */
static bool read_entry(const unsigned char *at, uintptr_t data, struct entry *out)
{
    struct reader r = { at, at + 4, false };
    uint64_t length = fixed(&r, 4);

    if (length == 0 || length >= 0xfffffff0) return false;
    r.end = r.at + length;
    if (fixed(&r, 4) != 0) return false;
    uint8_t version = (uint8_t)fixed(&r, 1);
    const char *augmentation = (const char *)r.at;
    if (!memchr(r.at, 0, (size_t)(r.end - r.at))) return false;
    r.at += strlen(augmentation) + 1;
    *out = (struct entry){ .has_data = augmentation[0] == 'z' };
    if (augmentation[0] && !out->has_data) return false;
    out->code_align = uleb(&r);
    out->data_align = sleb(&r);
    out->ra = version == 1 ? fixed(&r, 1) : uleb(&r);
    if (out->has_data) {
        uint64_t bytes = uleb(&r);
        const unsigned char *behind = r.at + bytes;
        for (const char *c = augmentation + 1; *c; c++) {
            if (*c == 'R') out->encoding = (uint8_t)fixed(&r, 1);
            if (*c == 'L') (void)fixed(&r, 1);
            if (*c == 'P') (void)encoded(&r, (uint8_t)fixed(&r, 1), data);
            if (*c == 'S') out->is_signal = true;
        }
        if (behind > r.end) return false;
        r.at = behind;
    }
    out->initial = r;
    return !r.bad;
}

/* The rules at `pc`, from the description of its function (FDE) at `at`. */
static bool read_rules(const unsigned char *at, uintptr_t data, uintptr_t pc, struct entry *entry,
                       struct rules *out)
{
    struct reader r = { at, at + 4, false };
    uint64_t length = fixed(&r, 4);

    if (length == 0 || length >= 0xfffffff0) return false;
    r.end = r.at + length;
    const unsigned char *here = r.at;
    uint64_t back = fixed(&r, 4);
    if (back == 0 || !read_entry(here - back, data, entry)) return false;
    uintptr_t begin = encoded(&r, entry->encoding, data);
    uintptr_t bytes = encoded(&r, entry->encoding & 0x0f, 0);
    if (r.bad || pc < begin || pc - begin >= bytes) return false;
    if (entry->has_data) {
        uint64_t skip = uleb(&r);
        if (!has(&r, skip)) return false;
        r.at += skip;
    }
    struct machine m = { .entry = entry, .at = begin, .target = pc };
    if (!run(&m, entry->initial)) return false;
    m.initial = m.now;
    if (!run(&m, r)) return false;
    *out = m.now;
    return true;
}

/* In the sorted table of .eh_frame_hdr, of which only the usual form is known: pairs of 32-bit
 * offsets from its beginning. NULL: not there. */
static const unsigned char *find_description(const unsigned char *header, uintptr_t pc)
{
    struct reader r = { header + 4, header + 32, false };
    uintptr_t base = (uintptr_t)header;

    if (header[0] != 1 || header[3] != 0x3b) return NULL;
    (void)encoded(&r, header[1], base);
    size_t count = encoded(&r, header[2], base);
    const unsigned char *table = r.at;
    if (r.bad || count == 0) return NULL;
    size_t low = 0, high = count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        struct reader item = { table + 8 * middle, table + 8 * middle + 8, false };
        if (base + (uintptr_t)fixed_signed(&item, 4) <= pc) {
            low = middle;
        } else {
            high = middle;
        }
    }
    struct reader item = { table + 8 * low, table + 8 * low + 8, false };
    if (base + (uintptr_t)fixed_signed(&item, 4) > pc) return NULL;
    return header + fixed_signed(&item, 4);
}

struct search {
    struct frame *frame;
    uintptr_t pc;
    bool described; /* there are rules for this place: no guess by the frame pointer then */
    bool moved;     /* the frame is the caller's now */
};

/* All of it under the loader's lock, so the object stays. */
static int visit_object(struct dl_phdr_info *info, size_t size, void *context)
{
    struct search *s = context;
    const unsigned char *header = NULL;
    bool inside = false;
    struct entry entry;
    struct rules rules;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + p->p_vaddr;
        if (p->p_type == PT_LOAD && s->pc >= begin && s->pc - begin < p->p_memsz) inside = true;
        if (p->p_type == PT_GNU_EH_FRAME) header = (const unsigned char *)begin;
    }
    if (!inside) return 0;
    const unsigned char *at = header ? find_description(header, s->pc) : NULL;
    if (at && read_rules(at, (uintptr_t)header, s->pc, &entry, &rules)) {
        s->described = true;
        s->moved = to_caller(s->frame, &rules, &entry);
    }
    return 1;
}

/* Code without a description: perhaps it keeps a frame pointer. */
static bool by_frame_pointer(struct frame *f)
{
    uintptr_t fp, above, pc;

    if (!value_of(&f->regs, REG_FP, &fp) || fp < f->regs.sp) return false;
    if (!load(f->stack, fp, &above) || !load(f->stack, fp + sizeof fp, &pc)) return false;
    f->regs = (struct ae__regs){ .pc = pc, .sp = fp + 2 * sizeof fp };
    f->regs.reg[REG_FP] = above;
    f->regs.known = UINT64_C(1) << REG_FP;
    f->is_return = true;
    return true;
}

size_t ae__unwind(const struct ae__regs *regs, const struct ae__stack_copy *stack, uintptr_t *pcs,
                  size_t max)
{
    struct frame f = { .regs = *regs, .stack = stack };
    size_t n = 0;

    while (n < max && f.regs.pc != 0) {
        pcs[n++] = f.regs.pc;
        struct search s = { .frame = &f, .pc = f.regs.pc - f.is_return };
        dl_iterate_phdr(visit_object, &s);
        if (!s.moved && (s.described || !by_frame_pointer(&f))) break;
    }
    return n;
}
