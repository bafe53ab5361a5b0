/* signal.c - `rialto signal`: tells the service what happened, and prints what it made of it. */
#include "cli/cli.h"
#include "pricing/json_member.h"
#include "pricing/json_text.h"

#include <errno.h>
#include <inttypes.h>
#include <nng/nng.h>
#include <nng/protocol/pipeline0/push.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INPUT_BYTES_MAX (256u << 20)
#define LINES_MAX       256u /* of one message */
#define ATTEMPTS        3u
#define LINGER_MS       300 /* a PUSH socket says "sent" when it has queued: give it time to write */

enum { OWN_TEXT = CLI_OWN, OWN_PUSH };

struct options {
    const char *text;
    bool push;
};

static bool take(void *user, int option, const char *argument)
{
    struct options *options = user;
    if (option == OWN_TEXT)
        options->text = argument;
    else
        options->push = true;
    return true;
}

static char *read_stream(FILE *file, size_t *ret_bytes)
{
    size_t room = 1u << 16, used = 0;
    char *text = malloc(room);
    while (text != NULL) {
        used += fread(text + used, 1, room - used - 1, file);
        if (used + 1 < room)
            break;
        char *larger = room < INPUT_BYTES_MAX ? realloc(text, room *= 2) : NULL;
        if (larger == NULL)
            free(text);
        text = larger;
    }
    if (text != NULL)
        text[used] = 0;
    *ret_bytes = used;
    return text;
}

/* The input as text of the caller's; NULL after having said why. */
static char *read_input(const struct options *options, const char *path, size_t *ret_bytes)
{
    if (options->text != NULL) {
        *ret_bytes = strlen(options->text);
        return strdup(options->text);
    }
    bool is_stdin = path == NULL || strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    if (file == NULL) {
        cli_say("%s: %s", path, strerror(errno));
        return NULL;
    }
    errno = 0;
    char *text = read_stream(file, ret_bytes);
    bool failed = ferror(file) != 0;
    if (text == NULL || failed)
        cli_say("%s: %s", is_stdin ? "standard input" : path, failed ? strerror(errno) : "larger than 256 MB");
    if (!is_stdin)
        fclose(file);
    if (failed) {
        free(text);
        return NULL;
    }
    return text;
}

/* Where the message that begins at `text` ends: the whole input when it is one JSON value, else at most LINES_MAX
 * lines. */
static size_t message_bytes(const char *text, size_t bytes, uint32_t *ret_lines)
{
    uint32_t lines = 0;
    size_t at = 0;
    while (at < bytes && lines < LINES_MAX) {
        const char *end = memchr(text + at, '\n', bytes - at);
        size_t next = end != NULL ? (size_t)(end - text) + 1 : bytes;
        lines += strspn(text + at, " \t\r\n") < next - at; /* blank lines are no signals */
        at = next;
    }
    *ret_lines = lines;
    return at;
}

static bool is_one_value(const char *text, size_t bytes)
{
    struct fault fault;
    cJSON *value = json_parse(text, bytes, 0, &fault);
    cJSON_Delete(value);
    return value != NULL;
}

struct total {
    uint64_t accepted, rejected;
    char durable[16];
    bool failed;
};

static void print_findings(const cJSON *answer, uint64_t first)
{
    const cJSON *finding;
    cJSON_ArrayForEach(finding, cJSON_GetObjectItemCaseSensitive(answer, "findings"))
    {
        const char *pointer = json_string(finding, "pointer");
        printf("signal %" PRIu64 ": %s%s%s: %s\n", first + (uint64_t)json_number(finding, "index") + 1, pointer,
               pointer[0] ? ": " : "", json_string(finding, "reason"), json_string(finding, "text"));
    }
}

static void note_answer(const struct cli *cli, const cJSON *answer, uint64_t first, struct total *total)
{
    total->accepted += (uint64_t)json_number(answer, "accepted");
    total->rejected += (uint64_t)json_number(answer, "rejected");
    total->failed |= cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(answer, "ok"));
    snprintf(total->durable, sizeof total->durable, "%s", json_string(answer, "durable"));
    if (!cli->json) {
        print_findings(answer, first);
        return;
    }
    char *text = cJSON_PrintUnformatted(answer);
    printf("%s\n", text != NULL ? text : "null");
    free(text);
}

static int send_acknowledged(const struct cli *cli, const char *text, size_t bytes)
{
    struct requester *requester = cli_connect(cli, 0);
    if (requester == NULL)
        return CLI_UNREACHABLE;
    struct total total = { .durable = "" };
    uint64_t first = 0;
    bool whole = is_one_value(text, bytes);
    int status = CLI_OK;
    for (size_t at = 0; at < bytes && status == CLI_OK;) {
        uint32_t lines = 1;
        size_t size = whole ? bytes : message_bytes(text + at, bytes - at, &lines);
        char why[REQUEST_WHY_MAX];
        cJSON *answer = lines > 0 ? requester_ask(requester, text + at, size, ATTEMPTS, NULL, why) : NULL;
        if (answer != NULL) {
            note_answer(cli, answer, first, &total);
        } else if (lines > 0) {
            cli_say("%s", why);
            status = CLI_UNREACHABLE;
        }
        cJSON_Delete(answer);
        first += lines;
        at += size;
    }
    requester_close(requester);
    if (!cli->json && status == CLI_OK)
        printf("%" PRIu64 " accepted, %" PRIu64 " rejected%s%s\n", total.accepted, total.rejected,
               total.durable[0] ? ", durable: " : "", total.durable);
    if (status == CLI_OK && (total.rejected > 0 || total.failed))
        status = CLI_NO;
    return status;
}

static int push_text(nng_socket socket, const char *text, size_t bytes)
{
    nng_msg *message;
    int error = nng_msg_alloc(&message, 0);
    if (error != 0)
        return error;
    error = nng_msg_append(message, text, bytes);
    if (error == 0)
        error = nng_sendmsg(socket, message, 0);
    if (error != 0)
        nng_msg_free(message);
    return error;
}

/* No answer comes back here: "sent" means that it was handed to the operating system, at best. */
static int send_pushed(const struct cli *cli, const char *text, size_t bytes)
{
    nng_socket socket;
    int error = nng_push0_open(&socket);
    if (error != 0) {
        cli_say("no socket: %s", nng_strerror(error));
        return CLI_UNREACHABLE;
    }
    char urls[CONFIG_TEXT_MAX], *save = NULL;
    snprintf(urls, sizeof urls, "%s", cli->config.push_urls);
    (void)nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 1u << 20);
    (void)nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, (nng_duration)cli->timeout_ms);
    error = NNG_ENOENT;
    for (char *url = strtok_r(urls, " ", &save); url != NULL && error != 0; url = strtok_r(NULL, " ", &save))
        error = nng_dial(socket, url, NULL, 0);
    bool whole = is_one_value(text, bytes);
    for (size_t at = 0; at < bytes && error == 0;) {
        uint32_t lines = 1;
        size_t size = whole ? bytes : message_bytes(text + at, bytes - at, &lines);
        error = push_text(socket, text + at, size);
        at += size;
    }
    if (error != 0)
        cli_say("not sent to %s: %s", cli->config.push_urls, nng_strerror(error));
    else
        nanosleep(&(struct timespec){ 0, LINGER_MS * 1000000L }, NULL);
    nng_close(socket);
    if (error == 0 && !cli->json)
        printf("sent, not acknowledged\n");
    return error == 0 ? CLI_OK : CLI_UNREACHABLE;
}

static int run(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "json-text", required_argument, NULL, OWN_TEXT },
                                         { "push", no_argument, NULL, OWN_PUSH },
                                         { 0 } };
    struct options options = { 0 };
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    if (argc - optind > 1 || (argc - optind == 1 && options.text != NULL)) {
        cli_say("one input is enough: a file, - for standard input, or --json-text");
        return CLI_USAGE;
    }
    size_t bytes;
    char *text = read_input(&options, optind < argc ? argv[optind] : NULL, &bytes);
    if (text == NULL)
        return CLI_BAD_FILE;
    status = (options.push ? send_pushed : send_acknowledged)(cli, text, bytes);
    free(text);
    return status;
}

const struct cli_command cli_signal = {
    .name = "signal",
    .usage = "signal [OPTIONS] [FILE|-]",
    .summary = "tell the service what happened",
    .help =
        "Sends signals (a JSON object, an array of them, or one object a line) to the acknowledged endpoint and prints "
        "what\n"
        "became of them: accepted, rejected and why, and what the acknowledgement is worth. Standard input by "
        "default.\n"
        "Exit status 1 if any signal was rejected. docs/signals.md lists all types and fields.\n"
        "\n"
        "  --json-text TEXT  the signals themselves\n"
        "  --push            send to the endpoint that does not answer: faster, and nobody tells what became of it\n"
        "\n"
        "  rialto signal --json-text "
        "'{\"type\":\"product\",\"sku\":\"milk-1l\",\"category\":\"fresh/dairy\",\"list\":189,\n"
        "                              \"currency\":\"CNY\",\"title\":\"Milk, 1 l\"}'\n"
        "  rialto signal --json-text "
        "'{\"type\":\"supply\",\"sku\":\"milk-1l\",\"zone\":\"c1/s25\",\"available\":2,\"capacity\":40}'\n"
        "  rialto signal orders.ndjson\n"
        "  my-export | rialto signal -\n",
    .run = run,
};
