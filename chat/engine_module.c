/* SPDX-License-Identifier: Apache-2.0 */
/* Finds and loads the module that links llama.cpp.
 *
 * It is a module, and not linked in, so that the server is up within seconds: building llama.cpp
 * takes minutes, and goes on while the page is already open. The module is looked for at each use
 * until it is there, so nothing is started again. It is made by chat/fetch.py, for the CPU at hand,
 * so its folder is named after the CPU's flags: a home that moves to another machine gets another
 * one, and never an illegal instruction. */
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#include "engine_private.h"

#define PATH_BYTES 1024

/* FNV-1a of the line of /proc/cpuinfo that lists what the CPU can do, as in chat/fetch.py. */
static uint64_t cpu_key(void)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    FILE *file = fopen("/proc/cpuinfo", "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t length = 0;
    while (file && (length = getline(&line, &room, file)) > 0) {
        if (strncmp(line, "flags", 5) == 0 || strncmp(line, "Features", 8) == 0) break;
    }
    for (ssize_t i = 0; i < length && line[i] != '\n'; i++) {
        hash = (hash ^ (unsigned char)line[i]) * UINT64_C(0x100000001b3);
    }
    free(line);
    if (file) fclose(file);
    return hash;
}

static bool cache_path(char *out, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    bool given = cache && cache[0] == '/';
    if (!given && !home) return false;
    int length = snprintf(out, size, "%s%s/aether/llama-" CHAT_LLAMA_VERSION "-%016llx/"
                          "aether-llama-%d.so", given ? cache : home, given ? "" : "/.cache",
                          (unsigned long long)cpu_key(), CHAT_BACKEND_ABI);
    return length > 0 && (size_t)length < size;
}

static int check(void *handle, const struct chat_backend **out)
{
    const struct chat_backend *backend = dlsym(handle, CHAT_BACKEND_SYMBOL);
    if (!backend || backend->abi != CHAT_BACKEND_ABI) return -ELIBBAD;
    *out = backend;
    return 0;
}

int chat_module_load(const char *path, void **handle, const struct chat_backend **out)
{
    char found[PATH_BYTES];
    if (!path) path = getenv("AETHER_LLAMA_MODULE");
    if (!path) path = cache_path(found, sizeof(found)) ? found : NULL;
    if (!path || access(path, R_OK) != 0) return -ENODEV;
    *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!*handle) return -ELIBBAD;
    int rc = check(*handle, out);
    if (rc < 0) chat_module_unload(*handle);
    return rc;
}

void chat_module_unload(void *handle)
{
    if (handle) dlclose(handle);
}
