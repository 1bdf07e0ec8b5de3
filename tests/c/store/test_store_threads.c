/* store.h from many threads at once: every answer is one that was put under that key
 * for a model that counts, the budget holds at each moment, and what was attached
 * comes back exactly once. For ThreadSanitizer above all. */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 4, KEYS = 500, STEPS = 20000, MAX_BYTES = 256 << 10 };

/* For any thread, which cmocka's own assertions are not. */
static void check(bool good, const char *what) {
  if (good) return;
  fprintf(stderr, "%s\n", what);
  abort();
}

typedef struct shared {
  store *cache;
  _Atomic int64_t now;
  _Atomic uint64_t even_from; /* the generation of the last invalidation of "even" that has ended */
  _Atomic long attached;
  _Atomic long buried;
  atomic_bool stop;
} shared;

typedef struct worker {
  shared *all;
  uint64_t seed;
} worker;

/* A value says its key, and the generation in which it was asked for. */
static void write_value(char *data, unsigned number, uint64_t generation, size_t padding) {
  int length = snprintf(data, 64, "%u %llu ", number, (unsigned long long)generation);
  memset(data + length, 'x', padding);
  data[(size_t)length + padding] = '\0';
}

static void bury(shared *all) {
  mpsc_node *dropped = store_take_dropped(all->cache);
  for (void *object; (object = attachment_bury(&dropped)); free(object)) atomic_fetch_add(&all->buried, 1);
}

/* The objects are numbers of keys. */
static void attach(shared *all, const cache_hit *hit, unsigned number) {
  unsigned *object = malloc(sizeof *object);
  *object = number;
  if (store_attach(all->cache, hit->entry, object, 300))
    atomic_fetch_add(&all->attached, 1);
  else
    free(object);
}

static void look_up(worker *self, unsigned number) {
  named name;
  cache_hit hit;
  uint64_t even_from = atomic_load(&self->all->even_from);
  if (!store_get(self->all->cache, key_of(&name, self->all->cache, number), atomic_load(&self->all->now), 0, &hit))
    return;
  unsigned written = 0;
  unsigned long long generation = 0;
  check(sscanf(entry_value(hit.entry), "%u %llu", &written, &generation) == 2, "a value is garbage");
  check(written == number, "a value of another key");
  check(number % 2 || generation >= even_from, "found after it was invalidated");
  if (hit.attached) {
    check(*(unsigned *)hit.attached->object == number, "an attachment of another entry");
    attachment_release(hit.attached);
  } else
    attach(self->all, &hit, number);
  entry_release(hit.entry);
}

static void fill(worker *self, unsigned number) {
  char data[2048];
  named name;
  uint64_t generation = store_generation(self->all->cache);
  write_value(data, number, generation, random_below(&self->seed, 1800));
  cache_value value = value_of(data, number % 2 ? "odd" : "even", 1 + (int64_t)random_below(&self->seed, 5000));
  store_put(self->all->cache, key_of(&name, self->all->cache, number), &value, generation,
            atomic_load(&self->all->now));
}

static void *work(void *argument) {
  worker *self = argument;
  named name;
  for (int i = 0; i < STEPS; i++) {
    unsigned number = (unsigned)random_below(&self->seed, KEYS);
    uint64_t kind = random_below(&self->seed, 100);
    if (kind < 60)
      look_up(self, number);
    else if (kind < 95)
      fill(self, number);
    else if (kind < 98)
      store_delete(self->all->cache, key_of(&name, self->all->cache, number));
    else
      bury(self->all);
    atomic_fetch_add(&self->all->now, 1);
  }
  return NULL;
}

static void scan(store *cache, uint32_t number) {
  scanned batch[SCAN_ROOM];
  shard *part = store_shard(cache, number);
  shard_scan_begin(part);
  for (uint32_t cursor = 0; cursor != SCAN_OVER;) {
    size_t count = shard_scan(part, &cursor, batch);
    for (size_t i = 0; i < count; i++) {
      size_t length;
      const char *model = models_name(store_models(cache), batch[i].entry->model, &length);
      check(!strcmp(model, length == 3 ? "odd" : "even"), "a scanned entry lost its model");
      models_release(store_models(cache), batch[i].entry->model);
      entry_release(batch[i].entry);
    }
  }
  shard_scan_end(part);
}

static void *disturb(void *argument) {
  shared *all = argument;
  for (unsigned i = 0; !atomic_load(&all->stop); i++) {
    store_invalidate(all->cache, "even", 4);
    atomic_store(&all->even_from, store_generation(all->cache));
    store_invalidate(all->cache, "unknown", 7);
    scan(all->cache, i % store_shard_count(all->cache));
    if (i % 8 == 0) store_reclaim(all->cache, atomic_load(&all->now));
    if (i % 16 == 0) store_drop_attachments(all->cache);
    store_stats stats = stats_of(all->cache);
    check(stats.bytes <= MAX_BYTES, "over the budget");
  }
  return NULL;
}

static void end(shared *all) {
  store_clear(all->cache);
  store_reclaim(all->cache, atomic_load(&all->now));
  store_stats stats = stats_of(all->cache);
  assert_int_equal(stats.entries, 0);
  assert_int_equal(stats.bytes, 0);
  bury(all);
  assert_true(atomic_load(&all->attached) > 0);
  assert_int_equal(atomic_load(&all->attached), atomic_load(&all->buried));
  store_free(all->cache);
}

static void run(eviction_policy policy) {
  shared all = {.cache = new_store((store_options){.max_bytes = MAX_BYTES, .shards = 4, .policy = policy})};
  pthread_t threads[THREADS], disturber;
  worker workers[THREADS];
  assert_int_equal(pthread_create(&disturber, NULL, disturb, &all), 0);
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (worker){&all, (uint64_t)i + 1};
    assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  atomic_store(&all.stop, true);
  pthread_join(disturber, NULL);
  end(&all);
}

static void threads_get_right_answers_with_lru(void **state) {
  (void)state;
  run(EVICTION_LRU);
}

static void threads_get_right_answers_with_s3_fifo(void **state) {
  (void)state;
  run(EVICTION_S3FIFO);
}

/* ------------------------------------------------------------- one entry, one race */

typedef struct race {
  store *cache;
  atomic_bool stop;
} race;

static void *fill_without_end(void *argument) {
  race *self = argument;
  named name;
  char data[64];
  while (!atomic_load(&self->stop)) {
    uint64_t generation = store_generation(self->cache);
    write_value(data, 1, generation, 1);
    cache_value value = value_of(data, "model", INT64_MAX);
    store_put(self->cache, key_of(&name, self->cache, 1), &value, generation, 0);
  }
  return NULL;
}

static void nothing_from_before_an_invalidation_is_found_after_it(void **state) {
  (void)state;
  race self = {.cache = new_store((store_options){0})};
  pthread_t filler;
  assert_int_equal(pthread_create(&filler, NULL, fill_without_end, &self), 0);
  for (unsigned round = 1; round < 3000; round++) {
    store_invalidate(self.cache, "model", 5);
    char *found = get(self.cache, 1, 0);
    if (found) assert_true(strtoul(found + 2, NULL, 10) >= round);
    free(found);
  }
  atomic_store(&self.stop, true);
  pthread_join(filler, NULL);
  store_free(self.cache);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(threads_get_right_answers_with_lru),
      cmocka_unit_test(threads_get_right_answers_with_s3_fifo),
      cmocka_unit_test(nothing_from_before_an_invalidation_is_found_after_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
