/* What the tests of the store share: keys and values by number. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "unit.h"

#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND_US = 1000000 };

/* A key or a model's name; its text lives as long as this. */
typedef struct named {
  char text[64];
  cache_key key;
} named;

/* The key with this number; the same number, the same text. */
static inline cache_key *key_of(named *self, const store *cache, unsigned number) {
  int length = snprintf(self->text, sizeof self->text, "{\"question\": %u}", number);
  self->key = (cache_key){"space", 5, self->text, (size_t)length, store_digest(cache, self->text, (size_t)length)};
  return &self->key;
}

static inline cache_value value_of(const char *data, const char *model, int64_t ttl_us) {
  return (cache_value){
      .data = data, .length = strlen(data), .model = model, .model_length = strlen(model), .ttl_us = ttl_us};
}

static inline store_result put(store *cache, unsigned number, const char *data, int64_t ttl_us, int64_t now_us) {
  named name;
  cache_value value = value_of(data, "model", ttl_us);
  return store_put(cache, key_of(&name, cache, number), &value, store_generation(cache), now_us);
}

/* The value copied, or NULL; to be freed. */
static inline char *get(store *cache, unsigned number, int64_t now_us) {
  named name;
  cache_hit hit;
  if (!store_get(cache, key_of(&name, cache, number), now_us, 0, &hit)) return NULL;
  char *copy = strdup(entry_value(hit.entry));
  assert_int_equal(strlen(copy), hit.entry->value_length);
  entry_release(hit.entry);
  return copy;
}

static inline bool has(store *cache, unsigned number, int64_t now_us) {
  char *copy = get(cache, number, now_us);
  free(copy);
  return copy != NULL;
}

static inline void assert_holds(store *cache, unsigned number, int64_t now_us, const char *expected) {
  char *copy = get(cache, number, now_us);
  assert_non_null(copy);
  assert_string_equal(copy, expected);
  free(copy);
}

static inline store_stats stats_of(store *cache) {
  store_stats stats;
  store_read_stats(cache, &stats);
  return stats;
}

static inline store *new_store(store_options options) {
  store *cache = store_new(&options);
  assert_non_null(cache);
  return cache;
}

#endif
