// Who the peer is: certificates and tickets are shown to the owner of the connection, who decides.
#include <string.h>

#include "tls_private.h"

enum { LONGEST_CHAIN = 4 };

/// Asks the owner of the connection. `chain` is leaf first.
static css_pki_verdict ask(css_tls *tls, X509 **chain, size_t count, const unsigned char *name, size_t name_length) {
  css_slice slices[LONGEST_CHAIN] = {{0}};
  css_pki_verdict verdict = CSS_PKI_MALFORMED;
  size_t encoded = 0;
  if (count == 0 || count > LONGEST_CHAIN) return verdict;
  for (; encoded < count; encoded++) {
    unsigned char *der = NULL;
    int length = i2d_X509(chain[encoded], &der);
    if (length <= 0) break;
    slices[encoded] = (css_slice){der, (size_t)length};
  }
  if (encoded == count) {
    verdict = tls->verify(tls->verify_context, slices, count, name ? (const char *)name : "", name ? name_length : 0);
  }
  for (size_t i = 0; i < encoded; i++) OPENSSL_free((void *)slices[i].data);
  return verdict;
}

static int x509_error(css_pki_verdict verdict) {
  switch (verdict) {
    case CSS_PKI_TRUSTED: return X509_V_OK;
    case CSS_PKI_UNKNOWN_AUTHORITY: return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    case CSS_PKI_EXPIRED: return X509_V_ERR_CERT_HAS_EXPIRED;
    case CSS_PKI_WRONG_PURPOSE: return X509_V_ERR_INVALID_PURPOSE;
    case CSS_PKI_MALFORMED: break;
  }
  return X509_V_ERR_CERT_REJECTED;
}

int css_chain_arrived(X509_STORE_CTX *store, void *unused) {
  (void)unused;
  SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  css_tls *tls = ssl ? SSL_get_app_data(ssl) : NULL;
  X509 *leaf = X509_STORE_CTX_get0_cert(store);
  if (!tls || !leaf) return 0;
  X509 *chain[LONGEST_CHAIN] = {leaf};
  size_t count = 1;
  STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
  // What the peer sent begins with the leaf itself.
  for (int i = 1; i < sk_X509_num(sent); i++, count++) {
    if (count == LONGEST_CHAIN) {
      X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_CHAIN_TOO_LONG);
      return 0;
    }
    chain[count] = sk_X509_value(sent, i);
  }
  const unsigned char *name = NULL;
  unsigned int name_length = 0;
  SSL_get0_alpn_selected(ssl, &name, &name_length);
  css_pki_verdict verdict = ask(tls, chain, count, name, name_length);
  X509_STORE_CTX_set_error(store, x509_error(verdict));
  return verdict == CSS_PKI_TRUSTED;
}

bool css_session_trusted(css_tls *tls, const SSL_SESSION *session) {
  X509 *peer = SSL_SESSION_get0_peer((SSL_SESSION *)session);
  const unsigned char *name = NULL;
  size_t length = 0;
  SSL_SESSION_get0_alpn_selected(session, &name, &length);
  return peer && ask(tls, &peer, 1, name, length) == CSS_PKI_TRUSTED;
}

/// A ticket is worth no more than the trust in the certificate it was issued to, at this moment.
SSL_TICKET_RETURN css_ticket_arrived(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_length,
                                     SSL_TICKET_STATUS status, void *unused) {
  (void)name;
  (void)name_length;
  (void)unused;
  css_tls *tls = SSL_get_app_data(ssl);
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) return SSL_TICKET_RETURN_IGNORE_RENEW;
  if (!tls || !css_session_trusted(tls, session)) return SSL_TICKET_RETURN_IGNORE_RENEW;
  return SSL_TICKET_RETURN_USE_RENEW;
}

int css_ticket_leaves(SSL *ssl, void *unused) {
  (void)ssl;
  (void)unused;
  return 1;
}
