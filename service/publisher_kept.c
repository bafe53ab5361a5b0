/* publisher_kept.c - which baselines Redis still lacks, in a file of its own, so that a death costs what was changed and not all that there is.
 *
 *   ring entry --> bit, then position in the ring --> (pass) line read, HSET --> reply --> bit cleared
 *        all of this survives the process                                  |
 *                                      a death anywhere: its bits still stand, and its successor writes those lines
 *
 * Invariant  what has no bit, and was told before the positions, is in the Redis whose run id `server` names. A server that began anew, or lost
 *            our key PREFIX:here:{worker.N}, has nothing that counts: all bits are set. `server` is 0 while that is being found out.
 * Crash      a dead process's stores all reach the page cache, in the order of the program.
 * Tables     that were made anew are others: the file names them by their stamp. Lines that were published without an entry in a ring (a start that
 *            publishes everything) void the file first.
 * Without    room for the file the bits lie in private memory, and the next process begins with all of them. */
#include "service/log.h"
#include "service/publisher_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PUBLISHED_MAGIC UINT64_C(0x3144534C42555052) /* "RPUBLSD1" */

struct published_file {
    uint64_t magic;
    uint64_t cache;     /* the tables' stamp */
    uint64_t lines_max; /* of a partition */
    uint64_t words;
    uint32_t workers, worker;
    _Atomic uint64_t server; /* hash of its run id; 0 = none */
    uint64_t next[RIALTO_WORKERS_MAX];
    uint64_t word[];
};

static size_t file_bytes(uint64_t words)
{
    return sizeof(struct published_file) + (size_t)words * sizeof(uint64_t);
}

static void path_of(const struct config *config, uint32_t worker, size_t size, char *ret)
{
    (void)snprintf(ret, size, "%s/state/published.w%u.v1", config->data_dir, worker);
}

/* NULL: no file can be had. */
static struct published_file *file_map(const char *path, size_t bytes)
{
    struct stat info;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd == -1)
        return NULL;
    bool good = fstat(fd, &info) == 0;
    if (good && (size_t)info.st_size != bytes)
        good = ftruncate(fd, 0) == 0 && posix_fallocate(fd, 0, (off_t)bytes) == 0;
    void *at = good ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    (void)close(fd);
    if (at == MAP_FAILED)
        (void)unlink(path); /* half a file is none */
    return at == MAP_FAILED ? NULL : at;
}

static bool is_ours(const struct published_file *file, const struct published_file *wanted)
{
    return file->magic == wanted->magic && file->cache == wanted->cache && file->lines_max == wanted->lines_max &&
           file->words == wanted->words && file->workers == wanted->workers && file->worker == wanted->worker;
}

bool published_open(struct publishing *p)
{
    struct dirty_cells *cells = &p->cells;
    char path[CONFIG_TEXT_MAX + 64];
    path_of(p->config, p->worker, sizeof path, path);
    cells->bytes = file_bytes(cells->words);
    cells->file = file_map(path, cells->bytes);
    if (cells->file == NULL) {
        void *at = mmap(NULL, cells->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED)
            return false;
        cells->file = at;
    }
    const struct published_file wanted = { .magic = PUBLISHED_MAGIC,
                                           .cache = (uint64_t)p->prices->folder.control->created_unix_ms,
                                           .lines_max =
                                               p->prices->folder.table[RIALTO_TABLE_CELLS].header->capacity_max,
                                           .words = cells->words,
                                           .workers = p->config->workers,
                                           .worker = p->worker };
    cells->kept = is_ours(cells->file, &wanted);
    if (!cells->kept) {
        memset(cells->file, 0, cells->bytes);
        memcpy(cells->file, &wanted, sizeof wanted);
    }
    cells->word = cells->file->word;
    return true;
}

void published_close(struct publishing *p)
{
    if (p->cells.file != NULL)
        (void)munmap(p->cells.file, p->cells.bytes);
}

void published_resume(struct publishing *p)
{
    memcpy(p->follower.next, p->cells.file->next, sizeof p->follower.next);
}

void published_follow(struct publishing *p)
{
    atomic_signal_fence(
        memory_order_seq_cst); /* bits before positions: what was told is marked when it counts as told */
    memcpy(p->cells.file->next, p->follower.next, sizeof p->follower.next);
}

uint64_t published_server_take(struct publishing *p)
{
    uint64_t server = atomic_exchange(&p->cells.file->server, 0);
    atomic_signal_fence(memory_order_seq_cst);
    return server;
}

void published_server_is(struct publishing *p, uint64_t server)
{
    atomic_signal_fence(memory_order_seq_cst); /* after the bits that make it true */
    atomic_store(&p->cells.file->server, server);
}

void publisher_void(const struct config *config, uint32_t worker)
{
    char path[CONFIG_TEXT_MAX + 64];
    path_of(config, worker, sizeof path, path);
    if (unlink(path) == -1 && errno != ENOENT)
        log_line(LOG_ERROR, "PUBLISHED-NOT-VOID",
                 "path=%s error=\"%s\": baselines in Redis may be old until they change", path, strerror(errno));
}
