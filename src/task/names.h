/* SPDX-License-Identifier: Apache-2.0 */
/* Words for people: what tasks wait for, what state they are in. */
#ifndef AE_TASK_NAMES_H
#define AE_TASK_NAMES_H

#include "task/types.h"

const char *ae__wait_name(unsigned kind);   /* enum ae__wait_kind */
const char *ae__state_name(unsigned state); /* enum ae__task_state */

#endif
