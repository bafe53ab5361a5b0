/* plain.c - what the command prints cannot steer a terminal, whoever wrote the text.
 *
 *   printf() --> stdout's buffer --> plain_write(): control characters become \u001b, \u009b --> file descriptor 1
 *   cli_say() --> cli_plain_text(): the same --> stderr
 *
 * Titles, zones, reasons and records come from outside; no printf() has to think of it. Escapes are those of JSON, so that --json stays JSON.
 * Line ends and tabs pass: texts of which a line must not be broken are printed by cli_line_text(). */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ESCAPED_MAX 6u /* \u009b */
#define PIECE_BYTES 4096u

struct plain {       /* where in a character of UTF-8 the text is */
    unsigned follow; /* bytes that are still to come */
    bool held;       /* 0xC2, which makes a control character (C1) of what follows or does not */
};

static size_t escape(unsigned char c, char ret[ESCAPED_MAX])
{
    static const char digits[] = "0123456789abcdef";
    memcpy(ret, "\\u00", 4);
    ret[4] = digits[c >> 4];
    ret[5] = digits[c & 15];
    return ESCAPED_MAX;
}

static unsigned follow_of(unsigned char c)
{
    return c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
}

/* One byte; returns how many it became. At most one held and one escaped. */
static size_t plain_byte(struct plain *plain, unsigned char c, char ret[ESCAPED_MAX + 1])
{
    size_t n = 0;
    bool control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F, inner = c >= 0x80 && c < 0xC0;
    if (plain->held) {
        plain->held = false;
        plain->follow = 0;
        if (inner && c < 0xA0)
            return escape(c, ret);
        ret[n++] = (char)0xC2;
        plain->follow = 1;
    }
    if (inner && plain->follow > 0) {
        plain->follow--;
        ret[n++] = (char)c;
    } else if (control ||
               (inner && c < 0xA0)) { /* the second: of no character, and a control character to terminals of 8 bits */
        plain->follow = 0;
        n += escape(c, ret + n);
    } else if (c == 0xC2) {
        plain->held = true;
    } else {
        plain->follow = follow_of(c);
        ret[n++] = (char)c;
    }
    return n;
}

static bool put_all(int fd, const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t put = write(fd, text, bytes);
        if (put < 0 && errno != EINTR)
            return false;
        text += put > 0 ? put : 0;
        bytes -= put > 0 ? (size_t)put : 0;
    }
    return true;
}

static ssize_t plain_write(void *user, const char *text, size_t bytes)
{
    struct plain *plain = user;
    char piece[PIECE_BYTES];
    size_t used = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (used + ESCAPED_MAX + 1 > sizeof piece) {
            if (!put_all(STDOUT_FILENO, piece, used))
                return 0;
            used = 0;
        }
        used += plain_byte(plain, (unsigned char)text[i], piece + used);
    }
    return put_all(STDOUT_FILENO, piece, used) ? (ssize_t)bytes : 0;
}

void cli_plain_output(void)
{
    static struct plain plain;
    FILE *stream = fopencookie(&plain, "w", (cookie_io_functions_t){ .write = plain_write });
    if (stream == NULL)
        return; /* out of memory at the start: nothing will work */
    (void)setvbuf(stream, NULL, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, BUFSIZ);
    stdout = stream;
}

void cli_plain_text(const char *text, FILE *to)
{
    struct plain plain = { 0 };
    char ret[ESCAPED_MAX + 1];
    for (; *text != '\0'; text++)
        (void)fwrite(ret, 1, plain_byte(&plain, (unsigned char)*text, ret), to);
}

void cli_line_text(const char *text)
{
    char escaped[ESCAPED_MAX];
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20)
            (void)fwrite(escaped, 1, escape((unsigned char)*text, escaped), stdout);
        else
            (void)putchar(*text);
    }
}
