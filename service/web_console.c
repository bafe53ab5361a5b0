/* web_console.c - the page of the pricing team, as part of the program: a page, its style, its script, and Chart.js of the distribution. It asks
 * for what it shows like any other client; the files themselves are no secret. */
#include "service/web.h"

#include <string.h>

#define EMBED(name, file)                                                                                              \
    __asm__(".pushsection .rodata\n" #name ":\n.incbin \"" file "\"\n" #name "_end:\n.popsection\n");                  \
    extern const char name[] __asm__(#name), name##_end[] __asm__(#name "_end")

EMBED(console_page, "web/console/index.html");
EMBED(console_style, "web/console/console.css");
EMBED(console_script, "web/console/console.js");
EMBED(console_charts, "/usr/share/javascript/chart.js/chart.min.js");

static const struct console_file {
    const char *name, *type;
    const char *text, *end;
} FILES[] = {
    { "", "text/html; charset=utf-8", console_page, console_page_end },
    { "index.html", "text/html; charset=utf-8", console_page, console_page_end }, /* as OpenAPI names it, whose paths end with no slash */
    { "console.css", "text/css; charset=utf-8", console_style, console_style_end },
    { "console.js", "text/javascript; charset=utf-8", console_script, console_script_end },
    { "chart.js", "text/javascript; charset=utf-8", console_charts, console_charts_end },
};

enum MHD_Result web_console(struct exchange *exchange)
{
    const char *name = exchange->tail != NULL ? exchange->tail : "";
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        if (strcmp(FILES[i].name, name) != 0)
            continue;
        struct text text = { 0 };
        text_append(&text, FILES[i].text, (size_t)(FILES[i].end - FILES[i].text));
        return respond(exchange, MHD_HTTP_OK, FILES[i].type, &text);
    }
    return problem(exchange, MHD_HTTP_NOT_FOUND, "not-found", "No such place", "the console is /console/");
}

enum MHD_Result web_console_moved(struct exchange *exchange)
{
    struct text text = { 0 };
    exchange->location = "/console/";
    text_put(&text, "the console is /console/\n");
    return respond(exchange, MHD_HTTP_PERMANENT_REDIRECT, "text/plain; charset=utf-8", &text);
}
