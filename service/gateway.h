/* gateway.h - the gateway's insides: what its files share. Private to service/gateway*.c.
 *
 *   producers --NNG--> inbox --> message --> signal_parse --> batch --> windows --stream--> workers
 *      (NNG's threads, or gateway_push.c)|(one main thread: it alone fixes the order)
 *
 *   gateway.c          the main loop, start and end
 *   gateway_clock.c    service time, ticks, the number of the next batch
 *   gateway_inbox.c    messages received and not yet taken: the only place where NNG's threads and ours meet
 *   gateway_push.c     messages pushed on local sockets
 *   gateway_sender.c   who sent a message, for limits and the audit log
 *   gateway_listen.c   sockets of NNG's that others dial, and the thread that finds deaf ones
 *   gateway_tls.c      certificates of producers, and ours for them
 *   gateway_message.c  one message as a row of JSON values
 *   gateway_ingest.c   message after message into signals, and their counting
 *   gateway_batch.c    signals into the open batch: parts, owners, records
 *   gateway_link.c     one worker: window of unacknowledged batches, sending, acknowledgements
 *   gateway_poison.c   a batch that kills its worker again and again, taken apart
 *   gateway_rejects.c  dead letters: rejected signals on their way to Redis
 *   gateway_recorder.c what goes to workers, in files that can be replayed
 *   gateway_answer.c   requests that wait for their signals to be applied
 *   gateway_control.c  ping, tick, watch, explain
 *   gateway_audit.c    questions and erasures that go on record
 *   gateway_ask.c      questions that workers answer
 *   gateway_change.c   models and frozen prices come into force
 *   gateway_sign.c     the thread that signs
 *   gateway_lock.c     prices that are promised, and signed
 *   gateway_record.c   quotes that are signed
 *   gateway_offer.c    what a product cost when a customer looked at it, for models that make offers
 *   gateway_category.c of which category it is, for models that read affinity
 *   gateway_forget.c   erasure with a receipt, and what is known of a customer
 *
 * Threads    everything is the main thread's, except struct inbox.
 * Crash      what was not applied by a worker is lost with the gateway, and was never acknowledged. */
#ifndef SERVICE_GATEWAY_H
#define SERVICE_GATEWAY_H

#include "cache/table.h"
#include "service/audit_names.h"
#include "service/clock.h"
#include "service/config.h"
#include "service/gateway_sender.h"
#include "service/rates.h"
#include "service/reject.h"
#include "service/repeats.h"
#include "service/signing.h"
#include "service/stream.h"
#include "service/wire.h"

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>
#include <poll.h>
#include <pthread.h>
#include <rialto/quote.h>
#include <stdatomic.h>

#define REQUEST_SLOTS       64u        /* requests in the gateway at once; further ones wait in NNG */
#define INTERNAL_SLOT       REQUEST_SLOTS /* a request of our own: its answer goes to the log */
#define REQUESTS_MAX        (REQUEST_SLOTS + 1u)
#define RECEIVES_IN_FLIGHT  8u         /* of each PULL socket */
#define BATCH_BYTES_MAX     (4u << 20) /* of one worker's part; a batch is closed when it has grown past this */
#define SIGNALS_PER_STEP    256u       /* taken before the next look at links, clock and answers */
#define BATCH_SIGNALS_MAX   16384u     /* largest batch_signals_max */
#define LISTENERS_MAX       (2u * CONFIG_URLS_MAX + 1u)
#define LINK_BYTES_MAX      (16u << 20) /* largest message from a worker */

struct gateway;

/* ---- inbox (gateway_inbox.c) ---------------------------------------------------------------------------- */

struct received { /* a message, taken out of the inbox */
    nng_msg *message;
    int slot; /* request slot to answer, -1: pushed, nobody waits */
    int64_t arrived_us;
    struct sender sender;
};

enum slot_state { SLOT_RECEIVING, SLOT_ARRIVED, SLOT_TAKEN, SLOT_SENDING };

struct pushed {
    nng_msg *message;
    int64_t arrived_us;
    uint64_t arrival; /* pushes and requests are taken in this order */
    struct sender sender;
    bool waited; /* its sender had used up its share when its turn came */
};

struct push_endpoint { /* one of push_urls, with a socket of its own: who has to wait here stops nobody elsewhere */
    struct inbox *inbox;
    struct push_door *door; /* a local socket that we read ourselves; NULL: it is NNG's */
    nng_socket socket;
    bool open;
    struct pushed *push; /* ring of room inbox.push_max */
    uint32_t first, count;
    struct push_receive {
        struct push_endpoint *endpoint;
        nng_aio *aio;
        bool done; /* completed, its message not yet in the ring */
    } receive[RECEIVES_IN_FLIGHT];
    uint32_t receive_next; /* whose message comes next: NNG completes them in any order, senders want theirs */
    bool delivering;       /* some thread is moving completed messages into the ring */
    int64_t until_us;      /* main thread: the sender of its oldest message has to wait until then */
};

struct inbox {
    pthread_mutex_t lock; /* holds for everything down to `closed`; never held while NNG is asked to send or receive */
    struct push_endpoint endpoint[CONFIG_URLS_MAX];
    uint32_t endpoint_count, push_max;
    struct inbox_slot {
        struct inbox *inbox;
        nng_ctx context;
        nng_aio *aio;
        enum slot_state state;
        nng_msg *message;
        int64_t arrived_us;
        uint64_t arrival;
        bool named; /* main thread: taken and returned; `sender` is known */
        struct sender sender;
    } slot[REQUEST_SLOTS];
    uint32_t slots_arrived;
    uint64_t arrivals;
    bool closed; /* no more receiving */

    nng_socket reply;
    struct rates *rates; /* NULL: nobody is limited; main thread */
    bool name_pushers;   /* whoever pushes is looked at */
    atomic_bool asleep;  /* the main thread is about to wait, or waits */
    int wake_fd;
};

bool inbox_setup(struct inbox *inbox, const struct config *config); /* opens the sockets, receives nothing yet */
bool inbox_start(struct inbox *inbox);                              /* from now on messages come in */
void inbox_stop(struct inbox *inbox);                               /* no further ones; what is in may still be taken */
void inbox_drain(struct inbox *inbox);                              /* of local producers alone */
void inbox_close_local(struct inbox *inbox); /* says what they lose: before the teardown of NNG, which may hang */
void inbox_teardown(struct inbox *inbox);
/* inbox_take - the oldest message, push or request, of those whose senders need not wait. False: none. The message is the caller's. */
bool inbox_take(struct inbox *inbox, struct received *ret);
/* inbox_take_request - the same, out of turn, of one slot, if a request waits there. inbox_return_request - it keeps
 * its turn. */
bool inbox_take_request(struct inbox *inbox, uint32_t slot, struct received *ret);
void inbox_return_request(struct inbox *inbox, const struct received *received);
/* inbox_empty - of one that goes on it says nothing of what lies in local producers' streams. */
bool inbox_empty(struct inbox *inbox);
/* inbox_next_us - monotonic time from which on there is something to take: 0 = now, INT64_MAX = nothing is there. */
int64_t inbox_next_us(struct inbox *inbox);
/* inbox_unlimited - nobody has to wait any more: the end. */
void inbox_unlimited(struct inbox *inbox);
/* inbox_reply - answer a taken request; the message becomes NNG's. The slot then receives again. */
void inbox_reply(struct inbox *inbox, uint32_t slot, nng_msg *message);
bool inbox_replies_pending(struct inbox *inbox);
/* inbox_put - a message that the main thread has read itself, for an endpoint that has room; it becomes the inbox's. */
void inbox_put(struct push_endpoint *endpoint, nng_msg *message, const struct sender *sender);
void inbox_wake(struct inbox *inbox); /* any thread */

/* ---- local push endpoints (gateway_push.c) ------------------------------------------------------------------ */

bool push_is_own(const char *url); /* read by ourselves, not by NNG */
bool push_open(struct push_endpoint *endpoint, const char *url, size_t message_max);
/* push_drain - nobody can push any more, and what has come is still taken. push_is_drained - and now all of it is. push_close - also of one
 * that is not open; what is still there is dropped, counted and logged. */
void push_drain(struct push_endpoint *endpoint);
bool push_is_drained(const struct push_endpoint *endpoint);
void push_close(struct push_endpoint *endpoint);
/* push_step - what has come, as far as there is room for it. Returns true when something moved. */
bool push_step(struct push_endpoint *endpoint);
bool push_is_due(const struct push_endpoint *endpoint); /* push_step() would find something without asking the kernel */
#define PUSH_POLLED 2u /* descriptors */
void push_poll(const struct push_endpoint *endpoint, struct pollfd ret[PUSH_POLLED]);
void push_polled(struct push_endpoint *endpoint, const struct pollfd polled[PUSH_POLLED]);

/* ---- links (gateway_link.c) ----------------------------------------------------------------------------- */

struct batch_note { /* who sent the signals of a batch; shared by the windows that hold a part of it */
    uint32_t uses, count;
    uint32_t source[]; /* rejects_source() per signal */
};

struct window_entry {
    uint64_t seq;
    struct batch_note *note; /* NULL: nobody said who he is */
    nng_msg *message;        /* ours until acknowledged; what goes out is a copy */
    bool is_tick;            /* carries no record */
    bool sent;
    uint32_t sent_life; /* process of the worker that it was sent to last */
    uint32_t deaths;    /* processes that ended with this as the first batch that they had not applied */
};

struct split { /* the first batch of the window, on its way signal by signal */
    bool active;
    bool sent;     /* the current step is, to the process `life` */
    uint32_t life; /* 0: to none yet */
    uint64_t seq;  /* of the batch */
    size_t at,
        end; /* the step's records in the batch's message; at == end: all are through, what is left is its number */
    uint32_t step, records;
    uint32_t ref;    /* signal */
    uint32_t deaths; /* of processes that had this step */
};

struct link {
    struct gateway *gateway;
    uint32_t index;
    char path[CONFIG_TEXT_MAX + 32]; /* where it dials */
    int listen_fd;
    bool called; /* somebody dials */
    struct stream stream;
    int64_t accepted_ms;
    int64_t rest_ms; /* nobody is taken until then */

    bool ready;      /* HELLO seen on this stream: batches may be sent */
    bool hello_seen; /* ever */
    struct {
        nng_msg *message;
        uint64_t after; /* newest batch when it was asked: the answer is of a state that has it */
    } ask[REQUESTS_MAX]; /* questions to send, the oldest first: no request asks two at once */
    uint32_t ask_count;
    uint32_t flags;
    uint32_t held; /* as its last message said; 0 = not counted */
    uint32_t life; /* of the process that said HELLO last, 0 = none yet */
    struct split split;
    uint64_t applied, durable;
    uint64_t last_seq; /* newest batch put into the window: `prev` of the next */
    int64_t hello_tick_ms;
    uint64_t rewound_to;
    int64_t rewound_ms;
    struct window_entry *window;                /* ring */
    uint32_t window_room, first, count, cursor; /* cursor: entries before it have been sent */
};

bool link_setup(struct link *link, struct gateway *gateway, uint32_t index);
void link_teardown(struct link *link);
/* link_step - take what has happened, send what may be sent. Returns true when something moved. */
bool link_step(struct link *link);
/* link_poll - what to wait for; link_polled - what came of it. */
void link_poll(const struct link *link, struct pollfd *ret);
void link_polled(struct link *link, const struct pollfd *polled);
/* link_is_untold - of a worker whose stream has ended, and that has applied so much: is it not known what it found in that signal? */
bool link_is_untold(const struct link *link, uint64_t seq, uint32_t ref, uint64_t applied);
/* link_has_room - may another record be put into the open batch for this worker? */
bool link_has_room(const struct link *link);
/* link_put - a sealed batch for this worker; the message becomes the link's. A tick that finds no room is dropped: the
 * next batch carries a newer one. */
void link_put(struct link *link, nng_msg *message, uint64_t seq, bool is_tick, struct batch_note *note);
/* link_note_source - who sent signal `ref` of a batch in the window; 0: not known. */
uint32_t link_note_source(const struct window_entry *entry, uint32_t ref);
/* link_ask - a question for this worker; the message becomes the link's. False: it is not there, and the message is
 * freed. */
bool link_ask(struct link *link, nng_msg *message);

/* poison_blame - the worker came back as another process, with its batches applied up to `applied`: was it the first one in
 * the window that it died of? poison_step - the step after those that are applied. poison_message - the current step,
 * ready to be sent; NULL: out of memory. poison_is_untold - link_is_untold() of the batch that is taken apart. */
void poison_blame(struct link *link, uint32_t life);
void poison_step(struct link *link, uint64_t applied);
bool poison_is_untold(const struct link *link, uint32_t ref, uint64_t applied);
nng_msg *poison_message(struct link *link);

/* ---- requests (gateway_answer.c) ------------------------------------------------------------------------ */

enum request_phase { REQUEST_IDLE, REQUEST_TAKING, REQUEST_WAITING };
enum request_kind { REQUEST_SIGNALS, REQUEST_TICK, REQUEST_WATCH, REQUEST_ASK, REQUEST_CHANGE, REQUEST_SIGN };

struct answer_text { /* grows */
    char *data;
    size_t used, room;
};

enum audit_of_customers { AUDIT_OF_NOBODY, AUDIT_EXPLAIN, AUDIT_EXPORT, AUDIT_FORGET, AUDIT_OF_CUSTOMERS };

struct request_signal { /* an accepted one, in order of (seq, ref) */
    uint64_t seq;
    uint64_t workers; /* bit per worker that has a part of it */
    uint64_t told;    /* bit per reason that was found: each is told once */
    uint32_t ref;
    uint32_t index;
    uint8_t enclosed; /* SIGNAL_IN_* */
    bool numbered;    /* it has a number instead of an id */
    bool rejected;    /* by a worker */
};

struct request {
    enum request_phase phase;
    enum request_kind kind;
    int64_t arrived_us;                /* monotonic */
    int64_t deadline_ms;               /* monotonic: until then workers may apply */
    int64_t durable_deadline_ms;       /* 0 until all is applied */
    uint64_t need[RIALTO_WORKERS_MAX]; /* batch that each worker must have applied, 0 = none */
    uint32_t accepted, rejected, watched;
    struct request_signal *signal;
    uint32_t signal_count, signal_room;
    struct answer_text findings; /* the listed ones as the answer will have them, owned */
    uint32_t finding_count, finding_more, remark_count;
    enum signal_reason refused_for;                        /* of the first rejection */
    uint32_t ask_number;                                   /* REQUEST_ASK: down to `asked` */
    uint64_t replies_missing;                              /* bit per worker */
    char *reply[RIALTO_WORKERS_MAX];                       /* JSON, owned */
    void (*asked)(struct gateway *gateway, uint32_t slot); /* when all are in */
    cJSON *job; /* a request of several steps: what it knows so far; owned */
    void (*finished)(struct gateway *gateway, uint32_t slot, const char *durable); /* REQUEST_SIGNALS: instead of its answer, or NULL */
    struct audit_note { /* gateway_audit.c */
        char action[16];   /* "" = nothing that goes on record */
        bool if_refused;   /* it goes on record only if the key was wrong: a look that tells of no customer */
        char who[64], from[SENDER_FROM_MAX], what[192], receipt[40];
        enum audit_of_customers kind;
        struct rialto_key customer; /* whose data are read; zeros: nobody's */
    } audit;
};

/* ---- on record (gateway_audit.c) ----------------------------------------------------------------------------- */

#define AUDIT_FOLDS    64u  /* lines about customers that may be counted together with others like them */
#define AUDIT_FOLD_MS  1000 /* for so long */
#define AUDIT_LEFT_OUT "not told singly"

struct
    audit { /* what is read of customers and erased without a receipt, which producers and shops may do by the thousand */
    struct audit_names *names;
    struct audit_fold { /* a line that was written; `more` like it were not yet */
        bool used;
        int64_t since_ms;
        uint32_t more;
        char action[16], outcome[40], who[64], from[SENDER_FROM_MAX], whose[AUDIT_NAME_MAX];
    } fold[AUDIT_FOLDS + AUDIT_OF_CUSTOMERS]; /* the last ones, one of each kind: where all others are in use */
    int64_t aged_ms;
};

bool audit_setup(struct gateway *gateway);
void audit_teardown(struct gateway *gateway); /* what is not told yet is */
void audit_step(struct gateway *gateway);

/* audit_note - when this request is answered, it goes on record. audit_note_control - if it is a control of that kind. audit_note_receipt -
 * an erasure's. audit_answered - it is. */
void audit_note(struct gateway *gateway, uint32_t slot, const char *action, const char *who, const char *from,
                const char *what);
void audit_note_control(struct gateway *gateway, const struct received *received, const cJSON *object);
void audit_note_receipt(struct gateway *gateway, uint32_t slot, const char *nonce);
void audit_answered(struct gateway *gateway, uint32_t slot, const char *text, size_t bytes);
/* audit_forgotten - an erasure of this customer is on its way: the log does not know any more who that was. audit_forget_signal - and a
 * signal asked for it, which goes on record. */
void audit_forgotten(struct gateway *gateway, const char *customer);
void audit_forget_signal(struct gateway *gateway, const struct received *received, const char *customer);

void answers_teardown(struct gateway *gateway);
void request_begin(struct gateway *gateway, uint32_t slot, int64_t arrived_us, enum request_kind kind);
/* request_accept - one signal went into a batch. False when memory ran out: then it must not be routed. */
bool request_reserve(struct request *request);
void request_accept(struct request *request, const struct signal *signal, uint64_t seq, uint32_t ref, uint32_t index,
                    uint64_t workers);
void request_reject(struct gateway *gateway, struct request *request, uint32_t index, enum signal_reason reason,
                    const struct fault *fault);
void request_need(struct request *request, uint32_t worker, uint64_t seq);
void request_wait(struct gateway *gateway, uint32_t slot); /* all is routed: answer when applied, or in time */
void answers_findings(struct gateway *gateway, const struct wire_finding *finding, uint32_t count);
/* answers_untold - before the link takes over that so much is applied. */
void answers_untold(struct gateway *gateway, const struct link *link, uint64_t applied);
void answers_step(struct gateway *gateway);
int64_t answers_next_ms(const struct gateway *gateway); /* monotonic time of the next deadline, INT64_MAX: none */
uint32_t answers_waiting(const struct gateway *gateway);
/* answer_pointer_of - the field that a reason of a worker is about. */
const char *answer_pointer_of(enum signal_reason reason);
/* answer_refused - {"ok":false,...} at once. */
void answer_refused(struct gateway *gateway, uint32_t slot, enum signal_reason reason, const struct fault *fault);
/* answer_text - a finished answer at once. */
void answer_text(struct gateway *gateway, uint32_t slot, const char *text, size_t bytes);

/* ---- questions that workers answer (gateway_ask.c) ------------------------------------------------------------ */

/* ask_workers - hand a question to workers (a bit each); the request (REQUEST_ASK) waits, and `asked` is called when
 * every reply is in. ask_owner - to the one that owns an id. ask_pass_on - an `asked`: the one reply is the answer. */
void ask_workers(struct gateway *gateway, uint32_t slot, uint64_t workers, const char *text, size_t bytes,
                 void (*asked)(struct gateway *gateway, uint32_t slot));
void ask_owner(struct gateway *gateway, uint32_t slot, const char *id, const char *text, size_t bytes,
               void (*asked)(struct gateway *gateway, uint32_t slot));
void ask_pass_on(struct gateway *gateway, uint32_t slot);
/* ask_gather - an `asked`: {"ok":true,"workers":[each reply]}. */
void ask_gather(struct gateway *gateway, uint32_t slot);
void ask_drop(struct request *request); /* its replies are not needed any more */
/* from the links */
void ask_replied(struct gateway *gateway, uint32_t worker, uint32_t number, const char *text, size_t bytes);
void ask_worker_gone(struct gateway *gateway, uint32_t worker);

/* ---- what is in force (gateway_change.c) ----------------------------------------------------------------------- */

struct change;
bool change_start(struct gateway *gateway); /* after the clock: the number in force goes to all workers */
void change_control(struct gateway *gateway, const struct received *received, const cJSON *object);
void change_hangup(struct gateway *gateway);
void change_given_up(struct gateway *gateway, uint32_t slot); /* nobody answered in time: it does not come */
const struct change *change_in_force(void);
cJSON *change_json(void); /* the caller's */
/* change_held - prices that the change in force holds by name, once it is in force everywhere; -1: it names none, or a worker has not counted. */
int64_t change_held(const struct gateway *gateway);
/* ---- signing (gateway_sign.c) ------------------------------------------------------------------------------------- */

struct signer;
bool signer_setup(struct gateway *gateway);
void signer_teardown(struct gateway *gateway);
/* sign_answer - {"ok":true,NAME:PAYLOAD,"signed":TEXT}, when the thread has signed it; `payload` is the caller's no more. `also`: further
 * members, each behind a comma; at most SIGN_ALSO_MAX - 1 bytes. */
#define SIGN_ALSO_MAX 64u
void sign_answer(struct gateway *gateway, uint32_t slot, const char *name, cJSON *payload, const char *also);
void signer_step(struct gateway *gateway); /* answers what has been signed */
/* signer_keys - answer with the public keys; rotate: after making a new one. */
void signer_keys(struct gateway *gateway, uint32_t slot, bool rotate);

/* ---- promises (gateway_lock.c, gateway_record.c) ------------------------------------------------------------------ */

void lock_begin(struct gateway *gateway, const struct received *received, const cJSON *object);
void record_begin(struct gateway *gateway, const struct received *received, const cJSON *object);
/* gateway_quote - what a storefront would read now. ret_rule may be NULL. */
enum signal_reason gateway_quote(struct gateway *gateway, const struct rialto_request *request, const char *sku,
                                 struct rialto_quote *ret, struct rialto_rule_row *ret_rule, struct fault *fault);
/* gateway_prices - are prices to be had? They are opened if need be, and not those of a cache that was replaced. */
bool gateway_prices(struct gateway *gateway);
/* control_members - no others than these. control_basis - "basis", if it is there. */
enum signal_reason control_members(const cJSON *object, const char *const known[], size_t count, struct fault *fault);
enum signal_reason control_basis(const cJSON *object, enum rialto_zone_basis *ret, struct fault *fault);

/* ---- offers (gateway_offer.c) ------------------------------------------------------------------------------------- */

struct offering { /* which models make offers, and of which events; nobody else's signals are priced on their way */
    uint32_t count, events; /* models; a bit for each enum demand_event */
    bool affinity;          /* some model reads it */
    char model[MODELS_MAX][RIALTO_NAME_MAX];
};
void offering_of(const struct model_set *set, struct offering *ret);
/* offering_price - what a demand signal that names a customer carries; NULL: nothing. Good until the next call. */
const struct wire_priced *offering_price(struct gateway *gateway, const struct signal *signal);
/* category_fill (gateway_category.c) - of demand that names a customer and no category: the product's, where that may teach something. */
void category_fill(struct gateway *gateway, struct signal *signal);

/* ---- erasure (gateway_forget.c) ----------------------------------------------------------------------------------- */

void forget_begin(struct gateway *gateway, const struct received *received, const struct signal *signal);

/* ---- one message as a row of JSON values (gateway_message.c) ----------------------------------------------- */

struct message {
    const char *text;
    size_t bytes, at;
    enum { MESSAGE_ONE, MESSAGE_LINES, MESSAGE_ARRAY } form;
    cJSON *tree;       /* owned: the whole of ONE and ARRAY, the line of LINES */
    const cJSON *next; /* ARRAY */
    bool broken;       /* the whole could not be read */
    bool from_anybody; /* SIGNALS_FROM_ANYBODY stood in front */
};

/* message_open - look at the form. The text must stay where it is until message_close(). */
void message_open(struct message *message, const char *text, size_t bytes);
/* message_line - the next line of LINES, which message_next() will read. message_line_done - it was read otherwise. */
bool message_line(struct message *message, const char **ret_text, size_t *ret_bytes);
void message_line_done(struct message *message, size_t bytes);
/* message_next - the next value: *ret_value, or NULL with *ret_reason and *fault. False at the end. */
bool message_next(struct message *message, const cJSON **ret_value, enum signal_reason *ret_reason,
                  struct fault *fault);
void message_close(struct message *message);

/* ---- taking in (gateway_ingest.c, gateway_batch.c, gateway_control.c) --------------------------------------- */

struct ingest {
    bool active; /* a message is being taken */
    struct received received;
    struct message message;
    uint32_t index; /* of the next value in it */
    bool held;      /* `signal` is parsed and waits for room in a window */
    bool limited; /* its sender's share is used up: nothing is taken but what takes data away */
    struct signal signal;
    struct signal_scanner scanner;
    struct ingest_counts { /* since the last step */
        uint32_t received, accepted, of_kind[SIGNAL_TYPE_COUNT];
    } counts;
    uint64_t reasons[REASON_COUNT], reasons_told[REASON_COUNT];
    int64_t told_ms;
};

struct batch { /* the open one */
    uint64_t seq;
    uint32_t arrived_us; /* as in struct wire_header */
    uint32_t signals;
    bool full;
    bool answered;      /* somebody waits for at least one */
    bool sources_known; /* at least one */
    uint32_t source[BATCH_SIGNALS_MAX];
    nng_msg *message[RIALTO_WORKERS_MAX]; /* NULL: nothing for this worker yet */
    uint32_t records[RIALTO_WORKERS_MAX];
    size_t bytes_before[RIALTO_WORKERS_MAX]; /* of the last message */
};

/* ingest_step - take at most SIGNALS_PER_STEP signals. Returns true when there is more to take right now. */
bool ingest_step(struct gateway *gateway);
void ingest_report(struct gateway *gateway, bool now); /* rejections to the log, seldom */
void ingest_teardown(struct gateway *gateway);

/* batch_route - put a signal's parts into the open batch, and mark it if its visit did so before. False: a worker that must get one has no room; nothing was
 * done. */
bool batch_route(struct gateway *gateway, struct signal *signal, struct request *request, uint32_t index);
/* batch_seal - the open batch goes to the links, if it holds anything. `more`: signals follow it at once. */
void batch_seal(struct gateway *gateway, bool more);
/* batch_id_hash - what stands for a signal's source and id in its records. */
uint64_t batch_id_hash(const struct gateway *gateway, const struct signal *signal);
void batch_tick(struct gateway *gateway); /* every worker gets an empty batch of the current tick */
void batch_teardown(struct gateway *gateway);
/* batch_change - a batch of its own for all workers: the change is in force from here on. Its number. batch_has_room - in
 * all windows? */
uint64_t batch_change(struct gateway *gateway, uint64_t number);
bool batch_has_room(const struct gateway *gateway);

/* control_take - if the message is a control that may be acted on, do so and return true: the request is answered or
 * will be. */
enum signal_reason control_member(struct gateway *gateway, const cJSON *object, const char *member, enum signal_field field,
                                  bool needed, struct signal *signal, struct fault *fault);
enum control_which { CONTROL_ALL, CONTROL_PING, CONTROL_REFUSE /* all: their time is up */ };
bool control_take(struct gateway *gateway, const struct received *received, enum control_which which);

/* ---- dead letters (gateway_rejects.c) ------------------------------------------------------------------------ */

bool rejects_setup(struct gateway *gateway);
void rejects_teardown(struct gateway *gateway);
/* rejects_source - a number for a source, for struct batch_note; 0: none. `who`: its keyed hash, where that is known; else 0. */
uint32_t rejects_source(struct gateway *gateway, const char *source, uint64_t who);
/* rejects_add_value - of a value that was refused here (NULL: it was not even JSON). rejects_add_record - of a part that a
 * worker refused. */
void rejects_add_value(struct gateway *gateway, const cJSON *value, uint32_t index, enum signal_reason reason,
                       const struct fault *fault);
void rejects_add_record(struct gateway *gateway, uint32_t worker, const struct wire_record *head,
                        const struct signal *signal, uint32_t source, enum signal_reason reason);

/* ---- recordings (gateway_recorder.c) -------------------------------------------------------------------------- */

bool recorder_setup(struct gateway *gateway); /* nothing where record_files_max is 0 */
void recorder_teardown(struct gateway *gateway);
/* recorder_record - a product or common part of the open batch, encoded. recorder_batch_end - prices are computed here.
 * recorder_tick - the clock's tick has begun. None of them waits. */
void recorder_record(struct gateway *gateway, const uint8_t *record, size_t bytes);
void recorder_batch_end(struct gateway *gateway);
void recorder_tick(struct gateway *gateway);

/* ---- service time and numbers (gateway_clock.c) -------------------------------------------------------------- */

struct clock {
    int64_t offset_ms; /* service time - CLOCK_MONOTONIC */
    int64_t tick_ms;   /* current one */
    int64_t followed_mono_ms, slept_ms; /* when the wall clock was last looked at, and how long the machine had slept until then */
    uint64_t next_seq;
    _Atomic uint64_t *seq_word; /* mapped file: newest number given out */
    int seq_fd;
};

bool clock_setup(struct gateway *gateway); /* the file of numbers */
void clock_start(struct gateway *gateway); /* after the workers' HELLOs */
void clock_teardown(struct gateway *gateway);
int64_t clock_now_ms(const struct gateway *gateway);     /* service time */
bool clock_step(struct gateway *gateway);                /* a new tick? then it is sent */
void clock_move(struct gateway *gateway, int64_t to_ms); /* forward only */
int64_t clock_next_tick_mono_ms(const struct gateway *gateway);
uint64_t clock_take_seq(struct gateway *gateway);
void clock_seen_seq(struct gateway *gateway,
                    uint64_t applied); /* by a worker; ends the process if it is one not given out */

/* ---- listeners (gateway_listen.c) ---------------------------------------------------------------------------- */

/* tls_open - for tls+tcp:// endpoints (gateway_tls.c); NULL after a log line. tls_close - NULL is fine. */
bool tls_is_url(const char *url);
nng_tls_config *tls_open(const struct config *config);
void tls_close(nng_tls_config *tls);

struct listener {
    char url[CONFIG_TEXT_MAX + 32];
    char path[108]; /* of an ipc one */
    nng_socket socket;
    nng_listener id;
    nng_tls_config *tls; /* NULL: none */
    int permissions;
    int probe_fd; /* a greeting under way; -1: none */
    int64_t probe_until_ms, look_ms;
};

struct listeners {
    nng_tls_config *tls;  /* opened with the first endpoint that needs it */
    pthread_mutex_t lock; /* of the next two */
    struct listener listener[LISTENERS_MAX];
    uint32_t count;
    pthread_t thread;
    bool thread_started;
    int stop_fd;
    _Atomic uint32_t reopened;
    _Atomic bool stuck; /* NNG takes no closed pipe away any more */
};

void listeners_setup(struct listeners *listeners);
bool listeners_open(struct listeners *listeners, nng_socket socket, const char *url);
bool listeners_watch(struct listeners *listeners);
void listeners_stop(struct listeners *listeners);

/* ---- all of it -------------------------------------------------------------------------------------------------- */

struct gateway {
    const struct config *config;
    struct cache *cache;
    struct rialto_control *control;
    struct rialto *prices; /* as a storefront reads them; NULL until somebody asks */
    struct signal_rules rules;
    struct inbox inbox;
    struct listeners listeners;
    struct clock clock;
    struct rejects *rejects;
    struct recorder *recorder; /* NULL: nothing is recorded */
    struct ingest ingest;
    struct audit audit;
    struct batch batch;
    struct repeats *repeats;
    struct offering offering;
    struct wire_priced priced; /* offering_price()'s */
    struct signer *signer;
    struct link link[RIALTO_WORKERS_MAX];
    uint32_t link_count;
    struct request request[REQUESTS_MAX];
    uint32_t asks; /* ever */
    bool hangup;   /* SIGHUP came */
    bool stalled;  /* the held signal found no room */
    int signal_fd;
};
#endif
