/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive circular doubly linked list. The head is a link itself; empty = points to itself. */
#ifndef AE_BASE_LIST_H
#define AE_BASE_LIST_H

#include <stdbool.h>

struct ae__list {
    struct ae__list *next, *prev;
};

static inline void ae__list_init(struct ae__list *list)
{
    list->next = list->prev = list;
}

static inline bool ae__list_is_empty(const struct ae__list *list)
{
    return list->next == list;
}

static inline void ae__list_push(struct ae__list *head, struct ae__list *link)
{
    link->next = head;
    link->prev = head->prev;
    head->prev->next = link;
    head->prev = link;
}

static inline void ae__list_remove(struct ae__list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = link->prev = link;
}

#endif
