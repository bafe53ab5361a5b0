/* keys.c - see keys.h. */
#include "demo/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_BYTES 32u /* random ones: 43 characters in base64 */
#define TOKEN_CHARS 44u
#define PATH_BYTES  4200u

static const struct {
    const char *role, *name, *file;
} KEYS[] = { { "admin", "console", "console.token" }, { "shop", "sample-shop", "shop.token" } };

#define KEY_COUNT (sizeof KEYS / sizeof KEYS[0])

static bool failed(char why[KEYS_WHY_MAX], const char *path)
{
    (void)snprintf(why, KEYS_WHY_MAX, "%.150s: %s", path, strerror(errno));
    return false;
}

/* Whole or not at all: beside it first, for its owner alone. */
static bool file_put(const char *path, const char *text, char why[KEYS_WHY_MAX])
{
    char beside[PATH_BYTES + 8];
    (void)snprintf(beside, sizeof beside, "%s.new", path);
    (void)unlink(beside);
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd == -1)
        return failed(why, beside);
    bool good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    good = close(fd) == 0 && good && rename(beside, path) == 0;
    return good || failed(why, path);
}

/* The token of a file that is there, without its line's end. */
static bool token_read(const char *path, char ret[TOKEN_CHARS + 2])
{
    FILE *file = fopen(path, "re");
    bool good = file != NULL && fgets(ret, TOKEN_CHARS + 2, file) != NULL;
    if (file != NULL)
        (void)fclose(file);
    if (good)
        ret[strcspn(ret, "\n")] = '\0';
    return good && strlen(ret) == TOKEN_CHARS - 1;
}

static bool token_make(const char *path, char ret[TOKEN_CHARS + 2], char why[KEYS_WHY_MAX])
{
    uint8_t bytes[TOKEN_BYTES];
    char line[TOKEN_CHARS + 4];
    randombytes_buf(bytes, sizeof bytes);
    (void)sodium_bin2base64(ret, TOKEN_CHARS, bytes, sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    (void)snprintf(line, sizeof line, "%s\n", ret);
    return file_put(path, line, why);
}

bool keys_make(const char *dir, char why[KEYS_WHY_MAX])
{
    char path[PATH_BYTES], list[KEY_COUNT * 128] = "# made by rialto-demo\n";
    if (sodium_init() < 0 || (mkdir(dir, 0700) != 0 && errno != EEXIST))
        return failed(why, dir);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        char token[TOKEN_CHARS + 2], hex[2 * crypto_hash_sha256_BYTES + 1];
        uint8_t hash[crypto_hash_sha256_BYTES];
        (void)snprintf(path, sizeof path, "%.4096s/%s", dir, KEYS[i].file);
        if (!token_read(path, token) && !token_make(path, token, why))
            return false;
        (void)crypto_hash_sha256(hash, (const unsigned char *)token, strlen(token));
        (void)sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s %s %s\n", KEYS[i].role, KEYS[i].name, hex);
    }
    (void)snprintf(path, sizeof path, "%.4096s/http.tokens", dir);
    return file_put(path, list, why);
}
