// XXH3 and LZ4 behind calls with plain types. No policy, no allocation; buffers are the caller's.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// A 128-bit XXH3 value, as XXH128_hash_t has it.
typedef struct css_hash128 {
  uint64_t low;
  uint64_t high;
} css_hash128;

/// XXH3_128bits of `length` bytes.
css_hash128 css_xxh3_128(const void *data, size_t length);

/// XXH3_128bits_withSecret; `secret_length` must be at least 136 (XXH3_SECRET_SIZE_MIN).
css_hash128 css_xxh3_128_keyed(const void *data, size_t length, const void *secret, size_t secret_length);

/// Whether `length` bytes are all zero.
bool css_is_zero(const void *data, size_t length);

/// Sum over `count` whole 4 KiB blocks of H(first_index + i, block) modulo 2^128, keyed with 192 bytes (design
/// section 6). Adds to `sum`; adds the count of blocks that are not all zero to `non_zero`. One loop here because a
/// call per block is the hot path.
void css_fingerprint_blocks(const void *data, size_t count, uint64_t first_index, const void *key192,
                            css_hash128 *sum, uint64_t *non_zero);

/// Largest size LZ4 can need for `length` bytes; 0 if `length` is too large.
size_t css_lz4_bound(size_t length);

/// LZ4_compress_fast_continue-free block compression. Returns the compressed size, or 0 if it does not fit.
size_t css_lz4_compress(const void *source, size_t length, void *target, size_t capacity, int acceleration);

/// LZ4_decompress_safe. Returns the decompressed size, or -1 if the input is malformed or does not fit.
long css_lz4_decompress(const void *source, size_t length, void *target, size_t capacity);

#pragma clang assume_nonnull end
