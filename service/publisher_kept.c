/* publisher_kept.c - which baselines Redis still lacks, in a file of its own, so that a death costs what was changed and not all that there is.
 *
 *   ring entry --> bit, then position in the ring --> (pass) line read, HSET --> reply --> bit cleared
 *        all of this survives the process                                  |
 *                                      a death anywhere: its bits still stand, and its successor writes those lines
 * Behind the bits stands whose price Redis may have of each line: said before it is written, taken back when Redis has answered that it is gone.
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

#define PUBLISHED_MAGIC UINT64_C(0x3244534C42555052) /* "RPUBLSD2" */

struct published_file {
    uint64_t magic;
    uint64_t cache;     /* the tables' stamp */
    uint64_t lines_max; /* of a partition */
    uint64_t words;
    uint32_t workers, worker;
    _Atomic uint64_t server; /* hash of its run id; 0 = none */
    uint64_t sweep;          /* 1 = it may have prices of which nothing here tells */
    uint64_t next[RIALTO_WORKERS_MAX];
    uint64_t word[]; /* and behind them 64 times as many of 32 bits: told */
};

#define WORD_BYTES (sizeof(uint64_t) + 64 * sizeof(uint32_t)) /* of 64 lines */

static size_t file_bytes(uint64_t words)
{
    return sizeof(struct published_file) + (size_t)words * WORD_BYTES;
}

uint64_t publisher_files_bytes(uint32_t workers, uint64_t lines_max)
{
    return workers * sizeof(struct published_file) + RIALTO_PARTITIONS * ((lines_max + 63) / 64) * WORD_BYTES;
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

static struct published_file *memory_map(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
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
    const struct published_file wanted = { .magic = PUBLISHED_MAGIC,
                                           .cache = (uint64_t)p->prices->folder.control->created_unix_ms,
                                           .lines_max =
                                               p->prices->folder.table[RIALTO_TABLE_CELLS].header->capacity_max,
                                           .words = cells->words,
                                           .workers = p->config->workers,
                                           .worker = p->worker };
    cells->file = file_map(path, cells->bytes);
    cells->kept = cells->file != NULL && is_ours(cells->file, &wanted);
    if (cells->file != NULL && !cells->kept) { /* a new one is empty without being written to */
        (void)munmap(cells->file, cells->bytes);
        (void)unlink(path);
        cells->file = file_map(path, cells->bytes);
    }
    if (cells->file == NULL)
        cells->file = memory_map(cells->bytes);
    if (cells->file == NULL)
        return false;
    if (!cells->kept)
        memcpy(cells->file, &wanted, sizeof wanted);
    cells->word = cells->file->word;
    cells->told = (uint32_t *)(void *)(cells->file->word + cells->words);
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

void published_sweep_owe(struct publishing *p)
{
    p->cells.file->sweep = 1;
}

void published_sweep_done(struct publishing *p)
{
    p->cells.file->sweep = 0;
}

bool published_sweep_owed(const struct publishing *p)
{
    return p->cells.file != NULL && p->cells.file->sweep != 0;
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
