/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer on names that come from outside: those of models (chat/models.h) and of hosts
 * (chat/guard.h), each against the same rule written another way. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "models.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* The grammar as models.h has it in words. */
static bool names_a_model(const char *name, size_t length)
{
    if (length < 1 || length > CHAT_MODEL_NAME_MAX || !is_alphanumeric(name[0])) return false;
    for (size_t i = 0; i < length; i++) {
        if (!is_alphanumeric(name[i]) && (!name[i] || !strchr("._-", name[i]))) return false;
        if (i > 0 && name[i] == '.' && name[i - 1] == '.') return false;
    }
    return name[length - 1] != '.';
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), more = strlen(end);

    return length > more && strcmp(text + length - more, end) == 0;
}

/* What may be served on loopback: none but these, whatever stands around them. */
static bool is_here(char *host)
{
    unsigned parts[4];
    int used = 0;

    if (host[0] == '[') return strncmp(host, "[::1]", 5) == 0;
    char *port = strchr(host, ':');
    if (port) *port = '\0';
    for (char *at = host; *at; at++) {
        if (*at >= 'A' && *at <= 'Z') *at += 32;
    }
    if (ends_with(host, ".")) host[strlen(host) - 1] = '\0';
    if (strcmp(host, "localhost") == 0 || ends_with(host, ".localhost")) return true;
    int n = sscanf(host, "%u.%u.%u.%u%n", &parts[0], &parts[1], &parts[2], &parts[3], &used);
    return n == 4 && host[used] == '\0' && parts[0] == 127;
}

static void check_host(const char *authority)
{
    static const struct guard guard = { .names = { "chat.example.org" }, .names_count = 0 };
    char copy[512];

    if (!guard_host_ok(&guard, authority)) return;
    must(strlen(authority) < sizeof copy, "a host is short");
    snprintf(copy, sizeof copy, "%s", authority);
    must(is_here(copy), "a host that is served is this machine");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (!text) return 0;
    if (size > 0) memcpy(text, data, size);
    text[size] = '\0';
    must(chat_model_name_ok(text, size) == names_a_model(text, size), "the two rules agree");
    check_host(text);
    if (guard_origin_ok(text, "localhost:8080")) {
        must(strcasestr(text, "://localhost:8080") != NULL, "the origin is the page's");
    }
    must(!guard_key_ok("0123456789abcdef", text) || ends_with(text, " 0123456789abcdef"),
         "the key is the key");
    free(text);
    return 0;
}
