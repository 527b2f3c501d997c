/* SPDX-License-Identifier: Apache-2.0 */
/* Words for people: what tasks wait for, what state they are in. */
#include "task/names.h"

static const char *const wait_names[AE__WAIT_KINDS] = {
    [AE__WAIT_NONE] = "nothing",   [AE__WAIT_JOIN] = "join",     [AE__WAIT_SCOPE] = "scope end",
    [AE__WAIT_SLEEP] = "sleep",    [AE__WAIT_READ] = "read",     [AE__WAIT_WRITE] = "write",
    [AE__WAIT_ACCEPT] = "accept",  [AE__WAIT_CONNECT] = "connect", [AE__WAIT_FD] = "descriptor",
    [AE__WAIT_MUTEX] = "mutex",    [AE__WAIT_SEM] = "semaphore", [AE__WAIT_EVENT] = "event",
    [AE__WAIT_GROUP] = "wait group", [AE__WAIT_SEND] = "channel send",
    [AE__WAIT_RECV] = "channel receive", [AE__WAIT_SELECT] = "select",
    [AE__WAIT_BLOCKING] = "blocking job", [AE__WAIT_STACK] = "a free stack",
};

static const char *const state_names[] = {
    [AE__TASK_FREE] = "free",       [AE__TASK_DEFERRED] = "deferred", [AE__TASK_READY] = "ready",
    [AE__TASK_RUNNING] = "running", [AE__TASK_PARKED] = "parked",
    [AE__TASK_BLOCKING] = "on the pool", [AE__TASK_DONE] = "done",
};

const char *ae__wait_name(unsigned kind)
{
    return kind < AE__WAIT_KINDS ? wait_names[kind] : "?";
}

const char *ae__state_name(unsigned state)
{
    return state <= AE__TASK_DONE ? state_names[state] : "?";
}
