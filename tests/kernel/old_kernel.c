/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a program as if the kernel were Linux 5.10, the oldest that we promise to run on:
 *
 *     old_kernel PROGRAM [ARGUMENT...]    what is newer fails as it would there
 *     old_kernel --check                  that it does; prints `N passed, N failed`
 *
 * By a seccomp filter, which sees numbers and plain arguments only: each system call that 5.10 does
 * not have gives ENOSYS, advice of madvise and flags of preadv2 and pwritev2 that it does not know
 * give EINVAL and EOPNOTSUPP. io_uring gives ENOSYS as well: its driver needs 6.1, and set-up flags
 * and opcodes lie in memory, where no filter sees them. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FIRST_NEWER 441     /* epoll_pwait2, 5.11; the same number on each architecture */
#define ADVICE_NEWER 22     /* MADV_POPULATE_READ, 5.14 */
#define RW_FLAGS_KNOWN 0x1f /* up to RWF_APPEND */

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define ARGUMENT(n)  LOAD(offsetof(struct seccomp_data, args) + 8 * (n)) /* its low half */
#define FAIL(error)  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define ALLOW        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
/* Skip so many instructions if not. */
#define IF(op, value, skip) BPF_JUMP(BPF_JMP | (op) | BPF_K, (value), 0, (skip))

static struct sock_filter rules[] = {
    LOAD(offsetof(struct seccomp_data, nr)),
    IF(BPF_JGE, FIRST_NEWER, 1),
    FAIL(ENOSYS),
    IF(BPF_JEQ, SYS_io_uring_setup, 1),
    FAIL(ENOSYS),
    IF(BPF_JEQ, SYS_madvise, 4),
    ARGUMENT(2),
    IF(BPF_JGE, ADVICE_NEWER, 1),
    FAIL(EINVAL),
    ALLOW,
    IF(BPF_JEQ, SYS_preadv2, 1),
    BPF_STMT(BPF_JMP | BPF_JA, 1),
    IF(BPF_JEQ, SYS_pwritev2, 3),
    ARGUMENT(5),
    IF(BPF_JSET, ~(unsigned)RW_FLAGS_KNOWN, 1),
    FAIL(EOPNOTSUPP),
    ALLOW,
};

static int take_back(void)
{
    struct sock_fprog program = { .len = sizeof rules / sizeof rules[0], .filter = rules };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -errno;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) return -errno;
    return 0;
}

/* ---- --check ---- */

static int passed, failed;

static void expect(const char *what, long rc, int error)
{
    int got = rc < 0 ? errno : 0;

    if (got == error) {
        passed++;
    } else {
        failed++;
        printf("%s: %s, not %s\n", what, strerror(got), strerror(error));
    }
}

static int check(void)
{
    char byte = 1;
    struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
    int pipe_fds[2] = { -1, -1 };
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    expect("pipe", pipe(pipe_fds), 0);
    expect("epoll_pwait2", syscall(441, -1, NULL, 0, NULL, NULL, 0), ENOSYS);
    expect("futex_waitv", syscall(449, NULL, 0, 0, NULL, 0), ENOSYS);
    expect("a system call of the future", syscall(600), ENOSYS);
    expect("io_uring_setup", syscall(SYS_io_uring_setup, 1, NULL), ENOSYS);
    expect("close_range, 5.9", syscall(436, 1000, 1000, 0), 0);
    expect("MADV_DONTNEED", madvise(page, size, MADV_DONTNEED), 0);
    expect("MADV_PAGEOUT, 5.4", madvise(page, size, 21), 0);
    expect("MADV_POPULATE_READ", madvise(page, size, 22), EINVAL);
    expect("MADV_GUARD_INSTALL", madvise(page, size, 102), EINVAL);
    expect("pwritev2", pwritev2(pipe_fds[1], &iov, 1, -1, 0), 0);
    expect("preadv2, RWF_NOWAIT", preadv2(pipe_fds[0], &iov, 1, -1, RWF_NOWAIT), 0);
    expect("preadv2, a flag of 6.14", preadv2(pipe_fds[0], &iov, 1, -1, 0x80), EOPNOTSUPP);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: old_kernel --check | PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    int rc = take_back();
    if (rc < 0) {
        fprintf(stderr, "old_kernel: no seccomp filter: %s\n", strerror(-rc));
        return 2;
    }
    if (strcmp(argv[1], "--check") == 0) return check();
    execvp(argv[1], argv + 1);
    fprintf(stderr, "old_kernel: %s: %s\n", argv[1], strerror(errno));
    return 127;
}
