/* instance.h - a rialtod of a measurement's own: started in folders that vanish, asked, counted, stopped.
 *
 * CPU time is read from outside, as the kernel accounts it: of a process by its clock (ns), of its threads by
 * /proc/PID/task (in ticks of 10 ms, so measure for seconds). */
#ifndef BENCH_INSTANCE_H
#define BENCH_INSTANCE_H

#include "demo/daemon.h"
#include "demo/request.h"
#include "service/metrics.h"

#include <rialto/quote.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define INSTANCE_STAGES_MAX 24u

struct instance {
    char folder[64]; /* /tmp: models, data, sockets */
    char cache[64];  /* /dev/shm */
    char push_url[128], request_url[128];
    struct daemon daemon;
    struct requester *requester;
    const struct metrics_file *metrics;
};

/* instance_start - with one model (text of its file; NULL: one that follows demand, for products of category "bench" in EUR), and
 * these further settings ("key=value"). Waits until it answers. False after a line on standard error. */
bool instance_start(struct instance *instance, const char *model, uint32_t count, const char *const set[]);
/* instance_stop - and remove everything. */
void instance_stop(struct instance *instance);

/* instance_end - stop in order, or kill every process of it at once, redis-server too, and take away its tables: what a machine's end leaves.
 * False: it did not end well. instance_run - start it again in its folders; it need not answer yet. instance_enter - wait until it does. */
bool instance_end(struct instance *instance, bool kill_them);
bool instance_run(struct instance *instance, uint32_t count, const char *const set[]);
bool instance_enter(struct instance *instance);

/* instance_apply - another text for its model; what SIGHUP does then is for the caller to wait for. */
bool instance_apply(const struct instance *instance, const char *model);

/* instance_accept - signals on the request endpoint: true when all of them were accepted. */
bool instance_accept(struct instance *instance, const char *signals, size_t bytes);

/* instance_add_products - sku-000000 and so on, of category "bench", in EUR, each for one minor unit more than the one before. At most
 * as many as one message may hold (message_signals_max). */
bool instance_add_products(struct instance *instance, uint32_t count, uint32_t first_list);

/* instance_metric - the sum of one counter over all processes. */
uint64_t instance_metric(const struct instance *instance, enum metric metric);

struct stage_cpu { /* CPU time of one kind of thread, from outside */
    char name[80]; /* "gateway main", "worker.0 nng", "redis-server" */
    double ns;
};

/* instance_cpu - CPU time used so far, per process (*ret_total_ns, exact) and per kind of thread. Returns how many. */
uint32_t instance_cpu(const struct instance *instance, struct stage_cpu ret[INSTANCE_STAGES_MAX], double *ret_total_ns);
#endif
