/* web_door.c - where the HTTP door listens, and with which certificate.
 *
 *   http_listen --bind, listen--> one socket, ours --a copy for each--> daemon of libmicrohttpd
 *   http_certificate_file, http_key_file --changed?--> a second daemon on the same socket, with them --> the first takes no new connection
 *
 * libmicrohttpd takes its certificate when it starts. So one with the new certificate is started beside the old one, which answers what it
 * has begun, asks its clients to connect again (web_text.c), and ends when the last of them has gone. No connection is refused or
 * broken meanwhile. Files that cannot be used, or do not belong together (yet), change nothing.
 *
 * Threads    the main thread's alone, but web.certificate. */
#include "service/web.h"

#include "service/log.h"
#include "service/pem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADDRESS_TEXT_MAX 64u
#define BACKLOG          1024

/* ---- the certificate ------------------------------------------------------------------------------------------------------ */

static bool has_tls(const struct config *config)
{
    return config->http_certificate_file[0] != '\0';
}

static struct file_mark mark_of(const char *path)
{
    struct stat info;
    struct file_mark mark = { 0 };
    if (stat(path, &info) == 0)
        mark = (struct file_mark){ info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec };
    return mark;
}

static bool same(struct file_mark a, struct file_mark b)
{
    return a.device == b.device && a.inode == b.inode && a.bytes == b.bytes && a.s == b.s && a.ns == b.ns;
}

static void certificate_free(struct certificate *certificate)
{
    pem_free(certificate->key);
    pem_free(certificate->chain);
    *certificate = (struct certificate){ 0 };
}

/* False after a log line. */
static bool certificate_read(const struct config *config, struct certificate *ret)
{
    struct fault fault = { 0 };
    char said[512];
    *ret = (struct certificate){ 0 };
    enum rialto_status status = pem_read(config->http_certificate_file, false, &ret->chain, &fault);
    if (status == RIALTO_OK)
        status = pem_read(config->http_key_file, true, &ret->key, &fault);
    if (status == RIALTO_OK)
        return true;
    (void)fault_text(&fault, sizeof said, said);
    log_line(LOG_ERROR, "WEB-CERTIFICATE-REFUSED", "%s", said);
    certificate_free(ret);
    return false;
}

/* ---- listening ------------------------------------------------------------------------------------------------------------ */

/* HOST:PORT of http_listen; the host is a literal IPv4 or [IPv6] address. */
static bool address_parse(const char *listen, struct sockaddr_storage *ret)
{
    char host[ADDRESS_TEXT_MAX];
    const char *colon = strrchr(listen, ':');
    memset(ret, 0, sizeof *ret);
    if (colon == NULL || (size_t)(colon - listen) >= sizeof host)
        return false;
    bool six = listen[0] == '[' && colon[-1] == ']';
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - listen) - (six ? 2 : 0), listen + (six ? 1 : 0));
    uint16_t port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (six) {
        struct sockaddr_in6 *in6 = (void *)ret;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = port;
        return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
    }
    struct sockaddr_in *in = (void *)ret;
    in->sin_family = AF_INET;
    in->sin_port = port;
    return inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

static int listen_at(const struct sockaddr_storage *address)
{
    int on = 1, fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t bytes = address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (fd == -1)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)address, bytes) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

/* A daemon with the certificate as it is now; NULL after a log line. */
static struct MHD_Daemon *daemon_new(struct web *web)
{
    const struct config *config = web->config;
    struct certificate certificate = { 0 };
    web->certificate_mark =
        mark_of(config->http_certificate_file); /* before they are read: what comes later is a change */
    web->key_mark = mark_of(config->http_key_file);
    if (has_tls(config) && !certificate_read(config, &certificate))
        return NULL;
    int listener = fcntl(web->listener, F_DUPFD_CLOEXEC, 0);
    struct MHD_Daemon *daemon =
        listener == -1 ? NULL : web_daemon_start(web, listener, has_tls(config) ? &certificate : NULL);
    certificate_free(&certificate);
    if (daemon != NULL) {
        metric_add(METRIC_http_certificates_total, has_tls(config) ? 1 : 0);
        return daemon;
    }
    if (listener != -1)
        (void)close(listener);
    if (has_tls(config))
        log_line(LOG_ERROR, "WEB-CERTIFICATE-REFUSED",
                 "%s: not a certificate and its key that can be used (http_key_file=%s)", config->http_certificate_file,
                 config->http_key_file);
    else
        log_line(LOG_ERROR, "WEB-NOT-LISTENING", "http_listen=%s error=\"%s\"", config->http_listen, strerror(errno));
    return NULL;
}

bool door_open(struct web *web)
{
    const struct config *config = web->config;
    struct sockaddr_storage address;
    web->listener = -1;
    if (!address_parse(config->http_listen, &address)) {
        log_line(LOG_ERROR, "WEB-ADDRESS", "http_listen=%s is not ADDRESS:PORT", config->http_listen);
        return false;
    }
    if (has_tls(config) && MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES) {
        log_line(LOG_ERROR, "WEB-NO-TLS", "http_certificate_file=%s reason=\"this libmicrohttpd has no TLS\"",
                 config->http_certificate_file);
        return false;
    }
    web->listener = listen_at(&address);
    if (web->listener == -1) {
        log_line(LOG_ERROR, "WEB-NOT-LISTENING", "http_listen=%s error=\"%s\"", config->http_listen, strerror(errno));
        return false;
    }
    web->daemon = daemon_new(web);
    return web->daemon != NULL;
}

static void take_no_more(struct MHD_Daemon *daemon)
{
    int listener = MHD_quiesce_daemon(daemon);
    if (listener != -1)
        (void)close(listener); /* its copy */
}

static void renew(struct web *web)
{
    struct MHD_Daemon *fresh = daemon_new(web);
    if (fresh == NULL) {
        metric_add(METRIC_http_certificates_refused_total, 1);
        return;
    }
    take_no_more(web->daemon);
    web->leaving[web->leaving_count++] = web->daemon;
    web->daemon = fresh;
    (void)atomic_fetch_add(&web->certificate,
                           1); /* who came by the fresh one just before connects once more for nothing */
    log_line(LOG_INFO, "WEB-CERTIFICATE", "http_certificate_file=%s what=\"it had changed, and is used from now on\"",
             web->config->http_certificate_file);
}

void door_watch(struct web *web)
{
    const struct config *config = web->config;
    for (uint32_t i = 0; i < web->leaving_count;) {
        const union MHD_DaemonInfo *info =
            MHD_get_daemon_info(web->leaving[i], MHD_DAEMON_INFO_CURRENT_CONNECTIONS, NULL);
        if (info == NULL || info->num_connections > 0) {
            i++;
            continue;
        }
        MHD_stop_daemon(web->leaving[i]);
        web->leaving[i] = web->leaving[--web->leaving_count];
    }
    if (has_tls(config) && web->leaving_count < WEB_LEAVING_MAX &&
        (!same(web->certificate_mark, mark_of(config->http_certificate_file)) ||
         !same(web->key_mark, mark_of(config->http_key_file))))
        renew(web);
}

void door_shut(struct web *web)
{
    take_no_more(web->daemon);
    (void)close(web->listener);
    web->listener = -1;
}

void door_stop(struct web *web)
{
    for (uint32_t i = 0; i < web->leaving_count; i++)
        MHD_stop_daemon(web->leaving[i]);
    if (web->daemon != NULL)
        MHD_stop_daemon(web->daemon);
}
