/* supersede.c - find, mark and remove files of other layouts: "cells.v1", "control.v3.new", ...
 *
 * Order      marking: the time, then `retired`. Removing: `retired` says REPLACED, so that whoever has the files mapped opens
 *            again; then control's name goes last, so that a removal which was cut short is gone on with.
 * Careful    a name alone is no proof: files whose names this build does not know are removed only beside a control
 *            that says it is ours and of the same layout. */
#include "cache/supersede.h"

#include "cache/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKED_SINCE 2u /* libraries of layout 1, which was never released, would answer nothing from marked tables */
#define PAGE_BYTES   4096u
#define NAME_MAX_    64u

static_assert(offsetof(struct rialto_control, magic) == 0 && offsetof(struct rialto_control, layout) == 8 &&
                  offsetof(struct rialto_control, byte_order) == 12 && offsetof(struct rialto_control, retired) == 28 &&
                  offsetof(struct rialto_control, superseded_unix_ms) == 112,
              "promised for every layout");

struct old_name {
    char base[NAME_MAX_]; /* "cells" */
    uint32_t layout;
    bool unfinished; /* with .new behind it */
};

/* "<small letters>.v<number>[.new]" of another layout. */
static bool name_parse(const char *name, struct old_name *ret)
{
    size_t letters = strspn(name, "abcdefghijklmnopqrstuvwxyz");
    if (letters == 0 || letters >= sizeof ret->base || strncmp(name + letters, ".v", 2) != 0)
        return false;
    const char *digits = name + letters + 2;
    size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > 6 || digits[0] == '0')
        return false;
    const char *rest = digits + count;
    if (rest[0] != '\0' && strcmp(rest, ".new") != 0)
        return false;
    memcpy(ret->base, name, letters);
    ret->base[letters] = '\0';
    ret->layout = (uint32_t)strtoul(digits, NULL, 10);
    ret->unfinished = rest[0] != '\0';
    return ret->layout != RIALTO_LAYOUT;
}

static bool name_known(const char *base)
{
    for (uint32_t file = 0; file < FOLDER_FILE_COUNT; file++) {
        if (strcmp(base, folder_file_name(file)) == 0)
            return true;
    }
    return strcmp(base, "metrics") == 0;
}

/* ---- control ------------------------------------------------------------------------------------------ */

/* The first page of another layout's control, for writing; NULL when it is not what it is called. */
static struct rialto_control *control_map(int folder, uint32_t layout)
{
    char name[NAME_MAX_];
    (void)snprintf(name, sizeof name, "control.v%u", layout);
    int fd = openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd == -1)
        return NULL;
    struct stat st;
    void *page = MAP_FAILED;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= (off_t)PAGE_BYTES)
        page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (page == MAP_FAILED)
        return NULL;
    struct rialto_control *control = page;
    if (atomic_load_explicit(&control->magic, memory_order_acquire) == RIALTO_CONTROL_MAGIC &&
        control->layout == layout && control->byte_order == RIALTO_BYTE_ORDER)
        return control;
    (void)munmap(page, PAGE_BYTES);
    return NULL;
}

static void control_look(int folder, struct old_tables *old)
{
    struct rialto_control *control = control_map(folder, old->layout);
    if (control == NULL)
        return;
    uint32_t retired = atomic_load_explicit(&control->retired, memory_order_acquire);
    old->readable =
        old->layout >= MARKED_SINCE && (retired == RIALTO_NOT_RETIRED || retired == RIALTO_RETIRED_SUPERSEDED);
    if (retired == RIALTO_RETIRED_SUPERSEDED)
        old->superseded_unix_ms = atomic_load_explicit(&control->superseded_unix_ms, memory_order_relaxed);
    (void)munmap(control, PAGE_BYTES);
}

/* ---- finding ------------------------------------------------------------------------------------------ */

static struct old_tables *old_of(struct old_tables old[OLD_TABLES_MAX], uint32_t *count, uint32_t layout)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (old[i].layout == layout)
            return &old[i];
    }
    if (*count == OLD_TABLES_MAX)
        return NULL;
    old[*count] = (struct old_tables){ .layout = layout };
    return &old[(*count)++];
}

uint32_t old_tables_find(const char *folder, struct old_tables ret[OLD_TABLES_MAX])
{
    uint32_t count = 0;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct old_name name;
        struct stat st;
        if (!name_parse(entry->d_name, &name) || fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
            !S_ISREG(st.st_mode))
            continue;
        struct old_tables *old = old_of(ret, &count, name.layout);
        if (old != NULL)
            old->bytes += (uint64_t)st.st_blocks * 512;
    }
    for (uint32_t i = 0; i < count; i++)
        control_look(dirfd(dir), &ret[i]);
    (void)closedir(dir);
    return count;
}

/* ---- marking ------------------------------------------------------------------------------------------ */

uint32_t old_tables_mark(const char *folder, int64_t now_unix_ms)
{
    struct old_tables old[OLD_TABLES_MAX];
    uint32_t count = old_tables_find(folder, old), marked = 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (uint32_t i = 0; fd != -1 && i < count; i++) {
        struct rialto_control *control = NULL;
        if (!old[i].readable || old[i].superseded_unix_ms != 0)
            continue;
        control = control_map(fd, old[i].layout);
        if (control == NULL)
            continue;
        atomic_store_explicit(&control->superseded_unix_ms, now_unix_ms, memory_order_relaxed);
        /* Release pairs with rialto_state(): whoever sees the mark sees its time. */
        atomic_store_explicit(&control->retired, RIALTO_RETIRED_SUPERSEDED, memory_order_release);
        (void)munmap(control, PAGE_BYTES);
        marked++;
    }
    if (fd != -1)
        (void)close(fd);
    return marked;
}

/* ---- removing ----------------------------------------------------------------------------------------- */

/* Names of one layout go; control's only with `last`. */
static void unlink_names(DIR *dir, uint32_t layout, bool ours, bool last)
{
    rewinddir(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct old_name name;
        struct stat st;
        if (!name_parse(entry->d_name, &name) || name.layout != layout || (!ours && !name_known(name.base)))
            continue;
        bool control = strcmp(name.base, "control") == 0 && !name.unfinished;
        if (control == last && fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
}

static void old_remove(DIR *dir, const struct old_tables *old)
{
    struct rialto_control *control = control_map(dirfd(dir), old->layout);
    if (control != NULL) {
        atomic_store_explicit(&control->retired, RIALTO_RETIRED_REPLACED, memory_order_release);
        (void)munmap(control, PAGE_BYTES);
    }
    unlink_names(dir, old->layout, control != NULL, false);
    unlink_names(dir, old->layout, control != NULL, true);
}

int64_t old_tables_left_ms(const struct old_tables *old, int64_t now_unix_ms, int64_t grace_ms)
{
    if (!old->readable || grace_ms <= 0)
        return 0;
    if (old->superseded_unix_ms == 0)
        return -1;
    if (old->superseded_unix_ms > now_unix_ms)
        return grace_ms;
    /* Unsigned: a damaged mark may lie further back than a signed difference can say. */
    uint64_t past_ms = (uint64_t)now_unix_ms - (uint64_t)old->superseded_unix_ms;
    return past_ms >= (uint64_t)grace_ms ? 0 : grace_ms - (int64_t)past_ms;
}

uint64_t old_tables_remove(const char *folder, int64_t now_unix_ms, int64_t grace_ms, int64_t *ret_next_ms)
{
    struct old_tables old[OLD_TABLES_MAX];
    uint32_t count = old_tables_find(folder, old);
    uint64_t bytes = 0;
    *ret_next_ms = -1;
    DIR *dir = count > 0 ? opendir(folder) : NULL;
    for (uint32_t i = 0; dir != NULL && i < count; i++) {
        int64_t left = old_tables_left_ms(&old[i], now_unix_ms, grace_ms);
        if (left == 0) {
            old_remove(dir, &old[i]);
            bytes += old[i].bytes;
        } else if (left > 0 && (*ret_next_ms < 0 || left < *ret_next_ms)) {
            *ret_next_ms = left;
        }
    }
    if (dir != NULL)
        (void)closedir(dir);
    return bytes;
}
