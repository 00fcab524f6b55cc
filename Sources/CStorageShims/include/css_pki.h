#pragma once
// Keys, certificates and hashes from libcrypto. No policy and no files: DER and PEM in memory, errors as values.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Bytes allocated by this library; give them back with css_bytes_free, which clears them first.
typedef struct css_bytes {
  uint8_t *_Nullable data;
  size_t length;
} css_bytes;

/// Bytes lent by the caller for the time of a call.
typedef struct css_slice {
  const uint8_t *_Nullable data;
  size_t length;
} css_slice;

/// Why a call failed. `alert` is the TLS alert the peer sent, `system` an errno; 0 where there is none.
typedef struct css_tls_error {
  int alert;
  int system;
  char text[240];
} css_tls_error;

/// What a certificate may be used for: bits.
enum { CSS_PKI_SERVER = 1, CSS_PKI_CLIENT = 2 };

/// What css_pki_certify is to certify. Times are seconds since 1970.
typedef struct css_pki_request {
  const char *common_name;
  const char *_Nullable organization;
  const char *_Nullable uri;
  /// Names besides the URI, in the form of openssl's configuration: `DNS:localhost,IP:127.0.0.1`. Not with `uri`.
  const char *_Nullable alternative_names;
  int64_t not_before;
  int64_t not_after;
  bool authority;
  uint32_t purposes;
  css_slice subject_key_pem;
  /// Both empty: signed with the subject's own key.
  css_slice issuer_key_pem;
  css_slice issuer_certificate;
} css_pki_request;

/// What a certificate says. `uri` is its only URI subject alternative name, empty when there is none;
/// `uri_count` tells one from several.
typedef struct css_pki_details {
  int64_t not_before;
  int64_t not_after;
  bool authority;
  uint32_t purposes;
  uint32_t uri_count;
  char uri[600];
} css_pki_details;

/// Outcome of a check: the reason decides the TLS alert.
typedef enum css_pki_verdict {
  CSS_PKI_TRUSTED = 0,
  CSS_PKI_UNKNOWN_AUTHORITY = 1,
  CSS_PKI_EXPIRED = 2,
  CSS_PKI_WRONG_PURPOSE = 3,
  CSS_PKI_MALFORMED = 4,
} css_pki_verdict;

void css_bytes_free(css_bytes *bytes);

/// Overwrites memory in a way the compiler keeps.
void css_clear(void *data, size_t length);

/// A fresh EC P-256 key as unencrypted PKCS #8 PEM.
bool css_pki_generate_key(css_bytes *key_pem, css_tls_error *error);

/// A signed certificate as DER.
bool css_pki_certify(const css_pki_request *request, css_bytes *certificate, css_tls_error *error);

bool css_pki_inspect(css_slice certificate, css_pki_details *details, css_tls_error *error);

/// The SubjectPublicKeyInfo of a certificate, or of a private key, as DER.
bool css_pki_certificate_spki(css_slice certificate, css_bytes *spki, css_tls_error *error);
bool css_pki_key_spki(css_slice key_pem, css_bytes *spki, css_tls_error *error);

/// Whether `leaf` was issued by the key of `authority`, is valid at `now` and carries the extended key usage of `purpose`
/// (CSS_PKI_SERVER or CSS_PKI_CLIENT); a leaf without extended key usage carries none. The times of `authority` are not
/// looked at.
css_pki_verdict css_pki_verify(css_slice leaf, css_slice authority, uint32_t purpose, int64_t now,
                               css_tls_error *error);

/// Whether a certificate is signed with its own key. Its times are not looked at.
css_pki_verdict css_pki_verify_self_signed(css_slice certificate, css_tls_error *error);

bool css_sha256(const void *data, size_t length, uint8_t *digest32);
bool css_hmac_sha256(css_slice key, css_slice message, uint8_t *digest32);
bool css_random(void *data, size_t length);

/// Comparison whose time does not depend on the content.
bool css_equal_constant_time(const void *left, const void *right, size_t length);

#pragma clang assume_nonnull end
