/* Hashes. Pure; any thread. The only file that knows xxHash and libcrypto. */
#ifndef SHEEP_HASH_H
#define SHEEP_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct digest128 {
  uint64_t low;
  uint64_t high;
} digest128;

enum { HASH_SHA256_HEX = 65 }; /* 64 digits and a NUL */

/* XXH3-128, to find a place in a table by. It doesn't stand for the bytes: two that
 * collide are made in a second. A seed of 64 random bits that nobody outside knows
 * keeps them from filling one place; small seeds don't, and 0 is the published hash. */
digest128 hash_128(const void *bytes, size_t length, uint64_t seed);

/* XXH3-64, to tell a damaged file from a sound one. */
uint64_t hash_64(const void *bytes, size_t length);

/* SHA-256 in lower-case hex. SHEEP_E_NOMEM when libcrypto has no memory for it, its
 * only way to fail; `hex` is then untouched. */
int32_t hash_sha256_hex(const void *bytes, size_t length, char hex[HASH_SHA256_HEX]);

#endif
