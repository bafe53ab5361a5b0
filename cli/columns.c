/* columns.c - columns of text as a terminal shows them: a character may take several bytes, and no cell of the screen, one, or two. */
#include "cli/cli.h"

#include "pricing/json_text.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>

/* Cells of one character, by the C library's tables; where these are not there, one each. */
static int cells_of(const char *text, size_t bytes)
{
    static locale_t utf8;
    wchar_t wide;
    mbstate_t state = { 0 };
    if (utf8 == (locale_t)0)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8 == (locale_t)0)
        return 1;
    locale_t before = uselocale(utf8);
    int cells = mbrtowc(&wide, text, bytes, &state) == bytes ? wcwidth(wide) : 1;
    (void)uselocale(before);
    return cells >= 0 ? cells : 1;
}

/* Bytes of as much of the text as fits into so many cells; *ret_cells: what it takes. */
static size_t fitting(const char *text, int cells, int *ret_cells)
{
    size_t used = 0, left = strlen(text);
    *ret_cells = 0;
    while (left > 0) {
        size_t bytes = json_utf8_bytes(text + used, left);
        bytes = bytes > 0 ? bytes : 1;
        int more = cells_of(text + used, bytes);
        if (*ret_cells + more > cells)
            break;
        *ret_cells += more;
        used += bytes;
        left -= bytes;
    }
    return used;
}

void cli_column(const char *text, int cells, bool cut)
{
    int taken;
    size_t bytes = fitting(text, cells, &taken);
    if (text[bytes] != '\0' && !cut) {
        fputs(text, stdout);
        return;
    }
    if (text[bytes] != '\0') {
        bytes = fitting(text, cells - 1, &taken);
        printf("%.*s\u2026%*s", (int)bytes, text, cells - 1 - taken, "");
        return;
    }
    printf("%s%*s", text, cells - taken, "");
}
