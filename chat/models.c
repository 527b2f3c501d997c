/* SPDX-License-Identifier: Apache-2.0 */
/* The models folder. What a client names is only ever compared with names that a scan found; the
 * kernel is told besides that opening must stay beneath the folder and follow no link. */
#include "models.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SUFFIX ".gguf"
#define SUFFIX_LENGTH 5
#define MODELS_MAX 1024

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool chat_model_name_ok(const char *name, size_t length)
{
    if (length == 0 || length > CHAT_MODEL_NAME_MAX) return false;
    if (!is_alphanumeric(name[0]) || name[length - 1] == '.') return false;
    for (size_t i = 0; i < length; i++) {
        bool mark = name[i] == '.' || name[i] == '_' || name[i] == '-';
        if (!is_alphanumeric(name[i]) && !mark) return false;
        if (name[i] == '.' && i > 0 && name[i - 1] == '.') return false;
    }
    return true;
}

/* The length of the model's name in a file's, 0 if it is none. */
static size_t model_of_file(const char *file)
{
    size_t length = strlen(file);
    if (length <= SUFFIX_LENGTH || strcmp(file + length - SUFFIX_LENGTH, SUFFIX) != 0) return 0;
    length -= SUFFIX_LENGTH;
    return chat_model_name_ok(file, length) ? length : 0;
}

static int beneath(int folder, const char *file)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, folder, file, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

static int add(struct chat_models *models, int folder, const char *file, size_t length)
{
    struct stat about;
    if (fstatat(folder, file, &about, AT_SYMLINK_NOFOLLOW) < 0) return 0;
    if (!S_ISREG(about.st_mode)) return 0;
    struct chat_model *items =
        realloc(models->items, (models->count + 1) * sizeof(*models->items));
    if (!items) return -ENOMEM;
    models->items = items;
    struct chat_model *model = &items[models->count++];
    *model = (struct chat_model){ .bytes = (uint64_t)about.st_size };
    memcpy(model->name, file, length);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct chat_model *)a)->name, ((const struct chat_model *)b)->name);
}

static int scan_open(DIR *dir, struct chat_models *out)
{
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir)) != NULL;) {
        size_t length = model_of_file(entry->d_name);
        if (length > 0 && out->count < MODELS_MAX) rc = add(out, dirfd(dir), entry->d_name, length);
    }
    if (out->count > 1) qsort(out->items, out->count, sizeof(*out->items), by_name);
    return rc;
}

int chat_models_scan(const char *folder, struct chat_models *out)
{
    *out = (struct chat_models){ 0 };
    DIR *dir = folder ? opendir(folder) : NULL;
    if (!dir) return !folder || errno == ENOENT ? 0 : -errno;
    int rc = scan_open(dir, out);
    closedir(dir);
    if (rc < 0) chat_models_free(out);
    return rc;
}

const struct chat_model *chat_models_find(const struct chat_models *models, const char *name)
{
    for (size_t i = 0; i < models->count; i++) {
        if (strcmp(models->items[i].name, name) == 0) return &models->items[i];
    }
    return NULL;
}

/* The file's name comes from the directory, not from the caller. */
static int open_found(DIR *dir, const char *name, size_t name_length)
{
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        size_t length = model_of_file(entry->d_name);
        if (length == name_length && memcmp(entry->d_name, name, length) == 0) {
            return beneath(dirfd(dir), entry->d_name);
        }
    }
    return -ENOENT;
}

static int check_regular(int fd)
{
    struct stat about;
    int rc = fstat(fd, &about) < 0 ? -errno : S_ISREG(about.st_mode) ? 0 : -ENOENT;
    if (rc < 0) close(fd);
    return rc < 0 ? rc : fd;
}

int chat_models_open(const char *folder, const char *name)
{
    size_t length = strnlen(name, CHAT_MODEL_NAME_MAX + 1);
    if (!chat_model_name_ok(name, length)) return -EINVAL;
    DIR *dir = folder ? opendir(folder) : NULL;
    if (!dir) return folder ? -errno : -ENOENT;
    int fd = open_found(dir, name, length);
    closedir(dir);
    if (fd == -ELOOP || fd == -EXDEV) return -ENOENT; /* a link: not a model */
    return fd < 0 ? fd : check_regular(fd);
}

void chat_models_free(struct chat_models *models)
{
    free(models->items);
    *models = (struct chat_models){ 0 };
}
