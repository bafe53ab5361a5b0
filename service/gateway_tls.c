/* gateway_tls.c - tls+tcp:// endpoints: producers are let in by certificates of producer_authority_file, and see ours.
 *
 * NNG's own TLS (mbedTLS). The files are read when the gateway starts. A producer without a certificate of that authority gets no pipe:
 * NNG ends the connection in its greeting, and nothing of it reaches us. */
#include "service/gateway.h"

#include "service/log.h"
#include "service/pem.h"

#include <nng/supplemental/tls/tls.h>
#include <string.h>

bool tls_is_url(const char *url)
{
    return strncmp(url, "tls+tcp://", strlen("tls+tcp://")) == 0;
}

static int tls_fill(nng_tls_config *tls, const char *certificate, const char *key, const char *authority)
{
    int error = nng_tls_config_own_cert(tls, certificate, key, NULL);
    if (error == 0)
        error = nng_tls_config_ca_chain(tls, authority, NULL);
    if (error == 0)
        error = nng_tls_config_auth_mode(tls, NNG_TLS_AUTH_MODE_REQUIRED);
    return error;
}

nng_tls_config *tls_open(const struct config *config)
{
    char *certificate = NULL, *key = NULL, *authority = NULL, said[512];
    struct fault fault = { 0 };
    nng_tls_config *tls = NULL;
    enum rialto_status status = pem_read(config->producer_certificate_file, false, &certificate, &fault);
    if (status == RIALTO_OK)
        status = pem_read(config->producer_key_file, true, &key, &fault);
    if (status == RIALTO_OK)
        status = pem_read(config->producer_authority_file, false, &authority, &fault);
    if (status != RIALTO_OK) {
        (void)fault_text(&fault, sizeof said, said);
        log_line(LOG_ERROR, "TLS-REFUSED", "%s", said);
    } else {
        int error = nng_tls_config_alloc(&tls, NNG_TLS_MODE_SERVER);
        error = error == 0 ? tls_fill(tls, certificate, key, authority) : error;
        if (error != 0) {
            log_line(LOG_ERROR, "TLS-REFUSED", "producer_certificate_file=%s producer_authority_file=%s reason=\"%s\"",
                     config->producer_certificate_file, config->producer_authority_file, nng_strerror(error));
            tls_close(tls);
            tls = NULL;
        }
    }
    pem_free(certificate);
    pem_free(key);
    pem_free(authority);
    return tls;
}

void tls_close(nng_tls_config *tls)
{
    if (tls != NULL)
        nng_tls_config_free(tls);
}
