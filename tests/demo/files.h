/* files.h - small input files in a folder of the test's own. */
#ifndef TESTS_DEMO_FILES_H
#define TESTS_DEMO_FILES_H

#include "demo/recording.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUNDLED_FRESH  "demo/data" /* tests run in the source tree */
#define BUNDLED_RETAIL "demo/data/online_retail.csv.gz"

static inline void folder_make(char ret[128])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(ret, 128, "%.100s/demo-XXXXXX", tmp != NULL ? tmp : "/tmp");
    cr_assert_not_null(mkdtemp(ret));
}

static inline const char *file_make(const char *folder, const char *name, const char *text, char ret_path[192])
{
    snprintf(ret_path, 192, "%s/%s", folder, name);
    FILE *file = fopen(ret_path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    fclose(file);
    return ret_path;
}

static inline void folder_remove(const char *folder)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

#endif
