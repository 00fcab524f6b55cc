// Contexts: identity, protocol versions, ciphers, resumption, applications.
#include <limits.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "tls_private.h"

// A leaf and its authority take less than 2 KiB.
enum { LARGEST_CHAIN = 16 * 1024 };

static int choose_application(SSL *ssl, const unsigned char **chosen, unsigned char *length, const unsigned char *offered,
                              unsigned int offered_length, void *argument) {
  (void)ssl;
  css_tls_context *context = argument;
  unsigned char *match = NULL;
  int result = SSL_select_next_proto(&match, length, context->applications, (unsigned int)context->applications_length,
                                     offered, offered_length);
  *chosen = match;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool use_identity(SSL_CTX *ssl, const css_tls_options *options) {
  if (options->chain_count == 0 || options->key_pem.length > INT_MAX) return false;
  BIO *bio = BIO_new_mem_buf(options->key_pem.data, (int)options->key_pem.length);
  EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
  BIO_free(bio);
  bool done = key != NULL;
  for (size_t i = 0; done && i < options->chain_count; i++) {
    const unsigned char *cursor = options->chain[i].data;
    X509 *certificate = d2i_X509(NULL, &cursor, (long)options->chain[i].length);
    done = certificate && (i == 0 ? SSL_CTX_use_certificate(ssl, certificate) == 1
                                  : SSL_CTX_add1_chain_cert(ssl, certificate) == 1);
    X509_free(certificate);
  }
  done = done && SSL_CTX_use_PrivateKey(ssl, key) == 1 && SSL_CTX_check_private_key(ssl) == 1;
  EVP_PKEY_free(key);
  return done;
}

static bool use_protocol(SSL_CTX *ssl, const css_tls_options *options) {
  int verify = SSL_VERIFY_PEER | (options->certificate_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
  SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_max_cert_list(ssl, LARGEST_CHAIN);
  SSL_CTX_set_verify(ssl, verify, NULL);
  SSL_CTX_set_cert_verify_callback(ssl, css_chain_arrived, NULL);
  return SSL_CTX_set_min_proto_version(ssl, options->allow_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_ciphersuites(
             ssl, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1 &&
         SSL_CTX_set_cipher_list(ssl, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
                                      "ECDHE-ECDSA-CHACHA20-POLY1305") == 1 &&
         SSL_CTX_set1_groups_list(ssl, "X25519:P-256") == 1 && SSL_CTX_set_max_early_data(ssl, 0) == 1;
}

static bool use_resumption(SSL_CTX *ssl, const css_tls_options *options) {
  static const unsigned char owner[] = "repl-agent";
  SSL_CTX_set_timeout(ssl, options->ticket_lifetime);
  if (!options->server) {
    SSL_CTX_set_session_cache_mode(
        ssl, options->resumption ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF);
    SSL_CTX_sess_set_new_cb(ssl, css_session_arrived);
    return true;
  }
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  // Without tickets a pre-shared key of a client is nothing this context could know.
  if (!options->resumption) SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
  return SSL_CTX_set_num_tickets(ssl, options->resumption ? 2 : 0) == 1 &&
         SSL_CTX_set_session_ticket_cb(ssl, css_ticket_leaves, css_ticket_arrived, NULL) == 1 &&
         SSL_CTX_set_session_id_context(ssl, owner, sizeof owner - 1) == 1;
}

static bool use_applications(css_tls_context *context) {
  if (context->server) {
    SSL_CTX_set_alpn_select_cb(context->ssl, choose_application, context);
    return true;
  }
  // This one call returns 0 for success.
  return SSL_CTX_set_alpn_protos(context->ssl, context->applications, (unsigned int)context->applications_length) == 0;
}

css_tls_context *css_tls_context_new(const css_tls_options *options, css_tls_error *error) {
  css_error_begin();
  css_tls_context *context = calloc(1, sizeof *context);
  if (context) {
    context->server = options->server;
    context->applications = OPENSSL_memdup(options->applications.data, options->applications.length);
    context->applications_length = options->applications.length;
    context->ssl = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());
  }
  if (context && context->applications && context->ssl && use_protocol(context->ssl, options) &&
      use_identity(context->ssl, options) && use_resumption(context->ssl, options) && use_applications(context)) {
    return context;
  }
  css_error_take(error, "cannot set up TLS");
  if (context) css_tls_context_free(context);
  return NULL;
}

void css_tls_context_free(css_tls_context *context) {
  SSL_CTX_free(context->ssl);
  OPENSSL_free(context->applications);
  free(context);
}
