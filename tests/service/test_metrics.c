/* test_metrics.c - what processes count survives their restart, and starts anew with the service. */
#include "service/metrics.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void setup(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/rialto-metrics.XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void teardown(void)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/metrics.v3", folder);
    (void)unlink(path);
    cr_assert_eq(rmdir(folder), 0, "nothing else is left in the folder");
}

TestSuite(metrics, .init = setup, .fini = teardown);

static uint64_t value(const struct metrics_file *file, uint32_t block, enum metric metric)
{
    return atomic_load(&file->block[block].word[metric]);
}

Test(metrics, a_restarted_process_goes_on_counting_and_its_gauges_start_anew)
{
    cr_assert_eq(metrics_create(folder, -1), RIALTO_OK);
    const struct metrics_file *file = metrics_read(folder);
    cr_assert_not_null(file);
    cr_assert_eq(metrics_open(folder, 2, "worker.0"), RIALTO_OK);
    metric_add(METRIC_batches_applied_total, 5);
    metric_set(METRIC_tick_ms, 77);
    cr_assert_str_eq(file->block[2].who, "worker.0");
    cr_assert_eq(value(file, 2, METRIC_restarts_total), 0);

    cr_assert_eq(metrics_open(folder, 2, "worker.0"), RIALTO_OK);
    cr_assert_eq(value(file, 2, METRIC_restarts_total), 1);
    cr_assert_eq(value(file, 2, METRIC_batches_applied_total), 5);
    cr_assert_eq(value(file, 2, METRIC_tick_ms), 0, "readiness must not be inherited");
    cr_assert_eq(value(file, 2, METRIC_pid), (uint64_t)getpid());
}

Test(metrics, a_new_start_of_the_service_empties_the_file_that_readers_hold)
{
    cr_assert_eq(metrics_create(folder, -1), RIALTO_OK);
    const struct metrics_file *file = metrics_read(folder);
    cr_assert_eq(metrics_open(folder, 1, "gateway"), RIALTO_OK);
    metric_add(METRIC_signals_received_total, 9);
    cr_assert_eq(metrics_create(folder, -1), RIALTO_OK);
    cr_assert_eq(value(file, 1, METRIC_signals_received_total), 0);
    cr_assert_eq(file->block[1].who[0], '\0');
}

Test(metrics, what_was_counted_before_opening_is_kept)
{
    metric_add(METRIC_messages_received_total, 3);
    cr_assert_eq(metrics_create(folder, -1), RIALTO_OK);
    cr_assert_eq(metrics_open(folder, 1, "gateway"), RIALTO_OK);
    cr_assert_eq(value(metrics_read(folder), 1, METRIC_messages_received_total), 3);
}

Test(metrics, a_file_of_another_build_is_replaced_and_not_read)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/metrics.v3", folder);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    for (int i = 0; i < 200000; i++)
        (void)fputc(i, file);
    (void)fclose(file);
    cr_assert_null(metrics_read(folder));
    cr_assert_eq(metrics_open(folder, 1, "gateway"), RIALTO_OTHER_LAYOUT);
    cr_assert_eq(metrics_create(folder, -1), RIALTO_OK);
    cr_assert_not_null(metrics_read(folder));
    struct stat info;
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_mode & 07777, 0640);
}

Test(metrics, a_time_is_counted_in_the_first_bucket_whose_bound_it_does_not_exceed_and_survives_a_restart)
{
    cr_assert_eq(metrics_create(folder, -1), RIALTO_OK);
    cr_assert_eq(metrics_open(folder, 2, "worker.0"), RIALTO_OK);
    static const int64_t times[] = { -1, 0, 100, 101, 250, 10000000, 10000001, INT64_MAX / 2 };
    for (size_t i = 0; i < sizeof times / sizeof times[0] - 1; i++)
        histogram_add(HISTOGRAM_batch, times[i]);
    cr_assert_eq(metrics_open(folder, 2, "worker.0"), RIALTO_OK);
    const struct metrics_histogram *h = &metrics_read(folder)->block[2].histogram[HISTOGRAM_batch];
    cr_assert_eq(atomic_load(&h->bucket[0]), 3u);
    cr_assert_eq(atomic_load(&h->bucket[1]), 2u);
    cr_assert_eq(atomic_load(&h->bucket[HISTOGRAM_BUCKETS - 2]), 1u);
    cr_assert_eq(atomic_load(&h->bucket[HISTOGRAM_BUCKETS - 1]), 1u);
    cr_assert_eq(atomic_load(&h->sum_us), 100u + 101u + 250u + 10000000u + 10000001u);
    cr_assert_eq(histogram_bound_us(0), 100u);
    cr_assert_eq(histogram_bound_us(HISTOGRAM_BUCKETS - 1), UINT64_MAX);
    histogram_add(HISTOGRAM_batch, times[7]);
    cr_assert_eq(atomic_load(&h->bucket[HISTOGRAM_BUCKETS - 1]), 2u);
    cr_assert_eq(metrics_create(folder, -1), RIALTO_OK);
    cr_assert_eq(atomic_load(&h->bucket[0]), 0u, "a new start of the service empties it");
}

Test(metrics, every_metric_has_a_name_a_unit_and_a_text)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    metrics_describe(out);
    (void)fclose(out);
    for (int m = 0; m < METRIC_COUNT; m++) {
        const char *name = metric_name((enum metric)m);
        char row[256];
        (void)snprintf(row, sizeof row, "| `%s` | %s | %s | %s |\n", name,
                       strstr(name, "_total") != NULL ? "counter" : "gauge", metric_unit((enum metric)m),
                       metric_text((enum metric)m));
        cr_assert_not_null(strstr(text, row), "%s", name);
    }
    free(text);
    cr_assert_eq(metrics_create(folder, -1), RIALTO_OK); /* for the teardown */
}
