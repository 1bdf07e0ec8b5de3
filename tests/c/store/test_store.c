/* store.h: what a user of the cache would notice, one thing at a time. */
#include "fixture.h"

#include "failing.h"

static const store_options one_shard = {.max_bytes = 64 << 10, .shards = 1};

/* ------------------------------------------------------------------------ keys */

static void gives_back_what_was_put(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  assert_false(has(cache, 1, 0));
  assert_int_equal(put(cache, 1, "one", SECOND_US, 0), STORE_STORED);
  assert_int_equal(put(cache, 2, "", SECOND_US, 0), STORE_STORED);
  assert_holds(cache, 1, 0, "one");
  assert_holds(cache, 2, 0, "");
  assert_false(has(cache, 3, 0));
  store_stats stats = stats_of(cache);
  assert_int_equal(stats.hits, 2);
  assert_int_equal(stats.misses, 2);
  assert_int_equal(stats.stores, 2);
  assert_int_equal(stats.entries, 2);
  store_free(cache);
}

static void the_latest_value_counts(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  put(cache, 1, "old", SECOND_US, 0);
  put(cache, 1, "new and longer", SECOND_US, 0);
  assert_holds(cache, 1, 0, "new and longer");
  assert_int_equal(stats_of(cache).entries, 1);
  store_free(cache);
}

/* Two requests with one digest (they exist, for any hash that is fast). */
static void equal_digests_are_not_equal_keys(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  cache_value first = value_of("first", "model", SECOND_US), second = value_of("second", "model", SECOND_US);
  cache_key one = {"", 0, "{\"a\": 1}", 8, {42, 43}}, other = {"", 0, "{\"b\": 1}", 8, {42, 43}};
  cache_hit hit;
  store_put(cache, &one, &first, 0, 0);
  assert_false(store_get(cache, &other, 0, 0, &hit));
  store_put(cache, &other, &second, 0, 0);
  assert_true(store_get(cache, &one, 0, 0, &hit));
  assert_string_equal(entry_value(hit.entry), "first");
  entry_release(hit.entry);
  assert_true(store_get(cache, &other, 0, 0, &hit));
  assert_string_equal(entry_value(hit.entry), "second");
  entry_release(hit.entry);
  assert_true(store_delete(cache, &one));
  assert_false(store_get(cache, &one, 0, 0, &hit));
  assert_true(store_get(cache, &other, 0, 0, &hit));
  entry_release(hit.entry);
  store_free(cache);
}

/* "ab" + "c" is not "a" + "bc", nor is a prefix the whole. */
static void namespaces_do_not_run_into_texts(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  cache_value value = value_of("value", "model", SECOND_US);
  const cache_key keys[] = {{"ab", 2, "c", 1, {1, 1}}, {"a", 1, "bc", 2, {1, 1}}, {"", 0, "abc", 3, {1, 1}},
                            {NULL, 0, "ab", 2, {1, 1}}, {"abc", 3, "", 0, {1, 1}}, {"a\0b", 3, "c", 1, {1, 1}},
                            {"ax", 2, "c", 1, {1, 1}}};
  cache_hit hit;
  for (size_t i = 0; i < LENGTH_OF(keys); i++) {
    assert_false(store_get(cache, &keys[i], 0, 0, &hit));
    assert_int_equal(store_put(cache, &keys[i], &value, 0, 0), STORE_STORED);
  }
  assert_int_equal(stats_of(cache).entries, LENGTH_OF(keys));
  store_free(cache);
}

/* Ten thousand keys of one digest: the store stays quick by giving up most. */
static void colliding_keys_cannot_pile_up(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  cache_value value = value_of("value", "model", SECOND_US);
  for (unsigned i = 0; i < 10000; i++) {
    named name;
    cache_key *key = key_of(&name, cache, i);
    key->digest = (digest128){7, 7};
    assert_int_equal(store_put(cache, key, &value, 0, 0), STORE_STORED);
    cache_hit hit;
    assert_true(store_get(cache, key, 0, 0, &hit));
    entry_release(hit.entry);
  }
  assert_in_range(stats_of(cache).entries, 2, INDEX_BUCKET_MOST);
  store_free(cache);
}

static void deletes_one(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  named name;
  put(cache, 1, "one", SECOND_US, 0);
  put(cache, 2, "two", SECOND_US, 0);
  assert_true(store_delete(cache, key_of(&name, cache, 1)));
  assert_false(store_delete(cache, key_of(&name, cache, 1)));
  assert_false(has(cache, 1, 0));
  assert_holds(cache, 2, 0, "two");
  assert_int_equal(stats_of(cache).deletions, 1);
  store_free(cache);
}

static void a_value_outlives_its_entry_and_its_store(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  named name;
  cache_hit hit;
  put(cache, 1, "kept", SECOND_US, 0);
  assert_true(store_get(cache, key_of(&name, cache, 1), 0, 0, &hit));
  store_delete(cache, &name.key);
  store_free(cache);
  assert_string_equal(entry_value(hit.entry), "kept");
  entry_release(hit.entry);
}

/* ------------------------------------------------------------------------ time */

static void expires_to_the_microsecond(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  put(cache, 1, "one", SECOND_US, 1000);
  assert_true(has(cache, 1, 1000 + SECOND_US - 1));
  assert_false(has(cache, 1, 1000 + SECOND_US));
  store_stats stats = stats_of(cache);
  assert_int_equal(stats.expirations, 1);
  assert_int_equal(stats.entries, 0);
  assert_int_equal(stats.bytes, 0);
  store_free(cache);
}

static void a_ttl_of_nothing_is_not_stored(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  assert_int_equal(put(cache, 1, "one", 0, 0), STORE_NO_TTL);
  assert_int_equal(put(cache, 1, "one", -1, 0), STORE_NO_TTL);
  assert_int_equal(put(cache, 1, "one", INT64_MIN, 0), STORE_NO_TTL);
  assert_false(has(cache, 1, 0));
  assert_int_equal(stats_of(cache).refused[STORE_NO_TTL], 3);
  store_free(cache);
}

static void the_longest_ttl_never_ends(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  named name;
  cache_hit hit;
  put(cache, 1, "one", INT64_MAX, ENTRY_TIME_MAX / 2);
  assert_true(store_get(cache, key_of(&name, cache, 1), ENTRY_TIME_MAX, 0, &hit));
  assert_true(hit.ttl_us == INT64_MAX);
  entry_release(hit.entry);
  store_free(cache);
}

static void tells_age_and_time_left(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  named name;
  cache_hit hit;
  cache_value value = value_of("one", "model", 10 * SECOND_US);
  value.age_us = 3 * SECOND_US;
  value.prompt_tokens = 17;
  value.completion_tokens = 4000000000;
  store_put(cache, key_of(&name, cache, 1), &value, 0, SECOND_US);
  assert_true(store_get(cache, &name.key, 5 * SECOND_US, 0, &hit));
  assert_int_equal(hit.age_us, 7 * SECOND_US);
  assert_int_equal(hit.ttl_us, 6 * SECOND_US);
  assert_false(hit.stale);
  assert_int_equal(hit.entry->prompt_tokens, 17);
  assert_int_equal(hit.entry->completion_tokens, 4000000000);
  entry_release(hit.entry);
  store_stats stats = stats_of(cache);
  assert_int_equal(stats.prompt_tokens, 17);
  assert_int_equal(stats.completion_tokens, 4000000000);
  store_free(cache);
}

static bool is_stale_hit(store *cache, unsigned number, int64_t now_us, int64_t stale_us) {
  named name;
  cache_hit hit = {0};
  if (!store_get(cache, key_of(&name, cache, number), now_us, stale_us, &hit)) return false;
  entry_release(hit.entry);
  return hit.stale;
}

static void stale_entries_serve_who_asks(void **state) {
  (void)state;
  store *cache = new_store((store_options){.stale_us = 100});
  put(cache, 1, "one", 1000, 0);
  assert_false(is_stale_hit(cache, 1, 999, 50));
  assert_true(is_stale_hit(cache, 1, 1000, 1));
  assert_false(is_stale_hit(cache, 1, 1000, 0));
  assert_true(is_stale_hit(cache, 1, 1049, 50));
  assert_false(is_stale_hit(cache, 1, 1050, 50));
  assert_true(is_stale_hit(cache, 1, 1099, INT64_MAX));
  assert_false(is_stale_hit(cache, 1, 1100, INT64_MAX));
  store_stats stats = stats_of(cache);
  assert_int_equal(stats.stale_hits, 3);
  assert_int_equal(stats.hits, 1);
  assert_int_equal(stats.expirations, 1);
  store_free(cache);
}

/* Nobody asks for them any more, but for others. */
static void what_expired_is_reclaimed_by_other_calls(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  for (unsigned i = 0; i < 5000; i++) put(cache, i, "short-lived", SECOND_US, 0);
  for (int64_t i = 0; i < 5000; i++) has(cache, 1000000 + (unsigned)i, SECOND_US + i * 1000);
  store_stats stats = stats_of(cache);
  assert_int_equal(stats.entries, 0);
  assert_int_equal(stats.bytes, 0);
  assert_int_equal(stats.expirations, 5000);
  store_free(cache);
}

/* ---------------------------------------------------------------------- budget */

static void never_holds_more_than_its_budget(void **state) {
  (void)state;
  const eviction_policy policies[] = {EVICTION_LRU, EVICTION_S3FIFO};
  char data[3000];
  memset(data, 'x', sizeof data);
  uint64_t seed = 3;
  for (size_t p = 0; p < LENGTH_OF(policies); p++) {
    store *cache = new_store((store_options){.max_bytes = 256 << 10, .shards = 4, .policy = policies[p]});
    for (unsigned i = 0; i < 20000; i++) {
      data[random_below(&seed, sizeof data)] = '\0';
      assert_int_equal(put(cache, (unsigned)random_below(&seed, 2000), data, SECOND_US, 0), STORE_STORED);
      memset(data, 'x', sizeof data);
      data[sizeof data - 1] = '\0';
      store_stats stats = stats_of(cache);
      assert_true(stats.bytes <= 256 << 10);
      assert_true(stats.bytes >= stats.entries * sizeof(cache_entry));
    }
    assert_true(stats_of(cache).evictions > 1000);
    store_free(cache);
  }
}

static void counts_what_malloc_gives(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  put(cache, 1, "0123456789", SECOND_US, 0);
  named name;
  size_t texts = key_of(&name, cache, 1)->text_length + 5 + 10;
  assert_in_range(stats_of(cache).bytes, sizeof(cache_entry) + texts, sizeof(cache_entry) + texts + 32);
  store_free(cache);
}

static void an_item_beyond_its_limit_is_refused(void **state) {
  (void)state;
  store *cache = new_store(one_shard);
  char *large = calloc(1, 64 << 10);
  memset(large, 'x', (8 << 10) - 200);
  assert_int_equal(put(cache, 1, large, SECOND_US, 0), STORE_STORED);
  memset(large, 'x', 8 << 10);
  assert_int_equal(put(cache, 2, large, SECOND_US, 0), STORE_TOO_LARGE);
  assert_true(has(cache, 1, 0));
  assert_int_equal(stats_of(cache).refused[STORE_TOO_LARGE], 1);
  store_free(cache);
  cache = new_store((store_options){.max_bytes = 64 << 10, .shards = 1, .item_limit = 32 << 10});
  memset(large, 'x', 31 << 10);
  assert_int_equal(put(cache, 1, large, SECOND_US, 0), STORE_STORED);
  memset(large, 'x', 32 << 10);
  assert_int_equal(put(cache, 2, large, SECOND_US, 0), STORE_TOO_LARGE);
  store_free(cache);
  free(large);
}

static void lengths_that_cannot_be_are_refused(void **state) {
  (void)state;
  store *cache = new_store((store_options){.item_limit = UINT64_MAX});
  cache_value value = value_of("value", "model", SECOND_US);
  const cache_key far = {"", 0, "", SIZE_MAX / 2, {0, 0}}, wide = {"", 1 << 15, "", 0, {0, 0}};
  assert_int_equal(store_put(cache, &far, &value, 0, 0), STORE_TOO_LARGE);
  assert_int_equal(store_put(cache, &wide, &value, 0, 0), STORE_TOO_LARGE);
  value.length = SIZE_MAX;
  assert_int_equal(store_put(cache, &(cache_key){"", 0, "", 0, {0, 0}}, &value, 0, 0), STORE_TOO_LARGE);
  store_free(cache);
}

static void what_was_used_longest_ago_goes_first(void **state) {
  (void)state;
  store *cache = new_store(one_shard);
  char data[4096] = {0};
  memset(data, 'x', sizeof data - 1);
  for (unsigned i = 0; i < 15; i++) put(cache, i, data, SECOND_US, 0);
  for (unsigned i = 0; i < 15; i += 2) assert_true(has(cache, i, 0));
  for (unsigned i = 100; i < 107; i++) put(cache, i, data, SECOND_US, 0);
  for (unsigned i = 0; i < 15; i++) assert_int_equal(has(cache, i, 0), i % 2 == 0);
  for (unsigned i = 100; i < 107; i++) assert_true(has(cache, i, 0));
  assert_int_equal(stats_of(cache).evictions, 7);
  store_free(cache);
}

/* A scan over ten times what fits leaves what is asked for again and again. */
static void with_s3_fifo_a_scan_displaces_nothing_that_is_in_use(void **state) {
  (void)state;
  store *cache = new_store((store_options){.max_bytes = 256 << 10, .shards = 1, .policy = EVICTION_S3FIFO});
  char data[1000] = {0};
  memset(data, 'x', sizeof data - 1);
  for (int round = 0; round < 4; round++)
    for (unsigned i = 0; i < 50; i++)
      if (!has(cache, i, 0)) put(cache, i, data, SECOND_US, 0);
  for (unsigned i = 1000; i < 3000; i++) put(cache, i, data, SECOND_US, 0);
  for (unsigned i = 0; i < 50; i++) assert_true(has(cache, i, 0));
  store_free(cache);
}

/* Its hash is remembered, so it need not prove itself once more. */
static void with_s3_fifo_what_comes_back_soon_stays(void **state) {
  (void)state;
  store *cache = new_store((store_options){.max_bytes = 256 << 10, .shards = 1, .policy = EVICTION_S3FIFO});
  char data[1000] = {0};
  memset(data, 'x', sizeof data - 1);
  put(cache, 0, data, SECOND_US, 0);
  for (unsigned i = 1; i < 300; i++) put(cache, i, data, SECOND_US, 0);
  assert_false(has(cache, 0, 0));
  put(cache, 0, data, SECOND_US, 0);
  for (unsigned i = 1000; i < 2000; i++) put(cache, i, data, SECOND_US, 0);
  assert_true(has(cache, 0, 0));
  store_free(cache);
}

static void emptied_it_takes_nothing(void **state) {
  (void)state;
  const eviction_policy policies[] = {EVICTION_LRU, EVICTION_S3FIFO};
  for (size_t p = 0; p < LENGTH_OF(policies); p++) {
    store *cache = new_store((store_options){.policy = policies[p]});
    named name;
    for (unsigned i = 0; i < 20000; i++) put(cache, i, "value", SECOND_US, 0);
    for (unsigned i = 0; i < 10000; i++) store_delete(cache, key_of(&name, cache, i));
    assert_int_equal(stats_of(cache).entries, 10000);
    store_clear(cache);
    store_reclaim(cache, 0);
    store_stats stats = stats_of(cache);
    assert_int_equal(stats.entries, 0);
    assert_int_equal(stats.bytes, 0);
    for (uint32_t i = 0; i < store_shard_count(cache) && policies[p] == EVICTION_S3FIFO; i++) {
      assert_int_equal(store_shard(cache, i)->order.queues.small_bytes, 0);
      assert_int_equal(store_shard(cache, i)->order.queues.entry_count, 0);
    }
    store_free(cache);
  }
}

static void options_out_of_range_are_refused(void **state) {
  (void)state;
  const store_options wrong[] = {{.max_bytes = 1000}, {.max_bytes = UINT64_MAX}, {.shards = 3},
                                 {.shards = 2048},    {.stale_us = -1}};
  for (size_t i = 0; i < LENGTH_OF(wrong); i++) assert_null(store_new(&wrong[i]));
}

static void small_stores_have_fewer_shards(void **state) {
  (void)state;
  const struct {
    uint64_t max_bytes;
    uint32_t shards;
  } cases[] = {{0, 64}, {16 << 20, 64}, {1 << 20, 4}, {(1 << 20) - 1, 2}, {16 << 10, 1}};
  for (size_t i = 0; i < LENGTH_OF(cases); i++) {
    store *cache = new_store((store_options){.max_bytes = cases[i].max_bytes});
    assert_int_equal(store_shard_count(cache), cases[i].shards);
    store_free(cache);
  }
}

/* ---------------------------------------------------------------- invalidation */

static store_result put_model(store *cache, unsigned number, const char *model, uint64_t generation) {
  named name;
  cache_value value = value_of("value", model, SECOND_US);
  return store_put(cache, key_of(&name, cache, number), &value, generation, 0);
}

static void invalidates_exactly_one_model(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  for (unsigned i = 0; i < 1000; i++) put_model(cache, i, i % 2 ? "gpt" : "gpt-4.1", store_generation(cache));
  store_invalidate(cache, "gpt", 3);
  for (unsigned i = 0; i < 1000; i++) assert_int_equal(has(cache, i, 0), i % 2 == 0);
  store_reclaim(cache, 0);
  store_stats stats = stats_of(cache);
  assert_int_equal(stats.entries, 500);
  assert_int_equal(stats.invalidations, 500);
  assert_int_equal(put_model(cache, 1, "gpt", store_generation(cache)), STORE_STORED);
  assert_true(has(cache, 1, 0));
  store_free(cache);
}

static void a_reply_in_flight_meanwhile_is_not_stored(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  uint64_t asked = store_generation(cache);
  store_invalidate(cache, "gpt", 3);
  assert_int_equal(put_model(cache, 1, "gpt", asked), STORE_OUTDATED);
  assert_int_equal(put_model(cache, 2, "claude", asked), STORE_STORED);
  store_clear(cache);
  assert_int_equal(put_model(cache, 2, "claude", asked), STORE_OUTDATED);
  assert_int_equal(put_model(cache, 1, "gpt", store_generation(cache)), STORE_STORED);
  assert_int_equal(stats_of(cache).refused[STORE_OUTDATED], 2);
  store_free(cache);
}

static void what_was_invalidated_is_reclaimed_by_other_calls(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  for (unsigned i = 0; i < 5000; i++) put(cache, i, "value", SECOND_US, 0);
  store_clear(cache);
  for (unsigned i = 0; i < 5000; i++) assert_false(has(cache, 100000 + i, 0));
  assert_int_equal(stats_of(cache).entries, 0);
  store_free(cache);
}

static void models_beyond_the_bound_are_refused_until_others_go(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  char model[32];
  for (unsigned i = 0; i < MODELS_MAX; i++) {
    snprintf(model, sizeof model, "model-%u", i);
    assert_int_equal(put_model(cache, i, model, 0), STORE_STORED);
  }
  assert_int_equal(put_model(cache, MODELS_MAX, "one more", 0), STORE_TOO_MANY_MODELS);
  named name;
  store_delete(cache, key_of(&name, cache, 17));
  assert_int_equal(put_model(cache, MODELS_MAX, "one more", 0), STORE_STORED);
  store_invalidate(cache, "one more", 8);
  assert_false(has(cache, MODELS_MAX, 0));
  for (unsigned i = 0; i < MODELS_MAX; i++) assert_int_equal(has(cache, i, 0), i != 17);
  store_free(cache);
}

/* ------------------------------------------------------------------ allocations */

/* Each put is stored or refused with the reason; what was stored is found. */
static void use_without_memory(void *context) {
  store *cache = store_new(&(store_options){.max_bytes = 64 << 10, .policy = *(eviction_policy *)context});
  if (!cache) return;
  for (unsigned i = 0; i < 300; i++) {
    store_result result = put(cache, i, "a value", SECOND_US, 0);
    assert_true(result == STORE_STORED || result == STORE_NO_MEMORY);
    if (result == STORE_STORED) assert_holds(cache, i, 0, "a value");
  }
  store_invalidate(cache, "model", 5);
  assert_false(has(cache, 1, 0));
  store_reclaim(cache, 0);
  assert_int_equal(stats_of(cache).bytes, 0);
  store_free(cache);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  eviction_policy policy = EVICTION_LRU;
  fail_each_allocation(use_without_memory, &policy, 300);
  policy = EVICTION_S3FIFO;
  fail_each_allocation(use_without_memory, &policy, 300);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gives_back_what_was_put),
      cmocka_unit_test(the_latest_value_counts),
      cmocka_unit_test(equal_digests_are_not_equal_keys),
      cmocka_unit_test(namespaces_do_not_run_into_texts),
      cmocka_unit_test(colliding_keys_cannot_pile_up),
      cmocka_unit_test(deletes_one),
      cmocka_unit_test(a_value_outlives_its_entry_and_its_store),
      cmocka_unit_test(expires_to_the_microsecond),
      cmocka_unit_test(a_ttl_of_nothing_is_not_stored),
      cmocka_unit_test(the_longest_ttl_never_ends),
      cmocka_unit_test(tells_age_and_time_left),
      cmocka_unit_test(stale_entries_serve_who_asks),
      cmocka_unit_test(what_expired_is_reclaimed_by_other_calls),
      cmocka_unit_test(never_holds_more_than_its_budget),
      cmocka_unit_test(counts_what_malloc_gives),
      cmocka_unit_test(an_item_beyond_its_limit_is_refused),
      cmocka_unit_test(lengths_that_cannot_be_are_refused),
      cmocka_unit_test(what_was_used_longest_ago_goes_first),
      cmocka_unit_test(with_s3_fifo_a_scan_displaces_nothing_that_is_in_use),
      cmocka_unit_test(with_s3_fifo_what_comes_back_soon_stays),
      cmocka_unit_test(emptied_it_takes_nothing),
      cmocka_unit_test(options_out_of_range_are_refused),
      cmocka_unit_test(small_stores_have_fewer_shards),
      cmocka_unit_test(invalidates_exactly_one_model),
      cmocka_unit_test(a_reply_in_flight_meanwhile_is_not_stored),
      cmocka_unit_test(what_was_invalidated_is_reclaimed_by_other_calls),
      cmocka_unit_test(models_beyond_the_bound_are_refused_until_others_go),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
