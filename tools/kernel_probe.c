/* SPDX-License-Identifier: Apache-2.0 */
/* For ./dev doctor: tries the system calls Aether can use, and prints NAME=what was found. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif

static void row(const char *name, int rc, const char *without)
{
    if (rc >= 0) {
        printf("%s=yes\n", name);
    } else {
        printf("%s=no (%s): %s\n", name, strerror(errno), without);
    }
}

/* A guard counts only if a write from it fails: an old kernel may accept the number and do
 * nothing. */
static int guard_pages(void)
{
    long page = sysconf(_SC_PAGESIZE);
    int ends[2];
    char *p = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || madvise(p, (size_t)page, MADV_GUARD_INSTALL) < 0) return -1;
    if (pipe(ends) < 0) return -1;
    return write(ends[1], p, 1) < 0 && errno == EFAULT ? 0 : -1;
}

int main(void)
{
    struct utsname name;
    char params[256] = { 0 };
    struct epoll_event event;
    struct timespec now = { 0, 0 };
    int epoll = epoll_create1(0);

    uname(&name);
    row("epoll", epoll, "nothing works");
    row("epoll_pwait2", (int)syscall(SYS_epoll_pwait2, epoll, &event, 1, &now, NULL, 0),
        "timers are rounded to 1 ms while idle");
    row("io_uring", (int)syscall(SYS_io_uring_setup, 4, params), "epoll is used");
    row("MADV_GUARD_INSTALL", guard_pages(), "guards by mprotect, within vm.max_map_count");
    return 0;
}
