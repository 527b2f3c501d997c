/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring's three system calls: see ring.h. */
#include "driver/ring.h"

#include <errno.h>
#include <linux/time_types.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "aether/time.h"
#include "base/assert.h"
#include "base/mem.h"

#define SETUP_NO_SQARRAY (1u << 16)  /* Linux 6.6 */
#define ENTER_NO_IOWAIT  (1u << 7)   /* Linux 6.15: waiting is idling, not disk I/O */
#define FEAT_NO_IOWAIT   (1u << 17)
#define FEAT_MIN_TIMEOUT (1u << 15)  /* Linux 6.12 */

/* struct io_uring_getevents_arg, with what newer kernels have in place of its padding. */
struct getevents {
    uint64_t sigmask;
    uint32_t sigmask_bytes;
    uint32_t min_wait_us;
    uint64_t rest;
};
_Static_assert(sizeof(struct getevents) == sizeof(struct io_uring_getevents_arg), "the kernel's");

/* ---- system calls ---- */

static int sys_setup(unsigned entries, struct io_uring_params *params)
{
    long fd = syscall(SYS_io_uring_setup, entries, params);
    return fd < 0 ? -errno : (int)fd;
}

static int sys_register(int fd, unsigned code, void *arg, unsigned count)
{
    long rc = syscall(SYS_io_uring_register, fd, code, arg, count);
    return rc < 0 ? -errno : (int)rc;
}

static int enter(struct ae__ring *ring, unsigned wanted, unsigned flags, void *arg, size_t size)
{
    uint32_t pending = ae__ring_pending(ring);

    AE_ASSERT(ring->enabled);
    /* release pairs with the kernel's acquire: the entries were written before */
    atomic_store_explicit(ring->ksq_tail, ring->sq_tail, memory_order_release);
    long rc = syscall(SYS_io_uring_enter, ring->enter_fd, pending, wanted,
                      flags | ring->enter_flags, arg, size);
    return rc < 0 ? -errno : 0;
}

/* ---- set-up ---- */

/* From the best set of flags down; what a kernel does not know costs a step. */
struct step {
    unsigned without;
    const char *lost;
};

static const struct step ladder[] = {
    { 0, NULL },
    { SETUP_NO_SQARRAY, "no IORING_SETUP_NO_SQARRAY (Linux 6.6): submitting costs a little more" },
};

#define FLAGS_NEEDED                                                                           \
    (IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED |                      \
     IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |       \
     IORING_SETUP_TASKRUN_FLAG)
#define FEATURES_NEEDED                                                                        \
    (IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |                \
     IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP)

static int climb_down(struct ae__ring *ring, struct io_uring_params *params, unsigned entries,
                      unsigned cq_entries)
{
    int rc = -EINVAL;

    for (size_t i = 0; i < sizeof ladder / sizeof *ladder && rc == -EINVAL; i++) {
        unsigned flags = (FLAGS_NEEDED | SETUP_NO_SQARRAY) & ~ladder[i].without;
        *params = (struct io_uring_params){ .flags = flags, .cq_entries = cq_entries };
        ring->setup_flags = params->flags;
        ring->lost = ladder[i].lost;
        rc = sys_setup(entries, params);
    }
    return rc;
}

static const char *reason_of(int rc)
{
    switch (rc) {
    case -ENOSYS:
        return "the kernel has no io_uring";
    case -EPERM:
    case -EACCES:
        return "io_uring is forbidden here (kernel.io_uring_disabled, or a seccomp filter)";
    case -EINVAL:
        return "the kernel is older than 6.1 (no IORING_SETUP_DEFER_TASKRUN)";
    case -ENOMEM:
        return "no memory for a ring (RLIMIT_MEMLOCK?)";
    case -EMFILE:
    case -ENFILE:
        return "no descriptor is left for a ring";
    default:
        return "io_uring_setup failed";
    }
}

static _Atomic(uint32_t) *word_at(const struct ae__ring *ring, uint32_t offset)
{
    return (_Atomic(uint32_t) *)(void *)((char *)ring->map + offset);
}

static int map_rings(struct ae__ring *ring, const struct io_uring_params *params)
{
    const int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;
    size_t sq_bytes = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
    size_t cq_bytes = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);

    ring->map_bytes = sq_bytes > cq_bytes ? sq_bytes : cq_bytes;
    ring->sqes_bytes = params->sq_entries * sizeof(struct io_uring_sqe);
    void *map = mmap(NULL, ring->map_bytes, prot, flags, ring->fd, IORING_OFF_SQ_RING);
    if (map == MAP_FAILED) return -errno;
    ring->map = map;
    void *sqes = mmap(NULL, ring->sqes_bytes, prot, flags, ring->fd, IORING_OFF_SQES);
    if (sqes == MAP_FAILED) return -errno;
    ring->sqes = sqes;
    /* a child of fork(2) must not share them */
    if (madvise(map, ring->map_bytes, MADV_DONTFORK) < 0) return -errno;
    return madvise(sqes, ring->sqes_bytes, MADV_DONTFORK) < 0 ? -errno : 0;
}

static void look_up_words(struct ae__ring *ring, const struct io_uring_params *params)
{
    ring->ksq_head = word_at(ring, params->sq_off.head);
    ring->ksq_tail = word_at(ring, params->sq_off.tail);
    ring->ksq_flags = word_at(ring, params->sq_off.flags);
    ring->kcq_head = word_at(ring, params->cq_off.head);
    ring->kcq_tail = word_at(ring, params->cq_off.tail);
    ring->kcq_overflow = word_at(ring, params->cq_off.overflow);
    ring->cqes = (void *)((char *)ring->map + params->cq_off.cqes);
    ring->sq_entries = params->sq_entries;
    ring->sq_mask = params->sq_entries - 1;
    ring->cq_mask = params->cq_entries - 1;
    if (ring->setup_flags & SETUP_NO_SQARRAY) return;
    uint32_t *array = (void *)((char *)ring->map + params->sq_off.array);
    for (uint32_t i = 0; i < params->sq_entries; i++) array[i] = i;
}

int ae__ring_open(struct ae__ring *ring, unsigned entries, unsigned cq_entries, const char **why)
{
    struct io_uring_params params;

    *ring = (struct ae__ring){ .fd = -1 };
    int fd = climb_down(ring, &params, entries, cq_entries);
    if (fd < 0) {
        *why = reason_of(fd);
        return fd;
    }
    ring->fd = ring->enter_fd = fd;
    ring->features = params.features;
    int rc = -EOPNOTSUPP;
    if ((params.features & FEATURES_NEEDED) == FEATURES_NEEDED) rc = map_rings(ring, &params);
    if (rc < 0) {
        *why = rc == -EOPNOTSUPP ? "io_uring lacks a feature of Linux 6.1" : "no memory for a ring";
        ae__ring_close(ring);
        return rc;
    }
    look_up_words(ring, &params);
    return 0;
}

void ae__ring_close(struct ae__ring *ring)
{
    if (ring->sqes) munmap(ring->sqes, ring->sqes_bytes);
    if (ring->map) munmap(ring->map, ring->map_bytes);
    if (ring->fd >= 0) close(ring->fd);
    *ring = (struct ae__ring){ .fd = -1 };
}

int ae__ring_probe(const struct ae__ring *ring, const uint8_t *ops, unsigned count)
{
    const unsigned room = 256;
    struct io_uring_probe *probe =
        ae__mem_zalloc(sizeof *probe + room * sizeof(struct io_uring_probe_op));

    if (!probe) return -ENOMEM;
    int rc = sys_register(ring->fd, IORING_REGISTER_PROBE, probe, room);
    for (unsigned i = 0; i < count && rc == 0; i++) {
        bool there = ops[i] <= probe->last_op &&
                     probe->ops[ops[i]].flags & IO_URING_OP_SUPPORTED;
        if (!there) rc = -EOPNOTSUPP;
    }
    ae__mem_free(probe);
    return rc;
}

int ae__ring_restrict(const struct ae__ring *ring, const uint8_t *ops, unsigned count)
{
    static const uint8_t registers[] = {
        IORING_REGISTER_ENABLE_RINGS,
        IORING_REGISTER_RING_FDS,
        IORING_REGISTER_IOWQ_MAX_WORKERS,
        IORING_REGISTER_PBUF_RING,
    };
    struct io_uring_restriction list[64] = { { .opcode = 0 } };
    unsigned n = 0;

    AE_ASSERT(count + sizeof registers + 1 <= sizeof list / sizeof *list);
    for (unsigned i = 0; i < sizeof registers; i++) {
        list[n].opcode = IORING_RESTRICTION_REGISTER_OP;
        list[n++].register_op = registers[i];
    }
    for (unsigned i = 0; i < count; i++) {
        list[n].opcode = IORING_RESTRICTION_SQE_OP;
        list[n++].sqe_op = ops[i];
    }
    list[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    list[n++].sqe_flags = IOSQE_CQE_SKIP_SUCCESS | IOSQE_BUFFER_SELECT;
    return sys_register(ring->fd, IORING_REGISTER_RESTRICTIONS, list, n);
}

/* What is punted to the kernel's own threads (reads of some file systems, fsync) shall not make
 * hundreds of them. */
static void limit_kernel_threads(const struct ae__ring *ring)
{
    uint32_t most[2] = { 4, 8 }; /* bounded, unbounded work */

    (void)sys_register(ring->fd, IORING_REGISTER_IOWQ_MAX_WORKERS, most, 2);
}

int ae__ring_enable(struct ae__ring *ring, bool stays)
{
    struct io_uring_rsrc_update update = { .offset = UINT32_MAX, .data = (uint64_t)ring->fd };

    AE_ASSERT(!ring->enabled);
    int rc = sys_register(ring->fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    if (rc < 0) return rc;
    ring->enabled = true;
    limit_kernel_threads(ring);
    if (ring->features & FEAT_NO_IOWAIT) ring->enter_flags |= ENTER_NO_IOWAIT;
    /* threads of a process share descriptors, and a registered one saves their reference count */
    if (stays && sys_register(ring->fd, IORING_REGISTER_RING_FDS, &update, 1) == 1) {
        ring->enter_fd = (int)update.offset;
        ring->enter_flags |= IORING_ENTER_REGISTERED_RING;
    }
    return 0;
}

int ae__ring_provide(struct ae__ring *ring, struct io_uring_buf_ring *buffers, unsigned count)
{
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)buffers,
        .ring_entries = count,
    };

    return sys_register(ring->fd, IORING_REGISTER_PBUF_RING, &reg, 1);
}

/* ---- submission ---- */

struct io_uring_sqe *ae__ring_next(struct ae__ring *ring, uint32_t *place)
{
    if (ae__ring_pending(ring) == ring->sq_entries) return NULL;
    *place = ring->sq_tail++ & ring->sq_mask;
    struct io_uring_sqe *sqe = &ring->sqes[*place];
    memset(sqe, 0, sizeof *sqe);
    return sqe;
}

int ae__ring_submit(struct ae__ring *ring)
{
    return enter(ring, 0, 0, NULL, 0);
}

int ae__ring_reap(struct ae__ring *ring)
{
    return enter(ring, 0, IORING_ENTER_GETEVENTS, NULL, 0);
}

int ae__ring_wait(struct ae__ring *ring, int64_t rest_ns)
{
    return ae__ring_wait_for(ring, 1, rest_ns);
}

static int wait_until(struct ae__ring *ring, unsigned wanted, uint32_t patience_us,
                      int64_t rest_ns)
{
    struct __kernel_timespec rest = { .tv_sec = rest_ns / AE_SEC, .tv_nsec = rest_ns % AE_SEC };
    struct getevents arg = { .min_wait_us = patience_us, .rest = (uint64_t)(uintptr_t)&rest };

    return enter(ring, wanted, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg);
}

int ae__ring_wait_for(struct ae__ring *ring, unsigned wanted, int64_t rest_ns)
{
    if (rest_ns < 0) return enter(ring, wanted, IORING_ENTER_GETEVENTS, NULL, 0);
    return wait_until(ring, wanted, 0, rest_ns);
}

bool ae__ring_has_patience(const struct ae__ring *ring)
{
    return ring->features & FEAT_MIN_TIMEOUT;
}

int ae__ring_wait_some(struct ae__ring *ring, unsigned wanted, uint32_t patience_us,
                       int64_t rest_ns)
{
    AE_ASSERT(ae__ring_has_patience(ring));
    AE_ASSERT(rest_ns >= 0);
    return wait_until(ring, wanted, patience_us, rest_ns);
}
