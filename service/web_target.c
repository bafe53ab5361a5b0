/* web_target.c - what a request line asks for: a path, or a whole address (RFC 9112, 3.2.1 and 3.2.2).
 *
 * It is looked at as it was sent. Once its escapes are undone, http://a%2Fv1/freeze reads as a host `a` and the path /v1/freeze, and to a proxy before the
 * door it was /freeze of another host. So an address whose host is not plain is refused, not guessed at. */
#include "service/web.h"

#include <string.h>
#include <strings.h>

#define HTTP          "http://"
#define HTTPS         "https://"
#define DIGITS        "0123456789"
#define LETTERS       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define PORT_DIGITS   5u
#define NAME_MAX_DNS  253u
#define ADDRESS_CHARS DIGITS "ABCDEFabcdef:."

/* HOST or [ADDRESS], in plain characters: no user, no escapes. 0: it is none. */
static size_t host_bytes(const char *text)
{
    if (text[0] == '[') {
        size_t bytes = strspn(text + 1, ADDRESS_CHARS);
        return bytes > 0 && text[bytes + 1] == ']' ? bytes + 2 : 0;
    }
    return strspn(text, LETTERS DIGITS "-._~");
}

int web_target_head(const char *target, bool is_secured)
{
    bool secured = strncasecmp(target, HTTPS, strlen(HTTPS)) == 0;
    if (!secured && strncasecmp(target, HTTP, strlen(HTTP)) != 0)
        return 0;
    size_t scheme = secured ? strlen(HTTPS) : strlen(HTTP), host = host_bytes(target + scheme), end = scheme + host,
           port = 0;
    if (target[end] == ':') {
        port = strspn(target + end + 1, DIGITS);
        end += 1 + port;
    }
    bool is_whole = target[end] == '/' || target[end] == '?' || target[end] == '\0';
    bool is_good = host > 0 && host <= NAME_MAX_DNS && port <= PORT_DIGITS && is_whole && (is_secured || !secured);
    return is_good ? (int)end : WEB_TARGET_BAD;
}
