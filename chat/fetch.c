/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the bundled fetch.py and reads its progress. A script and a process, because everything it
 * needs (the machine's package index, TLS, archives, hashes) is Python's and pip's already. */
#include "fetch.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define PATH_BYTES 1024
#define LINE_BYTES 1024
#define FIELDS 6 /* state, received, total, process, file, error: Progress in fetch.py */

static FILE *open_progress(const char *kind)
{
    char path[PATH_BYTES];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    bool given = cache && cache[0] == '/';
    if (!given && !home) return NULL;
    int length = snprintf(path, sizeof(path), "%s%s/aether/fetch-%s", given ? cache : home,
                          given ? "" : "/.cache", kind);
    return length < 0 || (size_t)length >= sizeof(path) ? NULL : fopen(path, "re");
}

/* Cuts the line at its tabs. False if there are not so many fields. */
static bool split(char *line, char *fields[FIELDS])
{
    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < FIELDS; i++) {
        fields[i] = line;
        char *tab = strchr(line, '\t');
        if (tab) *tab = '\0';
        line = tab ? tab + 1 : NULL;
        if (!line) return i == FIELDS - 1;
    }
    return false;
}

static bool is_gone(const char *process)
{
    long id = strtol(process, NULL, 10);
    return id <= 0 || (kill((pid_t)id, 0) < 0 && errno == ESRCH);
}

static void understand(char *fields[FIELDS], struct chat_fetch *out)
{
    *out = (struct chat_fetch){ .state = CHAT_FETCH_FAILED };
    out->received = strtoull(fields[1], NULL, 10);
    out->total = strtoull(fields[2], NULL, 10);
    snprintf(out->file, sizeof(out->file), "%s", fields[4]);
    snprintf(out->error, sizeof(out->error), "%s", fields[5]);
    if (strcmp(fields[0], "done") == 0) out->state = CHAT_FETCH_DONE;
    if (strcmp(fields[0], "running") != 0) return;
    if (is_gone(fields[3])) {
        snprintf(out->error, sizeof(out->error), "it was interrupted; run it again to go on");
    } else {
        out->state = CHAT_FETCH_RUNNING;
    }
}

static int read_kind(const char *kind, struct chat_fetch *out)
{
    char line[LINE_BYTES], *fields[FIELDS];
    FILE *file = open_progress(kind);
    if (!file) return -ENOENT;
    bool ok = fgets(line, sizeof(line), file) != NULL;
    fclose(file);
    if (!ok || !split(line, fields)) return -ENOENT;
    understand(fields, out);
    return 0;
}

int chat_fetch_read(struct chat_fetch *out)
{
    struct chat_fetch model;
    int engine_rc = read_kind("engine", out), model_rc = read_kind("model", &model);
    if (model_rc == 0 && (engine_rc < 0 || model.state < out->state)) *out = model;
    return engine_rc == 0 ? 0 : model_rc;
}

int chat_fetch_start(const char *folder)
{
    char *script = strndup((const char *)chat_fetch_script, chat_fetch_script_size);
    char *path = strdup(folder);
    char *argv[] = { "python3", "-c", script, "model", path, NULL };
    pid_t process = 0;
    int rc = script && path ? -posix_spawnp(&process, "python3", NULL, NULL, argv, environ)
                            : -ENOMEM;
    free(script);
    free(path);
    return rc < 0 ? rc : (int)process;
}

int chat_fetch_wait(int process)
{
    int status;
    while (waitpid((pid_t)process, &status, 0) < 0) {
        if (errno != EINTR) return -errno;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

void chat_fetch_stop(int process)
{
    kill((pid_t)process, SIGINT); /* Python's KeyboardInterrupt: the progress file tells it */
    if (chat_fetch_wait(process) < 0) return;
}
