// Sessions a client keeps to resume.
#include <stdlib.h>
#include <string.h>

#include "tls_private.h"

enum { STORED_SESSIONS = 8 };

struct css_tls_sessions {
  pthread_mutex_t lock;
  size_t count;
  SSL_SESSION *stored[STORED_SESSIONS];
};

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
SSL_SESSION *css_sessions_pop(css_tls_sessions *sessions) {
  pthread_mutex_lock(&sessions->lock);
  SSL_SESSION *session = sessions->count > 0 ? sessions->stored[--sessions->count] : NULL;
  pthread_mutex_unlock(&sessions->lock);
  return session;
}

int css_session_arrived(SSL *ssl, SSL_SESSION *session) {
  css_tls *tls = SSL_get_app_data(ssl);
  if (!tls || !tls->sessions || SSL_SESSION_is_resumable(session) != 1) return 0;
  // A copy: libssl spoils the session of a connection that is cut, and cut connections are the ones to take up again.
  SSL_SESSION *copy = SSL_SESSION_dup(session);
  if (copy) sessions_push(tls->sessions, copy);
  return 0;
}
