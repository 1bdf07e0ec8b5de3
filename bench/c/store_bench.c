/* The cache's store by itself: look-ups by canonical text, with the text's hash,
 * the comparison of the whole key and a reference taken and released.
 *
 *     store_bench [ENTRIES]
 *
 * prints a line of JSON for each row. Time is passed in, as ever, so that no row
 * but those of stops measures the clock. */
#include "store.h"

#include <inttypes.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ORDER_LENGTH = 1 << 22, VALUE_LENGTH = 600, HOT_KEYS = 1000, MOST_THREADS = 2, RUNS = 3 };

static const int64_t hour_us = INT64_C(3600) * 1000 * 1000;

static const char key_text[] =
    "{\"max_tokens\": 2048, \"messages\": [{\"content\": \"Question ######## of many, about sheep and wool\", "
    "\"role\": \"user\"}], \"model\": \"gpt-4.1\", \"temperature\": 0.7}";

static void die(const char *what) {
  fprintf(stderr, "store_bench: %s\n", what);
  exit(1);
}

static void *allocate(size_t size) {
  void *block = malloc(size);
  if (!block) die("out of memory");
  return block;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* SplitMix64. */
static uint64_t random_next(uint64_t *state) {
  uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);
  mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
  return mixed ^ (mixed >> 31);
}

/* ------------------------------------------------------------------------ keys */

/* A key's text is written in place, as a caller that has just made it has it. */
typedef struct writer {
  char text[sizeof key_text];
  char *digits;
} writer;

static void writer_init(writer *self) {
  memcpy(self->text, key_text, sizeof key_text);
  self->digits = strchr(self->text, '#');
}

static cache_key write_key(writer *self, const store *cache, uint32_t number) {
  for (int i = 7; i >= 0; i--, number >>= 4) self->digits[i] = "0123456789abcdef"[number & 15];
  cache_key key = {"bench", 5, self->text, sizeof key_text - 1, {0, 0}};
  key.digest = store_digest(cache, key.text, key.text_length);
  return key;
}

static void fill(store *cache, uint32_t first, uint32_t count, int64_t ttl_us, const char *model) {
  static char value[VALUE_LENGTH];
  memset(value, 'v', sizeof value);
  cache_value stored = {.data = value,
                        .length = sizeof value,
                        .model = model,
                        .model_length = strlen(model),
                        .ttl_us = ttl_us};
  writer keys;
  writer_init(&keys);
  for (uint32_t i = first; i < first + count; i++) {
    cache_key key = write_key(&keys, cache, i);
    if (store_put(cache, &key, &stored, store_generation(cache), 0) != STORE_STORED) die("not stored");
  }
}

/* ---------------------------------------------------------------------- orders */

static uint32_t *uniform_order(uint32_t entries) {
  uint32_t *order = allocate(ORDER_LENGTH * sizeof *order);
  uint64_t state = 1;
  for (size_t i = 0; i < ORDER_LENGTH; i++) order[i] = (uint32_t)(random_next(&state) % entries);
  return order;
}

static uint32_t rank_at(const double *sums, uint32_t entries, double at) {
  uint32_t low = 0;
  for (uint32_t high = entries - 1; low < high;) {
    uint32_t middle = (low + high) / 2;
    if (sums[middle] < at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Zipf with exponent 0.99, as YCSB has it. */
static uint32_t *zipf_order(uint32_t entries) {
  uint32_t *order = allocate(ORDER_LENGTH * sizeof *order);
  double *sums = allocate(entries * sizeof *sums);
  double sum = 0;
  for (uint32_t i = 0; i < entries; i++) sums[i] = sum += 1 / pow(i + 1, 0.99);
  uint64_t state = 2;
  for (size_t i = 0; i < ORDER_LENGTH; i++)
    order[i] = rank_at(sums, entries, (double)(random_next(&state) >> 11) / 9007199254740992.0 * sum);
  free(sums);
  return order;
}

/* -------------------------------------------------------------------- look-ups */

typedef struct reader {
  store *cache;
  const uint32_t *order;
  size_t start;
  pthread_barrier_t *barrier;
  double took;
  uint64_t hits;
} reader;

static void *read_all(void *argument) {
  reader *self = argument;
  writer keys;
  writer_init(&keys);
  pthread_barrier_wait(self->barrier);
  double start = seconds();
  for (size_t i = 0; i < ORDER_LENGTH; i++) {
    cache_key key = write_key(&keys, self->cache, self->order[(self->start + i) % ORDER_LENGTH]);
    cache_hit hit;
    if (!store_get(self->cache, &key, 1, 0, &hit)) continue;
    self->hits++;
    entry_release(hit.entry);
  }
  self->took = seconds() - start;
  return NULL;
}

/* Look-ups/s of all threads together. */
static double read_rate(store *cache, const uint32_t *order, int threads) {
  pthread_t running[MOST_THREADS];
  reader readers[MOST_THREADS];
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, (unsigned)threads);
  for (int i = 0; i < threads; i++) {
    readers[i] = (reader){cache, order, (size_t)i * (ORDER_LENGTH / MOST_THREADS), &barrier, 0, 0};
    if (pthread_create(&running[i], NULL, read_all, &readers[i])) die("no thread");
  }
  double slowest = 0;
  for (int i = 0; i < threads; i++) {
    pthread_join(running[i], NULL);
    if (readers[i].hits != ORDER_LENGTH) die("a look-up missed");
    if (readers[i].took > slowest) slowest = readers[i].took;
  }
  pthread_barrier_destroy(&barrier);
  return threads * (double)ORDER_LENGTH / slowest;
}

static double best_rate(store *cache, const uint32_t *order, int threads) {
  double best = 0;
  for (int i = 0; i < RUNS; i++) {
    double rate = read_rate(cache, order, threads);
    if (rate > best) best = rate;
  }
  return best;
}

static void report_rates(const char *name, store *cache, const uint32_t *order) {
  double one = best_rate(cache, order, 1);
  double two = best_rate(cache, order, 2);
  printf("{\"row\": \"look-ups, %s\", \"one_thread\": %.3g, \"two_threads\": %.3g, \"ratio\": %.2f}\n", name, one,
         two, two / one);
}

static void bench_rates(uint32_t entries) {
  store *cache = store_new(&(store_options){.max_bytes = UINT64_C(8) << 30, .seed = 1});
  fill(cache, 0, entries, INT64_MAX, "gpt-4.1");
  uint32_t *order = uniform_order(entries);
  report_rates("uniform", cache, order);
  free(order);
  order = zipf_order(entries);
  report_rates("Zipf 0.99", cache, order);
  free(order);
  order = uniform_order(HOT_KEYS);
  report_rates("1,000 hot keys", cache, order);
  free(order);
  store_free(cache);
}

/* ---------------------------------------------------------------------- memory */

static size_t heap_bytes(void) {
  struct mallinfo2 heap = mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

static void bench_memory(eviction_policy policy, const char *name, uint32_t entries) {
  store *cache = store_new(&(store_options){.max_bytes = UINT64_C(8) << 30, .policy = policy, .seed = 1});
  size_t before = heap_bytes();
  fill(cache, 0, entries, INT64_MAX, "gpt-4.1");
  double own = 5 + sizeof key_text - 1 + VALUE_LENGTH;
  double measured = (double)(heap_bytes() - before) / entries - own;
  store_stats stats;
  store_read_stats(cache, &stats);
  printf("{\"row\": \"overhead an entry, %s\", \"bytes\": %.1f, \"as_counted\": %.1f}\n", name, measured,
         (double)stats.bytes / entries - own);
  store_free(cache);
}

/* ---------------------------------------------------------------------- stores */

static void bench_stores(eviction_policy policy, const char *name, uint32_t entries) {
  uint64_t bytes = (uint64_t)entries * (VALUE_LENGTH + 256);
  store *cache = store_new(&(store_options){.max_bytes = bytes, .policy = policy, .seed = 1});
  double start = seconds();
  fill(cache, 0, entries / 2, INT64_MAX, "gpt-4.1");
  double filled = seconds();
  fill(cache, entries / 2, entries, INT64_MAX, "gpt-4.1");
  double full = seconds();
  fill(cache, entries + entries / 2, entries, INT64_MAX, "gpt-4.1");
  printf("{\"row\": \"stores, %s\", \"filling\": %.3g, \"evicting\": %.3g}\n", name, entries / 2 / (filled - start),
         entries / (seconds() - full));
  store_free(cache);
}

/* ----------------------------------------------------------------------- stops */

static int compare(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

/* How long look-ups take that come after `now_us`, the slowest in 10,000. */
static void report_stops(const char *name, store *cache, const uint32_t *order, int64_t now_us) {
  double *took = allocate(ORDER_LENGTH * sizeof *took);
  writer keys;
  writer_init(&keys);
  double last = seconds();
  for (size_t i = 0; i < ORDER_LENGTH; i++) {
    cache_key key = write_key(&keys, cache, order[i]);
    cache_hit hit;
    if (store_get(cache, &key, now_us, 0, &hit)) entry_release(hit.entry);
    double now = seconds();
    took[i] = now - last;
    last = now;
  }
  qsort(took, ORDER_LENGTH, sizeof *took, compare);
  printf("{\"row\": \"look-up while %s\", \"p50_us\": %.2f, \"p99.99_us\": %.2f, \"longest_us\": %.1f}\n", name,
         took[ORDER_LENGTH / 2] * 1e6, took[ORDER_LENGTH - ORDER_LENGTH / 10000] * 1e6, took[ORDER_LENGTH - 1] * 1e6);
  free(took);
}

static void bench_stops(uint32_t entries) {
  store *cache = store_new(&(store_options){.max_bytes = UINT64_C(8) << 30, .seed = 1});
  uint32_t *order = uniform_order(entries);
  fill(cache, 0, entries, hour_us, "gpt-4.1");
  report_stops("nothing happens", cache, order, 1);
  store_invalidate(cache, "gpt-4.1", 7);
  report_stops("all are invalidated", cache, order, 1);
  fill(cache, 0, entries, hour_us, "gpt-4.1");
  report_stops("all expire", cache, order, hour_us);
  free(order);
  store_free(cache);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  uint32_t entries = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
  if (entries < HOT_KEYS || entries > UINT32_C(1) << 28) die("ENTRIES: from 1,000 to 268,435,456");
  bench_memory(EVICTION_LRU, "LRU", entries);
  bench_memory(EVICTION_S3FIFO, "S3-FIFO", entries);
  bench_rates(entries);
  bench_stores(EVICTION_LRU, "LRU", entries);
  bench_stores(EVICTION_S3FIFO, "S3-FIFO", entries);
  bench_stops(entries);
  return 0;
}
