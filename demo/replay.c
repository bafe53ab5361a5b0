/* replay.c - batches, pace, retries and the count of what became of every signal. */
#include "demo/replay.h"

#include "pricing/json_member.h"
#include "service/metrics.h"
#include "service/signal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct replay {
    const struct replay_settings *settings;
    struct replay_progress *progress;
    struct requester *requester;
    struct tape *tape;
    int64_t start_ns;
    /* the message being filled */
    char *text;
    size_t bytes;
    uint32_t count;
    uint32_t place[REPLAY_BATCH_SIGNALS + 1]; /* where each signal begins; one more for the end */
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool stopped(const struct replay *replay)
{
    return replay->settings->stop != NULL && *replay->settings->stop;
}

static bool fail(struct replay *replay, const char *why)
{
    snprintf(replay->progress->why, sizeof replay->progress->why, "%s", why);
    return false;
}

/* ---- what answers say ------------------------------------------------------------------------------------------- */

static bool reason_rejects(const char *name)
{
    for (unsigned i = 0; i < REASON_COUNT; i++)
        if (strcmp(name, signal_reason_name((enum signal_reason)i)) == 0)
            return signal_reason_rejects((enum signal_reason)i);
    return true;
}

static void note_reason(struct replay_progress *progress, const cJSON *finding)
{
    const char *name = json_string(finding, "reason");
    uint32_t i = 0;
    while (i < progress->reason_count && strcmp(progress->reason[i].name, name) != 0)
        i++;
    if (i == REPLAY_REASONS_MAX)
        return;
    struct replay_reason *reason = &progress->reason[i];
    if (i == progress->reason_count) {
        progress->reason_count++;
        snprintf(reason->name, sizeof reason->name, "%s", name);
        snprintf(reason->text, sizeof reason->text, "%s", json_string(finding, "text"));
        reason->rejects = reason_rejects(name);
    }
    reason->count++;
}

/* What an answer says about the signals of its message. */
struct verdict {
    enum { VERDICT_COUNTED, VERDICT_NOT_NOW, VERDICT_UNREADABLE } kind;
    uint64_t accepted, rejected;
    uint32_t unanswered;              /* no worker answered for them: to be sent again */
    bool again[REPLAY_BATCH_SIGNALS]; /* which ones */
    bool is_cut;                      /* answers list only so many findings: some rejections are not named */
};

static void read_answer(const cJSON *answer, uint32_t count, struct verdict *ret)
{
    *ret = (struct verdict){ .accepted = (uint64_t)json_number(answer, "accepted"),
                             .rejected = (uint64_t)json_number(answer, "rejected") };
    if (!cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(answer, "accepted")))
        ret->kind = strcmp(json_string(answer, "reason"), "no_answer") == 0 ? VERDICT_NOT_NOW : VERDICT_UNREADABLE;
    uint64_t listed = 0;
    const cJSON *finding;
    cJSON_ArrayForEach(finding, cJSON_GetObjectItemCaseSensitive(answer, "findings"))
    {
        double index = json_number(finding, "index");
        const char *reason = json_string(finding, "reason");
        listed += reason_rejects(reason);
        if (strcmp(reason, "no_answer") != 0 || !(index >= 0 && index < count) || ret->again[(uint32_t)index])
            continue;
        ret->again[(uint32_t)index] = true;
        ret->unanswered++;
    }
    ret->is_cut = json_number(answer, "more_findings") > 0 && listed < ret->rejected;
}

static void note_findings(struct replay *replay, const cJSON *answer)
{
    const cJSON *finding;
    cJSON_ArrayForEach(finding, cJSON_GetObjectItemCaseSensitive(answer, "findings"))
    {
        if (strcmp(json_string(finding, "reason"), "no_answer") != 0)
            note_reason(replay->progress, finding);
    }
    replay->progress->findings_not_listed += (uint64_t)json_number(answer, "more_findings");
}

static void note_durable(struct replay *replay, const cJSON *answer)
{
    static const char *const known[] = { "redis", "disk", "no" };
    const char *durable = json_string(answer, "durable");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(durable, known[i]) == 0)
            atomic_store(&replay->progress->durable, known[i]);
    if (strcmp(durable, "no") == 0)
        atomic_fetch_add(&replay->progress->not_durable, 1);
}

/* ---- sending ---------------------------------------------------------------------------------------------------- */

static cJSON *ask(struct replay *replay, const char *text, size_t bytes)
{
    char why[REQUEST_WHY_MAX] = "";
    uint64_t repeats = requester_repeats(replay->requester);
    cJSON *answer = requester_ask(replay->requester, text, bytes, REPLAY_ATTEMPTS, replay->settings->stop, why);
    atomic_fetch_add(&replay->progress->messages, 1);
    atomic_fetch_add(&replay->progress->repeats, requester_repeats(replay->requester) - repeats);
    if (answer == NULL)
        fail(replay, why);
    return answer;
}

static void start_batch(struct replay *replay)
{
    replay->bytes = 0;
    replay->count = 0;
    replay->place[0] = 0;
}

static bool send_span(struct replay *replay, uint32_t first, uint32_t count, uint32_t round);

/* Sends those signals of a span again that no worker answered for, run by run. */
static bool send_unanswered(struct replay *replay, uint32_t first, uint32_t count, uint32_t round,
                            const bool again[REPLAY_BATCH_SIGNALS])
{
    for (uint32_t i = 0; i < count;) {
        uint32_t end = i;
        while (end < count && again[end])
            end++;
        if (end > i && !send_span(replay, first + i, end - i, round + 1))
            return false;
        i = end > i ? end : i + 1;
    }
    return true;
}

static void count_answer(struct replay *replay, const cJSON *answer, const struct verdict *verdict)
{
    struct replay_progress *progress = replay->progress;
    note_durable(replay, answer);
    note_findings(replay, answer);
    atomic_fetch_add(&progress->accepted, verdict->accepted);
    atomic_fetch_add(&progress->rejected, verdict->rejected - verdict->unanswered);
}

/* Sends signals first .. first + count - 1 of the batch until each has a verdict. A span whose rejections are not
 * all named is sent again in halves, small enough in the end; what had its effect before is known by its id and has
 * it once. */
static bool send_span(struct replay *replay, uint32_t first, uint32_t count, uint32_t round)
{
    if (round > REPLAY_ATTEMPTS || (round > 1 && stopped(replay)))
        return fail(replay, stopped(replay) ? "stopped" : "no worker answers");
    if (round > 1)
        atomic_fetch_add(&replay->progress->repeats, 1);
    uint32_t from = replay->place[first], bytes = replay->place[first + count] - from;
    cJSON *answer = ask(replay, replay->text + from, bytes);
    if (answer == NULL)
        return false;
    struct verdict verdict;
    read_answer(answer, count, &verdict);
    bool halve = verdict.is_cut && count > 1;
    if (verdict.kind == VERDICT_COUNTED && !halve)
        count_answer(replay, answer, &verdict);
    cJSON_Delete(answer);

    if (verdict.kind == VERDICT_UNREADABLE)
        return fail(replay, "the service gave an answer that counts nothing");
    if (verdict.kind == VERDICT_NOT_NOW) {
        nanosleep(&(struct timespec){ 0, 200000000 }, NULL);
        return send_span(replay, first, count, round + 1);
    }
    if (halve)
        return send_span(replay, first, count / 2, round) &&
               send_span(replay, first + count / 2, count - count / 2, round);
    return send_unanswered(replay, first, count, round, verdict.again);
}

static bool send_batch(struct replay *replay)
{
    if (replay->count == 0)
        return true;
    atomic_fetch_add(&replay->progress->sent, replay->count);
    if (!send_span(replay, 0, replay->count, 1))
        return false;
    start_batch(replay);
    if (replay->settings->acknowledged != NULL)
        replay->settings->acknowledged(replay->settings->user);
    return true;
}

static bool add_signal(struct replay *replay, const struct tape_line *line)
{
    if (replay->count == REPLAY_BATCH_SIGNALS || replay->bytes + line->bytes > REPLAY_BATCH_BYTES)
        if (!send_batch(replay))
            return false;
    memcpy(replay->text + replay->bytes, line->text, line->bytes);
    replay->bytes += line->bytes;
    replay->place[++replay->count] = (uint32_t)replay->bytes;
    if (replay->settings->seen != NULL && line->item != NULL)
        replay->settings->seen(replay->settings->user, line->item);
    return true;
}

/* Sleeps until this part of the tape is due, in short pieces so that a stop is heard. */
static void keep_pace(const struct replay *replay, uint64_t ticks, uint64_t ticks_total)
{
    if (replay->settings->seconds <= 0 || ticks_total == 0)
        return;
    double part = (double)ticks / (double)ticks_total;
    int64_t due_ns = replay->start_ns + (int64_t)(part * replay->settings->seconds * 1e9);
    for (int64_t left; (left = due_ns - now_ns()) > 0 && !stopped(replay);) {
        long piece = left < 50000000 ? (long)left : 50000000;
        nanosleep(&(struct timespec){ 0, piece }, NULL);
    }
}

static bool send_tick(struct replay *replay, const struct tape_line *line)
{
    struct replay_progress *progress = replay->progress;
    if (!send_batch(replay))
        return false;
    keep_pace(replay, progress->ticks, progress->ticks_total);
    cJSON *answer = ask(replay, line->text, line->bytes);
    if (answer == NULL)
        return false;
    bool moved = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok"));
    char why[REQUEST_WHY_MAX];
    snprintf(why, sizeof why, "the service does not move its clock: %.200s", json_string(answer, "text"));
    cJSON_Delete(answer);
    if (!moved)
        return fail(replay, why);
    atomic_fetch_add(&progress->ticks, 1);
    atomic_store(&progress->recorded_ms, line->at_ms - progress->shift_ms);
    return true;
}

static bool play(struct replay *replay)
{
    struct tape_line line;
    struct fault fault;
    enum recorded_next got = RECORDED_ITEM;
    while (!stopped(replay) && (got = tape_next(replay->tape, &line, &fault)) == RECORDED_ITEM)
        if (!(line.is_tick ? send_tick(replay, &line) : add_signal(replay, &line)))
            return false;
    if (got == RECORDED_BROKEN) {
        fault_text(&fault, sizeof replay->progress->why, replay->progress->why);
        return false;
    }
    if (!send_batch(replay))
        return false;
    return !stopped(replay) || fail(replay, "stopped");
}

/* ---- before and after ------------------------------------------------------------------------------------------- */

/* Where the service's clock stands. */
static bool ping(struct replay *replay, int64_t *ret_ms)
{
    static const char question[] = "{\"control\":\"ping\"}";
    cJSON *answer = ask(replay, question, sizeof question - 1);
    if (answer == NULL)
        return false;
    *ret_ms = (int64_t)json_number(answer, "service_time_ms");
    cJSON_Delete(answer);
    return *ret_ms > 0 || fail(replay, "the service does not say what time it is");
}

static bool set_up(struct replay *replay)
{
    struct replay_progress *progress = replay->progress;
    struct tape_survey survey = { 0 };
    struct fault fault = { 0 };
    const struct tape_survey *known = replay->settings->survey;
    if (known != NULL)
        survey = *known;
    if ((known == NULL && tape_measure(&replay->settings->source, &survey, &fault) != RIALTO_OK) ||
        tape_open(&replay->settings->source, &replay->tape, &fault) != RIALTO_OK) {
        fault_text(&fault, sizeof progress->why, progress->why);
        return false;
    }
    progress->signals_total = survey.signals;
    progress->ticks_total = survey.ticks;
    progress->begin_ms = progress->recorded_ms = survey.begin_ms;
    progress->end_ms = survey.end_ms;

    replay->text = malloc(REPLAY_BATCH_BYTES + sizeof "" + TAPE_LINE_MAX + 1024);
    replay->requester = requester_open(&replay->settings->requester, progress->why);
    if (replay->requester == NULL || replay->text == NULL)
        return false;
    int64_t now_ms = 0;
    if (!ping(replay, &now_ms))
        return false;
    progress->shift_ms =
        replay->settings->at_given ? replay->settings->at_ms - survey.begin_ms : tape_shift(survey.begin_ms, now_ms);
    tape_move(replay->tape, progress->shift_ms);
    return true;
}

struct gateway_count {
    uint64_t accepted, started;
};

static struct gateway_count gateway_count(const struct metrics_file *metrics)
{
    const struct metrics_block *gateway = &metrics->block[1];
    return (struct gateway_count){ atomic_load(&gateway->word[METRIC_signals_accepted_total]),
                                   atomic_load(&gateway->word[METRIC_started_unix_ms]) };
}

/* Lost is what has no verdict, or what the answers call accepted and the gateway did not count. The second can only
 * be told when one gateway ran all the time; others may send meanwhile, so more is no fault. */
static void count_lost(struct replay_progress *progress, const struct metrics_file *metrics,
                       struct gateway_count before)
{
    uint64_t verdicts = progress->accepted + progress->rejected;
    progress->lost = progress->sent > verdicts ? progress->sent - verdicts : 0;
    if (metrics == NULL)
        return;
    struct gateway_count after = gateway_count(metrics);
    progress->counted_twice = after.started == before.started;
    uint64_t counted = after.accepted - before.accepted;
    if (progress->counted_twice && progress->accepted > counted && progress->accepted - counted > progress->lost)
        progress->lost = progress->accepted - counted;
}

static void tear_down(struct replay *replay)
{
    requester_close(replay->requester);
    tape_close(replay->tape);
    free(replay->text);
}

bool replay_run(const struct replay_settings *settings, struct replay_progress *progress)
{
    struct replay replay = { .settings = settings, .progress = progress };
    bool done = set_up(&replay);
    if (done) {
        const struct metrics_file *metrics = settings->cache_dir != NULL ? metrics_read(settings->cache_dir) : NULL;
        struct gateway_count before = metrics != NULL ? gateway_count(metrics) : (struct gateway_count){ 0 };
        replay.start_ns = now_ns();
        done = play(&replay);
        progress->seconds = (double)(now_ns() - replay.start_ns) / 1e9;
        count_lost(progress, metrics, before);
    }
    tear_down(&replay);
    return done && progress->lost == 0;
}
