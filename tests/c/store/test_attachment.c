/* Attachments of a store: objects of the host's that hang on entries, and come back
 * to it when they are dropped. */
#include "fixture.h"

#include "failing.h"

enum { OBJECTS = 4096 };

/* The host's objects are numbers here, in a table that says where each one is. */
static int objects[OBJECTS];

static void *object_of(unsigned number) { return &objects[number]; }

static bool attach(store *cache, unsigned number, size_t size) {
  named name;
  cache_hit hit;
  if (!store_get(cache, key_of(&name, cache, number), 0, 0, &hit)) return false;
  bool attached = store_attach(cache, hit.entry, object_of(number), size);
  if (hit.attached) attachment_release(hit.attached);
  entry_release(hit.entry);
  return attached;
}

/* The object that a hit brings, or NULL. */
static void *attached_to(store *cache, unsigned number) {
  named name;
  cache_hit hit;
  if (!store_get(cache, key_of(&name, cache, number), 0, 0, &hit)) return NULL;
  void *object = hit.attached ? hit.attached->object : NULL;
  if (hit.attached) attachment_release(hit.attached);
  entry_release(hit.entry);
  return object;
}

/* Takes the dropped ones; returns how many, and the last of them. */
static int take_dropped(store *cache, void **last) {
  mpsc_node *dropped = store_take_dropped(cache);
  int count = 0;
  for (void *object; (object = attachment_bury(&dropped)); count++) *last = object;
  return count;
}

static void end(store *cache) {
  void *last;
  store_drop_attachments(cache);
  take_dropped(cache, &last);
  store_stats stats = stats_of(cache);
  assert_int_equal(stats.attachments, 0);
  assert_int_equal(stats.attachment_bytes, 0);
  assert_int_equal(stats.waiting_bytes, 0);
  store_free(cache);
}

static void a_hit_brings_it(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  put(cache, 1, "one", SECOND_US, 0);
  assert_null(attached_to(cache, 1));
  assert_true(attach(cache, 1, 1000));
  assert_ptr_equal(attached_to(cache, 1), object_of(1));
  store_stats stats = stats_of(cache);
  assert_int_equal(stats.attachments, 1);
  assert_in_range(stats.attachment_bytes, 1000, 1200);
  assert_true(stats.bytes > stats.attachment_bytes);
  end(cache);
}

static void an_entry_has_one(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  put(cache, 1, "one", SECOND_US, 0);
  assert_true(attach(cache, 1, 10));
  assert_false(attach(cache, 1, 10));
  assert_int_equal(stats_of(cache).attachments, 1);
  end(cache);
}

static void it_comes_back_when_its_entry_goes(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  named name;
  void *last = NULL;
  put(cache, 1, "one", SECOND_US, 0);
  attach(cache, 1, 500);
  store_delete(cache, key_of(&name, cache, 1));
  store_stats stats = stats_of(cache);
  assert_int_equal(stats.bytes, 0);
  assert_in_range(stats.waiting_bytes, 500, 700);
  assert_int_equal(take_dropped(cache, &last), 1);
  assert_ptr_equal(last, object_of(1));
  assert_int_equal(take_dropped(cache, &last), 0);
  end(cache);
}

static void it_comes_back_when_its_entry_is_replaced(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  void *last = NULL;
  put(cache, 1, "one", SECOND_US, 0);
  attach(cache, 1, 500);
  put(cache, 1, "other", SECOND_US, 0);
  assert_null(attached_to(cache, 1));
  assert_int_equal(take_dropped(cache, &last), 1);
  end(cache);
}

/* Not while someone reads it. */
static void a_hit_keeps_it(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  named name;
  cache_hit hit;
  void *last = NULL;
  put(cache, 1, "one", SECOND_US, 0);
  attach(cache, 1, 500);
  assert_true(store_get(cache, key_of(&name, cache, 1), 0, 0, &hit));
  store_delete(cache, &name.key);
  assert_int_equal(take_dropped(cache, &last), 0);
  assert_ptr_equal(hit.attached->object, object_of(1));
  attachment_release(hit.attached);
  assert_int_equal(take_dropped(cache, &last), 1);
  entry_release(hit.entry);
  end(cache);
}

static void nothing_hangs_on_an_entry_that_is_gone(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  named name;
  cache_hit hit;
  put(cache, 1, "one", SECOND_US, 0);
  assert_true(store_get(cache, key_of(&name, cache, 1), 0, 0, &hit));
  store_delete(cache, &name.key);
  assert_false(store_attach(cache, hit.entry, object_of(1), 10));
  entry_release(hit.entry);
  end(cache);
}

/* A shard of 64 KiB: attachments may take 8 KiB of it. */
static void they_keep_to_their_share(void **state) {
  (void)state;
  store *cache = new_store((store_options){.max_bytes = 64 << 10, .shards = 1});
  for (unsigned i = 0; i < 100; i++) put(cache, i, "value", SECOND_US, 0);
  for (unsigned i = 0; i < 100; i++) {
    assert_true(attach(cache, i, 1000));
    store_stats stats = stats_of(cache);
    assert_true(stats.attachment_bytes <= 8 << 10);
    assert_int_equal(stats.entries, 100);
    assert_ptr_equal(attached_to(cache, i), object_of(i));
  }
  assert_false(attach(cache, 0, 9 << 10));
  assert_false(attach(cache, 1, SIZE_MAX));
  end(cache);
}

static void those_that_are_used_stay(void **state) {
  (void)state;
  store *cache = new_store((store_options){.max_bytes = 64 << 10, .shards = 1});
  for (unsigned i = 0; i < 100; i++) put(cache, i, "value", SECOND_US, 0);
  for (unsigned i = 0; i < 100; i++) {
    attach(cache, i, 1000);
    assert_ptr_equal(attached_to(cache, 0), object_of(0));
  }
  end(cache);
}

static void they_go_before_entries_do(void **state) {
  (void)state;
  store *cache = new_store((store_options){.max_bytes = 64 << 10, .shards = 1});
  char data[3000] = {0};
  memset(data, 'x', sizeof data - 1);
  for (unsigned i = 0; i < 18; i++) assert_int_equal(put(cache, i, data, SECOND_US, 0), STORE_STORED);
  for (unsigned i = 0; i < 4; i++) assert_true(attach(cache, i, 1500));
  for (unsigned i = 18; i < 20; i++) put(cache, i, data, SECOND_US, 0);
  store_stats stats = stats_of(cache);
  assert_int_equal(stats.evictions, 0);
  assert_in_range(stats.attachments_dropped, 1, 4);
  assert_int_equal(stats.entries, 20);
  end(cache);
}

/* In a full store too, those of hot entries find room within their share. */
static void they_displace_cold_entries(void **state) {
  (void)state;
  store *cache = new_store((store_options){.max_bytes = 64 << 10, .shards = 1});
  char data[1000] = {0};
  memset(data, 'x', sizeof data - 1);
  for (unsigned i = 0; i < 100; i++) put(cache, i, data, SECOND_US, 0);
  uint64_t before = stats_of(cache).evictions;
  assert_true(attach(cache, 99, 3000));
  assert_true(stats_of(cache).evictions > before);
  assert_ptr_equal(attached_to(cache, 99), object_of(99));
  assert_true(stats_of(cache).bytes <= 64 << 10);
  end(cache);
}

static void without_memory(void *context) {
  (void)context;
  store *cache = store_new(&(store_options){0});
  if (!cache) return;
  if (put(cache, 1, "one", SECOND_US, 0) == STORE_STORED && attach(cache, 1, 100))
    assert_ptr_equal(attached_to(cache, 1), object_of(1));
  end(cache);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  fail_each_allocation(without_memory, NULL, 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_hit_brings_it),
      cmocka_unit_test(an_entry_has_one),
      cmocka_unit_test(it_comes_back_when_its_entry_goes),
      cmocka_unit_test(it_comes_back_when_its_entry_is_replaced),
      cmocka_unit_test(a_hit_keeps_it),
      cmocka_unit_test(nothing_hangs_on_an_entry_that_is_gone),
      cmocka_unit_test(they_keep_to_their_share),
      cmocka_unit_test(those_that_are_used_stay),
      cmocka_unit_test(they_go_before_entries_do),
      cmocka_unit_test(they_displace_cold_entries),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
