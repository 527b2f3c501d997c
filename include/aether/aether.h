/* SPDX-License-Identifier: Apache-2.0 */
/* Aether: async/await for C. Plain functions that block like ordinary C, run as tasks on every
 * core. This header includes all of the runtime's; start reading at task.h. */
#ifndef AETHER_AETHER_H
#define AETHER_AETHER_H

#include <aether/defs.h>
#include <aether/run.h>
#include <aether/scope.h>
#include <aether/task.h>
#include <aether/time.h>
#include <aether/stream.h>
#include <aether/wait.h>
#include <aether/net.h>
#include <aether/file.h>
#include <aether/dir.h>
#include <aether/sync.h>
#include <aether/chan.h>
#include <aether/blocking.h>
#include <aether/par.h>
#include <aether/metrics.h>
#include <aether/debug.h>
#include <aether/log.h>

#endif
