/* test_silence.c - when nobody priced, as it is written down and read: against a list of all silences that were made. */
#include "service/silence.h"

#include "service/worker.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OFFSET   INT64_C(1790000000000)
#define SILENCES 3000u
#define EVERY_MS INT64_C(60000)

static struct config config;
static struct rialto_control control;
static struct worker *worker;

static void setup(void)
{
    (void)snprintf(config.data_dir, sizeof config.data_dir, "/tmp/silence.XXXXXX");
    cr_assert_not_null(mkdtemp(config.data_dir));
    config.journal_days = 35;
    config.stale_after_ms = 5000;
    config.workers = 2;
    control.stale_after_ms = config.stale_after_ms;
    atomic_store(&control.clock_offset_ms, OFFSET);
    worker = calloc(1, sizeof *worker);
    cr_assert_not_null(worker);
    worker->models = calloc(1, sizeof *worker->models + sizeof worker->models->model[0]);
    cr_assert_not_null(worker->models);
    worker->models->count = 1;
    worker->models->model[0].stale_limit_s = 3600;
    worker->config = &config;
    worker->control = &control;
    worker->index = 1;
}

static void teardown(void)
{
    char path[sizeof config.data_dir + 32];
    (void)snprintf(path, sizeof path, "%s/silence.1.ndjson", config.data_dir);
    (void)unlink(path);
    (void)rmdir(config.data_dir);
    free(worker->models);
    free(worker);
}

static void beat(int64_t mono_ms)
{
    worker->tick_ms = OFFSET + mono_ms - mono_ms % 100;
    silence_beat(worker, mono_ms);
}

static uint32_t silences(uint32_t partition, int64_t from_mono, int64_t to_mono, struct silence ret[SILENCES_MAX])
{
    uint32_t count = 0;
    cr_assert(silence_read(&config, partition, (struct silence){ OFFSET + from_mono, OFFSET + to_mono }, &count, ret));
    return count;
}

TestSuite(silence, .init = setup, .fini = teardown);

/* Goal: what is longer than quotes take to be stale is told, of the worker's own partitions, and nothing else. */
Test(silence, is_told_when_quotes_were_stale)
{
    struct silence found[SILENCES_MAX];
    beat(1000);
    beat(6000); /* exactly as long as a quote is fresh */
    cr_expect_eq(silences(1, 0, 100000, found), 0);
    beat(11001);
    cr_assert_eq(silences(1, 0, 100000, found), 1);
    cr_expect_eq(found[0].from_ms, OFFSET + 6000);
    cr_expect_eq(found[0].to_ms, OFFSET + 11001);
    cr_expect_eq(silences(2, 0, 100000, found), 0, "another worker's");
    cr_expect_eq(silences(1, 0, 6000, found), 0, "before it");
    cr_expect_eq(silences(1, 11001, 100000, found), 0, "after it");
    worker->models->model[0].stale_limit_s = 1; /* past this a quote is at list price */
    beat(12500);
    cr_assert_eq(silences(1, 0, 100000, found), 2);
    config.journal_days = 0;
    beat(100000);
    cr_expect_eq(silences(1, 0, 1000000, found), 2, "without a journal nobody asks");
}

/* Goal: a successor tells the silence of who had its partitions; after a boot, which nobody's heart is of, how far the state had come. */
Test(silence, goes_on_over_a_death)
{
    struct silence found[SILENCES_MAX];
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        atomic_store(&control.heartbeat[p].beat_mono_ms, p % 2 == 1 ? 1 : 0); /* of this boot, long ago */
        atomic_store(&control.heartbeat[p].tick_ms, OFFSET);
    }
    worker->tick_ms = OFFSET;
    silence_setup(worker);
    silence_beat(worker, 9000);
    cr_assert_eq(silences(3, 0, 100000, found), 1);
    cr_expect_eq(found[0].from_ms, OFFSET);
    cr_expect_eq(found[0].to_ms, OFFSET + 9000);

    atomic_store(&control.heartbeat[1].beat_mono_ms, 0);
    worker->tick_ms = OFFSET + 20000;
    silence_setup(worker);
    silence_beat(worker, 50000);
    cr_assert_eq(silences(3, 0, 100000, found), 2);
    cr_expect_eq(found[1].from_ms, OFFSET + 20000);
    cr_expect_eq(found[1].to_ms, OFFSET + 50000);

    worker->tick_ms = 0; /* nothing was ever known */
    silence_setup(worker);
    silence_beat(worker, 90000);
    cr_expect_eq(silences(3, 0, 100000, found), 2);
}

/* Goal: the file is bounded, and what was told in it stays told. */
Test(silence, what_was_told_stays_told)
{
    char path[sizeof config.data_dir + 32];
    struct silence found[SILENCES_MAX];
    struct stat info;
    (void)snprintf(path, sizeof path, "%s/silence.1.ndjson", config.data_dir);
    for (uint32_t i = 0; i < SILENCES; i++) {
        beat(i * EVERY_MS + 1000);
        for (int64_t t = 2000; t <= 50000; t += 1000)
            beat(i * EVERY_MS + t);
    }
    cr_assert_eq(stat(path, &info), 0);
    cr_expect_lt(info.st_size, (1 << 16) + 200);
    for (uint32_t i = 1; i < SILENCES; i += 37) { /* each lasted from 50 s to 61 s */
        cr_expect_eq(silences(1, i * EVERY_MS - 10000, i * EVERY_MS + 1000, found), 1, "%u", i);
        cr_expect_eq(found[0].to_ms - found[0].from_ms, 11000);
    }
    int64_t last = (SILENCES - 1) * EVERY_MS;
    cr_expect_eq(silences(1, last + 1000, last + 50000, found), 0, "newer ones are told as they were");
    cr_expect_eq(silences(1, 0, SILENCES * EVERY_MS, found), SILENCES_MAX);
    cr_expect_eq(found[SILENCES_MAX - 1].to_ms, OFFSET + last + 1000, "none is left out where there is no room");
}

/* Goal: a file that is not what was written is no reason to say that there was nothing. */
Test(silence, a_damaged_file_is_told)
{
    char path[sizeof config.data_dir + 32];
    struct silence found[SILENCES_MAX];
    static const char *const damaged[] = { "{\"worker\":1,\"workers\":2,\"from_ms\":5,\"to_", "{}\n", "\n",
                                           "{\"worker\":2,\"workers\":2,\"from_ms\":5,\"to_ms\":9}\n",
                                           "{\"worker\":1,\"workers\":2,\"from_ms\":9,\"to_ms\":5}\n" };
    (void)snprintf(path, sizeof path, "%s/silence.1.ndjson", config.data_dir);
    for (unsigned i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        FILE *file = fopen(path, "we");
        cr_assert_not_null(file);
        (void)fputs(damaged[i], file);
        (void)fclose(file);
        uint32_t count = 0;
        cr_expect(!silence_read(&config, 1, (struct silence){ 0, 100 }, &count, found), "%u", i);
    }
}
