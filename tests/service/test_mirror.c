/* test_mirror.c - a worker of a few hundred records, its mirror, and a real redis-server that is treated badly.
 *
 * The worker changes and deletes records at random, one commit a batch, and answers sweeps as service/persist.c does.
 * At the end of each test Redis must hold exactly the worker's records. */
#include "cache/keys.h"
#include "service/metrics.h"
#include "service/mirror.h"
#include "tests/service/redis_fixture.h"

#include <inttypes.h>
#include <stdatomic.h>

#define RECORDS 600u
#define SLICE   100u
#define WAIT_MS 15000

struct record {
    struct rialto_key key;
    uint32_t partition; /* MIRROR_COMMON for some */
    uint64_t seq;       /* of its last change */
    bool there;
};

struct world {
    struct redis_fixture redis;
    struct mirror *mirror;
    struct record record[RECORDS];
    uint64_t applied, deleted[RIALTO_PARTITIONS + 1];
    uint64_t random;
    struct {
        bool running;
        uint32_t partition, index;
        uint64_t mark;
    } sweep;
    _Atomic uint64_t durable_told;
    uint32_t sweeps;
};

static uint64_t next_random(struct world *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

static void on_durable(void *user, uint64_t seq, bool disk)
{
    struct world *w = user;
    cr_assert_not(disk, "everysec is not disk");
    cr_assert_gt(seq, atomic_load(&w->durable_told), "durable goes forward only");
    atomic_store(&w->durable_told, seq);
}

static void on_wake(void *user)
{
    (void)user;
}

static const struct mirror_hooks *hooks_of(struct world *w)
{
    static struct mirror_hooks hooks;
    hooks = (struct mirror_hooks){ .user = w, .durable = on_durable, .wake = on_wake };
    return &hooks;
}

static void world_setup(struct world *w)
{
    memset(w, 0, sizeof *w);
    w->random = 88172645463325252u;
    for (uint32_t i = 0; i < RECORDS; i++) {
        uint64_t partition = i % 8; /* few partitions: their sweeps meet their commits */
        w->record[i].key = (struct rialto_key){ .lo = i + 1, .hi = partition << 58 | i };
        w->record[i].partition = i % 10 == 9 ? MIRROR_COMMON : (uint32_t)partition;
    }
    redis_fixture_setup(&w->redis);
    cr_assert_eq(mirror_start(&w->redis.config, 0, hooks_of(w), &w->mirror), RIALTO_OK);
}

static void world_teardown(struct world *w)
{
    mirror_stop(w->mirror);
    redis_fixture_teardown(&w->redis);
}

/* ---- the worker ------------------------------------------------------------------------------------------------- */

static void put(struct world *w, const struct record *record)
{
    char value[64];
    int length = snprintf(value, sizeof value, "%" PRIu64 "-%" PRIu64, record->key.lo, record->seq);
    mirror_put(w->mirror, record->partition, 'c', record->key, value, record->there ? (size_t)length : 0);
}

static uint32_t id_partition(uint64_t seq)
{
    return seq % 10 == 9 ? MIRROR_COMMON : (uint32_t)(seq % 8);
}

static void batch(struct world *w, uint32_t changes)
{
    w->applied++;
    for (uint32_t n = 0; n < changes; n++) {
        struct record *record = &w->record[next_random(w) % RECORDS];
        bool delete = record->there && next_random(w) % 8 == 0;
        record->there = !delete;
        record->seq = w->applied;
        if (delete)
            w->deleted[record->partition] = w->applied;
        put(w, record);
    }
    /* An id a batch: its word is the batch's number. */
    mirror_put_ids(w->mirror, id_partition(w->applied), 1, false, &w->applied, 1);
    (void)mirror_commit(w->mirror, w->applied);
}

/* A batch that changes one record of the partition, so often that it fills a flush: the next batch comes in another one. */
static void change_in(struct world *w, uint32_t partition)
{
    uint32_t i = 0;
    while (w->record[i].partition != partition)
        i++;
    w->applied++;
    w->record[i].there = true;
    w->record[i].seq = w->applied;
    for (int n = 0; n < 20000; n++)
        put(w, &w->record[i]);
    mirror_put_ids(w->mirror, id_partition(w->applied), 1, false, &w->applied, 1);
    (void)mirror_commit(w->mirror, w->applied);
}

static void put_all_ids(struct world *w, uint32_t partition)
{
    static uint64_t word[16384];
    size_t count = 0;
    for (uint64_t seq = 1; seq <= w->applied && count < 16384; seq++)
        if (id_partition(seq) == partition)
            word[count++] = seq;
    mirror_put_ids(w->mirror, partition, 0, true, NULL, 0);
    mirror_put_ids(w->mirror, partition, 1, true, word, count);
}

static void sweep_begin(struct world *w)
{
    if (!mirror_wanted(w->mirror, &w->sweep.partition, &w->sweep.mark))
        return;
    w->sweep.running = true;
    w->sweep.index = 0;
    w->sweeps++;
    bool clean = w->deleted[w->sweep.partition] > w->sweep.mark || w->sweep.mark > w->applied;
    if (clean)
        w->sweep.mark = 0;
    mirror_sweep_begins(w->mirror, w->sweep.partition, clean);
    put_all_ids(w, w->sweep.partition);
}

static void sweep_slice(struct world *w)
{
    if (!w->sweep.running)
        sweep_begin(w);
    if (!w->sweep.running)
        return;
    for (uint32_t looked = 0; looked < SLICE && w->sweep.index < RECORDS; looked++, w->sweep.index++) {
        const struct record *record = &w->record[w->sweep.index];
        if (record->partition == w->sweep.partition && record->there && record->seq > w->sweep.mark)
            put(w, record);
    }
    if (!mirror_commit(w->mirror, w->applied)) {
        w->sweep.running = false;
    } else if (w->sweep.index == RECORDS) {
        w->sweep.running = false;
        mirror_swept(w->mirror, w->sweep.partition, w->applied);
    }
}

static void run(struct world *w, uint32_t batches, int64_t pause_ms)
{
    for (uint32_t b = 0; b < batches; b++) {
        batch(w, 5);
        sweep_slice(w);
        if (pause_ms > 0)
            test_sleep(pause_ms);
    }
}

/* ---- what must hold at the end ---------------------------------------------------------------------------------- */

static void settle(struct world *w)
{
    int64_t limit = test_ms() + WAIT_MS;
    while (mirror_durable(w->mirror) < w->applied && test_ms() < limit) {
        sweep_slice(w);
        (void)mirror_commit(w->mirror, w->applied);
        test_sleep(1);
    }
    cr_assert_eq(mirror_durable(w->mirror), w->applied, "durable %" PRIu64 " of %" PRIu64, mirror_durable(w->mirror),
                 w->applied);
}

struct loading {
    struct world *w;
    uint32_t partition, loaded;
    uint64_t ids, newest_id;
    uint64_t at_least; /* changes up to here must be there */
};

/* In order, each once: what a sweep writes begins the generation anew. */
static void on_ids(struct loading *loading, const void *value, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, (const char *)value + at, sizeof word);
        cr_assert_gt(word, loading->newest_id);
        cr_assert_leq(word, loading->w->applied);
        cr_assert_eq(id_partition(word), loading->partition);
        loading->newest_id = word;
        loading->ids += word <= loading->at_least;
    }
}

static void on_record(void *user, char kind, struct rialto_key key, const void *value, size_t bytes)
{
    struct loading *loading = user;
    char text[64] = "";
    if (kind == MIRROR_KIND_IDS) {
        on_ids(loading, value, bytes);
        return;
    }
    cr_assert_eq(kind, 'c');
    cr_assert(key.lo >= 1 && key.lo <= RECORDS);
    const struct record *record = &loading->w->record[key.lo - 1];
    cr_assert(key_equal(record->key, key) && record->partition == loading->partition);
    cr_assert_lt(bytes, sizeof text);
    memcpy(text, value, bytes);
    uint64_t id = 0, seq = 0;
    cr_assert_eq(sscanf(text, "%" SCNu64 "-%" SCNu64, &id, &seq), 2);
    cr_assert_eq(id, key.lo);
    cr_assert_leq(seq, record->seq);
    if (record->seq <= loading->at_least) {
        cr_assert(record->there, "record %u was deleted in %" PRIu64, (unsigned)key.lo, record->seq);
        cr_assert_eq(seq, record->seq, "record %u is old: %" PRIu64 " for %" PRIu64, (unsigned)key.lo, seq,
                     record->seq);
        loading->loaded++;
    }
}

/* Redis holds every record whose last change is at most `at_least`, in that version, and none that was deleted by
 * then. */
static void check_redis(struct world *w, uint64_t at_least)
{
    for (uint32_t p = 0; p <= MIRROR_COMMON; p++) {
        struct loading loading = { .w = w, .partition = p, .at_least = at_least };
        uint64_t mark = 0;
        uint32_t expected = 0;
        if (p >= 8 && p != MIRROR_COMMON)
            continue;
        for (uint32_t i = 0; i < RECORDS; i++)
            expected += w->record[i].partition == p && w->record[i].there && w->record[i].seq <= at_least;
        cr_assert_eq(mirror_load(&w->redis.config, p, 2000, on_record, &loading, &mark), RIALTO_OK);
        uint64_t ids = 0;
        for (uint64_t seq = 1; seq <= at_least; seq++)
            ids += id_partition(seq) == p;
        cr_assert_eq(loading.ids, ids, "partition %u: %" PRIu64 " of %" PRIu64 " ids", p, loading.ids, ids);
        cr_assert_eq(loading.loaded, expected, "partition %u: %u of %u records", p, loading.loaded, expected);
    }
}

/* What was durable once stays told, even if Redis lost it since: only a new batch can claim that all is there now. */
static void settle_and_check(struct world *w)
{
    batch(w, 1);
    settle(w);
    check_redis(w, w->applied);
}

/* ---- tests ------------------------------------------------------------------------------------------------------ */

Test(mirror, what_is_durable_can_be_loaded_back)
{
    static struct world w;
    world_setup(&w);
    run(&w, 2000, 0);
    settle_and_check(&w);
    cr_assert_eq(atomic_load(&w.durable_told), w.applied);
    world_teardown(&w);
}

/* Goal: the mark never claims what a killed redis-server did not have: what was told durable is there when it comes
 * back. */
Test(mirror, a_killed_redis_keeps_what_was_durable_and_gets_the_rest, .timeout = 60)
{
    static struct world w;
    world_setup(&w);
    for (int round = 0; round < 6; round++) {
        run(&w, 200 + (uint32_t)(next_random(&w) % 200), round % 2);
        redis_fixture_end(&w.redis, SIGKILL);
        uint64_t durable = mirror_durable(w.mirror);
        run(&w, 100, 0);
        redis_fixture_start(&w.redis);
        if (round == 0)
            check_redis(&w, durable);
        run(&w, 100, 1);
    }
    cr_assert_gt(w.sweeps, 9);
    settle_and_check(&w);
    world_teardown(&w);
}

Test(mirror, an_emptied_redis_is_filled_again_though_the_link_stays, .timeout = 60)
{
    static struct world w;
    world_setup(&w);
    run(&w, 500, 0);
    settle(&w);
    for (int round = 0; round < 3; round++) {
        redisReply *reply = redis_do(&w.redis, "FLUSHALL");
        freeReplyObject(reply);
        run(&w, 200, 1); /* while it is busy */
    }
    settle_and_check(&w);
    world_teardown(&w);
}

Test(mirror, an_emptied_redis_is_noticed_without_traffic, .timeout = 60)
{
    static struct world w;
    world_setup(&w);
    run(&w, 300, 0);
    settle(&w);
    freeReplyObject(redis_do(&w.redis, "FLUSHALL"));
    uint32_t before = w.sweeps;
    int64_t limit = test_ms() + WAIT_MS;
    while (w.sweeps < before + 65 && test_ms() < limit) {
        sweep_slice(&w);
        test_sleep(1);
    }
    settle_and_check(&w);
    world_teardown(&w);
}

static void say(struct world *w, const char *format)
{
    char command[160];
    (void)snprintf(command, sizeof command, format, w->redis.config.redis_prefix);
    redisReply *reply = redis_do(&w->redis, command);
    cr_assert(reply != NULL && reply->type != REDIS_REPLY_ERROR, "%s", command);
    freeReplyObject(reply);
}

/* Goal: what somebody else writes under our names neither stops us nor is lost, and what we know stands in Redis again. */
Test(mirror, keys_that_were_written_over_are_put_aside_and_their_partitions_sent_again, .timeout = 60)
{
    static struct world w;
    world_setup(&w);
    run(&w, 500, 0);
    settle(&w);
    static const struct {
        const char *made, *moved, *aside;
    } ODD[] = {
        { "SET theirs it", "RENAME theirs %s:state:{p03}", "GET %s:state:{p03}:odd" },
        { "RPUSH theirs it", "RENAME theirs %s:mark:{p05}",
          NULL }, /* SET takes no offence at a type: who is first decides */
        { "HSET theirs what it", "RENAME theirs %s:ids:{p01}:1", "HGET %s:ids:{p01}:1:odd what" },
        { "SADD theirs it", "RENAME theirs %s:state:{common}", "SRANDMEMBER %s:state:{common}:odd" },
    };
    for (size_t i = 0; i < sizeof ODD / sizeof ODD[0]; i++) {
        say(&w, ODD[i].made);
        say(&w, ODD[i].moved);
        run(&w, 100, 1);
        settle_and_check(&w);
    }
    for (size_t i = 0; i < sizeof ODD / sizeof ODD[0]; i++) {
        char command[160];
        if (ODD[i].aside == NULL)
            continue;
        (void)snprintf(command, sizeof command, ODD[i].aside, w.redis.config.redis_prefix);
        redisReply *reply = redis_do(&w.redis, command);
        cr_assert(reply != NULL && reply->type == REDIS_REPLY_STRING, "%s", command);
        cr_assert_str_eq(reply->str, "it");
        freeReplyObject(reply);
    }
    world_teardown(&w);
}

/* Goal: a Redis restored from an old copy gets what it lacks, deletions included. */
Test(mirror, an_older_redis_is_brought_up, .timeout = 60)
{
    static struct world w;
    world_setup(&w);
    run(&w, 300, 0);
    settle(&w);
    redis_fixture_end(&w.redis, SIGTERM);
    cr_assert_eq(test_shell("cp -r '%s/appendonlydir' '%s/old'", w.redis.folder), 0);
    redis_fixture_start(&w.redis);
    run(&w, 300, 0);
    settle(&w);
    redis_fixture_end(&w.redis, SIGTERM);
    cr_assert_eq(test_shell("rm -r '%s/appendonlydir' && mv '%s/old' '%s/appendonlydir'", w.redis.folder), 0);
    redis_fixture_start(&w.redis);
    settle_and_check(&w);
    world_teardown(&w);
}

/* Goal: a mark is believed when it is the number of a batch, and nothing else: what came to stand there otherwise vouches for nothing,
 * ends no link, and never makes a worker believe that it has applied batches that are still to come. */
Test(mirror, a_damaged_mark_vouches_for_nothing_and_is_put_right, .timeout = 60)
{
    static struct world w;
    const char *const damaged[] = { "18446744073709551615", "-1", "abc", "99999999999999999999999",
                                    "4611686018427387905",  "" };
    world_setup(&w);
    run(&w, 300, 0);
    settle(&w);
    for (uint32_t p = 0; p < sizeof damaged / sizeof damaged[0]; p++) {
        char command[96];
        (void)snprintf(command, sizeof command, "SET %s:mark:{p%02u} %s", w.redis.config.redis_prefix, p,
                       damaged[p][0] != '\0' ? damaged[p] : "1\t2");
        freeReplyObject(redis_do(&w.redis, command));
        struct loading loading = { .w = &w, .partition = p };
        uint64_t mark = 99;
        cr_assert_eq(mirror_load(&w.redis.config, p, 2000, on_record, &loading, &mark), RIALTO_OK);
        cr_expect_eq(mark, 0, "%s: %" PRIu64, damaged[p], mark);
    }
    run(&w, 100, 1);
    settle_and_check(&w);
    for (uint32_t p = 0; p < sizeof damaged / sizeof damaged[0]; p++) {
        char command[96];
        (void)snprintf(command, sizeof command, "GET %s:mark:{p%02u}", w.redis.config.redis_prefix, p);
        redisReply *reply = redis_do(&w.redis, command);
        uint64_t mark = strtoull(reply->str, NULL, 10);
        cr_expect(mark > 300 && mark <= w.applied, "%s: %s", damaged[p], reply->str);
        freeReplyObject(reply);
    }
    world_teardown(&w);
}

/* Goal: what Redis refused is not vouched for by a mark that it took a moment later: a right, memory, or its being a master may come back
 * between two transactions. Here the second needs no right that is missing. */
Test(mirror, what_was_refused_is_sent_again_whatever_was_taken_behind_it, .timeout = 60)
{
    static struct world w;
    world_setup(&w);
    run(&w, 300, 0);
    settle(&w);
    for (int round = 0; round < 5; round++) {
        say(&w, "ACL SETUSER default -hset");
        (void)kill(w.redis.pid, SIGSTOP); /* nothing is refused before all is sent that may be */
        change_in(&w, id_partition(w.applied + 2));
        batch(&w, 0);
        test_sleep(50);
        (void)kill(w.redis.pid, SIGCONT);
        int64_t limit = test_ms() + WAIT_MS;
        while (mirror_up(w.mirror) && test_ms() < limit)
            test_sleep(1);
        cr_assert_not(mirror_up(w.mirror), "it was refused");
        say(&w, "ACL SETUSER default +hset");
        settle_and_check(&w);
    }
    world_teardown(&w);
}

/* Goal: a Redis that stands still costs memory up to mirror_bytes_max, then a sweep; never the worker's time. */
Test(mirror, a_stalled_redis_holds_nobody_up_and_catches_up, .timeout = 60)
{
    static struct world w;
    world_setup(&w);
    mirror_stop(w.mirror);
    w.redis.config.mirror_bytes_max = 65536;
    w.redis.config.redis_timeout_ms = 5000;
    cr_assert_eq(mirror_start(&w.redis.config, 0, hooks_of(&w), &w.mirror), RIALTO_OK);
    run(&w, 200, 0);
    settle(&w);
    (void)kill(w.redis.pid, SIGSTOP);
    int64_t before = test_ms();
    run(&w, 3000, 0);
    cr_assert_lt(test_ms() - before, 2000);
    cr_assert_lt(mirror_durable(w.mirror), w.applied);
    (void)kill(w.redis.pid, SIGCONT);
    settle_and_check(&w);
    world_teardown(&w);
}

/* Goal: a commit of a partition whose sweep is not over does not make Redis look complete. */
Test(mirror, a_sweep_that_is_cut_off_begins_again, .timeout = 60)
{
    static struct world w;
    world_setup(&w);
    run(&w, 300, 0);
    settle(&w);
    redis_fixture_end(&w.redis, SIGKILL);
    run(&w, 300, 0);
    redis_fixture_start(&w.redis);
    int64_t limit = test_ms() + WAIT_MS;
    while (!w.sweep.running && test_ms() < limit)
        sweep_begin(&w);
    cr_assert(w.sweep.running);
    for (int b = 0; b < 50; b++) { /* the sweep waits, the batches go on */
        batch(&w, 50);
        test_sleep(2);
    }
    redis_fixture_end(&w.redis, SIGKILL);
    redis_fixture_start(&w.redis);
    settle_and_check(&w);
    world_teardown(&w);
}

static uint32_t sheets(const struct world *w)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p <= MIRROR_COMMON; p++) {
        char command[96], slot[16];
        (void)snprintf(slot, sizeof slot, p == MIRROR_COMMON ? "common" : "p%02u", p);
        (void)snprintf(command, sizeof command, "EXISTS %s:sheet:{%s}", w->redis.config.redis_prefix, slot);
        redisReply *reply = redis_do(&w->redis, command);
        count += (uint32_t)reply->integer;
        freeReplyObject(reply);
    }
    return count;
}

/* A sweep that has to get rid of what was deleted while Redis was away, as far as `slices`; all that it put has reached Redis. */
static void sweep_onto_a_sheet(struct world *w, uint32_t slices)
{
    redis_fixture_end(&w->redis, SIGKILL);
    run(w, 200, 0);
    redis_fixture_start(&w->redis);
    int64_t limit = test_ms() + WAIT_MS;
    while (!w->sweep.running && test_ms() < limit) {
        sweep_begin(w);
        test_sleep(1);
    }
    cr_assert(w->sweep.running && w->sweep.mark == 0, "onto a clean sheet");
    for (uint32_t i = 0; i < slices; i++)
        sweep_slice(w);
    cr_assert(w->sweep.running);
    while (sheets(w) == 0 && test_ms() < limit)
        test_sleep(1);
    cr_assert_eq(sheets(w), 1);
}

/* Goal: a host that is lost while a sweep writes a partition anew loses nothing that was durable before. */
Test(mirror, while_a_clean_sheet_is_written_redis_keeps_what_was_durable, .timeout = 60)
{
    static struct world w;
    world_setup(&w);
    run(&w, 300, 0);
    settle(&w);
    uint64_t durable = w.applied;
    sweep_onto_a_sheet(&w, 2);
    check_redis(&w, durable);

    mirror_stop(w.mirror); /* the next process finds the sheet, and does not go on with it */
    w.sweep.running = false;
    atomic_store(&w.durable_told, 0);
    cr_assert_eq(mirror_start(&w.redis.config, 0, hooks_of(&w), &w.mirror), RIALTO_OK);
    check_redis(&w, durable);
    settle_and_check(&w);
    cr_assert_eq(sheets(&w), 0);
    world_teardown(&w);
}

/* Goal: what is erased while a sweep is under way is not in Redis any more, whether the sweep ends or not. */
Test(mirror, what_is_deleted_while_a_clean_sheet_is_written_is_gone_from_both, .timeout = 60)
{
    static struct world w;
    world_setup(&w);
    run(&w, 300, 0);
    settle(&w);
    sweep_onto_a_sheet(&w, 1);
    w.applied++;
    for (uint32_t i = 0; i < RECORDS; i++) {
        struct record *record = &w.record[i];
        if (record->partition != w.sweep.partition)
            continue; /* of this one all: the state of before may still have what was deleted while Redis was away */
        record->there = false;
        record->seq = w.deleted[record->partition] = w.applied;
        put(&w, record);
    }
    (void)mirror_commit(w.mirror, w.applied);
    char command[96];
    (void)snprintf(command, sizeof command,
                   w.sweep.partition == MIRROR_COMMON ? "HLEN %s:state:{common}" : "HLEN %s:state:{p%02u}",
                   w.redis.config.redis_prefix, w.sweep.partition);
    int64_t limit = test_ms() + WAIT_MS;
    long long left = 1;
    for (; left > 0 && test_ms() < limit; test_sleep(1)) {
        redisReply *reply = redis_do(&w.redis, command);
        left = reply->integer;
        freeReplyObject(reply);
    }
    cr_assert_eq(left, 0, "%lld records are left", left);
    cr_assert_eq(sheets(&w), 0, "an empty sheet is no key");
    settle_and_check(&w); /* the partition is empty, and its sheet all the same put in its place */
    world_teardown(&w);
}

/* Goal: the successor of a worker that died in the middle finds out by itself what Redis lacks. */
Test(mirror, a_new_process_completes_what_the_dead_one_had_not_sent, .timeout = 60)
{
    static struct world w;
    world_setup(&w);
    run(&w, 300, 0);
    settle(&w);
    mirror_stop(w.mirror);
    w.applied++; /* committed, never mirrored */
    for (uint32_t i = 0; i < RECORDS; i += 7) {
        w.record[i].seq = w.applied;
        w.record[i].there = i % 2 == 0;
        if (!w.record[i].there)
            w.deleted[w.record[i].partition] = w.applied;
    }
    atomic_store(&w.durable_told, 0);
    cr_assert_eq(mirror_start(&w.redis.config, 0, hooks_of(&w), &w.mirror), RIALTO_OK);
    settle_and_check(&w);
    world_teardown(&w);
}

Test(mirror, stop_sends_what_is_queued)
{
    static struct world w;
    world_setup(&w);
    run(&w, 100, 0);
    settle(&w);
    run(&w, 2000, 0);
    mirror_stop(w.mirror);
    check_redis(&w, w.applied);
    cr_assert_eq(mirror_start(&w.redis.config, 0, hooks_of(&w), &w.mirror), RIALTO_OK);
    world_teardown(&w);
}

Test(mirror, without_the_password_redis_is_down_and_with_it_up, .timeout = 60)
{
    static struct world w;
    world_setup(&w);
    redis_fixture_end(&w.redis, SIGKILL);
    (void)snprintf(w.redis.password, sizeof w.redis.password, "sesame");
    redis_fixture_start(&w.redis);
    run(&w, 100, 2);
    cr_assert_not(mirror_up(w.mirror));
    uint64_t mark;
    struct loading none = { .w = &w };
    cr_assert_eq(mirror_load(&w.redis.config, 0, 100, on_record, &none, &mark), RIALTO_SYSTEM);
    mirror_stop(w.mirror);

    char path[128];
    (void)snprintf(path, sizeof path, "%s/password", w.redis.folder);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    (void)fputs("sesame\n", file);
    (void)fclose(file);
    (void)snprintf(w.redis.config.redis_password_file, sizeof w.redis.config.redis_password_file, "%s", path);
    cr_assert_eq(mirror_start(&w.redis.config, 0, hooks_of(&w), &w.mirror), RIALTO_OK);
    settle_and_check(&w);
    world_teardown(&w);
}
