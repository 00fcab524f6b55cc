// Connections: libssl works on buffers, the socket is read and written apart from it.
#define _GNU_SOURCE
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tls_private.h"

enum {
  RECORD = 16 * 1024,
  // Bytes handled while the SSL object is locked: short enough that the other direction never waits long.
  LOCKED_BYTES = 64 * 1024,
};

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
  while (tls->sessions && (session = css_sessions_pop(tls->sessions)) != NULL) {
    bool used = css_session_trusted(tls, session) && SSL_set_session(tls->ssl, session) == 1;
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
