/* SPDX-License-Identifier: Apache-2.0 */
/* Whose code is at an address of a process: the scheduler's, the I/O driver's, or the user's?
 *
 * Told by the function's name, where it has one, else by its source file, since a static function's
 * name says nothing: symbol tables have both, debug information is not needed. In libaether.so all
 * that is not I/O is the scheduler's. In a program that has the runtime in itself the program's own
 * files may be called like ours, so only names that are hardly others' count there. Of libc what
 * makes system calls for I/O is the driver's; all the rest is called by the user, mostly. */
#include "profile.h"

#include "elf_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REMEMBERED = 8192 }; /* addresses; a power of two */

enum kind { KIND_OTHER, KIND_RUNTIME, KIND_LIBC, KIND_HTTP };

/* A mapping of a file that may be executed. */
struct region {
    uint64_t from, to, offset;
    struct elf_file elf; /* no bytes: it cannot be read */
    enum kind kind;
};

struct known {
    uint64_t address;
    enum profile_class class;
};

struct profile_code {
    struct region *regions;
    size_t count;
    bool has_runtime;
    struct known known[REMEMBERED];
};

/* ---- by name ---- */

static const char *const driver_functions[] = {
    "ae__addr_", "ae__dir_",   "ae__driver_", "ae__epoll_",  "ae__fd_",    "ae__fds_",
    "ae__file_", "ae__foreign_", "ae__io",    "ae__path_",   "ae__poll_now", "ae__ring_",
    "ae__socket_", "ae__stream_", "ae__uring_", "ae_accept", "ae_addr_",   "ae_buffered",
    "ae_close",  "ae_connect", "ae_dir_",     "ae_fd_",      "ae_file_",   "ae_go_at",
    "ae_go_on",  "ae_listen",  "ae_path_",    "ae_read",     "ae_sendfile", "ae_shutdown",
    "ae_started_by", "ae_stream_", "ae_write", NULL,
};
static const char *const driver_sources[] = {
    "addr.c",  "choose.c", "deferred.c", "dir.c",     "dirs.c",   "epoll.c",  "fd.c",
    "file.c",  "files.c",  "foreign.c",  "listener.c", "net.c",   "op.c",     "ring.c",
    "sendfile.c", "socket.c", "stream.c", "try.c",    "uring.c",  "uring_behind.c",
    "uring_box.c", "uring_file.c", "uring_op.c", NULL,
};
/* In a program that has the runtime in itself. */
static const char *const rare_driver_sources[] = {
    "foreign.c", "uring_behind.c", "uring_box.c", "uring_file.c", "uring_op.c", NULL,
};
static const char *const rare_scheduler_sources[] = {
    "inject.c", "runq.c", "slice.c", "spawn.c", "steal.c", "waitq.c", "wheel.c", NULL,
};
static const char *const libc_calls[] = {
    "accept", "connect", "epoll_", "fdatasync", "fsync", "open", "poll",  "ppoll",    "pread",
    "pwrite", "read",    "recv",   "send",      "shutdown", "syscall", "write", NULL,
};

static bool begins_with_one_of(const char *name, const char *const *list)
{
    for (; *list; list++) {
        if (strncmp(name, *list, strlen(*list)) == 0) return true;
    }
    return false;
}

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++) {
        if (strcmp(name, *list) == 0) return true;
    }
    return false;
}

static enum profile_class class_in_libc(const char *name)
{
    if (strncmp(name, "__libc_", 7) == 0) name += 7;
    while (*name == '_') name++;
    return begins_with_one_of(name, libc_calls) ? PROFILE_DRIVER : PROFILE_USER;
}

static enum profile_class class_in_program(const char *name, const char *source)
{
    if (strncmp(name, "ae_http", 7) == 0 || strncmp(name, "ae__http", 8) == 0) return PROFILE_USER;
    if (strncmp(name, "ae__h1_", 7) == 0) return PROFILE_USER;
    if (begins_with_one_of(name, driver_functions)) return PROFILE_DRIVER;
    if (strncmp(name, "ae_", 3) == 0) return PROFILE_SCHEDULER;
    if (is_one_of(source, rare_driver_sources)) return PROFILE_DRIVER;
    return is_one_of(source, rare_scheduler_sources) ? PROFILE_SCHEDULER : PROFILE_USER;
}

static enum profile_class class_of(enum kind kind, const char *name, const char *source)
{
    switch (kind) {
    case KIND_LIBC: return class_in_libc(name);
    case KIND_HTTP: return PROFILE_USER;
    case KIND_OTHER: return class_in_program(name, source);
    case KIND_RUNTIME: break;
    }
    bool io = begins_with_one_of(name, driver_functions) || is_one_of(source, driver_sources);
    return io ? PROFILE_DRIVER : PROFILE_SCHEDULER;
}

/* ---- by address ---- */

static enum profile_class look_up(struct profile_code *code, uint64_t address)
{
    const struct region *r = code->regions, *end = r + code->count;
    const char *name = NULL, *source = "";
    uint64_t offset, into;

    while (r < end && (address < r->from || address >= r->to)) r++;
    if (r == end) return PROFILE_USER;
    if (r->elf.bytes && elf_file_loaded_at(&r->elf, address - r->from + r->offset, &offset)) {
        name = elf_file_function(&r->elf, offset, &into, &source);
    }
    enum profile_class class = class_of(r->kind, name ? name : "", source);
    if (r->kind == KIND_OTHER && class != PROFILE_USER) code->has_runtime = true;
    return class;
}

enum profile_class profile_code_class(struct profile_code *code, uint64_t address)
{
    uint64_t hash = address * UINT64_C(0x9E3779B97F4A7C15) >> 51;
    struct known *known = &code->known[hash % REMEMBERED];

    if (known->address != address) {
        *known = (struct known){ address, look_up(code, address) };
    }
    return known->class;
}

bool profile_code_has_runtime(const struct profile_code *code)
{
    return code->has_runtime;
}

/* ---- the files of a process ---- */

static enum kind kind_of(const char *path)
{
    const char *name = strrchr(path, '/') + 1;

    if (strncmp(name, "libaether.so", 12) == 0) return KIND_RUNTIME;
    if (strncmp(name, "libaether-http.so", 17) == 0) return KIND_HTTP;
    if (strncmp(name, "libc.so", 7) == 0 || strncmp(name, "libc-", 5) == 0) return KIND_LIBC;
    if (strncmp(name, "ld-musl", 7) == 0 || strncmp(name, "libpthread", 10) == 0) return KIND_LIBC;
    return KIND_OTHER;
}

/* A line of /proc/PID/maps. The file is opened as the process sees it, which may be in a container
 * of its own. 0 or -ENOMEM. */
static int add_region(struct profile_code *code, unsigned pid, const char *line)
{
    struct region region = { .from = 0 };
    char rights[8], path[512], there[600];

    int n = sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %511[^\n]", &region.from,
                   &region.to, rights, &region.offset, path);
    if (n < 5 || rights[2] != 'x' || path[0] != '/') return 0;
    struct region *more = realloc(code->regions, (code->count + 1) * sizeof *more);
    if (!more) return -ENOMEM;
    code->regions = more;
    region.kind = kind_of(path);
    if (region.kind == KIND_RUNTIME) code->has_runtime = true;
    snprintf(there, sizeof there, "/proc/%u/root%s", pid, path);
    if (elf_file_open(&region.elf, there) < 0) (void)elf_file_open(&region.elf, path);
    code->regions[code->count++] = region;
    return 0;
}

int profile_code_open(unsigned pid, struct profile_code **out)
{
    struct profile_code *code = calloc(1, sizeof *code);
    char path[64], line[1024];
    int rc = 0;

    if (!code) return -ENOMEM;
    snprintf(path, sizeof path, "/proc/%u/maps", pid);
    FILE *file = fopen(path, "re");
    if (!file) rc = -errno;
    while (rc == 0 && fgets(line, sizeof line, file)) rc = add_region(code, pid, line);
    if (file) fclose(file);
    if (rc == 0) *out = code;
    if (rc < 0) profile_code_close(code);
    return rc;
}

void profile_code_close(struct profile_code *code)
{
    if (!code) return;
    for (size_t i = 0; i < code->count; i++) elf_file_close(&code->regions[i].elf);
    free(code->regions);
    free(code);
}
