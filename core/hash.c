/* Hashes, by xxHash and libcrypto. */
#include "hash.h"

#include "error.h"

#include <openssl/evp.h>
#include <xxhash.h>

enum { SHA256_BYTES = 32 };

digest128 hash_128(const void *bytes, size_t length, uint64_t seed) {
  XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, length, seed);
  return (digest128){hash.low64, hash.high64};
}

uint64_t hash_64(const void *bytes, size_t length) { return XXH3_64bits(bytes, length); }

int32_t hash_sha256_hex(const void *bytes, size_t length, char hex[HASH_SHA256_HEX]) {
  unsigned char digest[SHA256_BYTES];
  if (!EVP_Digest(bytes, length, digest, NULL, EVP_sha256(), NULL)) return SHEEP_E_NOMEM;
  for (size_t i = 0; i < sizeof digest; i++) {
    hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
    hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
  }
  hex[2 * sizeof digest] = '\0';
  return SHEEP_OK;
}
