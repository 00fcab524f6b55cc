#pragma once
// TLS from libssl as a converter between records and bytes. No policy: who is trusted is asked of a callback,
// when to wait is the caller's affair.
//
// libssl never touches the socket: records are gathered in two linear buffers, and css_tls_fill and css_tls_flush move
// those with one system call each, outside the lock that guards the SSL object. So one thread may read while another
// writes, and the lock is held only for the time of the ciphers. Each of the four calls read, fill | write, flush
// belongs to one direction; the caller sees to it that at most one thread is in each direction.
#include "css_pki.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

typedef struct css_tls_context css_tls_context;
typedef struct css_tls_sessions css_tls_sessions;
typedef struct css_tls css_tls;

typedef enum css_tls_status {
  /// Done, wholly or in part.
  CSS_TLS_DONE = 0,
  /// Nothing to read: fill first.
  CSS_TLS_WANT_READ = 1,
  /// No room, or the socket takes no more: flush, or wait for the socket.
  CSS_TLS_WANT_WRITE = 2,
  /// The peer ended its direction in order.
  CSS_TLS_CLOSED = 3,
  CSS_TLS_FAILED = 4,
} css_tls_status;

/// Decides about the peer's chain (leaf first). `application` is the protocol agreed on by ALPN.
typedef css_pki_verdict (*css_tls_verify)(void *_Nullable context, const css_slice *chain, size_t count,
                                          const char *application, size_t application_length);

/// What all connections of one identity share. `applications` is an ALPN list in wire form (length byte, name).
typedef struct css_tls_options {
  bool server;
  css_slice applications;
  /// Leaf first, DER.
  const css_slice *chain;
  size_t chain_count;
  css_slice key_pem;
  /// Server: issue tickets. Client: keep those that arrive.
  bool resumption;
  /// Seconds a ticket lives.
  long ticket_lifetime;
  /// TLS 1.2 too: for clients that are not ours.
  bool allow_tls12;
  /// Server: a client without a certificate gets through the handshake, and the owner is not asked about it.
  bool certificate_optional;
} css_tls_options;

/// A context never changes: another identity or dead tickets mean another context, with a ticket key of its own.
css_tls_context *_Nullable css_tls_context_new(const css_tls_options *options, css_tls_error *error);
void css_tls_context_free(css_tls_context *context);

/// A client's store of sessions to resume, of one peer; newest first, at most 8. Safe on every thread.
css_tls_sessions *_Nullable css_tls_sessions_new(void);
void css_tls_sessions_free(css_tls_sessions *sessions);
void css_tls_sessions_clear(css_tls_sessions *sessions);

/// A connection over the connected non-blocking socket `fd`, which stays the caller's. `sessions` may be null.
/// `buffer_size` bytes are taken per direction.
css_tls *_Nullable css_tls_new(css_tls_context *context, int fd, css_tls_sessions *_Nullable sessions,
                               size_t buffer_size, css_tls_verify verify, void *_Nullable verify_context,
                               css_tls_error *error);
void css_tls_free(css_tls *tls);

/// One step of the handshake; output may be pending whatever it returns.
css_tls_status css_tls_handshake(css_tls *tls, css_tls_error *error);

/// Decrypts what is at hand into `buffer`.
css_tls_status css_tls_read(css_tls *tls, void *buffer, size_t length, size_t *count, css_tls_error *error);

/// Encrypts as much of `data` as there is room for. A new sending key is taken before more than
/// `key_update_records` records were sent under one.
css_tls_status css_tls_write(css_tls *tls, const void *data, size_t length, size_t *count,
                             uint64_t key_update_records, css_tls_error *error);

/// Encrypts the announcement that nothing more will be sent.
void css_tls_close_notify(css_tls *tls);

/// One recv into the input buffer; CSS_TLS_DONE also at the end of the stream.
css_tls_status css_tls_fill(css_tls *tls, css_tls_error *error);

/// Sends pending output; CSS_TLS_DONE when none is left. Never raises SIGPIPE.
css_tls_status css_tls_flush(css_tls *tls, css_tls_error *error);
bool css_tls_has_output(css_tls *tls);

/// Protocol agreed on by ALPN; returns its length, 0 when there is none.
size_t css_tls_application(css_tls *tls, char *name256);
bool css_tls_resumed(css_tls *tls);
uint64_t css_tls_key_updates(css_tls *tls);

/// The peer's certificate as DER, for a resumed session that of the first handshake.
bool css_tls_peer_certificate(css_tls *tls, css_bytes *certificate);

/// RFC 8446 exporter.
bool css_tls_export(css_tls *tls, const char *label, size_t label_length, css_slice context, uint8_t *output,
                    size_t length, css_tls_error *error);

#pragma clang assume_nonnull end
