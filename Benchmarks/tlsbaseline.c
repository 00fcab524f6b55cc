/*
 * The simplest program that moves a file over TLS 1.3: read, SSL_write | SSL_read, write, fsync. No differences, no
 * fingerprints, no compression, no recovery point. It stands for what this machine can do with N streams; the figures
 * of the benchmarks are ratios to it.
 *
 *   tlsbaseline receive ADDRESS PORT FILE CERTIFICATE KEY STREAMS
 *   tlsbaseline send    ADDRESS PORT FILE STREAMS
 *
 * Each stream carries pieces of 1 MiB, each behind its offset and length; a length of 0 ends the stream, and the
 * receiver answers one byte. The sender ends when the receiver has written everything, the receiver after fsync.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 20, STREAM_LIMIT = 64, CONNECT_TRIES = 250 };

struct stream {
  int number, count, file, socket;
  int64_t size;
  SSL_CTX *context;
};

struct head {
  int64_t offset, length;
};

static void fail(const char *what) {
  fprintf(stderr, "tlsbaseline: %s: %s\n", what, strerror(errno));
  ERR_print_errors_fp(stderr);
  exit(1);
}

static void send_all(SSL *tls, const void *bytes, size_t count) {
  size_t part;
  for (const char *next = bytes; count > 0; next += part, count -= part)
    if (SSL_write_ex(tls, next, count, &part) != 1) fail("SSL_write");
}

static void receive_all(SSL *tls, void *bytes, size_t count) {
  size_t part;
  for (char *next = bytes; count > 0; next += part, count -= part)
    if (SSL_read_ex(tls, next, count, &part) != 1) fail("SSL_read");
}

static SSL *open_stream(const struct stream *stream, int (*handshake)(SSL *)) {
  SSL *tls = SSL_new(stream->context);
  if (!tls || SSL_set_fd(tls, stream->socket) != 1 || handshake(tls) != 1) fail("handshake");
  return tls;
}

static void *receive_stream(void *argument) {
  const struct stream *stream = argument;
  SSL *tls = open_stream(stream, SSL_accept);
  char *piece = aligned_alloc(4096, PIECE);
  struct head head;
  for (;;) {
    receive_all(tls, &head, sizeof head);
    if (head.length == 0) break;
    if (head.length < 0 || head.length > PIECE) fail("length");
    receive_all(tls, piece, (size_t)head.length);
    if (pwrite(stream->file, piece, (size_t)head.length, head.offset) != head.length) fail("pwrite");
  }
  send_all(tls, "k", 1);
  SSL_shutdown(tls);
  return NULL;
}

static void *send_stream(void *argument) {
  const struct stream *stream = argument;
  SSL *tls = open_stream(stream, SSL_connect);
  char *piece = aligned_alloc(4096, PIECE);
  char answer;
  for (int64_t at = (int64_t)stream->number * PIECE; at < stream->size; at += (int64_t)stream->count * PIECE) {
    struct head head = {at, stream->size - at < PIECE ? stream->size - at : PIECE};
    if (pread(stream->file, piece, (size_t)head.length, at) != head.length) fail("pread");
    send_all(tls, &head, sizeof head);
    send_all(tls, piece, (size_t)head.length);
  }
  send_all(tls, &(struct head){0, 0}, sizeof(struct head));
  receive_all(tls, &answer, 1);
  return NULL;
}

static int connect_patiently(const struct sockaddr_in *address) {
  for (int attempt = 0; attempt < CONNECT_TRIES; attempt++) {
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(descriptor, (const struct sockaddr *)address, sizeof *address) == 0) return descriptor;
    close(descriptor);
    usleep(20000);
  }
  fail("connect");
  return -1;
}

static int listen_at(const struct sockaddr_in *address) {
  int descriptor = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(descriptor, (const struct sockaddr *)address, sizeof *address) || listen(descriptor, STREAM_LIMIT))
    fail("listen");
  return descriptor;
}

static SSL_CTX *make_context(int receiving, char **files) {
  SSL_CTX *context = SSL_CTX_new(receiving ? TLS_server_method() : TLS_client_method());
  if (!context || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1)
    fail("context");
  if (receiving && (SSL_CTX_use_certificate_file(context, files[0], SSL_FILETYPE_PEM) != 1 ||
                    SSL_CTX_use_PrivateKey_file(context, files[1], SSL_FILETYPE_PEM) != 1))
    fail("certificate");
  return context;
}

int main(int count, char **words) {
  int receiving = count == 8 && strcmp(words[1], "receive") == 0;
  if (!receiving && !(count == 6 && strcmp(words[1], "send") == 0)) {
    fputs("usage: tlsbaseline receive ADDRESS PORT FILE CERTIFICATE KEY STREAMS\n"
          "       tlsbaseline send ADDRESS PORT FILE STREAMS\n", stderr);
    return 2;
  }
  int streams = atoi(words[count - 1]), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[3]))};
  if (streams < 1 || streams > STREAM_LIMIT || inet_pton(AF_INET, words[2], &address.sin_addr) != 1) fail("arguments");
  SSL_CTX *context = make_context(receiving, words + 5);
  int file = receiving ? open(words[4], O_RDWR | O_CREAT | O_TRUNC, 0600) : open(words[4], O_RDONLY);
  struct stat status;
  if (file < 0 || fstat(file, &status)) fail(words[4]);
  int listener = receiving ? listen_at(&address) : -1;
  pthread_t threads[STREAM_LIMIT];
  struct stream jobs[STREAM_LIMIT];
  for (int number = 0; number < streams; number++) {
    int descriptor = receiving ? accept(listener, NULL, NULL) : connect_patiently(&address);
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    jobs[number] = (struct stream){number, streams, file, descriptor, status.st_size, context};
    pthread_create(&threads[number], NULL, receiving ? receive_stream : send_stream, &jobs[number]);
  }
  for (int number = 0; number < streams; number++) pthread_join(threads[number], NULL);
  if (receiving && (fsync(file) || close(file))) fail("fsync");
  return 0;
}
