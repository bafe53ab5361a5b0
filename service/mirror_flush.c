/* mirror_flush.c - commits into transactions, and their replies.
 *
 *   MULTI; GET mark; HSET state field value ...; HDEL state field ...; SET mark seq XX; EXEC       one per partition
 *
 * A sweep onto a clean sheet: its first transaction DELetes what an earlier one left of a sheet, fields are set in the sheet (and
 * deleted there and in the state), its last one RENAMEs the sheet to the state. RENAME wants a sheet even where a partition has no record:
 * it gets a field that is taken out behind it.
 *
 * GET: the mark must be the one that we set last. Another one means that Redis was emptied, came back older, or
 * executed only now what a broken connection of ours had left in its buffers: then what it holds is not what we think.
 * XX: the mark is moved only where it exists. An emptied Redis never claims to hold what it lost. The mark is created,
 * as 0, by mirror.c when it opens a sweep. */
#include "service/mirror_parts.h"

#include "cache/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_BYTES      34u /* letter, colon, 32 hex digits */
#define FIELDS_A_COMMAND 64u
#define SHEET_FIELD      "-"

struct item { /* one record that counts */
    const struct mirror_record *record;
    uint64_t seq; /* of its commit */
};

struct batch {
    struct item *item; /* in order of arrival; superseded ones have no record any more */
    uint32_t count;
    uint32_t *slot; /* hash of the fields: index + 1 */
    uint32_t mask;
    struct item *sorted; /* those that count: by partition, then in order of arrival */
    uint32_t first[MIRROR_SLOTS + 1];
};

struct part { /* one partition's share of a batch */
    uint32_t number;
    struct item *item;
    uint32_t count;
};

int mirror_key(const struct config *config, const char *what, uint32_t partition, char ret[MIRROR_KEY_MAX])
{
    if (partition == MIRROR_COMMON)
        return snprintf(ret, MIRROR_KEY_MAX, "%s:%s:{common}", config->redis_prefix, what);
    return snprintf(ret, MIRROR_KEY_MAX, "%s:%s:{p%02u}", config->redis_prefix, what, partition);
}

int mirror_ids_key(const struct config *config, uint32_t partition, uint32_t generation, char ret[MIRROR_KEY_MAX])
{
    int length = mirror_key(config, "ids", partition, ret);
    return length + snprintf(ret + length, MIRROR_KEY_MAX - (size_t)length, ":%u", generation);
}

bool mark_parse(const redisReply *reply, uint64_t *ret)
{
    if (reply->type != REDIS_REPLY_STRING || reply->len == 0 || reply->len > 19 ||
        strspn(reply->str, "0123456789") != reply->len)
        return false;
    uint64_t mark = strtoull(reply->str, NULL, 10); /* nineteen digits fit */
    if (mark > MIRROR_SEQ_MAX)
        return false;
    *ret = mark;
    return true;
}

/* ---- which records count ---------------------------------------------------------------------------------------- */

static bool same_field(const struct mirror_record *a, const struct mirror_record *b)
{
    return a->partition == b->partition && a->kind == b->kind && key_equal(a->key, b->key);
}

static void supersede(struct batch *batch, uint32_t index)
{
    const struct mirror_record *record = batch->item[index].record;
    if (record->op != MIRROR_PUT && record->op != MIRROR_DELETE)
        return;
    uint32_t at = (uint32_t)(record->key.lo ^ record->key.hi ^ (uint64_t)record->kind << 7) & batch->mask;
    while (batch->slot[at] != 0) {
        struct item *other = &batch->item[batch->slot[at] - 1];
        if (other->record != NULL && same_field(other->record, record)) {
            other->record = NULL;
            break;
        }
        at = (at + 1) & batch->mask;
    }
    batch->slot[at] = index + 1;
}

static uint32_t commits_count(const struct mirror_commit *commits)
{
    uint32_t count = 0;
    for (; commits != NULL; commits = commits->next)
        count += commits->count;
    return count;
}

static bool batch_setup(const struct mirror_commit *commits, struct batch *batch)
{
    uint32_t count = commits_count(commits), slots = 16;
    while (slots < count * 2)
        slots *= 2;
    *batch = (struct batch){ .item = calloc(count + 1, sizeof *batch->item),
                             .slot = calloc(slots, sizeof *batch->slot),
                             .mask = slots - 1,
                             .sorted = calloc(count + 1, sizeof *batch->sorted) };
    return batch->item != NULL && batch->slot != NULL && batch->sorted != NULL;
}

static void batch_fill(const struct mirror_commit *commits, struct batch *batch)
{
    for (; commits != NULL; commits = commits->next) {
        const char *at = (const char *)(commits + 1);
        for (uint32_t i = 0; i < commits->count; i++) {
            const struct mirror_record *record = (const struct mirror_record *)(const void *)at;
            batch->item[batch->count] = (struct item){ record, commits->seq };
            supersede(batch, batch->count++);
            at += mirror_record_bytes(record);
        }
    }
}

static void batch_sort(struct batch *batch)
{
    uint32_t next[MIRROR_SLOTS];
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->item[i].record != NULL)
            batch->first[batch->item[i].record->partition + 1]++;
    }
    for (uint32_t p = 0; p < MIRROR_SLOTS; p++) {
        batch->first[p + 1] += batch->first[p];
        next[p] = batch->first[p];
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->item[i].record != NULL)
            batch->sorted[next[batch->item[i].record->partition]++] = batch->item[i];
    }
}

static void batch_teardown(struct batch *batch)
{
    free(batch->sorted);
    free(batch->item);
    free(batch->slot);
}

/* ---- one transaction -------------------------------------------------------------------------------------------- */

struct command { /* being put together */
    struct redis_link *link;
    const char *argv[2 + 2 * FIELDS_A_COMMAND];
    size_t bytes[2 + 2 * FIELDS_A_COMMAND];
    char field[FIELDS_A_COMMAND][FIELD_BYTES];
    uint32_t fields;
    int argc;
    uint32_t sent; /* commands of this transaction */
    bool alive;
};

static void command_words(struct command *command, const char *const words[], int count)
{
    for (command->argc = 0; command->argc < count; command->argc++) {
        command->argv[command->argc] = words[command->argc];
        command->bytes[command->argc] = strlen(words[command->argc]);
    }
    command->fields = 0;
}

static void command_send(struct command *command)
{
    command->alive = command->alive && redis_link_append(command->link, command->argc, command->argv, command->bytes);
    command->sent++;
}

/* One for each record: printf takes as long as all the rest of it. */
static void put_hex(uint64_t number, char to[16])
{
    static const char hex[] = "0123456789abcdef";
    for (unsigned i = 16; i-- > 0; number >>= 4)
        to[i] = hex[number & 15u];
}

static void command_field(struct command *command, const struct mirror_record *record)
{
    char *field = command->field[command->fields++];
    field[0] = record->kind;
    field[1] = ':';
    put_hex(record->key.hi, field + 2);
    put_hex(record->key.lo, field + 18);
    command->argv[command->argc] = field;
    command->bytes[command->argc++] = FIELD_BYTES;
    if (record->op != MIRROR_PUT)
        return;
    command->argv[command->argc] = (const char *)(record + 1);
    command->bytes[command->argc++] = record->value_bytes;
}

/* Fields of one operation, as many in a command as go in: that is several times faster than one each. */
static uint32_t fields_send(struct command *command, const struct part *part, enum mirror_op op, const char *key)
{
    const char *const words[] = { op == MIRROR_PUT ? "HSET" : "HDEL", key };
    uint32_t count = 0;
    command_words(command, words, 2);
    for (uint32_t i = 0; i < part->count; i++) {
        const struct mirror_record *record = part->item[i].record;
        if (record->op != op)
            continue;
        command_field(command, record);
        count++;
        if (command->fields == FIELDS_A_COMMAND) {
            command_send(command);
            command_words(command, words, 2);
        }
    }
    if (command->fields > 0)
        command_send(command);
    return count;
}

/* Words of one generation: from the last that begins it anew, one command with all of them. */
static void ids_send(struct command *command, const struct part *part, uint32_t generation)
{
    char key[MIRROR_KEY_MAX], *words = NULL;
    size_t bytes = 0;
    uint32_t from = 0;
    bool any = false, first = false;
    for (uint32_t i = 0; i < part->count; i++) {
        const struct mirror_record *record = part->item[i].record;
        if ((record->op != MIRROR_IDS && record->op != MIRROR_IDS_FIRST) || record->kind != (char)generation)
            continue;
        if (record->op == MIRROR_IDS_FIRST) {
            first = true;
            from = i;
            bytes = 0;
        }
        any = true;
        bytes += record->value_bytes;
    }
    if (!any)
        return;
    words = malloc(bytes + 1);
    if (words == NULL) {
        command->alive = false;
        return;
    }
    bytes = 0;
    for (uint32_t i = from; i < part->count; i++) {
        const struct mirror_record *record = part->item[i].record;
        if ((record->op != MIRROR_IDS && record->op != MIRROR_IDS_FIRST) || record->kind != (char)generation)
            continue;
        memcpy(words + bytes, record + 1, record->value_bytes);
        bytes += record->value_bytes;
    }
    (void)mirror_ids_key(command->link->config, part->number, generation, key);
    command_words(command, (const char *const[]){ first ? "SET" : "APPEND", key }, 2);
    command->argv[command->argc] = words;
    command->bytes[command->argc++] = bytes;
    command_send(command);
    free(words);
}

/* What stood before the last sweep's beginning is void: the sweep sends it again, as it is now. */
static bool part_begins(struct part *part, bool *sheet)
{
    for (uint32_t i = part->count; i-- > 0;) {
        enum mirror_op op = (enum mirror_op)part->item[i].record->op;
        if (op != MIRROR_SHEET && op != MIRROR_NO_SHEET)
            continue;
        *sheet = op == MIRROR_SHEET;
        part->item += i;
        part->count -= i;
        return true;
    }
    return false;
}

static bool part_ends(const struct part *part)
{
    bool ends = false;
    for (uint32_t i = 0; i < part->count; i++)
        ends = ends || part->item[i].record->op == MIRROR_SWEPT;
    return ends;
}

static uint64_t part_mark(const struct part *part, uint64_t mark)
{
    for (uint32_t i = 0; i < part->count; i++) {
        if (part->item[i].record->marked || part->item[i].record->op == MIRROR_SWEPT)
            mark = part->item[i].seq;
    }
    return mark;
}

static void send_words(struct command *command, const char *const words[], int count)
{
    command_words(command, words, count);
    command_send(command);
}

static void sheet_send(struct command *command, const char *sheet_key, const char *state_key)
{
    send_words(command, (const char *const[]){ "HSET", sheet_key, SHEET_FIELD, "" }, 4);
    send_words(command, (const char *const[]){ "RENAME", sheet_key, state_key }, 3);
    send_words(command, (const char *const[]){ "HDEL", state_key, SHEET_FIELD }, 3);
}

static bool transaction_send(struct redis_link *link, struct part part, uint64_t *mark, bool *sheet,
                             struct mirror_flush *flush)
{
    char state_key[MIRROR_KEY_MAX], sheet_key[MIRROR_KEY_MAX], mark_key[MIRROR_KEY_MAX], number[24];
    uint64_t before = *mark;
    bool begins = part_begins(&part, sheet), swaps = *sheet && part_ends(&part);
    *mark = part_mark(&part, *mark);
    (void)mirror_key(link->config, "state", part.number, state_key);
    (void)mirror_key(link->config, "sheet", part.number, sheet_key);
    (void)mirror_key(link->config, "mark", part.number, mark_key);
    (void)snprintf(number, sizeof number, "%" PRIu64, *mark);

    struct command command = { .link = link, .alive = true };
    send_words(&command, (const char *const[]){ "MULTI" }, 1);
    send_words(&command, (const char *const[]){ "GET", mark_key }, 2);
    if (begins)
        send_words(&command, (const char *const[]){ "DEL", sheet_key }, 2);
    flush->records += fields_send(&command, &part, MIRROR_PUT, *sheet ? sheet_key : state_key);
    flush->records += fields_send(&command, &part, MIRROR_DELETE, state_key);
    if (*sheet)
        (void)fields_send(&command, &part, MIRROR_DELETE, sheet_key);
    if (swaps)
        sheet_send(&command, sheet_key, state_key);
    *sheet = *sheet && !swaps;
    for (uint32_t generation = 0; generation < MIRROR_GENERATIONS; generation++)
        ids_send(&command, &part, generation);
    send_words(&command, (const char *const[]){ "SET", mark_key, number, "XX" }, 4);
    send_words(&command, (const char *const[]){ "EXEC" }, 1);

    flush->transaction[flush->count].mark = before;
    flush->transaction[flush->count].partition = part.number;
    flush->transaction[flush->count].swaps = swaps;
    flush->transaction[flush->count++].replies = command.sent;
    return command.alive;
}

bool mirror_flush_send(struct redis_link *link, const struct mirror_commit *commits, uint64_t marks[MIRROR_SLOTS],
                       bool sheet[MIRROR_SLOTS], struct mirror_flush *ret)
{
    struct batch batch;
    memset(ret, 0, sizeof *ret);
    ret->committed_us = commits->committed_us;
    for (const struct mirror_commit *c = commits; c != NULL; c = c->next) {
        if (c->durable_seq > ret->durable_seq)
            ret->durable_seq = c->durable_seq;
    }
    bool alive = batch_setup(commits, &batch);
    if (alive) {
        batch_fill(commits, &batch);
        batch_sort(&batch);
        for (uint32_t p = 0; p < MIRROR_SLOTS && alive; p++) {
            struct part part = { p, batch.sorted + batch.first[p], batch.first[p + 1] - batch.first[p] };
            alive = part.count == 0 || transaction_send(link, part, &marks[p], &sheet[p], ret);
        }
        alive = alive && redis_link_flush(link);
    }
    batch_teardown(&batch);
    if (!alive)
        redis_link_close(link);
    return alive;
}

/* ---- replies ---------------------------------------------------------------------------------------------------- */

/* EXEC's reply says what each command came to; the first is the mark's GET. */
static bool exec_check(struct redis_link *link, const redisReply *reply, uint64_t expected, bool swaps,
                       uint64_t *ret_held)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) {
        redis_link_refused(link, "EXEC", reply);
        return false;
    }
    for (size_t i = 0; i < reply->elements; i++) {
        if (reply->element[i]->type == REDIS_REPLY_ERROR) {
            redis_link_refused(link, "writing state", reply->element[i]);
            return false;
        }
    }
    uint64_t mark = 0;
    if (!mark_parse(reply->element[0], &mark))
        mark = 0;
    bool there = reply->element[0]->type != REDIS_REPLY_NIL;
    if (there && mark == expected)
        return true;
    if (swaps)
        mark = 0; /* what that mark vouched for has just been written over, with less perhaps */
    if (mark < *ret_held)
        *ret_held = mark;
    return true;
}

static bool transaction_receive(struct redis_link *link, const struct mirror_flush *flush, uint32_t number,
                                uint64_t *ret_held)
{
    bool good = true;
    for (uint32_t r = 1; good && r <= flush->transaction[number].replies; r++) {
        redisReply *reply = redis_link_reply(link);
        if (reply == NULL)
            return false;
        if (r == flush->transaction[number].replies) {
            good = exec_check(link, reply, flush->transaction[number].mark, flush->transaction[number].swaps, ret_held);
        } else if (reply->type != REDIS_REPLY_STATUS) { /* OK or QUEUED */
            redis_link_refused(link, "queueing state", reply);
            good = false;
        }
        freeReplyObject(reply);
    }
    return good;
}

bool mirror_flush_receive(struct redis_link *link, const struct mirror_flush *flush, uint64_t ret_held[MIRROR_SLOTS])
{
    for (uint32_t t = 0; t < flush->count; t++) {
        if (!transaction_receive(link, flush, t, &ret_held[flush->transaction[t].partition]))
            return false;
    }
    return true;
}
