/* SPDX-License-Identifier: Apache-2.0 */
/* The forked process that runs one scenario once. */
#ifndef AE_TESTS_FAULT_PROCESS_H
#define AE_TESTS_FAULT_PROCESS_H

#include "run.h"
#include "scenario.h"

/* Never returns. What the program prints goes to the descriptors `out` and `err`. */
void process_run(const struct scenario *s, struct run *mine, int out, int err)
    __attribute__((noreturn));

#endif
