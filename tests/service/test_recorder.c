/* test_recorder.c - recordings when signals come faster than they can be written: what is missing is in holes that are few. */
#include "service/gateway.h"
#include "service/metrics.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING_BYTES (8u << 20) /* as gateway_recorder.c has it */
#define SIGNALS    300000u

struct folder {
    uint32_t files;
    uint64_t lines, missing;
};

/* Counts what is in there, and takes it away. */
static struct folder emptied(const char *path)
{
    struct folder found = { 0 };
    char file[CONFIG_TEXT_MAX + 300], line[RIALTO_ID_MAX + 1024];
    DIR *dir = opendir(path);
    cr_assert_not_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        FILE *in = fopen(file, "r");
        cr_assert_not_null(in);
        while (fgets(line, sizeof line, in) != NULL) {
            const char *missing = strstr(line, "\"missing\":");
            found.missing += missing == NULL ? 0 : strtoull(missing + strlen("\"missing\":"), NULL, 10);
            found.lines += strstr(line, "\"type\":") != NULL;
        }
        (void)fclose(in);
        cr_assert_eq(unlink(file), 0);
        found.files++;
    }
    (void)closedir(dir);
    return found;
}

static size_t demand_encoded(uint8_t ret[WIRE_RECORD_MAX])
{
    struct signal signal = { .type = SIGNAL_demand, .time_ms = INT64_C(1767225600000) };
    (void)snprintf(signal.sku, sizeof signal.sku, "A");
    signal.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_event;
    return wire_record_encode(&signal, PART_PRODUCT, 1, 7, 0xfedc, 0, ret);
}

static struct config config = { .record_files_max = 10000, .record_file_bytes_max = 4000000000u };
static char recordings[CONFIG_TEXT_MAX + 32];

static struct gateway *recording_begins(void)
{
    struct gateway *gateway = calloc(1, sizeof *gateway);
    cr_assert_not_null(gateway);
    (void)snprintf(config.data_dir, sizeof config.data_dir, "/tmp/rialto-recorder.XXXXXX");
    cr_assert_not_null(mkdtemp(config.data_dir));
    (void)snprintf(recordings, sizeof recordings, "%s/recordings", config.data_dir);
    gateway->config = &config;
    gateway->clock.tick_ms = INT64_C(1767225600000);
    cr_assert(recorder_setup(gateway));
    return gateway;
}

static struct folder recording_ends(struct gateway *gateway)
{
    recorder_teardown(gateway);
    struct folder found = emptied(recordings);
    (void)rmdir(recordings);
    (void)rmdir(config.data_dir);
    free(gateway);
    return found;
}

/* Goal: a file for each hole is a file for each half of the ring that was written, not for each signal that found a little room.
 * Else recordings of hours are dropped for recordings of one signal each, and looking for the oldest takes all the time that
 * writing them would have needed. */
Test(recorder, signals_that_come_too_fast_leave_few_holes, .timeout = 60)
{
    struct gateway *gateway = recording_begins();
    uint8_t record[WIRE_RECORD_MAX];
    size_t bytes = demand_encoded(record);
    recorder_tick(gateway);
    for (uint32_t i = 0; i < SIGNALS; i++)
        recorder_record(gateway, record, bytes);
    struct folder found = recording_ends(gateway);
    uint64_t frames = (uint64_t)SIGNALS * (bytes + 64); /* more than they need */
    cr_assert_leq(found.files, 1 + frames / (RING_BYTES / 2), "%u files of %llu lines, %llu missing", found.files,
                  (unsigned long long)found.lines, (unsigned long long)found.missing);
    cr_assert_gt(found.lines, RING_BYTES / 2 / (bytes + 64), "what had room is on record");
    cr_assert_leq(found.lines + found.missing, SIGNALS);
}

static void wait_for_missed(uint64_t missed)
{
    while (atomic_load(&metrics_own->word[METRIC_record_missed_total]) != missed)
        (void)usleep(1000); /* the test's own time-out ends it */
}

/* Goal: what cannot be written for a while is missing by its whole number in the file that follows, not by the number since the
 * last attempt. */
Test(recorder, all_that_could_not_be_written_is_missing_in_the_next_file, .timeout = 60)
{
    struct gateway *gateway = recording_begins();
    uint8_t record[WIRE_RECORD_MAX];
    size_t bytes = demand_encoded(record);
    cr_assert_eq(rmdir(recordings), 0);
    recorder_tick(gateway);
    for (uint64_t missed = 1; missed <= 3; missed++) {
        recorder_record(gateway, record, bytes);
        wait_for_missed(missed);
    }
    cr_assert_eq(mkdir(recordings, 0700), 0);
    recorder_record(gateway, record, bytes);
    struct folder found = recording_ends(gateway);
    cr_assert_eq(found.lines, 1);
    cr_assert_eq(found.missing, 3, "%llu are missing", (unsigned long long)found.missing);
}
