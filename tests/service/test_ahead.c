/* Goal: pages are made writable before their owner writes to them, without a change of what is in them, so far ahead and no further. */
#include "service/ahead.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define STEPS      6u
#define STEP_PAGES 600u /* more than a slice */
#define WAIT_MS    20000u

static size_t page;
static char *file;

static void setup(void)
{
    char path[] = "/tmp/rialto-ahead-XXXXXX";
    page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = STEPS * STEP_PAGES * page;
    int fd = mkstemp(path);
    cr_assert_neq(fd, -1);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(posix_fallocate(fd, 0, (off_t)bytes), 0);
    file = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq(file, MAP_FAILED);
    (void)close(fd);
    if (!ahead_make_writable((struct pages){ file, 1 }))
        cr_skip_test("this kernel does not make pages writable beforehand");
}

static void teardown(void)
{
    (void)munmap(file, STEPS * STEP_PAGES * page);
}

TestSuite(ahead, .init = setup, .fini = teardown);

static char *step_at(uint32_t step)
{
    return file + (size_t)step * STEP_PAGES * page;
}

/* Bit 63: the page is mapped (Documentation/admin-guide/mm/pagemap.rst). */
static uint32_t count_mapped(uint32_t step)
{
    static uint64_t entry[STEP_PAGES];
    uint32_t count = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    cr_assert_neq(fd, -1);
    cr_assert_eq(pread(fd, entry, sizeof entry, (off_t)((uintptr_t)step_at(step) / page * sizeof *entry)),
                 (ssize_t)sizeof entry);
    (void)close(fd);
    for (uint32_t i = 0; i < STEP_PAGES; i++)
        count += (uint32_t)(entry[i] >> 63);
    return count;
}

static bool is_mapped_in_time(uint32_t step)
{
    uint32_t ms = 0;
    while (count_mapped(step) < STEP_PAGES && ++ms < WAIT_MS)
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    return ms < WAIT_MS;
}

/* What a sanitizer looks at meanwhile is memory of its own, with faults of its own. */
static __attribute__((no_sanitize("address"))) long faults_of_writing(uint32_t step)
{
    struct rusage before, after;
    cr_assert_eq(getrusage(RUSAGE_THREAD, &before), 0);
    for (uint32_t i = 0; i < STEP_PAGES; i++)
        *(volatile char *)(step_at(step) + i * page) = 1;
    cr_assert_eq(getrusage(RUSAGE_THREAD, &after), 0);
    return after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt;
}

static struct ahead *begin(void)
{
    struct ahead_step step[STEPS];
    memset(step, 0, sizeof step);
    for (uint32_t i = 0; i < STEPS; i++) { /* of two parts, the second of which begins and ends within pages */
        step[i].part[0] = (struct pages){ step_at(i), page };
        step[i].part[2] = (struct pages){ step_at(i) + page + 40, (STEP_PAGES - 1) * page - 80 };
    }
    struct ahead *ahead = ahead_start(step, STEPS);
    cr_assert_not_null(ahead);
    return ahead;
}

Test(ahead, what_comes_next_is_written_without_a_fault)
{
    struct ahead *ahead = begin();
    cr_assert(is_mapped_in_time(1));
    cr_assert(is_mapped_in_time(AHEAD_STEPS));
    cr_expect_eq(faults_of_writing(1), 0);
    cr_expect_eq(faults_of_writing(AHEAD_STEPS), 0);
    ahead_end(ahead);
    cr_expect_gt(faults_of_writing(STEPS - 1), 0, "or the test would see none anywhere");
}

Test(ahead, it_goes_no_further_than_it_may)
{
    struct ahead *ahead = begin();
    cr_assert(is_mapped_in_time(AHEAD_STEPS));
    cr_expect_eq(count_mapped(AHEAD_STEPS + 1), 0);
    ahead_next(ahead);
    cr_expect(is_mapped_in_time(AHEAD_STEPS + 1));
    cr_expect_eq(count_mapped(AHEAD_STEPS + 2), 0);
    cr_expect_eq(count_mapped(0), 1, "the step that its owner is in, of which this test tried the first page");
    ahead_end(ahead);
}

Test(ahead, pages_that_were_written_to_disk_are_writable_again_and_unchanged)
{
    memset(step_at(1), 'x', STEP_PAGES * page);
    cr_assert_eq(msync(file, STEPS * STEP_PAGES * page, MS_SYNC), 0);
    cr_assert(ahead_make_writable((struct pages){ step_at(1), STEP_PAGES * page }));
    for (size_t i = 0; i < STEP_PAGES * page; i++)
        cr_assert_eq(step_at(1)[i], 'x');
    cr_expect_eq(faults_of_writing(1), 0);
}

Test(ahead, it_ends_at_any_time)
{
    for (uint32_t steps = 0; steps <= STEPS + 1; steps++) {
        struct ahead *ahead = begin();
        for (uint32_t i = 0; i < steps; i++)
            ahead_next(ahead);
        ahead_end(ahead);
    }
    ahead_next(NULL);
    ahead_end(NULL);
}
