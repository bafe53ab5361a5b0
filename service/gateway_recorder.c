/* gateway_recorder.c - what the gateway hands to workers, as files that `rialto replay` and `rialto simulate` take.
 *
 *   main thread --copies of records and ticks--> ring of RECORDER_RING_BYTES --thread--> DATA_DIR/recordings/TIME-NUMBER.ndjson
 *
 * Order      that of the batches. A line {"control":"tick","time":MS} begins each tick, and stands once more, with the same time,
 *            where a further batch of the same tick begins: prices are computed once a batch.
 * Personal   product and common parts alone are handed over. No customer, visit, source or id ever reaches this file's memory.
 * Bounds     a file is closed at the first tick at which it has record_file_bytes_max; record_files_max of them are kept. What finds
 *            no room in the ring, or cannot be written, is counted (record_missed_total), and the next file's first tick says
 *            "missing":N. After a full ring nothing is taken until half of it is free: holes are few, and so are files of them.
 *            The main thread copies, and waits for nothing.
 * Crash      what was in the ring is not on record; the next gateway begins a new file, which says "missing":0.
 * Threads    ring: one writer (main thread), one reader (the recorder's). */
#include "service/gateway.h"

#include "service/data_dir.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/record_line.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RECORDER_RING_BYTES (8u << 20) /* a power of two */
#define RECORDER_OUT_BYTES  (256u << 10)
#define RECORDER_PAUSE_MS   20
#define RECORDER_SUFFIX     ".ndjson"

enum frame_kind { FRAME_RECORD, FRAME_TICK, FRAME_END };

struct frame { /* what stands in the ring; a record follows a FRAME_RECORD */
    uint32_t kind;
    uint32_t bytes; /* that follow, a multiple of 8 */
    int64_t tick_ms;
    uint64_t seq;     /* batch */
    uint64_t missing; /* signals that found no room just before this one */
    uint64_t hole;    /* 1: at least something did */
};

struct recorder {
    const struct config *config;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    uint8_t *ring;
    _Atomic uint64_t written, read; /* bytes, ever */

    /* main thread */
    uint64_t missing;
    bool hole;

    /* the thread */
    char folder[DATA_PATH_MAX];
    char path[DATA_PATH_MAX + 64];
    int fd; /* -1: no file is open */
    uint32_t number;
    uint64_t file_bytes, lost;
    bool begin;    /* the next line begins a file */
    bool separate; /* a batch has ended: the next record is another one's */
    bool failing;
    int64_t tick_ms;
    uint64_t out_signals;
    size_t out_bytes;
    char out[RECORDER_OUT_BYTES];
};

/* ---- main thread --------------------------------------------------------------------------------------------------- */

static void ring_copy_in(struct recorder *recorder, uint64_t at, const void *from, size_t bytes)
{
    size_t offset = at % RECORDER_RING_BYTES, first = RECORDER_RING_BYTES - offset;
    first = first < bytes ? first : bytes;
    memcpy(recorder->ring + offset, from, first);
    memcpy(recorder->ring, (const uint8_t *)from + first, bytes - first);
}

static void put(struct gateway *gateway, enum frame_kind kind, uint64_t seq, const uint8_t *record, size_t bytes)
{
    struct recorder *recorder = gateway->recorder;
    uint64_t written = atomic_load_explicit(&recorder->written, memory_order_relaxed);
    /* Acquire pairs with the reader's release in take(): it has done with the bytes that we write over. */
    uint64_t used = written - atomic_load_explicit(&recorder->read, memory_order_acquire);
    /* After a hole half the ring has to be free again: each hole costs a file, and room for a single frame would be the next one's. */
    uint64_t room = recorder->hole ? RECORDER_RING_BYTES / 2 : RECORDER_RING_BYTES;
    if (used + sizeof(struct frame) + bytes > room) {
        recorder->hole = true;
        recorder->missing += kind == FRAME_RECORD;
        metric_add(METRIC_record_missed_total, kind == FRAME_RECORD);
        return;
    }
    const struct frame frame = { .kind = kind,
                                 .bytes = (uint32_t)bytes,
                                 .tick_ms = gateway->clock.tick_ms,
                                 .seq = seq,
                                 .missing = recorder->missing,
                                 .hole = recorder->hole };
    ring_copy_in(recorder, written, &frame, sizeof frame);
    if (bytes > 0)
        ring_copy_in(recorder, written + sizeof frame, record, bytes);
    recorder->missing = 0;
    recorder->hole = false;
    /* Release pairs with the reader's acquire in take(): it sees a frame whole, or not at all. */
    atomic_store_explicit(&recorder->written, written + sizeof frame + bytes, memory_order_release);
}

void recorder_record(struct gateway *gateway, const uint8_t *record, size_t bytes)
{
    if (gateway->recorder != NULL)
        put(gateway, FRAME_RECORD, gateway->batch.seq, record, bytes);
}

void recorder_batch_end(struct gateway *gateway)
{
    if (gateway->recorder != NULL)
        put(gateway, FRAME_END, 0, NULL, 0);
}

void recorder_tick(struct gateway *gateway)
{
    if (gateway->recorder != NULL)
        put(gateway, FRAME_TICK, 0, NULL, 0);
}

/* ---- files --------------------------------------------------------------------------------------------------------- */

static int is_recording(const struct dirent *entry)
{
    size_t bytes = strlen(entry->d_name), suffix = sizeof RECORDER_SUFFIX - 1;
    return entry->d_name[0] >= '0' && entry->d_name[0] <= '9' && bytes > suffix &&
           strcmp(entry->d_name + bytes - suffix, RECORDER_SUFFIX) == 0;
}

/* Names begin with a time of 13 digits: their order is that of the recordings. */
static void drop_oldest(const struct recorder *recorder, uint32_t keep)
{
    struct dirent **name;
    char path[DATA_PATH_MAX + 300];
    int count = scandir(recorder->folder, &name, is_recording, alphasort);
    for (int i = 0; i < count; i++) {
        if ((uint32_t)(count - i) > keep) {
            (void)snprintf(path, sizeof path, "%s/%s", recorder->folder, name[i]->d_name);
            if (unlink(path) == 0)
                metric_add(METRIC_record_files_dropped_total, 1);
        }
        free(name[i]);
    }
    if (count >= 0)
        free(name);
}

static void failed(struct recorder *recorder, const char *what)
{
    if (!recorder->failing)
        log_line(LOG_WARNING, "RECORD-FAILED", "what=%s file=%s reason=\"%s\"", what, recorder->path, strerror(errno));
    recorder->failing = true;
}

static bool file_open(struct recorder *recorder)
{
    drop_oldest(recorder, recorder->config->record_files_max - 1);
    (void)snprintf(recorder->path, sizeof recorder->path, "%s/%013" PRId64 "-%06u" RECORDER_SUFFIX, recorder->folder,
                   recorder->tick_ms, recorder->number++ % 1000000u);
    recorder->fd = open(recorder->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct stat info;
    if (recorder->fd == -1 || fstat(recorder->fd, &info) == -1) {
        failed(recorder, "open");
        return false;
    }
    recorder->file_bytes = (uint64_t)info.st_size; /* of a gateway that began at the very same tick */
    return true;
}

static void file_close(struct recorder *recorder)
{
    if (recorder->fd != -1)
        (void)close(recorder->fd);
    recorder->fd = -1;
}

/* What is gathered goes to the file, whole or not at all: half a line would be no recording. */
static void flush(struct recorder *recorder)
{
    if (recorder->out_bytes == 0)
        return;
    if ((recorder->fd != -1 || file_open(recorder)) && bytes_write(recorder->fd, recorder->out, recorder->out_bytes)) {
        recorder->file_bytes += recorder->out_bytes;
        recorder->failing = false;
        recorder->lost = 0; /* the file's first line has told them */
        metric_add(METRIC_recorded_signals_total, recorder->out_signals);
    } else {
        if (recorder->fd != -1) {
            failed(recorder, "write");
            (void)!ftruncate(recorder->fd, (off_t)recorder->file_bytes);
        }
        file_close(recorder);
        metric_add(METRIC_record_missed_total, recorder->out_signals);
        recorder->lost += recorder->out_signals;
        recorder->begin = true;
    }
    recorder->out_bytes = 0;
    recorder->out_signals = 0;
}

/* ---- lines --------------------------------------------------------------------------------------------------------- */

static void add_line(struct recorder *recorder, const char *text, size_t bytes)
{
    if (recorder->out_bytes + bytes > sizeof recorder->out)
        flush(recorder);
    memcpy(recorder->out + recorder->out_bytes, text, bytes);
    recorder->out_bytes += bytes;
}

static void tick_line(struct recorder *recorder, int64_t tick_ms)
{
    char text[128];
    if (recorder->file_bytes + recorder->out_bytes >= recorder->config->record_file_bytes_max) {
        flush(recorder);
        file_close(recorder);
        recorder->file_bytes = 0;
    }
    recorder->tick_ms = tick_ms;
    recorder->separate = false;
    int bytes = snprintf(text, sizeof text, "{\"control\":\"tick\",\"time\":%" PRId64 "}\n", tick_ms);
    if (recorder->begin)
        bytes = snprintf(text, sizeof text, "{\"control\":\"tick\",\"time\":%" PRId64 ",\"missing\":%" PRIu64 "}\n",
                         tick_ms, recorder->lost);
    recorder->begin = false;
    add_line(recorder, text, (size_t)bytes);
}

static void signal_line(struct recorder *recorder, const struct frame *frame, const uint8_t *bytes)
{
    struct wire_record head;
    struct signal signal;
    char text[RECORD_LINE_MAX];
    size_t at = 0;
    if (!wire_record_decode(bytes, frame->bytes, &at, &head, &signal))
        return; /* we encoded it: it is one */
    size_t length = record_line(&head, &signal, frame->seq, text);
    if (recorder->begin || recorder->separate)
        tick_line(recorder, frame->tick_ms);
    add_line(recorder, text, length);
    recorder->out_signals++;
}

/* Something was left out before this: it is the beginning of another file. */
static void begin_after(struct recorder *recorder, uint64_t missing)
{
    flush(recorder);
    file_close(recorder);
    recorder->file_bytes = 0;
    recorder->begin = true;
    recorder->lost += missing;
    log_line(LOG_WARNING, "RECORD-HOLE", "missing=%" PRIu64, missing);
}

static void ring_copy_out(const struct recorder *recorder, uint64_t at, void *to, size_t bytes)
{
    size_t offset = at % RECORDER_RING_BYTES, first = RECORDER_RING_BYTES - offset;
    first = first < bytes ? first : bytes;
    memcpy(to, recorder->ring + offset, first);
    memcpy((uint8_t *)to + first, recorder->ring, bytes - first);
}

/* The next frame. False: there is none. */
static bool take(struct recorder *recorder)
{
    uint64_t record[WIRE_RECORD_MAX / sizeof(uint64_t)],
        at = atomic_load_explicit(&recorder->read, memory_order_relaxed);
    struct frame frame;
    if (atomic_load_explicit(&recorder->written, memory_order_acquire) == at)
        return false;
    ring_copy_out(recorder, at, &frame, sizeof frame);
    ring_copy_out(recorder, at + sizeof frame, record, frame.bytes);
    atomic_store_explicit(&recorder->read, at + sizeof frame + frame.bytes, memory_order_release);
    if (frame.hole)
        begin_after(recorder, frame.missing);
    if (frame.kind == FRAME_TICK)
        tick_line(recorder, frame.tick_ms);
    else if (frame.kind == FRAME_RECORD)
        signal_line(recorder, &frame, (const uint8_t *)record);
    else
        recorder->separate = true;
    return true;
}

static void *recorder_thread(void *argument)
{
    struct recorder *recorder = argument;
    for (;;) {
        bool stopping = atomic_load(&recorder->stopping); /* before the last look */
        while (take(recorder))
            ;
        flush(recorder);
        if (stopping)
            break;
        (void)nanosleep(&(struct timespec){ 0, RECORDER_PAUSE_MS * 1000000L }, NULL);
    }
    file_close(recorder);
    return NULL;
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

bool recorder_setup(struct gateway *gateway)
{
    if (gateway->config->record_files_max == 0)
        return true;
    struct recorder *recorder = calloc(1, sizeof *recorder);
    if (recorder == NULL)
        return false;
    recorder->config = gateway->config;
    recorder->fd = -1;
    recorder->begin = true;
    recorder->ring = malloc(RECORDER_RING_BYTES);
    data_path(gateway->config, "recordings", recorder->folder);
    gateway->recorder = recorder;
    if (recorder->ring == NULL || (mkdir(recorder->folder, 0700) == -1 && errno != EEXIST)) {
        log_line(LOG_ERROR, "RECORD-FAILED", "what=setup file=%s reason=\"%s\"", recorder->folder, strerror(errno));
        return false;
    }
    recorder->started = pthread_create(&recorder->thread, NULL, recorder_thread, recorder) == 0;
    return recorder->started;
}

void recorder_teardown(struct gateway *gateway)
{
    struct recorder *recorder = gateway->recorder;
    if (recorder == NULL)
        return;
    if (recorder->started) {
        atomic_store(&recorder->stopping, true);
        (void)pthread_join(recorder->thread, NULL);
    }
    free(recorder->ring);
    free(recorder);
    gateway->recorder = NULL;
}
