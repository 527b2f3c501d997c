/* SPDX-License-Identifier: Apache-2.0 */
/* See attach.h; and `aether dump` and `aether trace`, which ask once and copy the answer. */
#include "attach.h"

#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the socket ---- */

static void usual_folder(char *out, size_t size)
{
    const char *runtime_dir = getenv("XDG_RUNTIME_DIR");

    if (runtime_dir && runtime_dir[0] == '/') {
        snprintf(out, size, "%s/aether", runtime_dir);
    } else {
        snprintf(out, size, "/tmp/aether-%u", (unsigned)geteuid());
    }
}

static int connect_to(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
    if (fd < 0) return -errno;
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0) return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

static bool answers(const char *path)
{
    int fd = connect_to(path);

    if (fd >= 0) close(fd);
    return fd >= 0;
}

struct search {
    unsigned long pid; /* 0: any */
    unsigned found;
    char path[ATTACH_PATH_BYTES];
    char all[512];     /* the ids of those that were found */
};

static void consider(struct search *search, const char *folder, const char *name)
{
    char path[600], *end;
    unsigned long pid = strtoul(name, &end, 10);
    size_t used = strlen(search->all);

    if (pid == 0 || (*end != '.' && *end != '-') || !strstr(end, ".sock")) return;
    if (search->pid && search->pid != pid) return;
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if ((size_t)length >= sizeof search->path || !answers(path)) return;
    /* of one process the first runtime's has the shortest name */
    if (search->found == 0 || strlen(path) < strlen(search->path)) {
        snprintf(search->path, sizeof search->path, "%.*s", length, path);
    }
    if (!search->pid || !search->found) search->found++;
    snprintf(search->all + used, sizeof search->all - used, " %lu", pid);
}

static void search_folder(struct search *search, const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    if (!dir) return;
    while ((entry = readdir(dir))) consider(search, folder, entry->d_name);
    closedir(dir);
}

static int say_none(const struct search *search, const char *folder)
{
    if (search->pid && kill((pid_t)search->pid, 0) < 0 && errno == ESRCH) {
        return cli_fail(EXIT_FAILURE, "there is no process %lu", search->pid);
    }
    if (search->pid) {
        return cli_fail(EXIT_FAILURE, "process %lu has no control socket in %s: servers of this "
                        "command have one; start others with AE_DEBUG_SOCKET=on", search->pid,
                        folder);
    }
    return cli_fail(EXIT_FAILURE, "nothing runs here that could be looked at (no socket in %s): "
                    "try aether demo, or start your program with AE_DEBUG_SOCKET=on", folder);
}

static int find_by_path(const char *target, char path[ATTACH_PATH_BYTES])
{
    if (strlen(target) >= ATTACH_PATH_BYTES) {
        return cli_fail(EXIT_USAGE, "%s: too long for a socket's path", target);
    }
    int fd = connect_to(target);
    if (fd < 0) return cli_fail(EXIT_FAILURE, "cannot connect to %s: %s", target, ae_strerror(fd));
    close(fd);
    snprintf(path, ATTACH_PATH_BYTES, "%s", target);
    return 0;
}

int attach_find(const char *target, char path[ATTACH_PATH_BYTES])
{
    struct search search = { .pid = 0 };
    char folder[256];

    if (target) search.pid = cli_number(target, 1u << 30);
    if (target && !search.pid) return find_by_path(target, path);
    usual_folder(folder, sizeof folder);
    search_folder(&search, folder);
    if (search.found == 0) return say_none(&search, folder);
    if (search.found > 1) {
        return cli_fail(EXIT_USAGE, "several programs run here, name one:%s", search.all);
    }
    memcpy(path, search.path, sizeof search.path);
    return 0;
}

bool attach_find_quietly(unsigned pid, char path[ATTACH_PATH_BYTES])
{
    struct search search = { .pid = pid };
    char folder[256];

    usual_folder(folder, sizeof folder);
    search_folder(&search, folder);
    if (search.found > 0) memcpy(path, search.path, sizeof search.path);
    return search.found > 0;
}

FILE *attach_ask(const char *path, const char *request)
{
    char line[64];
    int fd = connect_to(path);
    int length = snprintf(line, sizeof line, "%s\n", request);

    if (fd < 0) {
        errno = -fd;
        return NULL;
    }
    if (send(fd, line, (size_t)length, MSG_NOSIGNAL) == length) {
        FILE *answer = fdopen(fd, "r");
        if (answer) return answer;
    }
    close(fd);
    return NULL;
}

/* ---- asking once ---- */

static const char DUMP_HELP[] =
    "Usage: aether dump [PID|SOCKET] [-o FILE]\n\n"
    "Print every task of a running program: its state, what it waits for, its stack. The program\n"
    "runs on meanwhile. `aether symbolize` turns the addresses into functions and lines.\n\n"
    "  -o, --output FILE   write there, not to the standard output\n"
    "  -h, --help          this text\n\n"
    "Example:\n"
    "  aether dump 1234 | aether symbolize\n";

static const char TRACE_HELP[] =
    "Usage: aether trace [PID|SOCKET] [-o FILE]\n\n"
    "Print what the flight recorder of a running program holds: the last second or more of each\n"
    "worker, as a trace that ui.perfetto.dev and chrome://tracing show.\n\n"
    "  -o, --output FILE   write there, not to the standard output\n"
    "  -h, --help          this text\n\n"
    "Example:\n"
    "  aether trace 1234 | aether symbolize > trace.json\n";

static int copy(FILE *from, FILE *to)
{
    char buf[65536];
    size_t n, all = 0;

    while ((n = fread(buf, 1, sizeof buf, from)) > 0) {
        all += n;
        if (fwrite(buf, 1, n, to) != n) return -EIO;
    }
    if (ferror(from) || all == 0) return -ECONNRESET;
    return fflush(to) == 0 ? 0 : -EIO;
}

static int ask_once(const char *path, const char *request, const char *output)
{
    FILE *from = attach_ask(path, request);
    FILE *to = stdout;

    if (!from) return cli_fail(EXIT_FAILURE, "cannot ask %s: %s", path, strerror(errno));
    if (output) to = fopen(output, "we");
    int rc = to ? copy(from, to) : -errno;
    fclose(from);
    if (to && output && fclose(to) != 0 && rc == 0) rc = -EIO;
    if (rc == 0) return 0;
    return cli_fail(EXIT_FAILURE, "%s: %s", output && !to ? output : request, ae_strerror(rc));
}

static int ask(int argc, char **argv, const char *help)
{
    static const struct option LONG[] = {
        { "output", required_argument, NULL, 'o' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    char path[ATTACH_PATH_BYTES];
    const char *output = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "o:h", LONG, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (option != 'o') return cli_fail(EXIT_USAGE, "try aether %s --help", argv[0]);
        output = optarg;
    }
    if (argc - optind > 1) return cli_fail(EXIT_USAGE, "only one program: aether %s PID", argv[0]);
    int status = attach_find(optind < argc ? argv[optind] : NULL, path);
    return status ? status : ask_once(path, argv[0], output);
}

int cmd_dump(int argc, char **argv)
{
    return ask(argc, argv, DUMP_HELP);
}

int cmd_trace(int argc, char **argv)
{
    return ask(argc, argv, TRACE_HELP);
}
