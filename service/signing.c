/* signing.c - key files, and Ed25519 by libsodium. */
#include "service/signing.h"

#include "service/data_dir.h"
#include "service/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KEY_CHARS  16u
#define SEED_CHARS (2u * crypto_sign_SEEDBYTES)
#define FILE_MAX   128u

struct key {
    char name[KEY_CHARS + 1];
    int64_t since_s; /* Unix */
    unsigned char public_half[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret[crypto_sign_SECRETKEYBYTES];
};

struct signing {
    uint32_t count;
    struct key key[SIGNING_KEYS_MAX]; /* newest first */
};

static void key_from_seed(const unsigned char seed[crypto_sign_SEEDBYTES], int64_t since_s, struct key *ret)
{
    unsigned char hash[crypto_generichash_BYTES_MIN];
    (void)crypto_sign_seed_keypair(ret->public_half, ret->secret, seed);
    (void)crypto_generichash(hash, sizeof hash, ret->public_half, sizeof ret->public_half, NULL, 0);
    (void)sodium_bin2hex(ret->name, sizeof ret->name, hash, KEY_CHARS / 2);
    ret->since_s = since_s;
}

/* Where the newest of equal age stand does not matter, as long as it is the same for all. */
static void key_insert(struct signing *signing, const struct key *key)
{
    uint32_t at = signing->count++;
    for (; at > 0 && (signing->key[at - 1].since_s < key->since_s ||
                      (signing->key[at - 1].since_s == key->since_s && strcmp(signing->key[at - 1].name, key->name) < 0)); at--)
        signing->key[at] = signing->key[at - 1];
    signing->key[at] = *key;
}

/* A file that is no good is passed over and said: it may be somebody's copy. */
static void key_read(struct signing *signing, int folder, const char *file)
{
    char text[FILE_MAX] = "";
    unsigned char seed[crypto_sign_SEEDBYTES];
    struct key key;
    memset(&key, 0, sizeof key);
    int fd = openat(folder, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t got = fd == -1 ? -1 : read(fd, text, sizeof text - 1);
    if (fd != -1)
        (void)close(fd);
    char *hex = NULL;
    int64_t since_s = got > 0 ? strtoll(text, &hex, 10) : 0;
    bool good = since_s > 0 && *hex == ' ' && signing->count < SIGNING_KEYS_MAX &&
                sodium_hex2bin(seed, sizeof seed, hex + 1, strcspn(hex + 1, "\n"), NULL, &(size_t){ 0 }, NULL) == 0 &&
                strcspn(hex + 1, "\n") == SEED_CHARS;
    if (good)
        key_from_seed(seed, since_s, &key);
    if (good && strncmp(key.name, file, KEY_CHARS) == 0)
        key_insert(signing, &key);
    else
        log_line(LOG_WARNING, "KEY-UNREADABLE", "file=keys/%s", file);
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(text, sizeof text);
    sodium_memzero(&key, sizeof key);
}

static bool keys_read(struct signing *signing, const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        const char *end = strstr(entry->d_name, ".seed");
        if (end == entry->d_name + KEY_CHARS && end[5] == '\0')
            key_read(signing, dirfd(dir), entry->d_name);
    }
    (void)closedir(dir);
    return true;
}

bool signing_rotate(struct signing *signing, const struct config *config)
{
    char folder[DATA_PATH_MAX], path[DATA_PATH_MAX + KEY_CHARS + 8], text[FILE_MAX], hex[SEED_CHARS + 1];
    unsigned char seed[crypto_sign_SEEDBYTES];
    struct key key;
    memset(&key, 0, sizeof key);
    if (signing->count == SIGNING_KEYS_MAX) {
        log_line(LOG_ERROR, "KEYS-FULL", "max=%u", SIGNING_KEYS_MAX);
        return false;
    }
    int64_t now_s = (int64_t)time(NULL);
    if (signing->count > 0 && now_s <= signing->key[0].since_s)
        now_s = signing->key[0].since_s + 1; /* the new one is the newest, whatever the clock says */
    randombytes_buf(seed, sizeof seed);
    key_from_seed(seed, now_s, &key);
    (void)sodium_bin2hex(hex, sizeof hex, seed, sizeof seed);
    int length = snprintf(text, sizeof text, "%" PRId64 " %s\n", now_s, hex);
    data_path(config, "keys", folder);
    (void)snprintf(path, sizeof path, "%s/%s.seed", folder, key.name);
    bool good = file_replace(path, text, (size_t)length);
    if (good) {
        key_insert(signing, &key);
        log_line(LOG_INFO, "KEY-MADE", "key=%s", key.name);
    } else {
        log_line(LOG_ERROR, "KEY-NOT-MADE", "path=%s error=\"%s\"", path, strerror(errno));
    }
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(hex, sizeof hex);
    sodium_memzero(text, sizeof text);
    sodium_memzero(&key, sizeof key);
    return good;
}

struct signing *signing_open(const struct config *config)
{
    char path[DATA_PATH_MAX];
    struct signing *signing = sodium_init() < 0 ? NULL : calloc(1, sizeof *signing);
    if (signing == NULL) {
        log_line(LOG_ERROR, "SIGNING", "what=\"no libsodium, or no memory\"");
        return NULL;
    }
    data_path(config, "keys", path);
    if ((mkdir(path, 0700) == -1 && errno != EEXIST) || !keys_read(signing, path)) {
        log_line(LOG_ERROR, "KEYS-FOLDER", "path=%s error=\"%s\"", path, strerror(errno));
        signing_close(signing);
        return NULL;
    }
    if (signing->count == 0 && !signing_rotate(signing, config)) {
        signing_close(signing);
        return NULL;
    }
    return signing;
}

void signing_close(struct signing *signing)
{
    if (signing != NULL)
        sodium_memzero(signing, sizeof *signing);
    free(signing);
}

void signing_list(const struct signing *signing, char ret[SIGNING_LIST_MAX])
{
    size_t at = 0;
    ret[0] = '\0';
    for (uint32_t i = 0; i < signing->count; i++) {
        char hex[2 * crypto_sign_PUBLICKEYBYTES + 1], since[32];
        time_t since_s = (time_t)signing->key[i].since_s;
        struct tm utc;
        (void)sodium_bin2hex(hex, sizeof hex, signing->key[i].public_half, sizeof signing->key[i].public_half);
        (void)strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&since_s, &utc));
        at += (size_t)snprintf(ret + at, SIGNING_LIST_MAX - at, "%s %s since=%s\n", signing->key[i].name, hex, since);
    }
}

bool signing_sign(const struct signing *signing, const char *payload, char ret[RIALTO_SIGNED_MAX])
{
    const struct key *key = &signing->key[0];
    unsigned char signature[crypto_sign_BYTES];
    enum { SIGNATURE_CHARS = sodium_base64_ENCODED_LEN(crypto_sign_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING) - 1 };
    size_t bytes = strlen(payload);
    size_t at = (size_t)snprintf(ret, RIALTO_SIGNED_MAX, "rialto1.%s.", key->name);
    size_t room = sodium_base64_encoded_len(bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    if (at + room + 1 + SIGNATURE_CHARS + 1 > RIALTO_SIGNED_MAX)
        return false;
    (void)sodium_bin2base64(ret + at, room, (const unsigned char *)payload, bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    at += room - 1;
    (void)crypto_sign_detached(signature, NULL, (const unsigned char *)ret, at, key->secret);
    ret[at++] = '.';
    (void)sodium_bin2base64(ret + at, RIALTO_SIGNED_MAX - at, signature, sizeof signature,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return true;
}
