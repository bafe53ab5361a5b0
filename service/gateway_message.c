/* gateway_message.c - one message as a row of JSON values: an object, an array of them, or lines of them.
 *
 * Lines are parsed one by one, so that a bad line costs only itself; an array is one text, so a fault in it costs all
 * of it. An object may run over several lines: what begins with "{" is lines only if the first line is a whole value,
 * or if the text as a whole is not one. */
#include "service/gateway.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_space(const char *text, size_t bytes, size_t at)
{
    while (at < bytes && is_space(text[at]))
        at++;
    return at;
}

static size_t line_end(const char *text, size_t bytes, size_t at)
{
    const char *end = memchr(text + at, '\n', bytes - at);
    return end == NULL ? bytes : (size_t)(end - text);
}

static enum signal_reason parse(const char *text, size_t bytes, cJSON **ret, struct fault *fault)
{
    *ret = json_parse(text, bytes, 0, fault);
    if (*ret != NULL)
        return REASON_none;
    if (json_is_utf8(text, bytes)) /* only asked when a text was refused, to say why */
        return REASON_not_json;
    fault_set(fault, NULL, 0, "", "%s", signal_reason_text(REASON_not_utf8));
    return REASON_not_utf8;
}

void message_open(struct message *message, const char *text, size_t bytes)
{
    struct fault fault;
    bool from_anybody = bytes > 0 && text[0] == SIGNALS_FROM_ANYBODY;
    text += from_anybody;
    bytes -= from_anybody;
    *message = (struct message){ .text = text, .bytes = bytes, .form = MESSAGE_ONE, .from_anybody = from_anybody };
    message->at = skip_space(text, bytes, 0);
    if (message->at == bytes || text[message->at] == '[') {
        message->form = message->at == bytes ? MESSAGE_ONE : MESSAGE_ARRAY;
        return;
    }
    size_t end = line_end(text, bytes, message->at);
    if (skip_space(text, bytes, end) == bytes)
        return;
    cJSON *first = json_parse(text + message->at, end - message->at, 0, &fault);
    cJSON *whole = first == NULL ? json_parse(text, bytes, 0, &fault) : NULL;
    message->form = whole == NULL ? MESSAGE_LINES : MESSAGE_ONE;
    cJSON_Delete(first);
    cJSON_Delete(whole);
}

bool message_line(struct message *message, const char **ret_text, size_t *ret_bytes)
{
    if (message->form != MESSAGE_LINES)
        return false;
    message->at = skip_space(message->text, message->bytes, message->at);
    *ret_text = message->text + message->at;
    *ret_bytes = line_end(message->text, message->bytes, message->at) - message->at;
    return *ret_bytes > 0;
}

void message_line_done(struct message *message, size_t bytes)
{
    message->at += bytes;
}

static bool next_line(struct message *message, const cJSON **ret_value, enum signal_reason *ret_reason,
                      struct fault *fault)
{
    message->at = skip_space(message->text, message->bytes, message->at);
    if (message->at == message->bytes)
        return false;
    size_t end = line_end(message->text, message->bytes, message->at);
    cJSON_Delete(message->tree);
    *ret_reason = parse(message->text + message->at, end - message->at, &message->tree, fault);
    *ret_value = message->tree;
    message->at = end;
    return true;
}

/* Parses all of the text at the first call. An empty array has no values; a text that is no JSON is one bad value. */
static bool next_of_whole(struct message *message, const cJSON **ret_value, enum signal_reason *ret_reason,
                          struct fault *fault)
{
    if (message->tree == NULL && !message->broken) {
        *ret_reason = parse(message->text, message->bytes, &message->tree, fault);
        message->broken = message->tree == NULL;
        *ret_value = NULL;
        if (message->broken)
            return true;
        message->next = message->form == MESSAGE_ARRAY ? message->tree->child : message->tree;
    }
    if (message->next == NULL)
        return false;
    *ret_value = message->next;
    *ret_reason = REASON_none;
    message->next = message->form == MESSAGE_ARRAY ? message->next->next : NULL;
    return true;
}

bool message_next(struct message *message, const cJSON **ret_value, enum signal_reason *ret_reason, struct fault *fault)
{
    if (message->form == MESSAGE_LINES)
        return next_line(message, ret_value, ret_reason, fault);
    return next_of_whole(message, ret_value, ret_reason, fault);
}

void message_close(struct message *message)
{
    cJSON_Delete(message->tree);
    message->tree = NULL;
    message->next = NULL;
}
