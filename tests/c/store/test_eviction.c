/* eviction.h by its hit ratio, in the store, on traces that are the same in each run:
 * objects of Zipf popularity, and among them some that are asked for once. */
#include "unit.h"

#include "replay.h"
#include "store.h"

#include <math.h>
#include <stdlib.h>

enum { OBJECTS = 20000, ACCESSES = 100000 };

static size_t choose(const double *sums, double at) {
  size_t low = 0, high = OBJECTS - 1;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (sums[middle] < at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* One access in ten is to an object that is never asked for again. */
static uint32_t *make_trace(uint64_t seed) {
  double *sums = malloc(OBJECTS * sizeof *sums), sum = 0;
  uint32_t *trace = malloc(ACCESSES * sizeof *trace);
  uint32_t once = 2 * OBJECTS;
  for (size_t i = 0; i < OBJECTS; i++) sums[i] = sum += pow((double)i + 1, -1.0);
  for (size_t i = 0; i < ACCESSES; i++) {
    size_t rank = choose(sums, (double)random_below(&seed, UINT64_C(1) << 53) / 9007199254740992.0 * sum);
    trace[i] = random_below(&seed, 10) ? (uint32_t)(rank * 7919 % OBJECTS) : once++;
  }
  free(sums);
  return trace;
}

static void comes_within_three_tenths_of_a_point_of_exact_lru(void **state) {
  (void)state;
  const size_t sizes[] = {200, 1000, 4000};
  uint32_t *trace = make_trace(1);
  for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
    replayed ours = replay_store(trace, ACCESSES, (store_options){0}, sizes[i]);
    replayed exact = replay_exact_lru(trace, ACCESSES, ours.entries);
    assert_in_range(ours.entries, sizes[i] * 95 / 100, sizes[i] * 105 / 100);
    assert_true(exact.hit_ratio > 0.1);
    assert_true(ours.hit_ratio > exact.hit_ratio - 0.003);
  }
  free(trace);
}

static void s3_fifo_beats_lru_where_much_is_asked_for_once(void **state) {
  (void)state;
  const size_t sizes[] = {200, 1000};
  uint32_t *trace = make_trace(2);
  for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
    replayed ours = replay_store(trace, ACCESSES, (store_options){.policy = EVICTION_S3FIFO}, sizes[i]);
    replayed exact = replay_exact_lru(trace, ACCESSES, ours.entries);
    assert_true(ours.hit_ratio > exact.hit_ratio + 0.02);
  }
  free(trace);
}

/* One shard that holds fewer entries than a window is exact. */
static void small_stores_are_exact_lru(void **state) {
  (void)state;
  uint32_t *trace = make_trace(3);
  for (size_t i = 0; i < ACCESSES; i++) trace[i] %= 40;
  replayed ours = replay_store(trace, ACCESSES, (store_options){.shards = 1, .item_limit = 4096}, 15);
  replayed exact = replay_exact_lru(trace, ACCESSES, ours.entries);
  assert_in_range(ours.entries, 14, 15);
  assert_true(ours.hit_ratio == exact.hit_ratio);
  free(trace);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(comes_within_three_tenths_of_a_point_of_exact_lru),
      cmocka_unit_test(s3_fifo_beats_lru_where_much_is_asked_for_once),
      cmocka_unit_test(small_stores_are_exact_lru),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
