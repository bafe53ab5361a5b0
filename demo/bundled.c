/* bundled.c - where the recordings and models that come with the program are. */
#include "demo/replay.h"

#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PARENTS 4 /* build/release/bin lies three below the source tree */

static bool is_there(const char *folder, const char *name, size_t n, char *ret_path)
{
    int length = snprintf(ret_path, n, "%s%s%s", folder, folder[0] ? "/" : "", name);
    return length > 0 && (size_t)length < n && access(ret_path, R_OK) == 0;
}

bool find_beside_program(const char *name, size_t n, char *ret_path)
{
    if (is_there("", name, n, ret_path))
        return true;
    char program[4096];
    ssize_t bytes = readlink("/proc/self/exe", program, sizeof program - 1);
    if (bytes <= 0)
        return false;
    program[bytes] = 0;
    char *folder = program;
    for (int i = 0; i < PARENTS; i++) {
        folder = dirname(folder);
        if (is_there(folder, name, n, ret_path))
            return true;
        char share[4096 + 32];
        snprintf(share, sizeof share, "%s/share/rialto", folder);
        if (is_there(share, name, n, ret_path))
            return true;
    }
    return false;
}

bool replay_bundled(struct tape_source *ret)
{
    static char fresh[4096], retail[4096];
    if (!find_beside_program("demo/data", sizeof fresh, fresh))
        return false;
    snprintf(retail, sizeof retail, "%.4000s/online_retail.csv.gz", fresh);
    *ret = (struct tape_source){ .fresh_dir = fresh, .retail_file = retail };
    return true;
}
