/* SPDX-License-Identifier: Apache-2.0 */
/* The entry points that gcc and clang call from code compiled with -fsanitize=thread, in place of
 * the sanitizer's own library. 128-bit atomics are left out: a source with one fails to link. */
#include "explore.h"

#define AT(address_, size_) ((struct model__at){ (void *)(uintptr_t)(address_), (size_), CALLER })
#define CALLER              __builtin_return_address(0)

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);
void __tsan_vptr_update(void **slot, void *value);
void __tsan_vptr_read(void **slot);
void __tsan_read_range(void *address, size_t bytes);
void __tsan_write_range(void *address, size_t bytes);
void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);
void *__tsan_memcpy(void *to, const void *from, size_t bytes);
void *__tsan_memmove(void *to, const void *from, size_t bytes);
void *__tsan_memset(void *to, int byte, size_t bytes);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc)
{
    (void)pc;
}

void __tsan_func_exit(void)
{
}

void __tsan_vptr_update(void **slot, void *value)
{
    (void)value;
    model__plain(AT(slot, sizeof *slot), true);
}

void __tsan_vptr_read(void **slot)
{
    model__plain(AT(slot, sizeof *slot), false);
}

void __tsan_read_range(void *address, size_t bytes)
{
    model__plain(AT(address, (unsigned)bytes), false);
}

void __tsan_write_range(void *address, size_t bytes)
{
    model__plain(AT(address, (unsigned)bytes), true);
}

void __tsan_atomic_thread_fence(int order)
{
    model__fence(order);
}

void __tsan_atomic_signal_fence(int order)
{
    (void)order;
}

/* Newer clangs call these for memory intrinsics. Volatile loops, not calls of themselves. */
void *__tsan_memmove(void *to, const void *from, size_t bytes)
{
    volatile char *out = to;
    const volatile char *in = from;

    if (bytes == 0) return to;
    model__plain(AT(from, (unsigned)bytes), false);
    model__plain(AT(to, (unsigned)bytes), true);
    if ((uintptr_t)to <= (uintptr_t)from)
        for (size_t i = 0; i < bytes; i++)
            out[i] = in[i];
    else
        for (size_t i = bytes; i-- > 0;)
            out[i] = in[i];
    return to;
}

void *__tsan_memcpy(void *to, const void *from, size_t bytes)
{
    return __tsan_memmove(to, from, bytes);
}

void *__tsan_memset(void *to, int byte, size_t bytes)
{
    volatile char *out = to;

    if (bytes > 0) model__plain(AT(to, (unsigned)bytes), true);
    for (size_t i = 0; i < bytes; i++)
        out[i] = (char)byte;
    return to;
}

#define PLAIN(name, size, write)                                                                   \
    void __tsan_##name(void *address);                                                             \
    void __tsan_##name(void *address)                                                              \
    {                                                                                              \
        model__plain(AT(address, size), write);                                                    \
    }

#define PLAIN_ALL(size)                                                                            \
    PLAIN(read##size, size, false)                                                                 \
    PLAIN(write##size, size, true)                                                                 \
    PLAIN(read_write##size, size, true)                                                            \
    PLAIN(unaligned_read##size, size, false)                                                       \
    PLAIN(unaligned_write##size, size, true)                                                       \
    PLAIN(unaligned_read_write##size, size, true)                                                  \
    PLAIN(volatile_read##size, size, false)                                                        \
    PLAIN(volatile_write##size, size, true)                                                        \
    PLAIN(unaligned_volatile_read##size, size, false)                                              \
    PLAIN(unaligned_volatile_write##size, size, true)

PLAIN_ALL(1)
PLAIN_ALL(2)
PLAIN_ALL(4)
PLAIN_ALL(8)
PLAIN_ALL(16)

#define ATOMIC_RMW(bits, type, name, op)                                                           \
    type __tsan_atomic##bits##_##name(volatile type *a, type value, int order);                    \
    type __tsan_atomic##bits##_##name(volatile type *a, type value, int order)                     \
    {                                                                                              \
        return (type)model__rmw(AT(a, sizeof *a), op, value, order);                               \
    }

#define ATOMIC_CAS(bits, type, name, weak)                                                         \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile type *a, type *expected,            \
                                                      type desired, int success, int failure);     \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile type *a, type *expected,            \
                                                      type desired, int success, int failure)      \
    {                                                                                              \
        uint64_t value = *expected;                                                                \
        bool done = model__cas(AT(a, sizeof *a), &value, desired, weak, success, failure);         \
        if (!done) *expected = (type)value;                                                        \
        return done;                                                                               \
    }

#define ATOMIC_ALL(bits, type)                                                                     \
    type __tsan_atomic##bits##_load(const volatile type *a, int order);                            \
    type __tsan_atomic##bits##_load(const volatile type *a, int order)                             \
    {                                                                                              \
        return (type)model__load(AT(a, sizeof *a), order);                                         \
    }                                                                                              \
    void __tsan_atomic##bits##_store(volatile type *a, type value, int order);                     \
    void __tsan_atomic##bits##_store(volatile type *a, type value, int order)                      \
    {                                                                                              \
        model__store(AT(a, sizeof *a), value, order);                                              \
    }                                                                                              \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *a, type expected, type desired, \
                                                    int success, int failure);                     \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *a, type expected, type desired, \
                                                    int success, int failure)                      \
    {                                                                                              \
        uint64_t value = expected;                                                                 \
        model__cas(AT(a, sizeof *a), &value, desired, false, success, failure);                    \
        return (type)value;                                                                        \
    }                                                                                              \
    ATOMIC_RMW(bits, type, exchange, RMW_EXCHANGE)                                                 \
    ATOMIC_RMW(bits, type, fetch_add, RMW_ADD)                                                     \
    ATOMIC_RMW(bits, type, fetch_sub, RMW_SUB)                                                     \
    ATOMIC_RMW(bits, type, fetch_and, RMW_AND)                                                     \
    ATOMIC_RMW(bits, type, fetch_or, RMW_OR)                                                       \
    ATOMIC_RMW(bits, type, fetch_xor, RMW_XOR)                                                     \
    ATOMIC_RMW(bits, type, fetch_nand, RMW_NAND)                                                   \
    ATOMIC_CAS(bits, type, strong, false)                                                          \
    ATOMIC_CAS(bits, type, weak, true)

ATOMIC_ALL(8, uint8_t)
ATOMIC_ALL(16, uint16_t)
ATOMIC_ALL(32, uint32_t)
ATOMIC_ALL(64, uint64_t)
