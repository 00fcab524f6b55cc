#define _GNU_SOURCE
#include "css_tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tls_error.h"

enum {
  STORED_SESSIONS = 8,
  // A leaf and its authority take less than 2 KiB.
  LARGEST_CHAIN = 16 * 1024,
  LONGEST_CHAIN = 4,
  RECORD = 16 * 1024,
  // Bytes handled while the SSL object is locked: short enough that the other direction never waits long.
  LOCKED_BYTES = 64 * 1024,
};

struct css_tls_context {
  SSL_CTX *ssl;
  bool server;
  uint8_t *applications;
  size_t applications_length;
};

struct css_tls_sessions {
  pthread_mutex_t lock;
  size_t count;
  SSL_SESSION *stored[STORED_SESSIONS];
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

// MARK: sessions

css_tls_sessions *css_tls_sessions_new(void) {
  css_tls_sessions *sessions = calloc(1, sizeof *sessions);
  if (sessions && pthread_mutex_init(&sessions->lock, NULL) != 0) {
    free(sessions);
    return NULL;
  }
  return sessions;
}

void css_tls_sessions_clear(css_tls_sessions *sessions) {
  pthread_mutex_lock(&sessions->lock);
  while (sessions->count > 0) SSL_SESSION_free(sessions->stored[--sessions->count]);
  pthread_mutex_unlock(&sessions->lock);
}

void css_tls_sessions_free(css_tls_sessions *sessions) {
  css_tls_sessions_clear(sessions);
  pthread_mutex_destroy(&sessions->lock);
  free(sessions);
}

static void sessions_push(css_tls_sessions *sessions, SSL_SESSION *session) {
  pthread_mutex_lock(&sessions->lock);
  if (sessions->count == STORED_SESSIONS) {
    SSL_SESSION_free(sessions->stored[0]);
    memmove(&sessions->stored[0], &sessions->stored[1], (STORED_SESSIONS - 1) * sizeof sessions->stored[0]);
    sessions->count--;
  }
  sessions->stored[sessions->count++] = session;
  pthread_mutex_unlock(&sessions->lock);
}

/// The newest session, which is taken out: a ticket is offered once, so that two connections cannot be linked by it.
static SSL_SESSION *sessions_pop(css_tls_sessions *sessions) {
  pthread_mutex_lock(&sessions->lock);
  SSL_SESSION *session = sessions->count > 0 ? sessions->stored[--sessions->count] : NULL;
  pthread_mutex_unlock(&sessions->lock);
  return session;
}

static int session_arrived(SSL *ssl, SSL_SESSION *session) {
  css_tls *tls = SSL_get_app_data(ssl);
  if (!tls || !tls->sessions || SSL_SESSION_is_resumable(session) != 1) return 0;
  // A copy: libssl spoils the session of a connection that is cut, and cut connections are the ones to take up again.
  SSL_SESSION *copy = SSL_SESSION_dup(session);
  if (copy) sessions_push(tls->sessions, copy);
  return 0;
}

// MARK: who the peer is

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

static int chain_arrived(X509_STORE_CTX *store, void *unused) {
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

static bool session_trusted(css_tls *tls, const SSL_SESSION *session) {
  X509 *peer = SSL_SESSION_get0_peer((SSL_SESSION *)session);
  const unsigned char *name = NULL;
  size_t length = 0;
  SSL_SESSION_get0_alpn_selected(session, &name, &length);
  return peer && ask(tls, &peer, 1, name, length) == CSS_PKI_TRUSTED;
}

/// A ticket is worth no more than the trust in the certificate it was issued to, at this moment.
static SSL_TICKET_RETURN ticket_arrived(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_length,
                                        SSL_TICKET_STATUS status, void *unused) {
  (void)name;
  (void)name_length;
  (void)unused;
  css_tls *tls = SSL_get_app_data(ssl);
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) return SSL_TICKET_RETURN_IGNORE_RENEW;
  if (!tls || !session_trusted(tls, session)) return SSL_TICKET_RETURN_IGNORE_RENEW;
  return SSL_TICKET_RETURN_USE_RENEW;
}

static int ticket_leaves(SSL *ssl, void *unused) {
  (void)ssl;
  (void)unused;
  return 1;
}

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

// MARK: contexts

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
  SSL_CTX_set_cert_verify_callback(ssl, chain_arrived, NULL);
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
    SSL_CTX_sess_set_new_cb(ssl, session_arrived);
    return true;
  }
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  // Without tickets a pre-shared key of a client is nothing this context could know.
  if (!options->resumption) SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
  return SSL_CTX_set_num_tickets(ssl, options->resumption ? 2 : 0) == 1 &&
         SSL_CTX_set_session_ticket_cb(ssl, ticket_leaves, ticket_arrived, NULL) == 1 &&
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

// MARK: the buffers under libssl

static int input_read(BIO *bio, char *data, size_t length, size_t *count) {
  css_tls *tls = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  size_t available = tls->input.tail - tls->input.head;
  if (available == 0) {
    *count = 0;
    if (!tls->input_ended) BIO_set_retry_read(bio);
    return 0;
  }
  *count = length < available ? length : available;
  memcpy(data, tls->input.bytes + tls->input.head, *count);
  tls->input.head += *count;
  return 1;
}

static int output_write(BIO *bio, const char *data, size_t length, size_t *count) {
  css_tls *tls = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  size_t room = tls->output.capacity - tls->output.tail;
  if (room == 0) {
    *count = 0;
    BIO_set_retry_write(bio);
    return 0;
  }
  *count = length < room ? length : room;
  memcpy(tls->output.bytes + tls->output.tail, data, *count);
  tls->output.tail += *count;
  return 1;
}

static long control(BIO *bio, int command, long number, void *pointer) {
  (void)number;
  (void)pointer;
  css_tls *tls = BIO_get_data(bio);
  switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return tls && tls->input_ended && tls->input.head == tls->input.tail;
    default: return 0;
  }
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void make_method(void) {
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "buffers");
  if (!method) return;
  BIO_meth_set_read_ex(method, input_read);
  BIO_meth_set_write_ex(method, output_write);
  BIO_meth_set_ctrl(method, control);
}

static bool make_buffer(buffer *target, size_t capacity) {
  target->capacity = capacity;
  target->bytes = malloc(capacity);
  return target->bytes != NULL;
}

static bool attach(css_tls *tls) {
  pthread_once(&method_once, make_method);
  BIO *bio = method ? BIO_new(method) : NULL;
  if (!bio) return false;
  BIO_set_data(bio, tls);
  BIO_set_init(bio, 1);
  SSL_set_bio(tls->ssl, bio, bio);
  return SSL_set_app_data(tls->ssl, tls) == 1;
}

/// Offers the newest stored session whose peer is still trusted.
static void offer_session(css_tls *tls) {
  SSL_SESSION *session;
  while (tls->sessions && (session = sessions_pop(tls->sessions)) != NULL) {
    bool used = session_trusted(tls, session) && SSL_set_session(tls->ssl, session) == 1;
    SSL_SESSION_free(session);
    if (used) return;
  }
}

css_tls *css_tls_new(css_tls_context *context, int fd, css_tls_sessions *sessions, size_t buffer_size,
                     css_tls_verify verify, void *verify_context, css_tls_error *error) {
  css_error_begin();
  css_tls *tls = calloc(1, sizeof *tls);
  if (tls) {
    pthread_mutex_init(&tls->lock, NULL);
    tls->context = context;
    tls->fd = fd;
    tls->sessions = sessions;
    tls->verify = verify;
    tls->verify_context = verify_context;
    tls->ssl = SSL_new(context->ssl);
  }
  // Room for two records at least: one may be cut in two by the buffer's end.
  size_t capacity = buffer_size < 2 * (RECORD + 512) ? 2 * (RECORD + 512) : buffer_size;
  if (tls && tls->ssl && make_buffer(&tls->input, capacity) && make_buffer(&tls->output, capacity) && attach(tls)) {
    if (context->server) {
      SSL_set_accept_state(tls->ssl);
    } else {
      SSL_set_connect_state(tls->ssl);
      offer_session(tls);
    }
    return tls;
  }
  css_error_take(error, "cannot set up a TLS connection");
  if (tls) css_tls_free(tls);
  return NULL;
}

void css_tls_free(css_tls *tls) {
  SSL_free(tls->ssl);
  free(tls->input.bytes);
  free(tls->output.bytes);
  pthread_mutex_destroy(&tls->lock);
  free(tls);
}

// MARK: conversion

/// Reads the outcome of a libssl call; the lock is held.
static css_tls_status status_of(css_tls *tls, int result, css_tls_error *error) {
  if (tls->failed) {
    *error = tls->failure;
    return CSS_TLS_FAILED;
  }
  switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_NONE: return CSS_TLS_DONE;
    case SSL_ERROR_WANT_READ: return CSS_TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE: return CSS_TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN: return CSS_TLS_CLOSED;
    default: break;
  }
  // The error queue is per thread, so what another thread did to this connection is not in it.
  css_error_take(error, tls->input_ended ? "the peer cut the connection" : "");
  if (error->text[0] == 0) css_error_take(error, "TLS failed");
  if (tls->input_ended) error->system = ECONNRESET;
  tls->failed = true;
  tls->failure = *error;
  return CSS_TLS_FAILED;
}

css_tls_status css_tls_handshake(css_tls *tls, css_tls_error *error) {
  pthread_mutex_lock(&tls->lock);
  css_error_begin();
  css_tls_status status = status_of(tls, SSL_do_handshake(tls->ssl), error);
  pthread_mutex_unlock(&tls->lock);
  return status;
}

css_tls_status css_tls_read(css_tls *tls, void *buffer, size_t length, size_t *count, css_tls_error *error) {
  *count = 0;
  size_t limit = length < LOCKED_BYTES ? length : LOCKED_BYTES;
  css_tls_status status = CSS_TLS_DONE;
  pthread_mutex_lock(&tls->lock);
  css_error_begin();
  while (*count < limit) {
    size_t step = 0;
    int result = SSL_read_ex(tls->ssl, (uint8_t *)buffer + *count, length - *count, &step);
    *count += step;
    if (result == 1) continue;
    status = status_of(tls, result, error);
    break;
  }
  pthread_mutex_unlock(&tls->lock);
  // What was decrypted counts first; the next call meets the end or the failure again.
  return *count > 0 ? CSS_TLS_DONE : status;
}

css_tls_status css_tls_write(css_tls *tls, const void *data, size_t length, size_t *count, uint64_t key_update_records,
                             css_tls_error *error) {
  *count = 0;
  size_t limit = length < LOCKED_BYTES ? length : LOCKED_BYTES;
  css_tls_status status = CSS_TLS_DONE;
  pthread_mutex_lock(&tls->lock);
  css_error_begin();
  while (*count < limit) {
    // A record that waits for room must go out first; libssl refuses the update until then and it is tried again.
    if (tls->records >= key_update_records && SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1) {
      tls->records = 0;
      atomic_fetch_add_explicit(&tls->key_updates, 1, memory_order_relaxed);
    }
    css_error_begin();
    size_t step = 0;
    int result = SSL_write_ex(tls->ssl, (const uint8_t *)data + *count, length - *count, &step);
    *count += step;
    if (result != 1) {
      status = status_of(tls, result, error);
      break;
    }
    tls->records += (step + RECORD - 1) / RECORD;
  }
  pthread_mutex_unlock(&tls->lock);
  return *count > 0 && status != CSS_TLS_FAILED ? CSS_TLS_DONE : status;
}

void css_tls_close_notify(css_tls *tls) {
  pthread_mutex_lock(&tls->lock);
  css_error_begin();
  // Sending it before the handshake ended is an error of its own; there is nobody to tell then.
  if (SSL_is_init_finished(tls->ssl)) SSL_shutdown(tls->ssl);
  ERR_clear_error();
  pthread_mutex_unlock(&tls->lock);
}

// MARK: the socket

css_tls_status css_tls_fill(css_tls *tls, css_tls_error *error) {
  buffer *input = &tls->input;
  pthread_mutex_lock(&tls->lock);
  if (input->head > 0) {
    memmove(input->bytes, input->bytes + input->head, input->tail - input->head);
    input->tail -= input->head;
    input->head = 0;
  }
  size_t tail = input->tail;
  bool ended = tls->input_ended;
  pthread_mutex_unlock(&tls->lock);
  if (ended || tail == input->capacity) return CSS_TLS_DONE;
  ssize_t received;
  do {
    received = recv(tls->fd, input->bytes + tail, input->capacity - tail, MSG_DONTWAIT);
  } while (received < 0 && errno == EINTR);
  if (received < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return CSS_TLS_WANT_READ;
    css_error_system(error, "cannot receive", errno);
    return CSS_TLS_FAILED;
  }
  pthread_mutex_lock(&tls->lock);
  input->tail += (size_t)received;
  tls->input_ended = received == 0;
  pthread_mutex_unlock(&tls->lock);
  return CSS_TLS_DONE;
}

css_tls_status css_tls_flush(css_tls *tls, css_tls_error *error) {
  buffer *output = &tls->output;
  for (;;) {
    pthread_mutex_lock(&tls->lock);
    if (output->head == output->tail) output->head = output->tail = 0;
    size_t head = output->head, length = output->tail - head;
    pthread_mutex_unlock(&tls->lock);
    if (length == 0) return CSS_TLS_DONE;
    ssize_t sent = send(tls->fd, output->bytes + head, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return CSS_TLS_WANT_WRITE;
      css_error_system(error, "cannot send", errno);
      return CSS_TLS_FAILED;
    }
    pthread_mutex_lock(&tls->lock);
    output->head += (size_t)sent;
    pthread_mutex_unlock(&tls->lock);
  }
}

bool css_tls_has_output(css_tls *tls) {
  pthread_mutex_lock(&tls->lock);
  bool pending = tls->output.head != tls->output.tail;
  pthread_mutex_unlock(&tls->lock);
  return pending;
}

// MARK: what was agreed

size_t css_tls_application(css_tls *tls, char *name256) {
  const unsigned char *name = NULL;
  unsigned int length = 0;
  pthread_mutex_lock(&tls->lock);
  SSL_get0_alpn_selected(tls->ssl, &name, &length);
  if (name && length > 0) memcpy(name256, name, length);
  pthread_mutex_unlock(&tls->lock);
  return name ? length : 0;
}

bool css_tls_resumed(css_tls *tls) {
  pthread_mutex_lock(&tls->lock);
  bool resumed = SSL_session_reused(tls->ssl) == 1;
  pthread_mutex_unlock(&tls->lock);
  return resumed;
}

uint64_t css_tls_key_updates(css_tls *tls) { return atomic_load_explicit(&tls->key_updates, memory_order_relaxed); }

bool css_tls_peer_certificate(css_tls *tls, css_bytes *certificate) {
  pthread_mutex_lock(&tls->lock);
  unsigned char *der = NULL;
  X509 *peer = SSL_get0_peer_certificate(tls->ssl);
  int length = peer ? i2d_X509(peer, &der) : 0;
  pthread_mutex_unlock(&tls->lock);
  if (length <= 0) return false;
  *certificate = (css_bytes){der, (size_t)length};
  return true;
}

bool css_tls_export(css_tls *tls, const char *label, size_t label_length, css_slice context, uint8_t *output,
                    size_t length, css_tls_error *error) {
  pthread_mutex_lock(&tls->lock);
  css_error_begin();
  bool done = SSL_export_keying_material(tls->ssl, output, length, label, label_length, context.data, context.length,
                                         1) == 1;
  if (!done) css_error_take(error, "cannot derive keying material");
  pthread_mutex_unlock(&tls->lock);
  return done;
}
