/* instance.c - start, count and stop a rialtod for a measurement. */
#include "bench/instance.h"

#include "bench/bench.h"
#include "cache/table.h"
#include "service/temporary.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SETS_OWN          9u
#define READY_MS          15000u
#define ANSWER_MS         15000u
#define STOP_MS           10000u
#define END_MS            60000u /* an orderly stop of a large one */
#define GONE_MS           2000
#define DESCENDANTS_MAX   64u
#define PRODUCT_BYTES_MAX 128u

/* Follows demand within bounds, in zones of two levels; what it costs to compute is what the shipped models cost. */
static const char MODEL[] =
    "{\"model\":\"bench\",\"version\":\"1\",\"scope\":{\"categories\":[\"bench\"],\"currencies\":[\"EUR\"]},"
    "\"zone_levels\":2,\"group\":\"bench\",\"stale_limit\":\"1h\","
    "\"demand\":{\"half_life\":\"5s\",\"slow_half_life\":\"60s\",\"prior_events\":5,\"min_events\":3},"
    "\"factors\":[{\"name\":\"demand\",\"input\":\"demand_pressure\",\"curve\":[[0.25,0.8],[1,1],[4,1.4]]},"
    "{\"name\":\"scarcity\",\"input\":\"available_ratio\",\"curve\":[[0,1.05],[0.25,1.03],[0.5,1]]},"
    "{\"name\":\"promotion\",\"input\":\"promotion\",\"curve\":[[0.1,0.1],[1,1]]}],"
    "\"guardrails\":{\"floor\":0.5,\"ceiling\":1.5},\"rounding\":{\"step\":1}}\n";

/* ---- folders ------------------------------------------------------------------------------------------------------ */

static bool write_model(const struct instance *instance, const char *model)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/models/bench.json", instance->folder);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return false;
    bool good = fputs(model != NULL ? model : MODEL, file) >= 0;
    return fclose(file) == 0 && good;
}

static bool make_models(const struct instance *instance, const char *model)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/models", instance->folder);
    return mkdir(path, 0700) == 0 && write_model(instance, model);
}

static bool make_folders(struct instance *instance, const char *model)
{
    return temporary_folder("/tmp", "rialto-bench", instance->folder) &&
           temporary_folder("/dev/shm", "rialto-bench", instance->cache) && make_models(instance, model);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

bool instance_run(struct instance *instance, uint32_t count, const char *const set[])
{
    char own[SETS_OWN][160], data[80], why[REQUEST_WHY_MAX] = "";
    const char *all[DAEMON_SETS_MAX];
    uint32_t n = 0;
    (void)snprintf(data, sizeof data, "%s/data", instance->folder);
    (void)snprintf(instance->push_url, sizeof instance->push_url, "ipc://%s/push.ipc", data);
    (void)snprintf(instance->request_url, sizeof instance->request_url, "ipc://%s/request.ipc", data);
    (void)snprintf(own[n++], sizeof own[0], "instance=bench%d", (int)getpid());
    (void)snprintf(own[n++], sizeof own[0], "data_dir=%s", data);
    (void)snprintf(own[n++], sizeof own[0], "cache_dir=%s", instance->cache);
    (void)snprintf(own[n++], sizeof own[0], "models_dir=%s/models", instance->folder);
    (void)snprintf(own[n++], sizeof own[0], "push_urls=%s", instance->push_url);
    (void)snprintf(own[n++], sizeof own[0], "request_urls=%s", instance->request_url);
    (void)snprintf(own[n++], sizeof own[0], "http_listen=off");
    (void)snprintf(own[n++], sizeof own[0], "cache_on_stop=remove");
    (void)snprintf(own[n++], sizeof own[0], "worker_count=1");
    for (uint32_t i = 0; i < n; i++)
        all[i] = own[i];
    for (uint32_t i = 0; i < count && n < DAEMON_SETS_MAX; i++)
        all[n++] = set[i];
    if (!daemon_start(&instance->daemon, data, n, all, why)) {
        fprintf(stderr, "rialto-bench: %s\n", why);
        return false;
    }
    return true;
}

bool instance_enter(struct instance *instance)
{
    char why[REQUEST_WHY_MAX] = "";
    const struct requester_settings settings = { .urls = instance->request_url,
                                                 .timeout_ms = ANSWER_MS,
                                                 .connect_ms = READY_MS };
    instance->requester = requester_open(&settings, why);
    if (instance->requester == NULL) {
        fprintf(stderr, "rialto-bench: %s\n", why);
        daemon_print_log(&instance->daemon, 5);
    }
    if (instance->requester != NULL && (instance->metrics = metrics_read(instance->cache)) == NULL)
        fprintf(stderr, "rialto-bench: no metrics in %s\n", instance->cache);
    return instance->metrics != NULL;
}

bool instance_start(struct instance *instance, const char *model, uint32_t count, const char *const set[])
{
    memset(instance, 0, sizeof *instance);
    if (!make_folders(instance, model)) {
        fprintf(stderr, "rialto-bench: no room for an instance\n");
        instance_stop(instance);
        return false;
    }
    bool good = instance_run(instance, count, set) && instance_enter(instance);
    if (!good)
        instance_stop(instance);
    return good;
}

static void let_go(struct instance *instance)
{
    requester_close(instance->requester);
    if (instance->metrics != NULL)
        (void)munmap((void *)(uintptr_t)instance->metrics, sizeof *instance->metrics);
    instance->requester = NULL;
    instance->metrics = NULL;
}

void instance_stop(struct instance *instance)
{
    let_go(instance);
    if (instance->daemon.pid != 0)
        (void)daemon_stop(&instance->daemon, STOP_MS);
    temporary_remove(instance->cache);
    temporary_remove(instance->folder);
    memset(instance, 0, sizeof *instance);
}

bool instance_apply(const struct instance *instance, const char *model)
{
    return write_model(instance, model) && kill(instance->daemon.pid, SIGHUP) == 0;
}

bool instance_accept(struct instance *instance, const char *signals, size_t bytes)
{
    char why[REQUEST_WHY_MAX] = "";
    cJSON *answer = requester_ask(instance->requester, signals, bytes, 1, NULL, why);
    const cJSON *rejected = cJSON_GetObjectItemCaseSensitive(answer, "rejected");
    bool good = cJSON_IsNumber(rejected) && rejected->valueint == 0;
    if (!good) {
        char *text = answer != NULL ? cJSON_PrintUnformatted(answer) : NULL;
        fprintf(stderr, "rialto-bench: signals were not accepted: %.300s\n", text != NULL ? text : why);
        cJSON_free(text);
    }
    cJSON_Delete(answer);
    return good;
}

bool instance_add_products(struct instance *instance, uint32_t count, uint32_t first_list)
{
    char *text = malloc((size_t)count * PRODUCT_BYTES_MAX);
    size_t at = 0;
    if (text == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        at += (size_t)snprintf(
            text + at, PRODUCT_BYTES_MAX,
            "{\"type\":\"product\",\"sku\":\"sku-%06u\",\"category\":\"bench\",\"list\":%u,\"currency\":\"EUR\"}\n", i,
            first_list + i);
    bool good = instance_accept(instance, text, at);
    free(text);
    return good;
}

uint64_t instance_metric(const struct instance *instance, enum metric metric)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < METRICS_BLOCKS_MAX; i++)
        sum += atomic_load_explicit(&instance->metrics->block[i].word[metric], memory_order_relaxed);
    return sum;
}

/* ---- CPU time ----------------------------------------------------------------------------------------------------- */

/* Of /proc/.../stat: name, parent, and user and system time in ticks. */
static bool read_stat(const char *path, char name[32], pid_t *ret_parent, uint64_t *ret_ticks)
{
    char text[1024];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t bytes = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[bytes] = '\0';
    const char *open = strchr(text, '('), *close = strrchr(text, ')');
    unsigned long long user, system;
    int parent;
    if (open == NULL || close == NULL ||
        sscanf(close + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &parent, &user, &system) != 3)
        return false;
    (void)snprintf(name, 32, "%.*s", (int)(close - open - 1), open + 1);
    *ret_parent = parent;
    *ret_ticks = user + system;
    return true;
}

static uint32_t descendants(pid_t root, pid_t ret[DESCENDANTS_MAX])
{
    static struct {
        pid_t pid, parent;
    } all[8192];
    uint32_t count = 0, found = 0;
    DIR *folder = opendir("/proc");
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char path[300], name[32];
        uint64_t ticks;
        all[count].pid = (pid_t)strtol(entry->d_name, NULL, 10);
        (void)snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        if (all[count].pid > 0 && count + 1 < sizeof all / sizeof all[0] &&
            read_stat(path, name, &all[count].parent, &ticks))
            count++;
    }
    if (folder != NULL)
        (void)closedir(folder);
    ret[found++] = root;
    for (uint32_t i = 0; i < found; i++)
        for (uint32_t k = 0; k < count && found < DESCENDANTS_MAX; k++)
            if (all[k].parent == ret[i])
                ret[found++] = all[k].pid;
    return found;
}

static void stage_add(struct stage_cpu stage[], uint32_t *count, const char *name, double ns)
{
    uint32_t i = 0;
    while (i < *count && strcmp(stage[i].name, name) != 0)
        i++;
    if (i == INSTANCE_STAGES_MAX)
        return; /* its process counts in the total all the same */
    if (i == *count) {
        stage[i] = (struct stage_cpu){ .ns = 0 };
        (void)snprintf(stage[i].name, sizeof stage[i].name, "%s", name);
        (*count)++;
    }
    stage[i].ns += ns;
}

static void add_threads(pid_t pid, const char *process, struct stage_cpu stage[], uint32_t *count)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char file[400], name[32], label[80];
        pid_t parent, thread = (pid_t)strtol(entry->d_name, NULL, 10);
        uint64_t ticks;
        (void)snprintf(file, sizeof file, "%s/%s/stat", path, entry->d_name);
        if (thread == 0 || !read_stat(file, name, &parent, &ticks))
            continue;
        const char *kind = thread == pid ? "main" : strncmp(name, "nng", 3) == 0 ? "nng" : name;
        (void)snprintf(label, sizeof label, "%.20s %.20s", process, kind);
        stage_add(stage, count, label, (double)ticks * 1e9 / (double)sysconf(_SC_CLK_TCK));
    }
    if (folder != NULL)
        (void)closedir(folder);
}

uint32_t instance_cpu(const struct instance *instance, struct stage_cpu ret[INSTANCE_STAGES_MAX], double *ret_total_ns)
{
    pid_t pid[DESCENDANTS_MAX];
    uint32_t count = 0, processes = descendants(instance->daemon.pid, pid);
    *ret_total_ns = 0;
    for (uint32_t i = 0; i < processes; i++) {
        char path[64], name[32];
        pid_t parent;
        uint64_t ticks;
        clockid_t clock;
        struct timespec used;
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid[i]);
        if (!read_stat(path, name, &parent, &ticks) || clock_getcpuclockid(pid[i], &clock) != 0 ||
            clock_gettime(clock, &used) != 0)
            continue; /* it has just ended */
        *ret_total_ns += (double)used.tv_sec * 1e9 + (double)used.tv_nsec;
        add_threads(pid[i], name, ret, &count);
    }
    return count;
}

/* ---- deaths -------------------------------------------------------------------------------------------------------- */

static bool any_lives(const pid_t *pid, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (kill(pid[i], 0) == 0)
            return true;
    return false;
}

/* The supervisor last: its children would end by themselves, and redis-server would write its file to the end. */
static void kill_all(struct instance *instance)
{
    pid_t pid[DESCENDANTS_MAX];
    uint32_t count = descendants(instance->daemon.pid, pid);
    for (uint32_t i = count; i-- > 0;)
        (void)kill(pid[i], SIGKILL);
    for (int waited = 0; daemon_runs(&instance->daemon) || (any_lives(pid, count) && waited < GONE_MS); waited += 10)
        (void)nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000000L }, NULL);
}

bool instance_end(struct instance *instance, bool kill_them)
{
    bool good = true;
    let_go(instance);
    if (kill_them)
        kill_all(instance);
    else
        good = daemon_stop(&instance->daemon, END_MS);
    temporary_remove(instance->cache);
    return good;
}
