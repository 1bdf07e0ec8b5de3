/* A trace, replayed against the store and against exact LRU. */
#include "replay.h"

#include "list.h"
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_LENGTH = 1040 };

static void die(const char *what) {
  fprintf(stderr, "replay: %s\n", what);
  exit(1);
}

/* ---------------------------------------------------------------------- the store */

static cache_key key_of(const store *cache, const uint32_t *object) {
  cache_key key = {"", 0, (const char *)object, sizeof *object, {0, 0}};
  key.digest = store_digest(cache, key.text, key.text_length);
  return key;
}

static bool ask(store *cache, const uint32_t *object, const cache_value *value) {
  cache_key key = key_of(cache, object);
  cache_hit hit;
  bool found = store_get(cache, &key, 0, 0, &hit);
  if (found)
    entry_release(hit.entry);
  else if (store_put(cache, &key, value, 0, 0) != STORE_STORED)
    die("not stored");
  return found;
}

replayed replay_store(const uint32_t *trace, size_t length, store_options options, size_t entries) {
  static const char data[VALUE_LENGTH];
  const cache_value value = {
      .data = data, .length = sizeof data, .model = "model", .model_length = 5, .ttl_us = INT64_MAX};
  const cache_key key = {.text_length = sizeof *trace};
  const size_t index_share = 14; /* of an entry, on average */
  options.max_bytes = entries * (entry_cost_of(&key, VALUE_LENGTH, eviction_is_queued(options.policy)) + index_share);
  store *cache = store_new(&options);
  if (!cache) die("no store");
  size_t hits = 0;
  for (size_t i = 0; i < length; i++) hits += ask(cache, &trace[i], &value);
  store_stats stats;
  store_read_stats(cache, &stats);
  store_free(cache);
  return (replayed){(double)hits / (double)length, (size_t)stats.entries};
}

/* ---------------------------------------------------------------------- exact LRU */

typedef struct object {
  list_node link;
  bool present;
} object;

static bool ask_exact(object *asked, list *recent, size_t *left) {
  bool found = asked->present;
  list_remove(&asked->link);
  if (!found && !*left) list_entry(list_shift(recent), object, link)->present = false;
  if (!found && *left) --*left;
  asked->present = true;
  list_append(recent, &asked->link);
  return found;
}

replayed replay_exact_lru(const uint32_t *trace, size_t length, size_t entries) {
  uint32_t last = 0;
  for (size_t i = 0; i < length; i++) last = trace[i] > last ? trace[i] : last;
  object *objects = calloc((size_t)last + 1, sizeof *objects);
  if (!objects) die("out of memory");
  for (size_t i = 0; i <= last; i++) list_init(&objects[i].link);
  list recent;
  list_init(&recent);
  size_t hits = 0, left = entries;
  for (size_t i = 0; i < length; i++) hits += ask_exact(&objects[trace[i]], &recent, &left);
  free(objects);
  return (replayed){(double)hits / (double)length, entries - left};
}
