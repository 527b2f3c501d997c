/* SPDX-License-Identifier: Apache-2.0 */
/* Task-local values: a small table per task that uses any. */
#ifndef AE_TASK_LOCALS_H
#define AE_TASK_LOCALS_H

#include "task/types.h"

void *ae__locals_get(const struct ae__locals *locals, const ae_local *key);
int ae__locals_set(struct ae__locals **locals, const ae_local *key, void *value);
/* Run destroy for each value (which may set new ones: a few rounds), then free the table. */
void ae__locals_destroy(struct ae__locals **locals);

#endif
