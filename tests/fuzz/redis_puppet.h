/* redis_puppet.h - a thread that plays a Redis which answers whatever it was told to, whatever it is asked.
 *
 *   puppet_say(bytes) --> the code under test connects to puppet_url() --> reads those bytes, then the end
 *
 * What it is sent is read and thrown away, so that nobody who writes is held up. */
#ifndef TESTS_FUZZ_REDIS_PUPPET_H
#define TESTS_FUZZ_REDIS_PUPPET_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What redis_link_open() asks for. */
#define PUPPET_GREETING "+PONG\r\n$32\r\n# Server\r\nredis_version:7.0.15\r\n\r\n"

static struct {
    int listener;
    char url[112];
    const uint8_t *bytes; /* said to whoever connects; stays where it is until then */
    _Atomic size_t count;
} puppet;

static void *puppet_thread(void *unused)
{
    (void)unused;
    for (;;) {
        char heard[4096];
        int link = accept(puppet.listener, NULL, NULL);
        if (link == -1)
            continue;
        size_t count = atomic_load_explicit(&puppet.count, memory_order_acquire);
        for (size_t at = 0; at < count;) {
            ssize_t written = write(link, puppet.bytes + at, count - at);
            if (written <= 0)
                break;
            at += (size_t)written;
        }
        (void)shutdown(link, SHUT_WR);
        while (read(link, heard, sizeof heard) > 0)
            ;
        (void)close(link);
    }
    return NULL;
}

static inline void puppet_unlink(void)
{
    (void)unlink(puppet.url + strlen("unix:"));
}

static inline bool puppet_start(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    pthread_t thread;
    (void)snprintf(puppet.url, sizeof puppet.url, "unix:%s/rialto-fuzz.%d.sock",
                   getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp", (int)getpid());
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", puppet.url + strlen("unix:"));
    (void)signal(SIGPIPE, SIG_IGN);
    (void)unlink(address.sun_path);
    puppet.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return puppet.listener != -1 && bind(puppet.listener, (const struct sockaddr *)&address, sizeof address) == 0 &&
           atexit(puppet_unlink) == 0 && listen(puppet.listener, 8) == 0 &&
           pthread_create(&thread, NULL, puppet_thread, NULL) == 0;
}

/* Nobody may be connected. The bytes stay the caller's. */
static inline void puppet_say(const uint8_t *bytes, size_t count)
{
    puppet.bytes = bytes;
    atomic_store_explicit(&puppet.count, count, memory_order_release);
}

/* A list that announces a million members makes hiredis ask for memory for them; how much a machine gives is not what is tried. */
static inline bool puppet_is_modest(const uint8_t *bytes, size_t count)
{
    size_t digits = 0;
    bool list = false;
    for (size_t i = 0; i < count; i++) {
        bool digit = bytes[i] >= '0' && bytes[i] <= '9';
        digits = digit ? digits + 1 : 0;
        list = bytes[i] == '*' || (list && (digit || bytes[i] == '+' || bytes[i] == '-'));
        if (list && digits > 5)
            return false;
    }
    return true;
}
#endif
