/* json_scan.h - the strict scanner below json_parse() and json_place(): RFC 8259 grammar over a byte range.
 *
 * Private to pricing/. A scan never reads outside [begin, end) and is linear in its length. */
#ifndef PRICING_JSON_SCAN_H
#define PRICING_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

struct json_scan {
    const char *begin, *at, *end;
    unsigned options;   /* JSON_COMMENTS */
    char *blank;        /* NULL, or a copy of the text: comments are overwritten with spaces in it */
    const char *reason; /* why the scan stopped at `at`; NULL = no fault yet */
};

/* json_skip_space - to the next byte that is neither white space nor comment. False on a fault (an open comment). */
bool json_skip_space(struct json_scan *scan);

/* json_scan_string, json_scan_value - past the string or value that begins at `at`. False on a fault: at and reason
 * say which. */
bool json_scan_string(struct json_scan *scan);
bool json_scan_value(struct json_scan *scan, unsigned depth);
#endif
