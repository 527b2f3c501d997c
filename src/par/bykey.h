/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting items by a number, for sort.c. */
#ifndef AE_PAR_BYKEY_H
#define AE_PAR_BYKEY_H

#include "par/sort.h"

struct ae__keyed {
    char *base;
    size_t n, item_bytes;         /* n <= AE__RADIX_MAX */
    ae_par_key_u64 *key;          /* in unsigned order */
    void *arg;
};

/* `other` has room for as many items. On a par worker, behind a shield. */
void ae__par_sort_keyed(struct ae__sort_stop *stop, const struct ae__keyed *items, char *other);

#endif
