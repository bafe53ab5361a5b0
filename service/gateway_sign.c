/* gateway_sign.c - a thread that signs, so that signatures hold up neither signals nor ticks.
 *
 *   sign_answer(): job --mutex--> thread: Ed25519 --> done --wake--> signer_step(): answered
 *
 * At most one job per request slot: the ring never overflows. A job whose request was given up meanwhile (answer_timeout_ms) is dropped by its
 * number. */
#include "service/gateway.h"

#include "service/log.h"
#include "service/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    uint32_t slot, number; /* request.ask_number: whose request it is */
    const char *name;      /* of the payload in the answer; static text */
    char *payload;         /* JSON, owned */
    char also[SIGN_ALSO_MAX];
    bool signed_well;
    char text[RIALTO_SIGNED_MAX];
};

struct signer {
    struct signing *signing;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below, and of rotation */
    pthread_cond_t news;
    struct job job[REQUEST_SLOTS]; /* ring */
    uint32_t first, waiting, done; /* done ones first */
    bool stop;
    struct inbox *inbox;
};

static void *sign_thread(void *argument)
{
    struct signer *signer = argument;
    (void)pthread_mutex_lock(&signer->lock);
    for (;;) {
        while (signer->waiting == 0 && !signer->stop)
            (void)pthread_cond_wait(&signer->news, &signer->lock);
        if (signer->stop)
            break;
        struct job *job = &signer->job[(signer->first + signer->done) % REQUEST_SLOTS];
        job->signed_well = signing_sign(signer->signing, job->payload, job->text);
        signer->waiting--;
        signer->done++;
        (void)pthread_mutex_unlock(&signer->lock);
        inbox_wake(signer->inbox);
        (void)pthread_mutex_lock(&signer->lock);
    }
    (void)pthread_mutex_unlock(&signer->lock);
    return NULL;
}

bool signer_setup(struct gateway *gateway)
{
    struct signer *signer = calloc(1, sizeof *signer);
    if (signer == NULL)
        return false;
    signer->inbox = &gateway->inbox;
    signer->signing = signing_open(gateway->config);
    bool good = signer->signing != NULL && pthread_mutex_init(&signer->lock, NULL) == 0;
    if (good && pthread_cond_init(&signer->news, NULL) == 0 && pthread_create(&signer->thread, NULL, sign_thread, signer) == 0) {
        gateway->signer = signer;
        return true;
    }
    signing_close(signer->signing);
    free(signer);
    return false;
}

void signer_teardown(struct gateway *gateway)
{
    struct signer *signer = gateway->signer;
    if (signer == NULL)
        return;
    (void)pthread_mutex_lock(&signer->lock);
    signer->stop = true;
    (void)pthread_cond_signal(&signer->news);
    (void)pthread_mutex_unlock(&signer->lock);
    (void)pthread_join(signer->thread, NULL);
    for (uint32_t i = 0; i < signer->done + signer->waiting; i++)
        free(signer->job[(signer->first + i) % REQUEST_SLOTS].payload);
    (void)pthread_cond_destroy(&signer->news);
    (void)pthread_mutex_destroy(&signer->lock);
    signing_close(signer->signing);
    free(signer);
    gateway->signer = NULL;
}

static void refuse(struct gateway *gateway, uint32_t slot, const char *why)
{
    struct fault fault;
    fault_set(&fault, NULL, 0, "", "%s", why);
    answer_refused(gateway, slot, REASON_no_answer, &fault);
}

void sign_answer(struct gateway *gateway, uint32_t slot, const char *name, cJSON *payload, const char *also)
{
    struct signer *signer = gateway->signer;
    struct request *request = &gateway->request[slot];
    char *text = cJSON_PrintUnformatted(payload);
    cJSON_Delete(payload);
    if (text == NULL) {
        refuse(gateway, slot, "out of memory");
        return;
    }
    request->kind = REQUEST_SIGN;
    request->phase = REQUEST_WAITING;
    request->ask_number = ++gateway->asks;
    (void)pthread_mutex_lock(&signer->lock);
    bool room = signer->waiting + signer->done < REQUEST_SLOTS; /* jobs of requests that were given up stand in it too */
    if (room) {
        struct job *job = &signer->job[(signer->first + signer->done + signer->waiting++) % REQUEST_SLOTS];
        *job = (struct job){ .slot = slot, .number = request->ask_number, .name = name, .payload = text };
        (void)snprintf(job->also, sizeof job->also, "%s", also);
        (void)pthread_cond_signal(&signer->news);
    }
    (void)pthread_mutex_unlock(&signer->lock);
    if (!room) {
        free(text);
        refuse(gateway, slot, "too much is to be signed: ask again");
    }
}

/* The payload once more in clear, so that nobody has to decode what he just got. */
static void answer_signed(struct gateway *gateway, const struct job *job)
{
    struct request *request = &gateway->request[job->slot];
    if (request->phase != REQUEST_WAITING || request->kind != REQUEST_SIGN || request->ask_number != job->number)
        return;
    if (!job->signed_well) {
        refuse(gateway, job->slot, "it is too long to be signed");
        return;
    }
    size_t room = strlen(job->payload) + strlen(job->name) + sizeof job->text + sizeof job->also + 64;
    char *text = malloc(room);
    if (text == NULL) {
        refuse(gateway, job->slot, "out of memory");
        return;
    }
    int length = snprintf(text, room, "{\"ok\":true,\"%s\":%s%s,\"signed\":\"%s\"}", job->name, job->payload, job->also, job->text);
    metric_add(METRIC_signed_total, 1);
    answer_text(gateway, job->slot, text, (size_t)length);
    free(text);
}

void signer_step(struct gateway *gateway)
{
    struct signer *signer = gateway->signer;
    for (;;) {
        (void)pthread_mutex_lock(&signer->lock);
        bool any = signer->done > 0;
        struct job job = any ? signer->job[signer->first] : (struct job){ 0 };
        if (any) {
            signer->first = (signer->first + 1) % REQUEST_SLOTS;
            signer->done--;
        }
        (void)pthread_mutex_unlock(&signer->lock);
        if (!any)
            return;
        answer_signed(gateway, &job);
        free(job.payload);
    }
}

void signer_keys(struct gateway *gateway, uint32_t slot, bool rotate)
{
    struct signer *signer = gateway->signer;
    static char list[SIGNING_LIST_MAX]; /* the main thread's */
    (void)pthread_mutex_lock(&signer->lock);
    bool good = !rotate || signing_rotate(signer->signing, gateway->config);
    signing_list(signer->signing, list);
    (void)pthread_mutex_unlock(&signer->lock);
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", true);
    cJSON_AddStringToObject(answer, "keys", list);
    char *text = good ? cJSON_PrintUnformatted(answer) : NULL;
    cJSON_Delete(answer);
    if (text != NULL)
        answer_text(gateway, slot, text, strlen(text));
    else
        refuse(gateway, slot, "no further key can be made: the log says why");
    free(text);
}
