/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands share. Each is one file and one function; main.c has the table. */
#ifndef AETHER_CLI_CLI_H
#define AETHER_CLI_CLI_H

#include <aether/defs.h>
#include <aether/http_server.h>

/* Exit statuses: 0 done, 1 it failed, 2 the command line was wrong. */
#define EXIT_USAGE 2

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the subcommand's name */
    const char *help;                  /* one line */
};

extern const struct command commands[]; /* ends with a NULL name */

int cmd_serve(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_chat(int argc, char **argv); /* in chat/, if the build has it: AE_CHAT */
int cmd_top(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_symbolize(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_help(int argc, char **argv);

/* "aether: ..." on stderr, with a newline; returns `status`. */
int cli_fail(int status, const char *format, ...) AE_PRINTF(2, 3);

/* A whole number from 1 to `most`, or 0 if the text is none. */
unsigned cli_number(const char *text, unsigned most);

/* listen.c: open a listener and hand it to the server. When the port is taken and `tries` > 1, the
 * next ones are tried. On failure the reason and a way out are on stderr, and EXIT_FAILURE or
 * EXIT_USAGE is returned; 0 when it listens. */
int cli_listen(ae_http_server *server, const char *address, unsigned tries);

/* The server's first address as a URL. */
void cli_url(ae_http_server *server, char *out, size_t size);

/* serving.c: start a runtime, serve until a signal, drain; log requests to stdout if asked to.
 * Called with a server that listens. `also` (may be NULL) runs beside it, in the same scope.
 * Returns the exit status. */
struct serving {
    ae_http_server *server;
    unsigned workers; /* 0: the runtime's own choice */
    bool log;
    ae_fn *also;
    void *also_arg;
};
int cli_run_server(const struct serving *serving);

/* In chat/, if the build has it: the chat as a part of the demo. `chat_watch` runs beside the
 * server, with the chat; when its scope is cancelled, answers under way end. */
struct chat;
int chat_demo(ae_http_server *server, struct chat **out);
int chat_watch(void *chat);
void chat_destroy(struct chat *chat);

/* access_log.c: one line per request, written by a thread of its own, so that a slow terminal
 * holds no worker. Lines that find its queue full are dropped and counted. */
struct access_log;
int access_log_create(struct access_log **out);
int access_log_middleware(ae_http *h); /* its context: the log */
int access_log_start(struct access_log *log); /* in a task; ends by access_log_finish */
void access_log_finish(struct access_log *log);
void access_log_destroy(struct access_log *log);

#endif
