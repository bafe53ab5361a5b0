/* silence.c - see silence.h. */
#include "service/silence.h"

#include "pricing/json_member.h"
#include "pricing/json_text.h"
#include "service/clock.h"
#include "service/data_dir.h"
#include "service/log.h"
#include "service/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1u << 16) /* then its older half becomes one line */
#define LINE_MAX_BYTES 160u
#define WORKERS_MAX    RIALTO_PARTITIONS

static void path_of(const struct config *config, uint32_t worker, char ret[DATA_PATH_MAX])
{
    char name[32];
    (void)snprintf(name, sizeof name, "silence.%" PRIu32 ".ndjson", worker);
    data_path(config, name, ret);
}

static size_t line_write(uint32_t worker, uint32_t workers, struct silence silence, char ret[LINE_MAX_BYTES])
{
    return (size_t)snprintf(ret, LINE_MAX_BYTES,
                            "{\"worker\":%" PRIu32 ",\"workers\":%" PRIu32 ",\"from_ms\":%" PRId64 ",\"to_ms\":%" PRId64
                            "}\n",
                            worker, workers, silence.from_ms, silence.to_ms);
}

/* A limit of 0 is none. */
static int64_t shorter_ms(int64_t ms, uint32_t limit_s)
{
    int64_t limit_ms = (int64_t)limit_s * 1000;
    return limit_ms != 0 && limit_ms < ms ? limit_ms : ms;
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

static void add(struct silence of, struct silence silence, uint32_t *count, struct silence ret[SILENCES_MAX])
{
    silence.from_ms = silence.from_ms > of.from_ms ? silence.from_ms : of.from_ms;
    silence.to_ms = silence.to_ms < of.to_ms ? silence.to_ms : of.to_ms;
    if (silence.from_ms >= silence.to_ms)
        return;
    if (*count < SILENCES_MAX) {
        ret[(*count)++] = silence;
        return;
    }
    struct silence *last = &ret[SILENCES_MAX - 1];
    last->from_ms = silence.from_ms < last->from_ms ? silence.from_ms : last->from_ms;
    last->to_ms = silence.to_ms > last->to_ms ? silence.to_ms : last->to_ms;
}

/* One line. False: it is none. */
static bool line_read(const char *line, size_t bytes, uint32_t *ret_worker, uint32_t *ret_workers, struct silence *ret)
{
    struct fault fault = { 0 };
    cJSON *object = json_parse(line, bytes, 0, &fault);
    int64_t worker = json_whole(object, "worker"), workers = json_whole(object, "workers");
    *ret = (struct silence){ json_whole(object, "from_ms"), json_whole(object, "to_ms") };
    *ret_worker = (uint32_t)worker;
    *ret_workers = (uint32_t)workers;
    cJSON_Delete(object);
    return worker >= 0 && workers > worker && workers <= WORKERS_MAX && ret->from_ms > 0 && ret->from_ms < ret->to_ms;
}

static bool file_lines(const char *text, size_t bytes, uint32_t partition, struct silence of, uint32_t *count,
                       struct silence ret[SILENCES_MAX])
{
    for (const char *line = text, *end; line < text + bytes; line = end + 1) {
        struct silence silence;
        uint32_t worker, workers;
        end = memchr(line, '\n', bytes - (size_t)(line - text));
        if (end == NULL || !line_read(line, (size_t)(end - line), &worker, &workers, &silence))
            return false;
        if (partition % workers == worker)
            add(of, silence, count, ret);
    }
    return true;
}

bool silence_read(const struct config *config, uint32_t partition, struct silence of, uint32_t *count,
                  struct silence ret[SILENCES_MAX])
{
    for (uint32_t worker = 0; worker < WORKERS_MAX; worker++) {
        char path[DATA_PATH_MAX], *text = NULL;
        struct fault fault = { 0 };
        size_t bytes = 0;
        path_of(config, worker, path);
        if (access(path, F_OK) == -1 && errno == ENOENT)
            continue;
        bool good =
            file_read(path, &text, &bytes, &fault) == RIALTO_OK && file_lines(text, bytes, partition, of, count, ret);
        free(text);
        if (!good)
            return false;
    }
    return true;
}

bool silence_now(const struct rialto_control *control, const struct rialto_rules_header *rules, uint32_t partition,
                 int64_t mono_ms, struct silence *ret)
{
    const struct rialto_rule_row *row = (const void *)(rules + 1);
    int64_t stale_ms = control->stale_after_ms;
    for (uint32_t i = 0; i < atomic_load_explicit(&rules->count, memory_order_acquire); i++)
        stale_ms = shorter_ms(stale_ms, row[i].stale_limit_s);
    const struct rialto_heartbeat *heart = &control->heartbeat[partition];
    int64_t beat = atomic_load_explicit(&heart->beat_mono_ms, memory_order_acquire);
    *ret = (struct silence){ atomic_load_explicit(&heart->tick_ms, memory_order_relaxed),
                             mono_ms + atomic_load_explicit(&control->clock_offset_ms, memory_order_acquire) };
    return beat == 0 || beat > mono_ms || mono_ms - beat > stale_ms;
}

/* ---- the worker's side ------------------------------------------------------------------------------------------------ */

/* The older half of a file that has grown becomes one line; what is no line any more is left for who reads to see. */
static void file_shrink(const char *path)
{
    char *text = NULL, merged[LINE_MAX_BYTES];
    struct fault fault = { 0 };
    struct silence all = { INT64_MAX, INT64_MIN };
    size_t bytes = 0;
    if (file_read(path, &text, &bytes, &fault) != RIALTO_OK || bytes < FILE_BYTES_MAX) {
        free(text);
        return;
    }
    const char *half = memchr(text + bytes / 2, '\n', bytes - bytes / 2), *end;
    for (const char *line = text; half != NULL && line <= half; line = end + 1) {
        struct silence one;
        uint32_t worker, workers;
        end = memchr(line, '\n', bytes - (size_t)(line - text));
        if (!line_read(line, (size_t)(end - line), &worker, &workers, &one))
            continue;
        all.from_ms = one.from_ms < all.from_ms ? one.from_ms : all.from_ms;
        all.to_ms = one.to_ms > all.to_ms ? one.to_ms : all.to_ms;
    }
    if (half != NULL && all.from_ms < all.to_ms) {
        size_t length = line_write(0, 1, all, merged), rest = bytes - (size_t)(half + 1 - text);
        memmove(text + length, half + 1, rest); /* a line is shorter than half of such a file */
        memcpy(text, merged, length);
        (void)file_replace(path, text, length + rest);
    }
    free(text);
}

static void write_down(const struct worker *worker, struct silence silence)
{
    char path[DATA_PATH_MAX], line[LINE_MAX_BYTES];
    size_t bytes = line_write(worker->index, worker->config->workers, silence, line);
    path_of(worker->config, worker->index, path);
    file_shrink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd == -1 || !bytes_write(fd, line, bytes))
        log_line(LOG_WARNING, "SILENCE-NOT-RECORDED", "path=%s error=\"%s\"", path, strerror(errno));
    if (fd != -1)
        (void)close(fd);
}

/* From which age on some quote is stale. */
static int64_t stale_ms(const struct worker *worker)
{
    int64_t least = worker->config->stale_after_ms;
    for (uint32_t i = 0; i < worker->models->count; i++)
        least = shorter_ms(least, worker->models->model[i].stale_limit_s);
    return least;
}

void silence_setup(struct worker *worker)
{
    struct silence_watch *watch = &worker->silence;
    int64_t now = mono_ms();
    *watch = (struct silence_watch){ 0, worker->tick_ms };
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers) {
        const struct rialto_heartbeat *heart = &worker->control->heartbeat[p];
        int64_t beat = atomic_load_explicit(&heart->beat_mono_ms, memory_order_acquire);
        int64_t tick = atomic_load_explicit(&heart->tick_ms, memory_order_relaxed);
        if (beat <= 0 || beat > now) {
            watch->beat_mono_ms = 0;
            return;
        }
        if (watch->beat_mono_ms == 0 || beat < watch->beat_mono_ms)
            watch->beat_mono_ms = beat;
        if (tick != 0 && tick < watch->tick_ms)
            watch->tick_ms = tick;
    }
}

void silence_beat(struct worker *worker, int64_t mono_ms)
{
    struct silence_watch *watch = &worker->silence;
    if (worker->config->journal_days == 0 || worker->config->alone)
        return;
    int64_t now_ms = mono_ms + atomic_load_explicit(&worker->control->clock_offset_ms, memory_order_acquire);
    int64_t silent_ms = watch->beat_mono_ms != 0 ? mono_ms - watch->beat_mono_ms : now_ms - watch->tick_ms;
    if (watch->tick_ms > 0 && silent_ms > stale_ms(worker) && watch->tick_ms < now_ms)
        write_down(worker, (struct silence){ watch->tick_ms, now_ms });
    *watch = (struct silence_watch){ mono_ms, worker->tick_ms };
}
