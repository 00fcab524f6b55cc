#include "css_codec.h"

#include <endian.h>
#include <limits.h>
#include <lz4.h>
#include <string.h>
#include <xxhash.h>

css_hash128 css_xxh3_128(const void *data, size_t length) {
  XXH128_hash_t hash = XXH3_128bits(data, length);
  return (css_hash128){hash.low64, hash.high64};
}

css_hash128 css_xxh3_128_keyed(const void *data, size_t length, const void *secret, size_t secret_length) {
  XXH128_hash_t hash = XXH3_128bits_withSecret(data, length, secret, secret_length);
  return (css_hash128){hash.low64, hash.high64};
}

bool css_is_zero(const void *data, size_t length) {
  const unsigned char *bytes = data;
  if (length == 0) return true;
  // Comparing a buffer with itself one byte on lets memcmp's vector code do the scan.
  return bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

void css_fingerprint_blocks(const void *data, size_t count, uint64_t first_index, const void *key192,
                            css_hash128 *sum, uint64_t *non_zero) {
  const unsigned char *block = data;
  for (size_t i = 0; i < count; i++, block += 4096) {
    if (css_is_zero(block, 4096)) continue;
    css_hash128 digest = css_xxh3_128_keyed(block, 4096, key192, 192);
    uint64_t words[3] = {htole64(first_index + i), htole64(digest.low), htole64(digest.high)};
    css_hash128 term = css_xxh3_128_keyed(words, sizeof words, key192, 192);
    uint64_t low = sum->low + term.low;
    sum->high += term.high + (low < term.low ? 1 : 0);
    sum->low = low;
    *non_zero += 1;
  }
}

size_t css_lz4_bound(size_t length) { return length > LZ4_MAX_INPUT_SIZE ? 0 : (size_t)LZ4_compressBound((int)length); }

size_t css_lz4_compress(const void *source, size_t length, void *target, size_t capacity, int acceleration) {
  if (length > LZ4_MAX_INPUT_SIZE || capacity > INT_MAX) return 0;
  int size = LZ4_compress_fast(source, target, (int)length, (int)capacity, acceleration);
  return size > 0 ? (size_t)size : 0;
}

long css_lz4_decompress(const void *source, size_t length, void *target, size_t capacity) {
  if (length > INT_MAX || capacity > INT_MAX) return -1;
  return LZ4_decompress_safe(source, target, (int)length, (int)capacity);
}
