/* SPDX-License-Identifier: Apache-2.0 */
/* See wheel.h for the invariants cited here. */
#include "sched/wheel.h"

#include "base/assert.h"

#define BITS 8
#define MASK (AE__WHEEL_SLOTS - 1)
#define TOP (AE__WHEEL_LEVELS - 1)
#define NS_PER_US 1000
#define SPAN_MAX_US (UINT64_C(1) << (BITS * AE__WHEEL_LEVELS - 1)) /* 4.4 years */

static uint64_t round_up_us(int64_t ns)
{
    if (ns <= 0) return 0;
    return (uint64_t)ns / NS_PER_US + ((uint64_t)ns % NS_PER_US != 0); /* T4 */
}

static int64_t us_to_ns(uint64_t us)
{
    return us > INT64_MAX / NS_PER_US ? INT64_MAX : (int64_t)(us * NS_PER_US);
}

void ae__wheel_init(struct ae__wheel *wheel, int64_t now_ns)
{
    wheel->now_us = (uint64_t)now_ns / NS_PER_US;
    wheel->parked_ns = INT64_MIN;
    atomic_init(&wheel->next_ns, INT64_MAX);
}

/* T2 */
static unsigned level_of(uint64_t now_us, uint64_t when_us)
{
    uint64_t differs = now_us ^ when_us;

    if (differs == 0) return 0;
    unsigned level = (63u - (unsigned)__builtin_clzll(differs)) / BITS;
    return level < AE__WHEEL_LEVELS ? level : TOP;
}

/* When the slot that a timer is in must be looked at. */
static uint64_t place(struct ae__wheel *wheel, struct ae__timer *timer)
{
    uint64_t when_us = round_up_us(timer->when_ns);

    if (when_us < wheel->now_us) when_us = wheel->now_us;
    if (when_us - wheel->now_us > SPAN_MAX_US) when_us = wheel->now_us + SPAN_MAX_US;
    unsigned level = level_of(wheel->now_us, when_us);
    unsigned slot = (unsigned)(when_us >> (BITS * level)) & MASK;
    AE_DEBUG_ASSERT(when_us >= wheel->now_us);
    struct ae__timer **head = &wheel->slots[level][slot];
    timer->next = *head;
    timer->link = head;
    if (*head) (*head)->link = &timer->next;
    *head = timer;
    wheel->occupied[level][slot / 64] |= UINT64_C(1) << (slot % 64);
    return when_us >> (BITS * level) << (BITS * level);
}

static void unlink_timer(struct ae__timer *timer)
{
    AE_ASSERT(*timer->link == timer); /* T1 */
    *timer->link = timer->next;
    if (timer->next) timer->next->link = timer->link;
    timer->link = NULL;
}

bool ae__wheel_arm(struct ae__wheel *wheel, struct ae__timer *timer, int64_t when_ns)
{
    AE_ASSERT(!timer->link);
    timer->when_ns = when_ns;
    timer->wheel = wheel;
    ae__lock_acquire(&wheel->lock);
    int64_t look_ns = us_to_ns(place(wheel, timer));
    if (look_ns < atomic_load_explicit(&wheel->next_ns, memory_order_relaxed)) {
        atomic_store_explicit(&wheel->next_ns, look_ns, memory_order_relaxed); /* T5 */
    }
    bool wake = look_ns < wheel->parked_ns; /* T6 */
    ae__lock_release(&wheel->lock);
    return wake;
}

void ae__wheel_disarm(struct ae__wheel *wheel, struct ae__timer *timer)
{
    ae__lock_acquire(&wheel->lock); /* T3: also when it has fired */
    if (timer->link) unlink_timer(timer);
    ae__lock_release(&wheel->lock);
}

/* The first occupied slot of the level at or after `from`, or -1. */
static int first_slot(const struct ae__wheel *wheel, unsigned level, unsigned from)
{
    for (unsigned word = from / 64; word < AE__WHEEL_SLOTS / 64; word++) {
        uint64_t bits = wheel->occupied[level][word];
        if (word == from / 64) bits &= ~UINT64_C(0) << (from % 64);
        if (bits) return (int)(word * 64) + __builtin_ctzll(bits);
    }
    return -1;
}

static void clear_slot(struct ae__wheel *wheel, unsigned level, unsigned slot)
{
    wheel->occupied[level][slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}

/* The next slot to look at: its level and index and when. False: the wheel is empty. Slots that
 * disarming left empty are cleared on the way. */
static bool next_slot(struct ae__wheel *wheel, unsigned *level, unsigned *slot, uint64_t *when_us)
{
    for (unsigned l = 0; l < AE__WHEEL_LEVELS; l++) {
        unsigned from = (unsigned)(wheel->now_us >> (BITS * l)) & MASK;
        int found;
        while ((found = first_slot(wheel, l, from)) >= 0 && !wheel->slots[l][found]) {
            clear_slot(wheel, l, (unsigned)found);
        }
        if (found < 0 && l == TOP) found = first_slot(wheel, l, 0); /* the top level wraps */
        if (found < 0) continue;
        uint64_t above = BITS * (l + 1) < 64 ? wheel->now_us >> (BITS * (l + 1)) : 0;
        if ((unsigned)found < from) above++;
        *level = l;
        *slot = (unsigned)found;
        *when_us = (above << (BITS * (l + 1))) | (uint64_t)found << (BITS * l);
        return true;
    }
    return false;
}

/* Fire or move down what is in a slot whose time has come. */
static void empty_slot(struct ae__wheel *wheel, unsigned level, unsigned slot,
                       struct ae__wakes *wakes)
{
    struct ae__timer *timer;

    /* Taken off the slot first: what is re-placed could land in it again (a clamped one). */
    struct ae__timer *list = wheel->slots[level][slot];
    wheel->slots[level][slot] = NULL;
    clear_slot(wheel, level, slot);
    if (list) list->link = &list;
    while ((timer = list)) {
        unlink_timer(timer);
        if (list) __builtin_prefetch(list->next);
        if (round_up_us(timer->when_ns) <= wheel->now_us) {
            uint64_t fired = atomic_load_explicit(&wheel->fired, memory_order_relaxed);
            atomic_store_explicit(&wheel->fired, fired + 1, memory_order_relaxed);
            timer->fire(timer, wakes); /* T3: the timer's memory may go when this claims */
        } else {
            place(wheel, timer);
        }
    }
}

void ae__wheel_advance(struct ae__wheel *wheel, int64_t now_ns, struct ae__wakes *wakes)
{
    uint64_t now_us = (uint64_t)now_ns / NS_PER_US;
    uint64_t when_us;
    unsigned level, slot;
    bool more;

    if (ae__wheel_next(wheel) > now_ns) return;
    ae__lock_acquire(&wheel->lock);
    while ((more = next_slot(wheel, &level, &slot, &when_us)) && when_us <= now_us) {
        if (when_us > wheel->now_us) wheel->now_us = when_us;
        empty_slot(wheel, level, slot, wakes);
    }
    if (now_us > wheel->now_us) wheel->now_us = now_us;
    atomic_store_explicit(&wheel->next_ns, more ? us_to_ns(when_us) : INT64_MAX,
                          memory_order_relaxed); /* T5 */
    ae__lock_release(&wheel->lock);
}

int64_t ae__wheel_park(struct ae__wheel *wheel)
{
    ae__lock_acquire(&wheel->lock);
    int64_t next_ns = ae__wheel_next(wheel);
    AE_ASSERT(wheel->parked_ns == INT64_MIN); /* T6: only the owner parks, once */
    wheel->parked_ns = next_ns;
    ae__lock_release(&wheel->lock);
    return next_ns;
}

void ae__wheel_unpark(struct ae__wheel *wheel)
{
    ae__lock_acquire(&wheel->lock);
    wheel->parked_ns = INT64_MIN;
    ae__lock_release(&wheel->lock);
}
