/* The store of a cache: shards, models, and what they share. */
#include "store.h"

#include "alloc.h"

#include <string.h>

enum { DEFAULT_SHARDS = 64, MOST_SHARDS = 1024, ITEM_SHARE = 8, ALIGNMENT = 64 };

static const uint64_t default_bytes = UINT64_C(256) << 20;
static const uint64_t least_bytes = UINT64_C(16) << 10;
static const uint64_t shard_bytes = UINT64_C(256) << 10; /* at least, by default */

struct store {
  shard *shards;
  uint32_t shard_count;
  uint32_t shard_shift; /* a hash's bits below those that choose the shard; 32: one shard */
  uint64_t seed;
  void *block; /* of the shards, which begin at its first cache line */
  shard_settings settings;
  graveyard yard;
  _Atomic uint64_t refused[STORE_RESULTS];
  models known;
};

/* -------------------------------------------------------------------- settings */

static uint32_t choose_shards(const store_options *options, uint64_t max_bytes) {
  if (options->shards) return options->shards;
  uint32_t shards = DEFAULT_SHARDS;
  while (shards > 1 && max_bytes / shards < shard_bytes) shards /= 2;
  return shards;
}

static bool are_sound(const store_options *options) {
  uint32_t shards = options->shards;
  if (options->max_bytes && options->max_bytes < least_bytes) return false;
  if (options->max_bytes > SIZE_MAX / 2 || options->stale_us < 0) return false;
  return shards <= MOST_SHARDS && !(shards & (shards - 1));
}

static void set(store *cache, const store_options *options) {
  uint64_t max_bytes = options->max_bytes ? options->max_bytes : default_bytes;
  cache->shard_count = choose_shards(options, max_bytes);
  cache->shard_shift = 32u - (uint32_t)__builtin_ctz(cache->shard_count);
  cache->seed = options->seed;
  size_t budget = (size_t)(max_bytes / cache->shard_count);
  size_t item_limit = (size_t)options->item_limit;
  if (!options->item_limit) item_limit = budget / ITEM_SHARE;
  if (options->item_limit > budget) item_limit = budget;
  int64_t stale_us = options->stale_us < ENTRY_TIME_MAX ? options->stale_us : ENTRY_TIME_MAX;
  cache->settings = (shard_settings){.budget = budget,
                                     .item_limit = item_limit,
                                     .stale_us = stale_us,
                                     .policy = options->policy,
                                     .known = &cache->known,
                                     .yard = &cache->yard};
}

/* ------------------------------------------------------------------------ life */

static bool make_shards(store *cache) {
  cache->block = mem_zalloc(cache->shard_count * sizeof(shard) + ALIGNMENT);
  if (!cache->block) return false;
  uintptr_t start = ((uintptr_t)cache->block + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  cache->shards = (shard *)start;
  uint32_t wanted = cache->shard_count;
  for (cache->shard_count = 0; cache->shard_count < wanted; cache->shard_count++)
    if (!shard_init(&cache->shards[cache->shard_count], &cache->settings)) return false;
  return true;
}

store *store_new(const store_options *options) {
  if (!are_sound(options)) return NULL;
  store *cache = mem_zalloc(sizeof *cache);
  if (!cache) return NULL;
  models_init(&cache->known);
  set(cache, options);
  if (make_shards(cache)) return cache;
  store_free(cache);
  return NULL;
}

/* `shard_count` shards were made, which may be fewer than wanted. */
void store_free(store *cache) {
  if (!cache) return;
  if (!cache->block) cache->shard_count = 0;
  for (uint32_t i = 0; i < cache->shard_count; i++) shard_free(&cache->shards[i]);
  models_free(&cache->known);
  mem_free(cache->block);
  mem_free(cache);
}

/* -------------------------------------------------------------------- look-ups */

static shard *shard_of(store *cache, uint32_t hash) {
  return &cache->shards[(uint64_t)hash >> cache->shard_shift];
}

digest128 store_digest(const store *cache, const char *text, size_t length) {
  return hash_128(text, length, cache->seed);
}

uint64_t store_generation(const store *cache) { return models_generation(&cache->known); }

bool store_get(store *cache, const cache_key *key, int64_t now_us, int64_t stale_us, cache_hit *hit) {
  return shard_get(shard_of(cache, key_hash(key)), key, now_us, stale_us, hit);
}

bool store_delete(store *cache, const cache_key *key) {
  return shard_delete(shard_of(cache, key_hash(key)), key);
}

/* --------------------------------------------------------------------- storing */

static store_result of_claim(model_claim claim) {
  switch (claim) {
  case MODEL_CLAIMED: return STORE_STORED;
  case MODEL_OUTDATED: return STORE_OUTDATED;
  case MODEL_TOO_MANY: return STORE_TOO_MANY_MODELS;
  default: return STORE_NO_MEMORY;
  }
}

static store_result make_entry(store *cache, const cache_key *key, const cache_value *value,
                               uint64_t generation, int64_t now_us, cache_entry **entry) {
  uint32_t model = 0;
  store_result claimed =
      of_claim(models_claim(&cache->known, value->model, value->model_length, generation, &model));
  if (claimed != STORE_STORED) return claimed;
  *entry = entry_new(key, value, eviction_is_queued(cache->settings.policy), now_us);
  if (!*entry) {
    models_release(&cache->known, model);
    return STORE_NO_MEMORY;
  }
  if (value->price) models_set_price(&cache->known, model, value->price);
  (*entry)->model = model & UINT16_MAX;
  (*entry)->generation = generation & (uint64_t)ENTRY_TIME_MAX;
  return STORE_STORED;
}

bool store_could_fit(const store *cache, const cache_key *key, size_t value_length) {
  size_t cost = entry_cost_of(key, value_length, eviction_is_queued(cache->settings.policy));
  return cost <= cache->settings.item_limit;
}

static store_result put(store *cache, const cache_key *key, const cache_value *value, uint64_t generation,
                        int64_t now_us) {
  if (value->ttl_us <= 0) return STORE_NO_TTL;
  if (!store_could_fit(cache, key, value->length)) return STORE_TOO_LARGE;
  cache_entry *entry;
  store_result result = make_entry(cache, key, value, generation, now_us, &entry);
  if (result != STORE_STORED) return result;
  shard *part = shard_of(cache, entry->hash);
  return shard_put(part, key, entry, now_us) ? STORE_STORED : STORE_TOO_LARGE;
}

store_result store_put(store *cache, const cache_key *key, const cache_value *value, uint64_t generation,
                       int64_t now_us) {
  store_result result = put(cache, key, value, generation, now_us);
  if (result != STORE_STORED) atomic_fetch_add_explicit(&cache->refused[result], 1, memory_order_relaxed);
  return result;
}

bool store_refuses(store *cache, const cache_key *key, size_t value_length) {
  if (store_could_fit(cache, key, value_length)) return false;
  atomic_fetch_add_explicit(&cache->refused[STORE_TOO_LARGE], 1, memory_order_relaxed);
  return true;
}

/* ---------------------------------------------------------------- invalidation */

void store_invalidate(store *cache, const char *model, size_t length) {
  models_invalidate(&cache->known, model, length);
}

void store_set_price(store *cache, const char *model, size_t length, int64_t price) {
  uint32_t number;
  if (models_claim(&cache->known, model, length, UINT64_MAX, &number) != MODEL_CLAIMED) return;
  models_set_price(&cache->known, number, price);
  models_release(&cache->known, number);
}

void store_clear(store *cache) { models_clear(&cache->known); }

void store_reclaim(store *cache, int64_t now_us) {
  for (uint32_t i = 0; i < cache->shard_count; i++) shard_reclaim(&cache->shards[i], now_us);
}

/* ----------------------------------------------------------------- attachments */

bool store_attach(store *cache, cache_entry *entry, void *object, size_t size) {
  attachment *attached = attachment_new(&cache->yard, entry, object, size);
  if (!attached) return false;
  if (shard_attach(shard_of(cache, entry->hash), entry, attached)) return true;
  attachment_discard(attached);
  return false;
}

mpsc_node *store_take_dropped(store *cache) { return graveyard_take(&cache->yard); }

void store_drop_attachments(store *cache) {
  for (uint32_t i = 0; i < cache->shard_count; i++) shard_drop_attachments(&cache->shards[i]);
}

/* ------------------------------------------------------------------ statistics */

static void add_counter(uint64_t *sum, _Atomic uint64_t *counter) {
  *sum += atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_hits(store_stats *stats, shard_lane *lane) {
  add_counter(&stats->hits, &lane->hits);
  add_counter(&stats->prompt_tokens, &lane->prompt_tokens);
  add_counter(&stats->completion_tokens, &lane->completion_tokens);
  add_counter(&stats->nanodollars, &lane->nanodollars);
}

static void add_others(store_stats *stats, shard_counters *counters) {
  add_counter(&stats->stale_hits, &counters->stale_hits);
  add_counter(&stats->misses, &counters->misses);
  add_counter(&stats->stores, &counters->stores);
  add_counter(&stats->evictions, &counters->evictions);
  add_counter(&stats->expirations, &counters->expirations);
  add_counter(&stats->invalidations, &counters->invalidations);
  add_counter(&stats->deletions, &counters->deletions);
  add_counter(&stats->entries, &counters->entries);
  add_counter(&stats->bytes, &counters->bytes);
  add_counter(&stats->attachments, &counters->attachments);
  add_counter(&stats->attachment_bytes, &counters->attachment_bytes);
  add_counter(&stats->attachments_dropped, &counters->attachments_dropped);
}

void store_read_stats(store *cache, store_stats *stats) {
  *stats = (store_stats){0};
  for (uint32_t i = 0; i < cache->shard_count; i++) {
    for (int lane = 0; lane < SHARD_LANES; lane++) add_hits(stats, &cache->shards[i].lanes[lane]);
    add_others(stats, &cache->shards[i].counters);
  }
  add_counter(&stats->waiting_bytes, &cache->yard.bytes);
  for (int reason = 0; reason < STORE_RESULTS; reason++)
    add_counter(&stats->refused[reason], &cache->refused[reason]);
}

/* ----------------------------------------------------------------------- parts */

uint32_t store_shard_count(const store *cache) { return cache->shard_count; }

shard *store_shard(store *cache, uint32_t number) { return &cache->shards[number]; }

models *store_models(store *cache) { return &cache->known; }

void store_lock_all(store *cache) {
  pthread_mutex_lock(&cache->known.lock);
  for (uint32_t i = 0; i < cache->shard_count; i++) shard_lock_all(&cache->shards[i]);
}

void store_unlock_all(store *cache) {
  for (uint32_t i = 0; i < cache->shard_count; i++) shard_unlock_all(&cache->shards[i]);
  pthread_mutex_unlock(&cache->known.lock);
}
