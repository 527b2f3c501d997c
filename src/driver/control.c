/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: a Unix socket at which a running program answers `aether top`, `aether dump`
 * and `aether trace`. One request, a line, for each connection: `stats`, `dump` or `trace`.
 *
 * It has a thread of its own and waits for nobody without a limit, so that it answers when all the
 * workers are stuck, and a visitor who does not read holds up nobody but the next visitor, and that
 * not for long. Only the user that the program runs as, and root, are answered: the socket has mode
 * 0600 in a folder of mode 0700, and who connects is looked at as well. */
#include "driver/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "aether/log.h"
#include "arch/os.h"
#include "base/assert.h"
#include "base/mem.h"
#include "sched/sched.h"

#define PATIENCE_MS 5000 /* with a visitor */
#define REQUEST_BYTES 64
#define SOCKETS_MAX 64   /* of one process at the usual place */

struct control {
    struct ae_runtime *rt;
    int listener;
    int stop;           /* an eventfd: readable when it is to end */
    bool usual;         /* the folder is ours, too */
    ae__os_thread os;
    struct sockaddr_un addr;
};

/* ---- answering ---- */

/* Wait for `events` on a visitor. 0, -ETIMEDOUT, or -ECANCELED: the runtime ends. */
static int wait_for(const struct control *c, int visitor, short events)
{
    struct pollfd fds[] = { { .fd = visitor, .events = events },
                            { .fd = c->stop, .events = POLLIN } };
    int n = poll(fds, 2, PATIENCE_MS);

    if (n < 0 && errno == EINTR) return 0; /* look again */
    if (n > 0 && fds[1].revents) return -ECANCELED;
    return n > 0 ? 0 : -ETIMEDOUT;
}

/* A visitor under way. */
struct visit {
    const struct control *control;
    int visitor;
};

static int send_all(void *context, const void *data, size_t size)
{
    const struct visit *visit = context;
    const char *at = data;

    while (size > 0) {
        ssize_t n = send(visit->visitor, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            at += n;
            size -= (size_t)n;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) return -errno;
        int rc = wait_for(visit->control, visit->visitor, POLLOUT);
        if (rc < 0) return rc;
    }
    return 0;
}

/* Up to the newline, which is left out. */
static int read_request(const struct visit *visit, char request[REQUEST_BYTES])
{
    size_t length = 0;

    while (length + 1 < REQUEST_BYTES) {
        int rc = wait_for(visit->control, visit->visitor, POLLIN);
        if (rc < 0) return rc;
        ssize_t n = recv(visit->visitor, request + length, REQUEST_BYTES - 1 - length,
                         MSG_DONTWAIT);
        if (n == 0) return -EPIPE;
        if (n < 0 && errno != EAGAIN && errno != EINTR) return -errno;
        if (n > 0) length += (size_t)n;
        request[length] = 0;
        char *end = strchr(request, '\n');
        if (end) {
            *end = 0;
            return 0;
        }
    }
    return -EMSGSIZE;
}

static bool is_allowed(int visitor)
{
    struct ucred who;
    socklen_t size = sizeof who;

    if (getsockopt(visitor, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0) return false;
    return who.uid == geteuid() || who.uid == 0;
}

static void answer(const struct control *c, int visitor)
{
    static const struct {
        const char *request;
        enum ae__view view;
    } views[] = { { "stats", AE__VIEW_STATS }, { "dump", AE__VIEW_DUMP },
                  { "trace", AE__VIEW_TRACE } };
    struct visit visit = { c, visitor };
    char request[REQUEST_BYTES];

    if (!is_allowed(visitor) || read_request(&visit, request) < 0) return;
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        if (strcmp(request, views[i].request) != 0) continue;
        (void)ae__view_write(c->rt, views[i].view, send_all, &visit); /* or the visitor has gone */
        return;
    }
    static const char help[] = "error: send stats, dump or trace\n";
    (void)send_all(&visit, help, sizeof help - 1);
}

static void serve(void *arg)
{
    struct control *c = arg;
    struct pollfd fds[] = { { .fd = c->listener, .events = POLLIN },
                            { .fd = c->stop, .events = POLLIN } };

    for (;;) {
        int n = poll(fds, 2, -1);
        if (n < 0) continue;
        if (fds[1].revents) return;
        int visitor = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
        if (visitor < 0) {
            (void)poll(&fds[1], 1, 100); /* no descriptors are left, perhaps */
            continue;
        }
        answer(c, visitor);
        close(visitor);
    }
}

/* ---- the socket ---- */

/* A folder of our own, that nobody else can put anything into. 0 or -errno. */
static int make_folder(const char *path)
{
    struct stat about;

    if (mkdir(path, 0700) < 0 && errno != EEXIST) return -errno;
    if (lstat(path, &about) < 0) return -errno;
    bool ours = S_ISDIR(about.st_mode) && about.st_uid == geteuid() && (about.st_mode & 077) == 0;
    return ours ? 0 : -EACCES;
}

static void usual_folder(char *out, size_t size)
{
    const char *runtime_dir = ae__os_env("XDG_RUNTIME_DIR");

    if (runtime_dir && runtime_dir[0] == '/') {
        snprintf(out, size, "%s/aether", runtime_dir);
    } else {
        snprintf(out, size, "/tmp/aether-%u", (unsigned)geteuid());
    }
}

/* Does somebody listen there? */
static bool is_alive(const struct sockaddr_un *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) return true;
    int rc = connect(fd, (const struct sockaddr *)addr, sizeof *addr);
    bool refused = rc < 0 && errno == ECONNREFUSED;
    close(fd);
    return !refused;
}

/* What an earlier process left there is taken away. 0 or -errno. */
static int bind_to(struct control *c, const char *path)
{
    c->addr.sun_family = AF_UNIX;
    int length = snprintf(c->addr.sun_path, sizeof c->addr.sun_path, "%s", path);
    if (length <= 0 || (size_t)length >= sizeof c->addr.sun_path) return -ENAMETOOLONG;
    if (bind(c->listener, (struct sockaddr *)&c->addr, sizeof c->addr) == 0) return 0;
    if (errno != EADDRINUSE) return -errno;
    if (is_alive(&c->addr)) return -EADDRINUSE;
    unlink(path);
    return bind(c->listener, (struct sockaddr *)&c->addr, sizeof c->addr) == 0 ? 0 : -errno;
}

/* PID.sock; the second runtime of a process has PID-1.sock. */
static int bind_to_usual(struct control *c)
{
    char folder[200], path[256];
    int rc = -EADDRINUSE;

    usual_folder(folder, sizeof folder);
    for (int i = 0; (rc == -EADDRINUSE || rc == -ENOENT) && i < SOCKETS_MAX; i++) {
        rc = make_folder(folder);
        if (rc < 0) return rc;
        if (i == 0) snprintf(path, sizeof path, "%s/%u.sock", folder, ae__os_pid());
        if (i > 0) snprintf(path, sizeof path, "%s/%u-%d.sock", folder, ae__os_pid(), i);
        rc = bind_to(c, path);
    }
    return rc;
}

static int open_socket(struct control *c, const char *where)
{
    c->usual = strcmp(where, "on") == 0;
    c->stop = eventfd(0, EFD_CLOEXEC);
    c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->stop < 0 || c->listener < 0) return -errno;
    if (fchmod(c->listener, 0600) < 0) return -errno; /* before bind: the file gets this mode */
    int rc = c->usual ? bind_to_usual(c) : bind_to(c, where);
    if (rc < 0) {
        c->addr.sun_path[0] = 0; /* not ours to take away */
        return rc;
    }
    return listen(c->listener, 16) < 0 ? -errno : 0;
}

static void close_socket(struct control *c)
{
    char folder[sizeof c->addr.sun_path];
    char *slash;

    if (c->addr.sun_path[0]) unlink(c->addr.sun_path);
    snprintf(folder, sizeof folder, "%s", c->addr.sun_path);
    if (c->usual && (slash = strrchr(folder, '/'))) {
        *slash = 0;
        (void)rmdir(folder); /* if it was the last */
    }
    if (c->listener >= 0) close(c->listener);
    if (c->stop >= 0) close(c->stop);
    ae__mem_free(c);
}

void *ae__control_start(struct ae_runtime *rt, const char *where)
{
    struct control *c = ae__mem_zalloc(sizeof *c);

    if (!c) return NULL;
    c->rt = rt;
    c->listener = c->stop = -1;
    int rc = open_socket(c, where);
    if (rc == 0) rc = ae__os_thread_start(&c->os, "aether-control", serve, c);
    if (rc == 0) return c;
    ae_log(AE_WARN, "no control socket (%s): %s; AE_DEBUG_SOCKET=PATH names another place", where,
           ae_strerror(rc));
    close_socket(c);
    return NULL;
}

void ae__control_stop(void *control)
{
    struct control *c = control;
    uint64_t one = 1;

    if (!c) return;
    ssize_t written = write(c->stop, &one, sizeof one);
    AE_ASSERT(written == sizeof one);
    ae__os_thread_join(c->os);
    close_socket(c);
}
