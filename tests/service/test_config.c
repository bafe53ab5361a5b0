/* test_config.c - good settings arrive, bad ones are refused with their place, and docs/config.md is what the code
 * says. */
#include "service/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *file_with(const char *text)
{
    static char path[] = "/tmp/rialto-config.XXXXXX";
    (void)strcpy(path, "/tmp/rialto-config.XXXXXX");
    int fd = mkstemp(path);
    cr_assert_neq(fd, -1);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    return path;
}

static enum rialto_status load(const char *text, struct config *ret, struct fault *fault)
{
    const char *path = file_with(text);
    enum rialto_status status = config_load(path, ret, fault);
    cr_assert(status == RIALTO_OK || strcmp(fault->file, path) == 0, "a fault names the file: %s", fault->file);
    (void)unlink(path);
    return status;
}

static void refused(const char *text, uint32_t line, const char *pointer, const char *reason)
{
    struct config config;
    struct fault fault;
    memset(&config, 0x5a, sizeof config);
    cr_assert_eq(load(text, &config, &fault), RIALTO_REFUSED, "%s", text);
    cr_assert_eq(fault.line, line, "line %u of %s", fault.line, text);
    cr_assert_gt(fault.column, 0);
    cr_assert_str_eq(fault.pointer, pointer);
    cr_assert_not_null(strstr(fault.reason, reason), "%s", fault.reason);
    cr_assert_eq(((const char *)&config)[100], 0x5a, "a refused file changes nothing");
}

static void set_refused(const char *assignment, const char *reason)
{
    struct config config;
    struct fault fault;
    config_defaults(&config);
    cr_assert_eq(config_set(&config, assignment, &fault), RIALTO_REFUSED, "%s", assignment);
    cr_assert_not_null(strstr(fault.reason, reason), "%s: %s", assignment, fault.reason);
}

Test(config, defaults_are_good_and_complete)
{
    struct config config;
    struct fault fault;
    cr_assert_eq(config_load(NULL, &config, &fault), RIALTO_OK);
    cr_assert_eq(config_finish(&config, &fault), RIALTO_OK);
    cr_assert_str_eq(config.cache_dir, "/dev/shm/rialto");
    cr_assert_str_eq(config.push_urls, "ipc://run/push.ipc tcp://127.0.0.1:7411");
    cr_assert_str_eq(config.request_urls, "ipc://run/request.ipc tcp://127.0.0.1:7412");
    cr_assert_str_eq(config.redis_prefix, "rialto");
    cr_assert_geq(config.workers, 1);
    cr_assert_eq(config.geohash_length[0], 3);
    cr_assert_eq(config.geohash_length[1], 5);
    cr_assert_eq(config.path_depth[2], 3);
}

Test(config, a_second_instance_shares_nothing)
{
    struct config config;
    struct fault fault;
    config_defaults(&config);
    cr_assert_eq(config_set(&config, "instance=shop-2", &fault), RIALTO_OK);
    cr_assert_eq(config_finish(&config, &fault), RIALTO_OK);
    cr_assert_str_eq(config.cache_dir, "/dev/shm/shop-2");
    cr_assert_str_eq(config.redis_prefix, "shop-2");
    cr_assert_str_eq(config.push_urls, "ipc://run/push.ipc", "the well-known port belongs to the first");
}

Test(config, a_file_with_comments_is_read)
{
    struct config config;
    struct fault fault;
    cr_assert_eq(load("// ours\n{ \"worker_count\": 3, /* two */ \"redis_url\": \"tcp://[::1]:6379\", \"demo\": true,\n"
                      "  \"path_depths\": \"2\", \"geohash_lengths\": \"\" }",
                      &config, &fault),
                 RIALTO_OK);
    cr_assert_eq(config_finish(&config, &fault), RIALTO_OK);
    cr_assert_eq(config.workers, 3);
    cr_assert_eq(config.demo, 1);
    cr_assert_str_eq(config.redis_url, "tcp://[::1]:6379");
    cr_assert_eq(config.path_depth[0], 2);
    cr_assert_eq(config.path_depth[1], 0);
    cr_assert_eq(config.geohash_length[0], 0);
}

Test(config, a_bad_file_is_refused_whole_with_its_place)
{
    refused("{\n  \"worker_cnt\": 3\n}", 2, "/worker_cnt", "no such setting");
    refused("{\n\n  \"worker_count\": 65\n}", 3, "/worker_count", "from 0 to 64 procs");
    refused("{\n  \"worker_count\": 1.5\n}", 2, "/worker_count", "whole number");
    refused("{ \"worker_count\": \"3\" }", 1, "/worker_count", "must be a number");
    refused("{ \"worker_count\": true }", 1, "/worker_count", "must be a number");
    refused("{ \"instance\": 3 }", 1, "/instance", "must be a string");
    refused("{ \"instance\": \"Shop 1\" }", 1, "/instance", "only small letters");
    refused("{ \"instance\": \"../x\" }", 1, "/instance", "only small letters");
    refused("{ \"log_level\": \"loud\" }", 1, "/log_level", "must be debug");
    refused("{ \"log_format\": \"xml\" }", 1, "/log_format", "must be text or json");
    refused("{ \"a/b~c\": 1 }", 1, "/a~1b~0c", "no such setting");
    refused("{ \"redis_url\": \"redis:6379\" }", 1, "/redis_url", "neither unix:PATH nor tcp://HOST:PORT");
    refused("{ \"push_urls\": \"tcp://0.0.0.0:7411 http://x\" }", 1, "/push_urls", "\"http://x\" is neither");
    refused("{ \"models_dir\": \"\" }", 1, "/models_dir", "may not be empty");
}

Test(config, what_is_not_a_configuration_is_refused)
{
    struct config config;
    struct fault fault;
    cr_assert_eq(load("[]", &config, &fault), RIALTO_REFUSED);
    cr_assert_eq(load("{ \"worker_count\": 3, \"worker_count\": 4 }", &config, &fault), RIALTO_REFUSED);
    cr_assert_eq(load("{ \"worker_count\": 3 ", &config, &fault), RIALTO_REFUSED);
    cr_assert_eq(load("", &config, &fault), RIALTO_REFUSED);
    cr_assert_neq(config_load("/nowhere/rialto.json", &config, &fault), RIALTO_OK);
    cr_assert_str_eq(fault.file, "/nowhere/rialto.json");
}

Test(config, set_checks_as_strictly_as_a_file)
{
    set_refused("worker_count", "not of the form");
    set_refused("=3", "not of the form");
    set_refused("nothing=3", "no such setting");
    set_refused("worker_count=", "not a number");
    set_refused("worker_count=-1", "not a number");
    set_refused("worker_count=3x", "not a number");
    set_refused("worker_count=1e99", "from 0 to 64");
    set_refused("worker_count=0.5", "whole number");
    set_refused("geohash_lengths=5,3", "ascending");
    set_refused("geohash_lengths=3,5,", "ascending");
    set_refused("geohash_lengths=3,5,7", "ascending");
    set_refused("geohash_lengths=13", "ascending");
    set_refused("path_depths=0", "ascending");
    set_refused("sensitive_categories=health,", "commas");
    set_refused("sensitive_categories=,health", "commas");
    set_refused("sensitive_categories=health,,adult", "commas");
    set_refused("sensitive_categories=shop/health", "commas");
    set_refused("sensitive_categories=a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", "at most 32");
    set_refused("redis_url=tcp://host:0", "neither");
    set_refused("redis_url=unix:", "path");
    set_refused("cache_on_stop=maybe", "keep or remove");
    set_refused("data_dir=/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                "sockets");
    set_refused("data_dir=/var/lib/my shop", "blank");
    set_refused("group=caf\xe9", "not UTF-8");
    set_refused("models_dir=a\nb", "control character");
}

Test(config, settings_that_contradict_each_other_are_refused)
{
    static const char *const bad[] = { "redis_user=ann", "redis_password_file=/x", "restart_backoff_max_ms=1",
                                       "cells_max=64" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct config config;
        struct fault fault = { 0 };
        config_defaults(&config);
        cr_assert_eq(config_set(&config, bad[i], &fault), RIALTO_OK);
        cr_assert_eq(config_finish(&config, &fault), RIALTO_REFUSED, "%s", bad[i]);
        cr_assert_eq(strncmp(fault.pointer + 1, bad[i], strlen(fault.pointer + 1)), 0, "%s names %s", bad[i],
                     fault.pointer);
    }
}

/* Goal: every path that is built from the longest data_dir still fits. */
Test(config, the_longest_data_dir_fits_everywhere)
{
    struct config config;
    struct fault fault;
    char assignment[128] = "data_dir=/";
    memset(assignment + 10, 'd', 79);
    config_defaults(&config);
    cr_assert_eq(config_set(&config, assignment, &fault), RIALTO_OK);
    cr_assert_eq(config_finish(&config, &fault), RIALTO_OK);
    cr_assert_not_null(strstr(config.request_urls, "/request.ipc tcp://127.0.0.1:7412"));
    cr_assert_leq(strlen(config.data_dir) + strlen("/worker.63.ipc"), 107);
}

/* Goal: processes that are started from what was saved have the very same settings, the worker count among them. */
Test(config, what_is_saved_reads_back_the_same)
{
    struct config config, again;
    struct fault fault;
    config_defaults(&config);
    cr_assert_eq(config_set(&config, "group=a \"quoted\" \\ name", &fault), RIALTO_OK);
    cr_assert_eq(config_set(&config, "products_max=12345", &fault), RIALTO_OK);
    cr_assert_eq(config_finish(&config, &fault), RIALTO_OK);
    const char *path = file_with("");
    cr_assert(config_save(&config, path));
    cr_assert_eq(config_load(path, &again, &fault), RIALTO_OK, "%s", fault.reason);
    cr_assert_eq(config_finish(&again, &fault), RIALTO_OK);
    cr_assert_eq(again.worker_count, config.workers);
    again.worker_count = config.worker_count;
    cr_assert_eq(memcmp(&again, &config, sizeof config), 0);
    (void)unlink(path);
}

Test(config, the_reference_is_what_the_code_says)
{
    static char page[65536];
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes), *file = fopen("docs/config.md", "r");
    cr_assert_not_null(file, "run from the top of the tree");
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    (void)fclose(file);
    config_describe(out);
    (void)fclose(out);
    const char *begin = strstr(page, "<!-- begin: rialtod --describe-config -->\n");
    const char *end = strstr(page, "<!-- end -->");
    cr_assert(begin != NULL && end != NULL && begin < end);
    begin = strchr(begin, '\n') + 1;
    cr_assert(strlen(text) == (size_t)(end - begin) && memcmp(text, begin, bytes) == 0,
              "docs/config.md is not what rialtod --describe-config says");
    free(text);
}
