/* store.h held against a naive store: random calls, seeded, with every answer
 * compared. The naive one knows no budget, so it says which answers are right;
 * whether an entry may be missing, the counters of evictions say. */
#include "fixture.h"

enum { KEYS = 300, MODELS = 5, STEPS = 60000 };

static const char *const models_known[MODELS] = {"gpt", "gpt-4.1", "claude", "", "gemini"};

typedef struct naive_entry {
  bool present; /* stored, and neither deleted nor replaced by nothing */
  unsigned value;
  int model;
  int64_t expires;
  uint64_t generation; /* of the naive store when its request was looked up */
} naive_entry;

typedef struct both {
  store *cache;
  naive_entry entries[KEYS];
  uint64_t generation;
  uint64_t invalidated[MODELS];
  uint64_t cleared;
  int64_t now;
  int64_t stale_us;
  uint64_t seed;
  uint64_t missing; /* look-ups that found nothing where there was something once */
  /* A request in flight. */
  uint64_t asked, asked_naive;
} both;

static bool is_current(const both *self, const naive_entry *entry) {
  return entry->generation >= self->invalidated[entry->model] && entry->generation >= self->cleared;
}

static unsigned random_key(both *self) {
  uint64_t range = random_below(&self->seed, 4) ? KEYS / 10 : KEYS; /* some are asked for more */
  return (unsigned)random_below(&self->seed, range);
}

static void fill_value(char *data, size_t room, unsigned value) {
  size_t length = value % (room - 16);
  memset(data, 'a' + (int)(value % 26), length);
  snprintf(data + length, 16, "%u", value);
}

static void try_get(both *self) {
  unsigned number = random_key(self);
  const naive_entry *expected = &self->entries[number];
  int64_t stale_us = random_below(&self->seed, 2) ? (int64_t)random_below(&self->seed, 2000) : 0;
  int64_t grace = stale_us < self->stale_us ? stale_us : self->stale_us;
  bool fresh = self->now < expected->expires;
  bool may_hit = expected->present && is_current(self, expected) && (fresh || self->now < expected->expires + grace);
  named name;
  cache_hit hit;
  if (!store_get(self->cache, key_of(&name, self->cache, number), self->now, stale_us, &hit)) {
    self->missing += may_hit;
    return;
  }
  char data[1024];
  fill_value(data, sizeof data, expected->value);
  assert_true(may_hit);
  assert_string_equal(entry_value(hit.entry), data);
  assert_int_equal(hit.stale, !fresh);
  assert_true(hit.ttl_us == expected->expires - self->now);
  entry_release(hit.entry);
}

static void try_put(both *self) {
  unsigned number = random_key(self);
  char data[1024];
  named name;
  naive_entry stored = {.present = true,
                        .value = (unsigned)random_below(&self->seed, 1000000),
                        .model = (int)random_below(&self->seed, MODELS),
                        .generation = self->generation};
  uint64_t generation = store_generation(self->cache);
  if (!random_below(&self->seed, 3)) {
    generation = self->asked;
    stored.generation = self->asked_naive;
  }
  int64_t ttl = 1 + (int64_t)random_below(&self->seed, 20000);
  stored.expires = self->now + ttl;
  fill_value(data, sizeof data, stored.value);
  cache_value value = value_of(data, models_known[stored.model], ttl);
  store_result result = store_put(self->cache, key_of(&name, self->cache, number), &value, generation, self->now);
  assert_int_equal(result, is_current(self, &stored) ? STORE_STORED : STORE_OUTDATED);
  if (result == STORE_STORED) self->entries[number] = stored;
}

static void try_delete(both *self) {
  unsigned number = random_key(self);
  named name;
  bool deleted = store_delete(self->cache, key_of(&name, self->cache, number));
  assert_true(!deleted || self->entries[number].present);
  self->entries[number].present = false;
}

static void try_invalidate(both *self) {
  int model = (int)random_below(&self->seed, MODELS);
  store_invalidate(self->cache, models_known[model], strlen(models_known[model]));
  self->invalidated[model] = ++self->generation;
}

static void step(both *self) {
  uint64_t kind = random_below(&self->seed, 1000);
  if (kind < 550)
    try_get(self);
  else if (kind < 900)
    try_put(self);
  else if (kind < 940)
    try_delete(self);
  else if (kind < 945)
    try_invalidate(self);
  else if (kind < 947) {
    store_clear(self->cache);
    self->cleared = ++self->generation;
  } else if (kind < 950)
    store_reclaim(self->cache, self->now);
  else if (kind < 975) {
    self->asked = store_generation(self->cache);
    self->asked_naive = self->generation;
  } else
    self->now += (int64_t)random_below(&self->seed, 1000);
}

static void empty(both *self, uint64_t max_bytes) {
  store_stats stats = stats_of(self->cache);
  assert_true(stats.bytes <= max_bytes);
  assert_true(stats.hits > 1000 && stats.invalidations > 10 && stats.expirations > 10);
  if (!stats.evictions) assert_int_equal(self->missing, 0);
  store_clear(self->cache);
  store_reclaim(self->cache, self->now);
  stats = stats_of(self->cache);
  assert_int_equal(stats.entries, 0);
  assert_int_equal(stats.bytes, 0);
}

static void run(uint64_t seed, store_options options) {
  both *self = calloc(1, sizeof *self);
  self->cache = new_store(options);
  self->seed = seed;
  self->stale_us = options.stale_us;
  self->now = (int64_t)random_below(&self->seed, UINT64_C(1) << 40);
  for (int i = 0; i < STEPS; i++) {
    step(self);
    assert_true(stats_of(self->cache).bytes <= options.max_bytes);
  }
  empty(self, options.max_bytes);
  if (options.max_bytes > 1 << 20) assert_int_equal(self->missing, 0);
  store_free(self->cache);
  free(self);
}

static void agrees_when_all_fits(void **state) {
  (void)state;
  run(1, (store_options){.max_bytes = 64 << 20});
  run(2, (store_options){.max_bytes = 64 << 20, .policy = EVICTION_S3FIFO, .stale_us = 500});
}

static void agrees_when_little_fits(void **state) {
  (void)state;
  run(3, (store_options){.max_bytes = 48 << 10, .shards = 2, .item_limit = 4096});
  run(4, (store_options){.max_bytes = 48 << 10, .shards = 2, .item_limit = 4096, .policy = EVICTION_S3FIFO});
  run(5, (store_options){.max_bytes = 200 << 10, .shards = 1, .stale_us = 1000});
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(agrees_when_all_fits),
      cmocka_unit_test(agrees_when_little_fits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
