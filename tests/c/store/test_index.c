/* index.h: held against a naive list, with hashes that crowd. */
#include "unit.h"

#include "index.h"

#include "alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4000 };

typedef struct model {
  entry_index index;
  cache_entry *entries[MOST]; /* those in it */
  char texts[MOST][16];
  uint32_t count;
} model;

static cache_key key_of(model *self, uint32_t number, uint32_t hash) {
  snprintf(self->texts[number], sizeof self->texts[number], "%u", number);
  return (cache_key){"", 0, self->texts[number], strlen(self->texts[number]), {hash, 0}};
}

/* Grows and shrinks as a shard does it; gives the memory if `may_grow`. */
static void settle(model *self, bool may_grow) {
  size_t bytes = index_wants(&self->index);
  if (bytes && may_grow) index_give(&self->index, calloc(1, bytes));
  index_settle(&self->index, 8);
  free(index_take_unused(&self->index, &bytes));
}

static bool add(model *self, uint32_t number, uint32_t hash, bool may_grow) {
  cache_entry *crowd[INDEX_BUCKET_MOST];
  if (index_read(&self->index, index_bucket_of(&self->index, hash), crowd) == INDEX_BUCKET_MOST) return false;
  cache_key key = key_of(self, number, hash);
  settle(self, may_grow);
  self->entries[number] = entry_new(&key, &(cache_value){.data = "", .ttl_us = 1}, false, 0);
  index_insert(&self->index, self->entries[number]);
  self->count++;
  return true;
}

static void drop(model *self, uint32_t number) {
  index_remove(&self->index, self->entries[number]);
  entry_release(self->entries[number]);
  self->entries[number] = NULL;
  self->count--;
  settle(self, false);
}

static void check(model *self, uint32_t (*hash)(uint32_t number)) {
  assert_int_equal(self->index.entry_count, self->count);
  for (uint32_t i = 0; i < MOST; i++) {
    cache_key key = key_of(self, i, hash(i));
    assert_ptr_equal(index_find(&self->index, &key), self->entries[i]);
  }
  uint32_t seen = 0;
  for (uint32_t i = 0; i < self->index.bucket_count; i++) {
    cache_entry *entries[INDEX_BUCKET_MOST];
    uint32_t count = index_read(&self->index, i, entries);
    for (uint32_t j = 0; j < count; j++) assert_int_equal(index_bucket_of(&self->index, entries[j]->hash), i);
    seen += count;
  }
  assert_int_equal(seen, self->count);
}

static void empty(model *self) {
  for (uint32_t i = 0; i < MOST; i++)
    if (self->entries[i]) drop(self, i);
  size_t bytes;
  while (!index_settle(&self->index, 1)) {
  }
  for (void *block; (block = index_take_unused(&self->index, &bytes));) free(block);
  assert_int_equal(self->index.bucket_count, INDEX_FIRST_BUCKETS);
  assert_int_equal(self->index.segment_count, 1);
}

static uint32_t spread(uint32_t number) { return number * UINT32_C(2654435761); }
static uint32_t crowded(uint32_t number) { return number % 97 * UINT32_C(2654435761); }
static uint32_t same_low_bits(uint32_t number) { return number << 20 | 5; }

/* Adds and removes at random, with a tendency that turns. */
static void run(uint64_t seed, uint32_t (*hash)(uint32_t number), bool may_grow) {
  model *self = calloc(1, sizeof *self);
  index_init(&self->index);
  for (int step = 0; step < 20000; step++) {
    uint32_t number = (uint32_t)random_below(&seed, MOST);
    bool adding = random_below(&seed, 10) < (step / 5000 % 2 ? 2u : 8u);
    if (adding && !self->entries[number]) add(self, number, hash(number), may_grow);
    if (!adding && self->entries[number]) drop(self, number);
    if (step % 2500 == 0) check(self, hash);
  }
  check(self, hash);
  empty(self);
  free(self);
}

static void finds_what_is_in_it(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed < 4; seed++) run(seed, spread, true);
}

static void finds_all_of_one_hash(void **state) {
  (void)state;
  run(5, crowded, true);
  run(6, same_low_bits, true);
}

static void without_memory_its_chains_grow(void **state) {
  (void)state;
  run(7, spread, false);
}

static void its_buckets_stay_evenly_filled(void **state) {
  (void)state;
  model *self = calloc(1, sizeof *self);
  index_init(&self->index);
  for (uint32_t i = 0; i < MOST; i++) {
    assert_true(add(self, i, spread(i), true));
    assert_true(self->index.entry_count <= 4 * self->index.bucket_count + 4);
  }
  for (uint32_t i = 0; i < MOST; i++) {
    drop(self, i);
    assert_true(self->index.bucket_count <= INDEX_FIRST_BUCKETS ||
                self->index.entry_count + 4 >= self->index.bucket_count);
  }
  empty(self);
  free(self);
}

static void nothing_moves_while_it_is_frozen(void **state) {
  (void)state;
  model *self = calloc(1, sizeof *self);
  index_init(&self->index);
  for (uint32_t i = 0; i < 1000; i++) add(self, i, spread(i), true);
  uint32_t buckets = self->index.bucket_count;
  self->index.frozen = 1;
  for (uint32_t i = 1000; i < 2000; i++) add(self, i, spread(i), true);
  assert_int_equal(self->index.bucket_count, buckets);
  for (uint32_t i = 0; i < 1900; i++)
    if (self->entries[i]) drop(self, i);
  assert_int_equal(self->index.bucket_count, buckets);
  self->index.frozen = 0;
  check(self, spread);
  empty(self);
  free(self);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_what_is_in_it),
      cmocka_unit_test(finds_all_of_one_hash),
      cmocka_unit_test(without_memory_its_chains_grow),
      cmocka_unit_test(its_buckets_stay_evenly_filled),
      cmocka_unit_test(nothing_moves_while_it_is_frozen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
