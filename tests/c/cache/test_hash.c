/* hash.h: XXH3 and SHA-256. */
#include "unit.h"

#include "error.h"
#include "hash.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool libcrypto_has_memory = true;

static void *crypto_malloc(size_t size, const char *file, int line) {
  (void)file;
  (void)line;
  return libcrypto_has_memory ? malloc(size) : NULL;
}

static void *crypto_realloc(void *block, size_t size, const char *file, int line) {
  (void)file;
  (void)line;
  return libcrypto_has_memory ? realloc(block, size) : NULL;
}

static void crypto_free(void *block, const char *file, int line) {
  (void)file;
  (void)line;
  free(block);
}

/* FIPS 180-2, appendix B. */
static void sha256_is_as_published(void **state) {
  (void)state;
  char hex[HASH_SHA256_HEX];
  assert_int_equal(hash_sha256_hex("abc", 3, hex), SHEEP_OK);
  assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const char *two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  assert_int_equal(hash_sha256_hex(two_blocks, strlen(two_blocks), hex), SHEEP_OK);
  assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void sha256_takes_nothing_and_nuls(void **state) {
  (void)state;
  char empty[HASH_SHA256_HEX], nul[HASH_SHA256_HEX];
  assert_int_equal(hash_sha256_hex("", 0, empty), SHEEP_OK);
  assert_string_equal(empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert_int_equal(hash_sha256_hex("", 1, nul), SHEEP_OK);
  assert_string_equal(nul, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

static void sha256_without_memory_fails_and_writes_nothing(void **state) {
  (void)state;
  char hex[HASH_SHA256_HEX] = "as it was";
  libcrypto_has_memory = false;
  int32_t result = hash_sha256_hex("abc", 3, hex);
  libcrypto_has_memory = true;
  assert_int_equal(result, SHEEP_E_NOMEM);
  assert_string_equal(hex, "as it was");
  assert_int_equal(hash_sha256_hex("abc", 3, hex), SHEEP_OK);
}

/* Of xxHash 0.8: what a file written elsewhere, or by a later version, is checked by. */
static void xxh3_is_as_published(void **state) {
  (void)state;
  assert_true(hash_64("", 0) == UINT64_C(0x2d06800538d394c2));
  digest128 empty = hash_128("", 0, 0);
  assert_true(empty.high == UINT64_C(0x99aa06d3014798d8));
  assert_true(empty.low == UINT64_C(0x6001c324468d497f));
}

static void every_bit_counts(void **state) {
  (void)state;
  char text[300];
  memset(text, 'x', sizeof text);
  digest128 before = hash_128(text, sizeof text, 0);
  uint64_t before_64 = hash_64(text, sizeof text);
  for (size_t i = 0; i < sizeof text; i++) {
    text[i] ^= 1;
    digest128 after = hash_128(text, sizeof text, 0);
    assert_true(after.low != before.low && after.high != before.high);
    assert_true(hash_64(text, sizeof text) != before_64);
    text[i] ^= 1;
  }
}

static size_t read_data(const char *name, char *text, size_t capacity) {
  char path[1024];
  snprintf(path, sizeof path, TEST_DATA "/%s", name);
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  size_t length = fread(text, 1, capacity, file);
  fclose(file);
  assert_in_range(length, 1, capacity - 1);
  return length;
}

/* So the digest alone must never decide that two requests are one. A small seed changes
 * next to nothing of the secret and doesn't part them. */
static void two_requests_share_a_digest(void **state) {
  (void)state;
  char a[1024], b[1024];
  size_t a_length = read_data("xxh3-128-collision-a.json", a, sizeof a);
  size_t b_length = read_data("xxh3-128-collision-b.json", b, sizeof b);
  assert_int_equal(a_length, b_length);
  assert_memory_not_equal(a, b, a_length);
  const uint64_t colliding[] = {0, 1, 12345};
  for (size_t i = 0; i < LENGTH_OF(colliding); i++) {
    digest128 of_a = hash_128(a, a_length, colliding[i]);
    digest128 of_b = hash_128(b, b_length, colliding[i]);
    assert_true(of_a.low == of_b.low && of_a.high == of_b.high);
  }
  const uint64_t random_seed = UINT64_C(0x9e3779b97f4a7c15);
  digest128 of_a = hash_128(a, a_length, random_seed);
  digest128 of_b = hash_128(b, b_length, random_seed);
  assert_true(of_a.low != of_b.low && of_a.high != of_b.high);
}

int main(void) {
  if (!CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free)) return 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sha256_is_as_published),
      cmocka_unit_test(sha256_takes_nothing_and_nuls),
      cmocka_unit_test(sha256_without_memory_fails_and_writes_nothing),
      cmocka_unit_test(xxh3_is_as_published),
      cmocka_unit_test(every_bit_counts),
      cmocka_unit_test(two_requests_share_a_digest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
