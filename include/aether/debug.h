/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into a running program: a dump of all tasks, and a trace of what the workers did last.
 * Nothing has to be switched on before, and nobody is stopped. Both can be had from outside, too:
 * SIGQUIT makes ae_run write a dump to stderr; `aether top`, `aether dump` and `aether trace` ask a
 * program that has a control socket (config.debug_socket, or AE_DEBUG_SOCKET=on). */
#ifndef AETHER_DEBUG_H
#define AETHER_DEBUG_H

#include <aether/defs.h>
#include <aether/run.h>

AE_EXTERN_C_BEGIN

/* Write a line for each task of the runtime to `fd`: id, name, state, what it waits for, scope, and
 * the stacks of those that are suspended. rt NULL = the caller's. Code is named by module, build-id
 * and offset: `aether symbolize` makes functions and lines of that. Tasks run on meanwhile; each
 * line is one moment of its task, the whole is not. How long a task has waited is not known, but
 * its waits are counted: of two dumps, a task with the same id and wait number has not moved. 0,
 * -EINVAL without a runtime, -ENOMEM, or an error of write(2). Colour: any thread, may block. */
AE_API int ae_dump(ae_runtime *rt, int fd) AE_MUST_CHECK;

/* Write what the flight recorder holds, the last second or more of each worker, as a trace for
 * ui.perfetto.dev or chrome://tracing (Chrome's JSON format). Errors as of ae_dump.
 * Colour: any thread, may block. */
AE_API int ae_trace_write(ae_runtime *rt, int fd) AE_MUST_CHECK;

AE_EXTERN_C_END
#endif
