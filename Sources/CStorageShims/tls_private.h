#pragma once
// What the files about TLS share. Private to this target.
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "css_tls.h"
#include "tls_error.h"

struct css_tls_context {
  SSL_CTX *ssl;
  bool server;
  uint8_t *applications;
  size_t applications_length;
};

/// Bytes between `head` and `tail` wait to be taken; both move under the lock of the connection, so that one side may
/// append at the tail while the other takes from the head.
typedef struct buffer {
  uint8_t *bytes;
  size_t head, tail, capacity;
} buffer;

struct css_tls {
  pthread_mutex_t lock;
  SSL *ssl;
  css_tls_context *context;
  int fd;
  buffer input, output;
  bool input_ended;
  css_tls_sessions *sessions;
  css_tls_verify verify;
  void *verify_context;
  uint64_t records;
  /// The first failure; libssl itself does not repeat its reason.
  bool failed;
  css_tls_error failure;
  atomic_uint_least64_t key_updates;
};

/// The newest stored session, which is taken out; NULL if there is none.
SSL_SESSION *css_sessions_pop(css_tls_sessions *sessions);

/// libssl's callback for a client: keeps a session that the server offers to resume.
int css_session_arrived(SSL *ssl, SSL_SESSION *session);

/// Whether the owner of the connection still trusts the peer that a session was agreed with.
bool css_session_trusted(css_tls *tls, const SSL_SESSION *session);

/// libssl's callback for the certificates of a full handshake: 1 when the owner trusts them.
int css_chain_arrived(X509_STORE_CTX *store, void *unused);

/// libssl's callbacks for tickets, at a server.
SSL_TICKET_RETURN css_ticket_arrived(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_length,
                                     SSL_TICKET_STATUS status, void *unused);
int css_ticket_leaves(SSL *ssl, void *unused);
