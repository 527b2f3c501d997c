/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors of other libraries: objects by descriptor number, made at the first wait, kept until
 * ae_fd_forget. The owner reads and writes them behind our back, so nothing is ever taken as known:
 * each wait asks the system first (driver/fd.c), which also makes it level-triggered. */
#include <errno.h>
#include <string.h>

#include "aether/wait.h"
#include "base/assert.h"
#include "base/mem.h"
#include "driver/choose.h"
#include "driver/epoll.h"
#include "sched/sched.h"

enum { TABLE_MIN = 64 };

/* Room for `number`. Under foreign_lock. */
static bool grow(struct ae__fds *fds, int number)
{
    size_t count = fds->foreign_count ? (size_t)fds->foreign_count : TABLE_MIN;

    if (number < fds->foreign_count) return true;
    while (count <= (size_t)number) count *= 2;
    struct ae__fd **table = ae__mem_zalloc(count * sizeof *table);
    if (!table) return false;
    if (fds->foreign_count > 0) {
        memcpy(table, fds->foreign, (size_t)fds->foreign_count * sizeof *table);
    }
    ae__mem_free(fds->foreign);
    fds->foreign = table;
    fds->foreign_count = (int)count;
    return true;
}

void ae__foreign_finish(struct ae__fds *fds)
{
    ae__mem_free(fds->foreign);
}

static int find_or_make(struct ae__fds *fds, int number, struct ae__fd **out)
{
    if (!grow(fds, number)) return -ENOMEM;
    struct ae__fd **place = &fds->foreign[number];
    if (!*place) {
        int rc = ae__fd_open_in(fds, number, AE__FD_FOREIGN, NULL, place);
        if (rc < 0) return rc;
    }
    *out = *place;
    return 0;
}

/* The object, if there is one; `take` removes it from the table. */
static struct ae__fd *look_up(int number, bool take)
{
    struct ae_runtime *rt = ae__runtime_self();
    struct ae__fd *fd = NULL;

    if (!rt || number < 0) return NULL;
    struct ae__fds *fds = ae__runtime_io(rt);
    AE_ASSERT(fds != NULL);
    ae__lock_acquire(&fds->foreign_lock);
    if (number < fds->foreign_count) {
        fd = fds->foreign[number];
        if (take) fds->foreign[number] = NULL;
    }
    ae__lock_release(&fds->foreign_lock);
    return fd;
}

int ae__foreign_find(int number, struct ae__fd_ref *out)
{
    struct ae_runtime *rt = ae__runtime_self();
    struct ae__fd *fd = NULL;

    if (!rt) return -EINVAL;
    if (number < 0) return -EBADF;
    if (!look_up(number, false)) {
        int now = ae__poll_now(number, AE_READABLE);
        if (now < 0) return now; /* -EBADF: keep nonsense out of the table */
    }
    struct ae__fds *fds = ae__runtime_io(rt);
    AE_ASSERT(fds != NULL);
    ae__lock_acquire(&fds->foreign_lock);
    int rc = find_or_make(fds, number, &fd);
    if (rc == 0) {
        out->generation = fd->generation;
        atomic_store_explicit(&out->fd, fd, memory_order_relaxed);
    }
    ae__lock_release(&fds->foreign_lock);
    return rc;
}

void ae__foreign_forget(int number)
{
    struct ae__fd *fd = look_up(number, true);

    if (fd) ae__fd_close(fd);
}

int ae__foreign_watch(int number, unsigned events, struct ae__actor *actor, uint32_t sequence,
                      uint16_t reason)
{
    struct ae__fd_ref ref;

    int rc = ae__foreign_find(number, &ref);
    if (rc < 0) return rc;
    struct ae__op op = {
        .code = AE__OP_POLL,
        .fd = atomic_load_explicit(&ref.fd, memory_order_relaxed),
        .generation = ref.generation,
        .poll = { .events = events, .scale = 256 },
    };
    return ae__chosen_ops.arm(ae__driver_self(), &op, actor, sequence, reason);
}

void ae__foreign_unwatch(int number, struct ae__actor *actor, uint32_t sequence)
{
    struct ae__op op = { .code = AE__OP_POLL, .fd = look_up(number, false), .actor = actor };

    (void)sequence; /* the actor waits no more, so its name is enough */
    if (op.fd) (void)ae__chosen_ops.cancel(NULL, &op);
}
