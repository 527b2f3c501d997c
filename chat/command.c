/* SPDX-License-Identifier: Apache-2.0 */
/* `aether chat`: a chat server for one person, on this machine unless told otherwise. */
#include "chat.h"

#include <aether/http_server.h>
#include <aether/run.h>
#include <aether/scope.h>
#include <aether/task.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetch.h"
#include "guard.h"
#include "models.h"

#define EXIT_USAGE 2
#define ADDRESS "127.0.0.1:8080"
#define PORTS_TRIED 100

static const char HELP[] =
    "Usage: aether chat [OPTION]...\n\n"
    "Chat with a language model that runs on this machine: a web page at /, an OpenAI-shaped API\n"
    "at /v1/. Prints its URL. Conversations are kept; nothing leaves this machine.\n\n"
    "  -l, --listen ADDR    127.0.0.1:8080 unless given (then the next free port is used if it\n"
    "                       is taken); :8080 for all interfaces, which needs a key\n"
    "  -m, --model NAME     what answers unless a request names another; else the largest does\n"
    "      --models DIR     where NAME.gguf lie; aether/models in your data folder unless given\n"
    "      --store FILE     where conversations are kept; aether/chat.db in your data folder\n"
    "                       unless given; \"memory\" keeps none\n"
    "      --fetch-default  fetch SmolLM2-135M-Instruct (Apache-2.0, 98 MB), the default, to\n"
    "                       that folder unless it is there; goes on where it was cut off\n"
    "      --engine SPEC    llama, or for tests fake[:TOKEN_US[,PROMPT_US]]\n"
    "      --key KEY        want it with each request to an API, \"Authorization: Bearer KEY\";\n"
    "                       16 to 256 letters; or in the environment, AETHER_CHAT_KEY\n"
    "      --host NAME      a name that this server goes by, besides localhost; may be repeated\n"
    "  -w, --workers N      worker threads; as many as there are usable CPUs unless given\n"
    "  -h, --help           this text\n\n"
    "Your data folder is $XDG_DATA_HOME, or ~/.local/share.\n\n"
    "SIGINT and SIGTERM end it with status 0: answers under way stop and are kept as they are.\n"
    "A second one ends it at once.\n\n"
    "Examples:\n"
    "  aether chat\n"
    "  aether chat --models ~/models --model Llama-3.2-1B-Instruct-Q4_0\n"
    "  AETHER_CHAT_KEY=$(openssl rand -hex 16) aether chat -l :8080 --host chat.example.org\n"
    "  curl -H 'Content-Type: application/json' 127.0.0.1:8080/v1/chat/completions \\\n"
    "    -d '{\"messages\":[{\"role\":\"user\",\"content\":\"Hello!\"}]}'\n";

struct options {
    struct chat_opts chat;
    const char *address;  /* NULL: the usual one, or the next */
    unsigned workers;
    bool help, fetch;
    char store[4096];
};

enum { OPT_MODELS = 256, OPT_STORE, OPT_ENGINE, OPT_KEY, OPT_HOST, OPT_FETCH };

static const struct option LONG[] = {
    { "listen", required_argument, NULL, 'l' },
    { "model", required_argument, NULL, 'm' },
    { "models", required_argument, NULL, OPT_MODELS },
    { "store", required_argument, NULL, OPT_STORE },
    { "fetch-default", no_argument, NULL, OPT_FETCH },
    { "engine", required_argument, NULL, OPT_ENGINE },
    { "key", required_argument, NULL, OPT_KEY },
    { "host", required_argument, NULL, OPT_HOST },
    { "workers", required_argument, NULL, 'w' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

static int fail(int status, const char *format, ...) AE_PRINTF(2, 3);

static int fail(int status, const char *format, ...)
{
    va_list args;

    fputs("aether: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

/* ---- options ---- */

static int take_workers(const char *text, struct options *o)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || value < 1 || value > 1024) {
        return fail(EXIT_USAGE, "--workers takes a number from 1 to 1024, not \"%s\"", text);
    }
    o->workers = (unsigned)value;
    return 0;
}

static int take_host(const char *name, struct chat_opts *chat)
{
    if (chat->hosts_count == CHAT_HOSTS_MAX) {
        return fail(EXIT_USAGE, "at most %d --host", CHAT_HOSTS_MAX);
    }
    if (name[0] == '\0' || strpbrk(name, ":/ ")) {
        return fail(EXIT_USAGE, "--host takes a name without scheme and port, not \"%s\"", name);
    }
    chat->hosts[chat->hosts_count++] = name;
    return 0;
}

/* 0, or the exit status. */
static int take_option(int option, struct options *o)
{
    switch (option) {
    case 'l': o->address = optarg; return 0;
    case 'm': o->chat.model = optarg; return 0;
    case OPT_MODELS: o->chat.models = optarg; return 0;
    case OPT_STORE: o->chat.store = optarg; return 0;
    case OPT_ENGINE: o->chat.engine = optarg; return 0;
    case OPT_KEY: o->chat.key = optarg; return 0;
    case OPT_FETCH: o->fetch = true; return 0;
    case OPT_HOST: return take_host(optarg, &o->chat);
    case 'w': return take_workers(optarg, o);
    case 'h': o->help = true; return 0;
    }
    return fail(EXIT_USAGE, "try aether chat --help");
}

static int check_key(struct options *o)
{
    const char *key = o->chat.key;

    o->chat.any_address = o->address && !guard_is_loopback(o->address);
    if (!key && o->chat.any_address) {
        return fail(EXIT_USAGE, "%s can be reached from other machines, so a key is needed: "
                    "AETHER_CHAT_KEY=$(openssl rand -hex 16) aether chat -l %s; or listen here "
                    "only: -l " ADDRESS, o->address, o->address);
    }
    if (!key) return 0;
    size_t length = strlen(key);
    for (const char *at = key; *at; at++) {
        if (*at <= ' ' || *at > '~') return fail(EXIT_USAGE, "a key is of printable letters");
    }
    if (length >= GUARD_KEY_MIN && length <= 256) return 0;
    return fail(EXIT_USAGE, "a key has %d to 256 letters: try openssl rand -hex 16",
                GUARD_KEY_MIN);
}

static int check_names(struct options *o)
{
    const char *model = o->chat.model;

    if (model && !chat_model_name_ok(model, strlen(model))) {
        return fail(EXIT_USAGE, "\"%s\" is not a name that a model can have: it is the file's, "
                    "without .gguf", model);
    }
    if (o->chat.store && strcmp(o->chat.store, "memory") == 0) {
        o->chat.store = NULL;
        return 0;
    }
    if (o->chat.store) return 0;
    int rc = chat_data_path("chat.db", o->store, sizeof o->store);
    if (rc < 0) {
        return fail(EXIT_FAILURE, "no folder to keep conversations in (%s): try --store FILE",
                    ae_strerror(rc));
    }
    o->chat.store = o->store;
    return 0;
}

static int parse(int argc, char **argv, struct options *o)
{
    int option, status = 0;

    *o = (struct options){ .chat = { .fetch = "./dev chat", .key = getenv("AETHER_CHAT_KEY") } };
    while (status == 0 && (option = getopt_long(argc, argv, "l:m:w:h", LONG, NULL)) != -1) {
        status = take_option(option, o);
    }
    if (status || o->help) return status;
    if (optind < argc) {
        return fail(EXIT_USAGE, "\"%s\" is not an option: try aether chat --help", argv[optind]);
    }
    status = check_key(o);
    return status ? status : check_names(o);
}

/* ---- listening ---- */

static int explain_listen(int rc, const char *address)
{
    switch (-rc) {
    case EINVAL:
        return fail(EXIT_USAGE, "\"%s\" is not an address to listen at: try " ADDRESS
                    ", :8080 (all interfaces), [::1]:8080 or unix:/path", address);
    case EADDRINUSE: return fail(EXIT_FAILURE, "address in use: %s: try another -l", address);
    case EACCES: return fail(EXIT_FAILURE, "%s needs privilege: try a port above 1023", address);
    case EADDRNOTAVAIL:
        return fail(EXIT_FAILURE, "no interface of this machine has the address %s", address);
    }
    return fail(EXIT_FAILURE, "cannot listen at %s: %s", address, ae_strerror(rc));
}

/* Without -l the next free port will do. */
static int listen_at(ae_http_server *server, const char *address)
{
    char text[32] = ADDRESS;
    ae_listener *listener = NULL;
    int rc = ae_listen(address ? address : text, NULL, &listener);

    for (int i = 1; !address && rc == -EADDRINUSE && i < PORTS_TRIED; i++) {
        snprintf(text, sizeof text, "127.0.0.1:%d", 8080 + i);
        rc = ae_listen(text, NULL, &listener);
        if (rc == 0) fprintf(stderr, "aether: port 8080 is taken, using %d\n", 8080 + i);
    }
    if (rc < 0) return explain_listen(rc, address ? address : text);
    rc = ae_http_adopt(server, listener);
    if (rc == 0) return 0;
    ae_listener_close(listener);
    return fail(EXIT_FAILURE, "cannot serve: %s", ae_strerror(rc));
}

static void print_url(ae_http_server *server)
{
    char text[AE_ADDR_TEXT_MAX] = "";
    ae_addr addr;

    if (ae_http_server_addr(server, 0, &addr) == 0) ae_addr_format(&addr, text, sizeof text);
    if (strncmp(text, "0.0.0.0:", 8) == 0 || strncmp(text, "[::]:", 5) == 0) {
        printf("AetherAI: http://127.0.0.1:%u/ (Ctrl-C ends it)\n", ae_addr_port(&addr));
    } else {
        printf("AetherAI: %s%s%s (Ctrl-C ends it)\n", text[0] == 'u' ? "" : "http://", text,
               text[0] == 'u' ? "" : "/");
    }
    fflush(stdout);
}

/* ---- serving ---- */

struct life {
    ae_http_server *server;
    struct chat *chat;
};

static int serve_in_task(void *arg)
{
    struct life *life = arg;
    ae_scope beside;

    ae_scope_begin(&beside);
    int rc = ae_go(chat_watch, life->chat);
    if (rc == 0) rc = ae_http_serve(life->server);
    ae_scope_cancel(&beside, 0);
    return ae_scope_end(&beside, rc);
}

static int serve(struct life *life, const struct options *o)
{
    ae_config config = { AE_CONFIG, .workers = o->workers, .debug_socket = "on" };
    int status = listen_at(life->server, o->address);
    if (status) return status;

    print_url(life->server);
    int rc = ae_run(&config, serve_in_task, life);
    if (rc == 0 || rc == -ECANCELED) return 0;
    return fail(EXIT_FAILURE, "%s", ae_strerror(rc));
}

static int serve_chat(struct life *life, const struct options *o)
{
    int status = EXIT_FAILURE;
    int rc = ae_http_server_create(NULL, &life->server);

    if (rc == 0) {
        chat_mount(life->chat, life->server);
        status = serve(life, o);
    } else {
        fail(status, "%s", ae_strerror(rc));
    }
    ae_http_server_destroy(life->server);
    return status;
}

/* The model comes while the server runs already: it is seen as soon as it is there. */
static int run(const struct options *o)
{
    struct life life = { 0 };
    int fetch = 0;

    if (chat_create(&o->chat, &life.chat) < 0) return EXIT_FAILURE;
    if (o->fetch) fetch = chat_fetch_start(chat_models_folder(life.chat));
    if (fetch < 0) fail(0, "cannot fetch the model: %s", ae_strerror(fetch));
    int status = serve_chat(&life, o);
    if (fetch > 0) chat_fetch_stop(fetch);
    chat_destroy(life.chat);
    return status;
}

int cmd_chat(int argc, char **argv)
{
    static struct options o;
    int status = parse(argc, argv, &o);

    if (status) return status;
    if (!o.help) return run(&o);
    fputs(HELP, stdout);
    return 0;
}
