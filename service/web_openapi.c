/* web_openapi.c - web/openapi.json as part of the program: a service describes itself wherever it runs. */
#include "service/web.h"

__asm__(".pushsection .rodata\n"
        ".global web_openapi_text\n"
        ".global web_openapi_end\n"
        "web_openapi_text:\n"
        ".incbin \"web/openapi.json\"\n"
        "web_openapi_end:\n"
        ".popsection\n");
extern const char web_openapi_text[], web_openapi_end[];

enum MHD_Result web_openapi(struct exchange *exchange)
{
    struct text text = { 0 };
    text_append(&text, web_openapi_text, (size_t)(web_openapi_end - web_openapi_text));
    return respond(exchange, MHD_HTTP_OK, TYPE_JSON, &text);
}
