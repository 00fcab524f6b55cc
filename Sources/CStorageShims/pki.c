#define _GNU_SOURCE
#include "css_pki.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tls_error.h"

void css_error_begin(void) { ERR_clear_error(); }

void css_error_take(css_tls_error *error, const char *what) {
  *error = (css_tls_error){0};
  size_t used = (size_t)snprintf(error->text, sizeof error->text, "%s", what);
  unsigned long code;
  const char *data = NULL;
  int flags = 0;
  while ((code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0) {
    int reason = ERR_GET_REASON(code);
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
      error->alert = reason - SSL_AD_REASON_OFFSET;
    }
    const char *text = ERR_reason_error_string(code);
    if (text == NULL || used >= sizeof error->text) continue;
    used += (size_t)snprintf(error->text + used, sizeof error->text - used, "%s%s", used ? ": " : "", text);
  }
}

void css_error_system(css_tls_error *error, const char *what, int code) {
  *error = (css_tls_error){.system = code};
  char text[120];
  // The GNU strerror_r may return a constant text instead of filling the buffer.
  snprintf(error->text, sizeof error->text, "%s: %s", what, strerror_r(code, text, sizeof text));
}

void css_bytes_free(css_bytes *bytes) {
  OPENSSL_clear_free(bytes->data, bytes->length);
  *bytes = (css_bytes){0};
}

void css_clear(void *data, size_t length) { OPENSSL_cleanse(data, length); }

static bool fail(css_tls_error *error, const char *what) {
  css_error_take(error, what);
  return false;
}

static BIO *memory(css_slice slice) {
  return slice.data && slice.length <= INT_MAX ? BIO_new_mem_buf(slice.data, (int)slice.length) : NULL;
}

static EVP_PKEY *read_key(css_slice pem) {
  BIO *bio = memory(pem);
  if (!bio) return NULL;
  EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
  BIO_free(bio);
  return key;
}

static X509 *read_certificate(css_slice der) {
  const unsigned char *cursor = der.data;
  if (!cursor || der.length > LONG_MAX) return NULL;
  X509 *certificate = d2i_X509(NULL, &cursor, (long)der.length);
  // Bytes after the certificate would make two encodings of one identity.
  if (certificate && cursor != der.data + der.length) {
    X509_free(certificate);
    return NULL;
  }
  return certificate;
}

bool css_pki_generate_key(css_bytes *key_pem, css_tls_error *error) {
  css_error_begin();
  bool done = false;
  EVP_PKEY *key = EVP_EC_gen("P-256");
  BIO *bio = BIO_new(BIO_s_secmem());
  char *data = NULL;
  if (key && bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
    long length = BIO_get_mem_data(bio, &data);
    uint8_t *copy = length > 0 ? OPENSSL_memdup(data, (size_t)length) : NULL;
    if (copy) *key_pem = (css_bytes){copy, (size_t)length};
    done = copy != NULL;
  }
  BIO_free(bio);
  EVP_PKEY_free(key);
  return done || fail(error, "cannot make a key");
}

static bool add_text_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  bool done = extension && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return done;
}

/// Built by hand: the text form of extensions would read commas in a URI as separators.
static bool add_uri(X509 *certificate, const char *uri) {
  GENERAL_NAMES *names = GENERAL_NAMES_new();
  GENERAL_NAME *name = GENERAL_NAME_new();
  ASN1_IA5STRING *text = ASN1_IA5STRING_new();
  bool done = false;
  if (names && name && text && ASN1_STRING_set(text, uri, -1) == 1) {
    GENERAL_NAME_set0_value(name, GEN_URI, text);
    text = NULL;
    if (sk_GENERAL_NAME_push(names, name) > 0) {
      name = NULL;
      done = X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
    }
  }
  ASN1_IA5STRING_free(text);
  GENERAL_NAME_free(name);
  GENERAL_NAMES_free(names);
  return done;
}

static bool add_serial(X509 *certificate) {
  BIGNUM *number = BN_new();
  bool done = number && BN_rand(number, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
              BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
  BN_free(number);
  return done;
}

static bool add_extensions(X509 *certificate, X509 *issuer, const css_pki_request *request) {
  if (!add_text_extension(certificate, issuer, NID_basic_constraints,
                          request->authority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") ||
      !add_text_extension(certificate, issuer, NID_key_usage,
                          request->authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") ||
      !add_text_extension(certificate, issuer, NID_subject_key_identifier, "hash") ||
      !add_text_extension(certificate, issuer, NID_authority_key_identifier, "keyid")) {
    return false;
  }
  static const char *const usages[] = {NULL, "serverAuth", "clientAuth", "serverAuth,clientAuth"};
  const char *usage = usages[request->purposes & 3];
  if (usage && !add_text_extension(certificate, issuer, NID_ext_key_usage, usage)) return false;
  if (request->alternative_names) {
    return !request->uri &&
           add_text_extension(certificate, issuer, NID_subject_alt_name, request->alternative_names);
  }
  return !request->uri || add_uri(certificate, request->uri);
}

static bool add_name(X509_NAME *name, int nid, const char *text) {
  return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0) == 1;
}

static bool fill_certificate(X509 *certificate, X509 *issuer, EVP_PKEY *key, const css_pki_request *request) {
  X509_NAME *name = X509_get_subject_name(certificate);
  return X509_set_version(certificate, X509_VERSION_3) == 1 && add_serial(certificate) &&
         (!request->organization || add_name(name, NID_organizationName, request->organization)) &&
         add_name(name, NID_commonName, request->common_name) &&
         X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
         ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)request->not_before) &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)request->not_after) &&
         X509_set_pubkey(certificate, key) == 1 && add_extensions(certificate, issuer, request);
}

static bool encode(X509 *certificate, css_bytes *der) {
  unsigned char *data = NULL;
  int length = i2d_X509(certificate, &data);
  if (length <= 0) return false;
  *der = (css_bytes){data, (size_t)length};
  return true;
}

bool css_pki_certify(const css_pki_request *request, css_bytes *certificate, css_tls_error *error) {
  css_error_begin();
  bool own = request->issuer_key_pem.length == 0;
  EVP_PKEY *key = read_key(request->subject_key_pem);
  EVP_PKEY *issuer_key = own ? NULL : read_key(request->issuer_key_pem);
  X509 *issuer = own ? NULL : read_certificate(request->issuer_certificate);
  X509 *leaf = X509_new();
  bool done = key && leaf && (own || (issuer_key && issuer)) &&
              fill_certificate(leaf, own ? leaf : issuer, key, request) &&
              X509_sign(leaf, own ? key : issuer_key, EVP_sha256()) > 0 && encode(leaf, certificate);
  X509_free(leaf);
  X509_free(issuer);
  EVP_PKEY_free(issuer_key);
  EVP_PKEY_free(key);
  return done || fail(error, "cannot make a certificate");
}

static bool seconds(const ASN1_TIME *time, int64_t *value) {
  struct tm parts;
  if (ASN1_TIME_to_tm(time, &parts) != 1) return false;
  *value = (int64_t)timegm(&parts);
  return true;
}

/// Counts URI names and copies the first; a name with a zero byte inside is left empty and so matches nothing.
static void read_uris(X509 *certificate, css_pki_details *details) {
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    int type = 0;
    const ASN1_STRING *text = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
    if (type != GEN_URI) continue;
    if (details->uri_count++ > 0) continue;
    int length = ASN1_STRING_length(text);
    const unsigned char *data = ASN1_STRING_get0_data(text);
    if (length <= 0 || (size_t)length >= sizeof details->uri || memchr(data, 0, (size_t)length)) continue;
    memcpy(details->uri, data, (size_t)length);
  }
  GENERAL_NAMES_free(names);
}

static uint32_t purposes(X509 *certificate) {
  uint32_t usage = X509_get_extended_key_usage(certificate);
  // All bits set means that the extension is missing: no purpose was granted.
  if (usage == UINT32_MAX) return 0;
  return (usage & XKU_SSL_SERVER ? CSS_PKI_SERVER : 0u) | (usage & XKU_SSL_CLIENT ? CSS_PKI_CLIENT : 0u);
}

bool css_pki_inspect(css_slice certificate, css_pki_details *details, css_tls_error *error) {
  css_error_begin();
  *details = (css_pki_details){0};
  X509 *parsed = read_certificate(certificate);
  bool done = parsed && seconds(X509_get0_notBefore(parsed), &details->not_before) &&
              seconds(X509_get0_notAfter(parsed), &details->not_after);
  if (done) {
    details->authority = X509_check_ca(parsed) == 1;
    details->purposes = purposes(parsed);
    read_uris(parsed, details);
  }
  X509_free(parsed);
  return done || fail(error, "cannot read a certificate");
}

static bool encode_spki(EVP_PKEY *key, css_bytes *spki) {
  unsigned char *data = NULL;
  int length = key ? i2d_PUBKEY(key, &data) : 0;
  if (length <= 0) return false;
  *spki = (css_bytes){data, (size_t)length};
  return true;
}

bool css_pki_certificate_spki(css_slice certificate, css_bytes *spki, css_tls_error *error) {
  css_error_begin();
  X509 *parsed = read_certificate(certificate);
  // The bytes as they stand in the certificate: what a pin was computed from.
  unsigned char *data = NULL;
  int length = parsed ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(parsed), &data) : 0;
  if (length > 0) *spki = (css_bytes){data, (size_t)length};
  X509_free(parsed);
  return length > 0 || fail(error, "cannot read the key of a certificate");
}

bool css_pki_key_spki(css_slice key_pem, css_bytes *spki, css_tls_error *error) {
  css_error_begin();
  EVP_PKEY *key = read_key(key_pem);
  bool done = encode_spki(key, spki);
  EVP_PKEY_free(key);
  return done || fail(error, "cannot read a key");
}

static css_pki_verdict verdict(int code) {
  switch (code) {
    case X509_V_OK: return CSS_PKI_TRUSTED;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return CSS_PKI_EXPIRED;
    case X509_V_ERR_INVALID_PURPOSE: return CSS_PKI_WRONG_PURPOSE;
    default: return CSS_PKI_UNKNOWN_AUTHORITY;
  }
}

/// X509_V_OK, or why the certificate is not valid at `now`. A time that cannot be read is no valid one.
static int check_times(const X509 *certificate, int64_t now) {
  time_t instant = (time_t)now;
  if (X509_cmp_time(X509_get0_notBefore(certificate), &instant) != -1) return X509_V_ERR_CERT_NOT_YET_VALID;
  if (X509_cmp_time(X509_get0_notAfter(certificate), &instant) != 1) return X509_V_ERR_CERT_HAS_EXPIRED;
  return X509_V_OK;
}

/// The chain, and the times of the leaf alone: an authority is trusted because its key is pinned, and for as long.
static css_pki_verdict verify(X509 *leaf, X509 *authority, int purpose, int64_t now, css_tls_error *error) {
  css_pki_verdict result = CSS_PKI_MALFORMED;
  X509_STORE *store = X509_STORE_new();
  X509_STORE_CTX *context = X509_STORE_CTX_new();
  if (store && context && X509_STORE_add_cert(store, authority) == 1 &&
      X509_STORE_CTX_init(context, store, leaf, NULL) == 1) {
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_NO_CHECK_TIME);
    X509_VERIFY_PARAM_set_auth_level(parameters, 2);
    X509_STORE_CTX_set_purpose(context, purpose);
    bool good = X509_verify_cert(context) == 1;
    int code = good ? check_times(leaf, now) : X509_STORE_CTX_get_error(context);
    good = good && code == X509_V_OK;
    result = good ? CSS_PKI_TRUSTED : verdict(code == X509_V_OK ? X509_V_ERR_UNSPECIFIED : code);
    if (!good) css_error_take(error, X509_verify_cert_error_string(code));
  } else {
    css_error_take(error, "cannot set up the check of a certificate");
  }
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  ERR_clear_error();
  return result;
}

css_pki_verdict css_pki_verify(css_slice leaf, css_slice authority, uint32_t purpose, int64_t now,
                               css_tls_error *error) {
  css_error_begin();
  *error = (css_tls_error){0};
  X509 *leaf_certificate = read_certificate(leaf);
  X509 *authority_certificate = read_certificate(authority);
  css_pki_verdict result = CSS_PKI_MALFORMED;
  if (!leaf_certificate || !authority_certificate) {
    css_error_take(error, "cannot read a certificate");
  } else if ((purposes(leaf_certificate) & purpose) != purpose) {
    // libcrypto accepts a leaf without extended key usage for every purpose; we do not.
    css_error_take(error, "the certificate lacks the extended key usage");
    result = CSS_PKI_WRONG_PURPOSE;
  } else {
    int kind = purpose == CSS_PKI_SERVER ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT;
    result = verify(leaf_certificate, authority_certificate, kind, now, error);
  }
  X509_free(authority_certificate);
  X509_free(leaf_certificate);
  return result;
}

css_pki_verdict css_pki_verify_self_signed(css_slice certificate, css_tls_error *error) {
  css_error_begin();
  *error = (css_tls_error){0};
  X509 *parsed = read_certificate(certificate);
  css_pki_verdict result = CSS_PKI_MALFORMED;
  if (!parsed) {
    css_error_take(error, "cannot read a certificate");
  } else if (X509_self_signed(parsed, 1) != 1) {
    css_error_take(error, "the certificate is not signed with its own key");
    result = CSS_PKI_UNKNOWN_AUTHORITY;
  } else {
    result = CSS_PKI_TRUSTED;
  }
  X509_free(parsed);
  ERR_clear_error();
  return result;
}

bool css_sha256(const void *data, size_t length, uint8_t *digest32) {
  return EVP_Digest(data, length, digest32, NULL, EVP_sha256(), NULL) == 1;
}

bool css_hmac_sha256(css_slice key, css_slice message, uint8_t *digest32) {
  unsigned int length = 32;
  if (key.length > INT_MAX) return false;
  return HMAC(EVP_sha256(), key.data, (int)key.length, message.data, message.length, digest32, &length) != NULL &&
         length == 32;
}

bool css_random(void *data, size_t length) { return length <= INT_MAX && RAND_bytes(data, (int)length) == 1; }

bool css_equal_constant_time(const void *left, const void *right, size_t length) {
  return CRYPTO_memcmp(left, right, length) == 0;
}
