/* main.c - rialto-shop: a small web shop on Rialto's prices. */
#include "web/shop/shop.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "rialto-shop - a sample storefront: products, their prices for a customer of your choice, consent switches, and "
    "why\n"
    "\n"
    "Usage: rialto-shop [OPTIONS]\n"
    "\n"
    "A demonstration: whoever opens the page may be any of the customers in its list. Prices are read out of the "
    "shared\n"
    "memory of the folder --cache, read-only; consents go to the service's HTTP door as answered signals.\n"
    "\n"
    "  --listen ADDRESS:PORT   where the shop is; default 127.0.0.1:7490\n"
    "  --cache DIR             shared-memory tables (else $RIALTO_CACHE, else /dev/shm/rialto)\n"
    "  --service HOST:PORT     the service's HTTP door; default 127.0.0.1:7480\n"
    "  --token-file FILE       first line: a token of the role shop, for consents and explanations (docs/http.md)\n"
    "  --customers FILE        the shop's own customers; else some of the bundled recordings\n"
    "  --check                 is the shop at --listen healthy? Exit status 0 or 1\n"
    "  --help\n"
    "\n"
    "Ends by SIGTERM or SIGINT. Exit status: 0, 1 it could not start, 2 wrong usage.\n";

enum { OPTION_LISTEN = 1, OPTION_CACHE, OPTION_SERVICE, OPTION_TOKEN, OPTION_CUSTOMERS, OPTION_CHECK, OPTION_HELP };

/* Returns -1 to go on, else the exit status. */
static int take_options(struct shop *shop, bool *ret_check, int argc, char *argv[])
{
    static const struct option options[] = { { "listen", required_argument, NULL, OPTION_LISTEN },
                                             { "cache", required_argument, NULL, OPTION_CACHE },
                                             { "service", required_argument, NULL, OPTION_SERVICE },
                                             { "token-file", required_argument, NULL, OPTION_TOKEN },
                                             { "customers", required_argument, NULL, OPTION_CUSTOMERS },
                                             { "check", no_argument, NULL, OPTION_CHECK },
                                             { "help", no_argument, NULL, OPTION_HELP },
                                             { 0 } };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case OPTION_LISTEN: shop->listen = optarg; break;
        case OPTION_CACHE: shop->cache = optarg; break;
        case OPTION_SERVICE: shop->service = optarg; break;
        case OPTION_TOKEN: shop->token_file = optarg; break;
        case OPTION_CUSTOMERS: shop->customers_file = optarg; break;
        case OPTION_CHECK: *ret_check = true; break;
        case OPTION_HELP: fputs(help, stdout); return 0;
        default: return 2;
        }
    if (optind == argc)
        return -1;
    fprintf(stderr, "rialto-shop: what is \"%s\"? rialto-shop --help explains the options\n", argv[optind]);
    return 2;
}

static bool take_address(struct shop *shop, const char *address)
{
    const char *colon = strrchr(address, ':');
    size_t host = colon != NULL ? (size_t)(colon - address) : 0;
    if (host == 0 || host >= sizeof shop->service_host || strlen(colon + 1) >= sizeof shop->service_port ||
        colon[1 + strspn(colon + 1, "0123456789")] != '\0')
        return false;
    (void)snprintf(shop->service_host, sizeof shop->service_host, "%.*s", (int)host, address);
    (void)snprintf(shop->service_port, sizeof shop->service_port, "%s", colon + 1);
    return true;
}

/* A token is letters, digits and a few signs: nothing that could end a line of HTTP. */
static bool load_token(struct shop *shop)
{
    if (shop->token_file == NULL)
        return true;
    FILE *file = fopen(shop->token_file, "re");
    bool good = file != NULL && fgets(shop->token, sizeof shop->token, file) != NULL;
    if (file != NULL)
        (void)fclose(file);
    size_t bytes = strcspn(shop->token, "\r\n");
    shop->token[bytes] = '\0';
    return good && bytes >= 32 && bytes <= 256 &&
           strspn(shop->token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=") == bytes;
}

static int check(struct shop *shop)
{
    if (!take_address(shop, shop->listen))
        return 2;
    if (strcmp(shop->service_host, "0.0.0.0") == 0)
        (void)snprintf(shop->service_host, sizeof shop->service_host, "127.0.0.1");
    struct shop_answer answer = shop_ask(shop, "GET", "/healthz", NULL, false);
    const cJSON *title = cJSON_GetObjectItemCaseSensitive(answer.json, "title");
    printf("%s\n", answer.status == 200 ? "ok" : cJSON_IsString(title) ? title->valuestring : "no answer");
    cJSON_Delete(answer.json);
    return answer.status == 200 ? 0 : 1;
}

static int failed(const char *why)
{
    fprintf(stderr, "rialto-shop: %s\n", why);
    return 1;
}

static int serve(struct shop *shop)
{
    char why[256] = "out of memory";
    int number, status = 1;
    sigset_t ends;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL); /* before any thread: they inherit it */
    struct MHD_Daemon *daemon = NULL;
    if (shop_prices_setup(shop) && shop_customers_load(shop, why))
        daemon = shop_listen(shop, why);
    if (daemon != NULL) {
        printf("the shop is open: http://%s\n", shop->listen);
        (void)fflush(stdout);
        (void)sigwait(&ends, &number);
        MHD_stop_daemon(daemon);
        status = 0;
    } else {
        (void)failed(why);
    }
    cJSON_Delete(shop->customers);
    shop_prices_teardown(shop);
    return status;
}

int main(int argc, char *argv[])
{
    static struct shop shop = { .listen = "127.0.0.1:7490", .service = "127.0.0.1:7480" };
    bool is_check = false;
    int status = take_options(&shop, &is_check, argc, argv);
    if (status >= 0)
        return status;
    if (is_check)
        return check(&shop);
    if (!take_address(&shop, shop.service)) {
        (void)failed("--service wants HOST:PORT");
        return 2;
    }
    if (!load_token(&shop))
        return failed("--token-file: its first line is no token of 32 to 256 characters");
    return serve(&shop);
}
