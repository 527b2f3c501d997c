/* SPDX-License-Identifier: Apache-2.0 */
/* A small fast random generator (xorshift64*, Vigna 2016) for victims and fairness; no security. */
#ifndef AE_BASE_RNG_H
#define AE_BASE_RNG_H

#include <stdint.h>

static inline uint32_t ae__rng_next(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return (uint32_t)((x * UINT64_C(0x2545F4914F6CDD1D)) >> 32);
}

/* Uniform enough in [0, bound); bound > 0. */
static inline uint32_t ae__rng_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)(((uint64_t)ae__rng_next(state) * bound) >> 32);
}

#endif
