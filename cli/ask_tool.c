/* SPDX-License-Identifier: Apache-2.0 */
/* See ask_tool.h. All four tools print, for each offset, the offset itself, and then a function and
 * a "file:line" in turn, innermost inlined one first. No shell is involved. */
#include "ask_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 8

struct tool {
    const char *name;
    const char *arguments[ARGUMENTS_MAX]; /* the file follows the last one */
};

static const struct tool tools[] = {
    { "addr2line", { "-a", "-f", "-i", "-e" } },
    { "llvm-symbolizer", { "--addresses", "--output-style=GNU", "-f", "-i", "-e" } },
    { "llvm-addr2line", { "-a", "-f", "-i", "-e" } },
    { "eu-addr2line", { "-a", "-f", "-e" } },
};

static bool in_path(const char *name)
{
    const char *path = getenv("PATH");
    char whole[1024];

    while (path && *path) {
        size_t length = strcspn(path, ":");
        snprintf(whole, sizeof whole, "%.*s/%s", (int)length, path, name);
        if (access(whole, X_OK) == 0) return true;
        path += length + (path[length] == ':');
    }
    return false;
}

static const struct tool *find_tool(void)
{
    for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++) {
        if (in_path(tools[i].name)) return &tools[i];
    }
    return NULL;
}

/* ---- reading the answer ---- */

/* "/a/b/../c" is "/a/c". */
static void shorten(char *path)
{
    char *up;

    while ((up = strstr(path, "/../")) && up > path) {
        char *before = up - 1;
        while (before > path && *before != '/') before--;
        if (*before != '/' || strncmp(before, "/..", 3) == 0) return;
        memmove(before, up + 3, strlen(up + 3) + 1);
    }
}

struct reading {
    char (*answers)[ASK_TEXT_BYTES];
    size_t count, at; /* at: 1 more than the answer that is being read */
    bool line_next;
    char function[512];
};

static void add_frame(struct reading *r, char *line)
{
    char *text = r->answers[r->at - 1];
    size_t used = strlen(text);
    bool known = strncmp(line, "??", 2) != 0;

    line[strcspn(line, " ")] = 0; /* "(discriminator 3)" */
    shorten(line);
    if (strcmp(r->function, "??") == 0 && !known) return;
    snprintf(text + used, ASK_TEXT_BYTES - used, "%s%s%s%s", used ? ", inlined in " : "",
             r->function, known ? " " : "", known ? line : "");
}

static void read_line(struct reading *r, char *line)
{
    line[strcspn(line, "\n")] = 0;
    if (!r->line_next && strncmp(line, "0x", 2) == 0) {
        if (r->at < r->count) r->at++;
        return;
    }
    if (r->at == 0 || !*line) return;
    if (r->line_next) {
        add_frame(r, line);
    } else {
        snprintf(r->function, sizeof r->function, "%s", line);
    }
    r->line_next = !r->line_next;
}

static void read_answers(int fd, struct reading *r)
{
    FILE *from = fdopen(fd, "r");
    char *line = NULL;
    size_t size = 0;

    if (!from) {
        close(fd);
        return;
    }
    while (getline(&line, &size, from) >= 0) {
        read_line(r, line);
    }
    free(line);
    fclose(from);
}

/* ---- running it ---- */

static void run(const struct tool *tool, const char *file, const uint64_t *offsets, size_t count,
                int out)
{
    char *arguments[ARGUMENTS_MAX + ASK_BATCH_MAX + 3];
    char numbers[ASK_BATCH_MAX][24];
    size_t n = 0;

    arguments[n++] = (char *)(uintptr_t)tool->name;
    for (size_t i = 0; i < ARGUMENTS_MAX && tool->arguments[i]; i++) {
        arguments[n++] = (char *)(uintptr_t)tool->arguments[i];
    }
    arguments[n++] = (char *)(uintptr_t)file;
    for (size_t i = 0; i < count; i++) {
        snprintf(numbers[i], sizeof numbers[i], "0x%llx", (unsigned long long)offsets[i]);
        arguments[n++] = numbers[i];
    }
    arguments[n] = NULL;
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(nothing, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(nothing, STDERR_FILENO);
    execvp(tool->name, arguments);
    _exit(127);
}

int ask_tool(const char *file, const uint64_t *offsets, size_t count,
             char answers[][ASK_TEXT_BYTES])
{
    const struct tool *tool = find_tool();
    struct reading reading = { .answers = answers, .count = count };
    int ends[2], status;

    for (size_t i = 0; i < count; i++) answers[i][0] = 0;
    if (!tool) return -ENOENT;
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    pid_t child = fork();
    if (child == 0) run(tool, file, offsets, count, ends[1]);
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return -EAGAIN;
    }
    read_answers(ends[0], &reading);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return 0;
}
