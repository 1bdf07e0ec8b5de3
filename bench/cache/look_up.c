/* The cache's store by itself: look-ups by canonical text, with the text's hash,
 * the comparison of the whole key and a reference taken and released.
 *
 *     look_up zipf|hot|overhead|stops lru|s3fifo ENTRIES
 *
 * prints one line of JSON, in SI units. The store's time is passed in, as ever, so
 * that only stops are measured with a clock between look-ups. */
#include "orders.h"
#include "store.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VALUE_LENGTH = 600, HOT_KEYS = 1000, MOST_THREADS = 2, TIMED_LOOK_UPS = 1 << 20 };

static const char usage[] = "zipf|hot|overhead|stops lru|s3fifo ENTRIES";
static const int64_t hour_us = INT64_C(3600) * 1000 * 1000;

static const char key_text[] =
    "{\"max_tokens\": 2048, \"messages\": [{\"content\": \"Question ######## of many, about sheep and wool\", "
    "\"role\": \"user\"}], \"model\": \"gpt-4.1\", \"temperature\": 0.7}";
static const char space[] = "bench", model[] = "gpt-4.1";

static double seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
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
  cache_key key = {space, sizeof space - 1, self->text, sizeof key_text - 1, {0, 0}};
  key.digest = store_digest(cache, key.text, key.text_length);
  return key;
}

static store *new_store(eviction_policy policy) {
  store *cache = store_new(&(store_options){.max_bytes = UINT64_C(64) << 30, .policy = policy, .seed = 1});
  if (!cache) die("no store");
  return cache;
}

static void fill(store *cache, uint32_t entries) {
  static char data[VALUE_LENGTH];
  memset(data, 'v', sizeof data);
  const cache_value value = {
      .data = data, .length = sizeof data, .model = model, .model_length = sizeof model - 1, .ttl_us = hour_us};
  writer keys;
  writer_init(&keys);
  for (uint32_t i = 0; i < entries; i++) {
    cache_key key = write_key(&keys, cache, i);
    if (store_put(cache, &key, &value, store_generation(cache), 0) != STORE_STORED) die("not stored");
  }
}

/* -------------------------------------------------------------------- look-ups */

typedef struct reader {
  store *cache;
  const uint32_t *order;
  size_t first;
  pthread_barrier_t *barrier;
  double took;
  size_t hits;
} reader;

static void *read_all(void *argument) {
  reader *self = argument;
  writer keys;
  writer_init(&keys);
  pthread_barrier_wait(self->barrier);
  double start = seconds(CLOCK_MONOTONIC);
  for (size_t i = 0; i < LOOK_UPS; i++) {
    cache_key key = write_key(&keys, self->cache, self->order[(self->first + i) % LOOK_UPS]);
    cache_hit hit;
    if (!store_get(self->cache, &key, 1, 0, &hit)) continue;
    self->hits++;
    entry_release(hit.entry);
  }
  self->took = seconds(CLOCK_MONOTONIC) - start;
  return NULL;
}

/* Look-ups a second of all threads together. */
static double read_rate(store *cache, const uint32_t *order, int threads) {
  pthread_t running[MOST_THREADS];
  reader readers[MOST_THREADS];
  pthread_barrier_t barrier;
  if (pthread_barrier_init(&barrier, NULL, (unsigned)threads)) die("no barrier");
  for (int i = 0; i < threads; i++) {
    readers[i] = (reader){cache, order, (size_t)i * (LOOK_UPS / MOST_THREADS), &barrier, 0, 0};
    if (pthread_create(&running[i], NULL, read_all, &readers[i])) die("no thread");
  }
  double slowest = 0;
  for (int i = 0; i < threads; i++) {
    pthread_join(running[i], NULL);
    if (readers[i].hits != LOOK_UPS) die("a look-up missed");
    if (readers[i].took > slowest) slowest = readers[i].took;
  }
  pthread_barrier_destroy(&barrier);
  return threads * (double)LOOK_UPS / slowest;
}

static void measure_rates(eviction_policy policy, uint32_t entries, uint32_t *order) {
  store *cache = new_store(policy);
  fill(cache, entries);
  read_rate(cache, order, 1); /* what is hot gets into the processor's caches */
  double one = read_rate(cache, order, 1);
  printf("{\"one_thread\": %.6g, \"two_threads\": %.6g}\n", one, read_rate(cache, order, 2));
  free(order);
  store_free(cache);
}

/* ---------------------------------------------------------------------- memory */

static size_t heap_bytes(void) {
  struct mallinfo2 heap = mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

static void measure_overhead(eviction_policy policy, uint32_t entries) {
  store *cache = new_store(policy);
  size_t before = heap_bytes();
  fill(cache, entries);
  double own = sizeof space - 1 + sizeof key_text - 1 + VALUE_LENGTH;
  store_stats stats;
  store_read_stats(cache, &stats);
  printf("{\"overhead\": %.6g, \"counted\": %.6g}\n", (double)(heap_bytes() - before) / entries - own,
         (double)stats.bytes / entries - own);
  store_free(cache);
}

/* ----------------------------------------------------------------------- stops */

static int compare(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static bool is_empty(store *cache) {
  store_stats stats;
  store_read_stats(cache, &stats);
  return !stats.entries;
}

/* How long the slowest in 10,000 look-ups takes at `now_us`, while there are entries:
 * by the thread's CPU clock, to which other programs add nothing, and as time goes by. */
static void report_stops(const char *name, store *cache, const uint32_t *order, int64_t now_us) {
  double *used = allocate(TIMED_LOOK_UPS * sizeof *used);
  double *elapsed = allocate(TIMED_LOOK_UPS * sizeof *elapsed);
  memset(used, 0, TIMED_LOOK_UPS * sizeof *used); /* so that no page is missing later */
  memset(elapsed, 0, TIMED_LOOK_UPS * sizeof *elapsed);
  writer keys;
  writer_init(&keys);
  size_t count = 0;
  for (; count < TIMED_LOOK_UPS && (count % 1024 || !is_empty(cache)); count++) {
    cache_key key = write_key(&keys, cache, order[count]);
    cache_hit hit;
    double start = seconds(CLOCK_MONOTONIC), before = seconds(CLOCK_THREAD_CPUTIME_ID);
    if (store_get(cache, &key, now_us, 0, &hit)) entry_release(hit.entry);
    used[count] = seconds(CLOCK_THREAD_CPUTIME_ID) - before;
    elapsed[count] = seconds(CLOCK_MONOTONIC) - start;
  }
  qsort(used, count, sizeof *used, compare);
  qsort(elapsed, count, sizeof *elapsed, compare);
  size_t slow = count - 1 - count / 10000;
  printf("\"%s\": %.6g, \"%s_elapsed\": %.6g", name, used[slow], name, elapsed[slow]);
  free(used);
  free(elapsed);
}

static void measure_stops(eviction_policy policy, uint32_t entries) {
  store *cache = new_store(policy);
  uint32_t *order = uniform_order(entries);
  fill(cache, entries);
  printf("{");
  report_stops("quiet", cache, order, 1);
  store_invalidate(cache, model, sizeof model - 1);
  printf(", ");
  report_stops("invalidated", cache, order, 1);
  fill(cache, entries);
  printf(", ");
  report_stops("expired", cache, order, hour_us);
  printf("}\n");
  free(order);
  store_free(cache);
}

int main(int argc, char **argv) {
  uint32_t entries = argc == 4 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
  if (entries < HOT_KEYS || entries > UINT32_C(1) << 26) die(usage);
  eviction_policy policy = strcmp(argv[2], "s3fifo") ? EVICTION_LRU : EVICTION_S3FIFO;
  if (!strcmp(argv[1], "zipf"))
    measure_rates(policy, entries, zipf_order(entries));
  else if (!strcmp(argv[1], "hot"))
    measure_rates(policy, entries, uniform_order(HOT_KEYS));
  else if (!strcmp(argv[1], "overhead"))
    measure_overhead(policy, entries);
  else if (!strcmp(argv[1], "stops"))
    measure_stops(policy, entries);
  else
    die(usage);
  return 0;
}
