/* json_scan.c - one pass over JSON text that accepts exactly RFC 8259, within our limits.
 *
 * Limits: JSON_DEPTH_MAX levels, numbers of at most 63 bytes (cJSON reads no longer ones), no \u0000 (it would cut a
 * C string), no lone surrogates (they have no UTF-8 form). */
#include "pricing/json_scan.h"
#include "pricing/json_text.h"

#include <string.h>

#define NUMBER_BYTES_MAX 63

static bool fault_at(struct json_scan *scan, const char *at, const char *reason)
{
    scan->at = at;
    scan->reason = reason;
    return false;
}

static bool at_byte(const struct json_scan *scan, char c)
{
    return scan->at < scan->end && *scan->at == c;
}

static bool at_digit(const struct json_scan *scan)
{
    return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

/* ---- white space and comments ------------------------------------------------------------------------ */

static void blank_out(struct json_scan *scan, const char *from)
{
    if (scan->blank == NULL)
        return;
    for (const char *p = from; p < scan->at; p++)
        if (*p != '\n') /* lines stay lines */
            scan->blank[p - scan->begin] = ' ';
}

static bool skip_comment(struct json_scan *scan)
{
    const char *from = scan->at;
    if (!(scan->options & JSON_COMMENTS))
        return fault_at(scan, from, "comments are not allowed here");
    scan->at += 2;
    if (from[1] == '/') {
        while (scan->at < scan->end && *scan->at != '\n')
            scan->at++;
    } else {
        while (scan->end - scan->at >= 2 && !(scan->at[0] == '*' && scan->at[1] == '/'))
            scan->at++;
        if (scan->end - scan->at < 2)
            return fault_at(scan, from, "this comment is never closed");
        scan->at += 2;
    }
    blank_out(scan, from);
    return true;
}

bool json_skip_space(struct json_scan *scan)
{
    while (scan->at < scan->end) {
        char c = *scan->at;
        if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
            scan->at++;
        } else if (c == '/' && scan->end - scan->at >= 2 && (scan->at[1] == '/' || scan->at[1] == '*')) {
            if (!skip_comment(scan))
                return false;
        } else {
            break;
        }
    }
    return true;
}

/* ---- strings ------------------------------------------------------------------------------------------- */

size_t json_utf8_bytes(const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;
    if (left == 0)
        return 0;
    unsigned char low = 0x80, high = 0xBF;
    size_t length = p[0] < 0x80                    ? 1
                    : p[0] >= 0xC2 && p[0] <= 0xDF ? 2
                    : (p[0] & 0xF0) == 0xE0        ? 3
                    : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4
                                                   : 0;
    if (length == 0 || length > left)
        return 0;
    if (p[0] == 0xE0)
        low = 0xA0;
    if (p[0] == 0xED)
        high = 0x9F;
    if (p[0] == 0xF0)
        low = 0x90;
    if (p[0] == 0xF4)
        high = 0x8F;
    if (length > 1 && (p[1] < low || p[1] > high))
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

bool json_is_utf8(const char *text, size_t bytes)
{
    for (size_t at = 0, length; at < bytes; at += length) {
        length = json_utf8_bytes(text + at, bytes - at);
        if (length == 0)
            return false;
    }
    return true;
}

/* Four hexadecimal digits at p; -1 if they are not. */
static int hex4(const char *p, const char *end)
{
    if (end - p < 4)
        return -1;
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static bool scan_unicode_escape(struct json_scan *scan)
{
    const char *from = scan->at; /* at the backslash */
    int code = hex4(from + 2, scan->end);
    if (code < 0)
        return fault_at(scan, from, "\\u needs four hexadecimal digits");
    if (code == 0)
        return fault_at(scan, from, "\\u0000 is not allowed in text");
    scan->at = from + 6;
    if (code >= 0xDC00 && code <= 0xDFFF)
        return fault_at(scan, from, "the second half of a surrogate pair stands alone");
    if (code < 0xD800 || code > 0xDBFF)
        return true;
    bool paired = scan->end - scan->at >= 6 && scan->at[0] == '\\' && scan->at[1] == 'u';
    int second = paired ? hex4(scan->at + 2, scan->end) : -1;
    if (second < 0xDC00 || second > 0xDFFF)
        return fault_at(scan, from, "the first half of a surrogate pair stands alone");
    scan->at += 6;
    return true;
}

static bool scan_escape(struct json_scan *scan)
{
    if (scan->end - scan->at < 2)
        return fault_at(scan, scan->at, "the text ends within a string");
    char c = scan->at[1];
    if (c == 'u')
        return scan_unicode_escape(scan);
    if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL)
        return fault_at(scan, scan->at, "no such escape in JSON");
    scan->at += 2;
    return true;
}

bool json_scan_string(struct json_scan *scan)
{
    const char *from = scan->at;
    if (!at_byte(scan, '"'))
        return fault_at(scan, from, "expected a string in double quotes");
    scan->at++;
    while (scan->at < scan->end) {
        unsigned char c = (unsigned char)*scan->at;
        if (c == '"') {
            scan->at++;
            return true;
        }
        if (c == '\\') {
            if (!scan_escape(scan))
                return false;
        } else if (c < 0x20) {
            return fault_at(scan, scan->at, "control characters within a string must be escaped");
        } else if (c < 0x80) {
            scan->at++;
        } else {
            size_t length = json_utf8_bytes(scan->at, (size_t)(scan->end - scan->at));
            if (length == 0)
                return fault_at(scan, scan->at, "not valid UTF-8");
            scan->at += length;
        }
    }
    return fault_at(scan, from, "this string is never closed");
}

/* ---- numbers and words --------------------------------------------------------------------------------- */

static bool scan_digits(struct json_scan *scan, const char *reason)
{
    if (!at_digit(scan))
        return fault_at(scan, scan->at, reason);
    while (at_digit(scan))
        scan->at++;
    return true;
}

static bool scan_number(struct json_scan *scan)
{
    const char *from = scan->at;
    if (at_byte(scan, '-'))
        scan->at++;
    if (at_byte(scan, '0')) {
        scan->at++;
        if (at_digit(scan))
            return fault_at(scan, from, "a number must not begin with a zero");
    } else if (!scan_digits(scan, "expected a digit")) {
        return false;
    }
    if (at_byte(scan, '.')) {
        scan->at++;
        if (!scan_digits(scan, "expected a digit after the decimal point"))
            return false;
    }
    if (at_byte(scan, 'e') || at_byte(scan, 'E')) {
        scan->at++;
        if (at_byte(scan, '+') || at_byte(scan, '-'))
            scan->at++;
        if (!scan_digits(scan, "expected a digit in the exponent"))
            return false;
    }
    if (scan->at - from > NUMBER_BYTES_MAX)
        return fault_at(scan, from, "a number may have at most 63 characters");
    return true;
}

static bool scan_word(struct json_scan *scan, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0)
        return fault_at(scan, scan->at, "expected a value");
    scan->at += length;
    return true;
}

/* ---- arrays, objects, values --------------------------------------------------------------------------- */

/* After an element: true and *ret_more when a comma follows, true and not when the bracket closes. */
static bool scan_separator(struct json_scan *scan, char close, const char *reason, bool *ret_more)
{
    if (!json_skip_space(scan))
        return false;
    *ret_more = at_byte(scan, ',');
    if (!*ret_more && !at_byte(scan, close))
        return fault_at(scan, scan->at, scan->at == scan->end ? "the text ends too early" : reason);
    scan->at++;
    return !*ret_more || json_skip_space(scan);
}

static bool scan_array(struct json_scan *scan, unsigned depth)
{
    scan->at++;
    if (!json_skip_space(scan))
        return false;
    if (at_byte(scan, ']')) {
        scan->at++;
        return true;
    }
    for (bool more = true; more;)
        if (!json_scan_value(scan, depth) || !scan_separator(scan, ']', "expected a comma or ]", &more))
            return false;
    return true;
}

static bool scan_member(struct json_scan *scan, unsigned depth)
{
    if (!at_byte(scan, '"'))
        return fault_at(scan, scan->at, "expected a key in double quotes");
    if (!json_scan_string(scan) || !json_skip_space(scan))
        return false;
    if (!at_byte(scan, ':'))
        return fault_at(scan, scan->at, "expected a colon after the key");
    scan->at++;
    return json_skip_space(scan) && json_scan_value(scan, depth);
}

static bool scan_object(struct json_scan *scan, unsigned depth)
{
    scan->at++;
    if (!json_skip_space(scan))
        return false;
    if (at_byte(scan, '}')) {
        scan->at++;
        return true;
    }
    for (bool more = true; more;)
        if (!scan_member(scan, depth) || !scan_separator(scan, '}', "expected a comma or }", &more))
            return false;
    return true;
}

bool json_scan_value(struct json_scan *scan, unsigned depth)
{
    if (scan->at >= scan->end)
        return fault_at(scan, scan->at, "the text ends where a value should be");
    char c = *scan->at;
    if ((c == '{' || c == '[') && depth >= JSON_DEPTH_MAX)
        return fault_at(scan, scan->at, "nested too deeply, at most 32 levels");
    switch (c) {
    case '{': return scan_object(scan, depth + 1);
    case '[': return scan_array(scan, depth + 1);
    case '"': return json_scan_string(scan);
    case 't': return scan_word(scan, "true");
    case 'f': return scan_word(scan, "false");
    case 'n': return scan_word(scan, "null");
    case '-': return scan_number(scan);
    default: return at_digit(scan) ? scan_number(scan) : fault_at(scan, scan->at, "expected a value");
    }
}
