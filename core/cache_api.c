/* The cache as the ABI shows it. */
#include "alloc.h"
#include "call.h"
#include "canon.h"
#include "clock.h"
#include "snapshot.h"
#include "structs.h"

#include <string.h>
#include <unistd.h>

enum { CACHE_FLAGS = SHEEP_CACHE_UNLABELLED | SHEEP_CACHE_TRUNCATED | SHEEP_CACHE_FILTERED };

SHEEP_API int32_t sheep_cache_options_init(sheep_cache_options *options, size_t size) {
  return struct_init(options, size);
}

/* ------------------------------------------------------------------------ making */

static int32_t check_options(const sheep_cache_options *options, sheep_error *error) {
  if (options->flags & ~(uint32_t)CACHE_FLAGS)
    return error_set(error, SHEEP_E_INVALID, "flags: sets one unknown to this version");
  if (options->policy > SHEEP_CACHE_S3_FIFO)
    return error_set(error, SHEEP_E_INVALID, "policy: must be SHEEP_CACHE_LRU or SHEEP_CACHE_S3_FIFO");
  if (options->shards > 1024 || (options->shards & (options->shards - 1)))
    return error_set(error, SHEEP_E_INVALID, "shards: must be a power of two up to 1024");
  if (options->max_bytes && options->max_bytes < 16 << 10)
    return error_set(error, SHEEP_E_INVALID, "max_bytes: must be 16384 or more");
  if (options->max_item_bytes < 0)
    return error_set(error, SHEEP_E_INVALID, "max_item_bytes: must not be negative");
  return SHEEP_OK;
}

/* Not secret for ever, but unknown to who sends the requests. */
static uint64_t random_number(void) {
  uint64_t number;
  if (getentropy(&number, sizeof number) == 0) return number;
  return (uint64_t)clock_now_us() ^ (uint64_t)(uintptr_t)&number;
}

static store *make_store(const sheep_cache_options *options, const cache_rules *rules) {
  int64_t stale_us = rules->stale_while_revalidate_us > rules->stale_if_error_us
                         ? rules->stale_while_revalidate_us
                         : rules->stale_if_error_us;
  store_options settings = {
      .max_bytes = (uint64_t)options->max_bytes,
      .item_limit = (uint64_t)options->max_item_bytes,
      .shards = options->shards,
      .policy = options->policy == SHEEP_CACHE_S3_FIFO ? EVICTION_S3FIFO : EVICTION_LRU,
      .stale_us = stale_us,
      .seed = random_number(),
  };
  return store_new(&settings);
}

static int32_t fill(sheep_cache *made, const sheep_cache_options *options, sheep_error *error) {
  int32_t result = check_options(options, error);
  if (!result) result = cache_rules_init(&made->rules, options, error);
  if (result) return result;
  made->entries = make_store(options, &made->rules);
  if (made->entries) return SHEEP_OK;
  cache_rules_free(&made->rules);
  return error_set(error, SHEEP_E_NOMEM, "out of memory");
}

SHEEP_API sheep_cache *sheep_cache_new(const sheep_cache_options *options, sheep_error *error) {
  sheep_cache_options own;
  sheep_cache_options_init(&own, sizeof own);
  if (options && struct_read(&own, sizeof own, options, "options", error) != SHEEP_OK) return NULL;
  sheep_cache *made = mem_zalloc(sizeof *made);
  if (!made) {
    error_set(error, SHEEP_E_NOMEM, "out of memory");
    return NULL;
  }
  if (fill(made, &own, error) != SHEEP_OK) {
    mem_free(made);
    return NULL;
  }
  made->references = 1;
  cache_register(made);
  return made;
}

SHEEP_API void sheep_cache_free(sheep_cache *cache) { cache_release(cache); }

/* ------------------------------------------------------------------------ entries */

static int32_t read_request(cache_request *known, const sheep_cache *cache, const char *name_space,
                            const void *request, size_t length, sheep_error *error) {
  if (!request) return error_set(error, SHEEP_E_INVALID, "request: is NULL");
  return cache_request_init(known, cache, name_space ? name_space : "", request, length, error);
}

SHEEP_API int32_t sheep_cache_key(const sheep_cache *cache, const void *request, size_t length,
                                  char *key, sheep_error *error) {
  _Static_assert(SHEEP_KEY_SIZE == CANON_REDIS_NAME, "the header promises its size");
  cache_request known;
  int32_t result = read_request(&known, cache, NULL, request, length, error);
  if (result) return result;
  result = canon_redis_name(known.text, known.length, key);
  cache_request_free(&known);
  return result ? error_set(error, result, "out of memory") : SHEEP_OK;
}

static int32_t reply_of(cache_hit *hit, sheep_reply **reply, sheep_error *error) {
  sheep_request nothing = {0};
  time_limits none = {0};
  *reply = call_new_sharing(&nothing, &none);
  if (!*reply) {
    cache_hit_release(hit);
    return error_set(error, SHEEP_E_NOMEM, "out of memory");
  }
  call_set_hit(*reply, hit);
  return 1;
}

SHEEP_API int32_t sheep_cache_get(sheep_cache *cache, const char *name_space, const void *request,
                                  size_t length, sheep_reply **reply, sheep_error *error) {
  cache_request known;
  cache_hit hit;
  int32_t result = read_request(&known, cache, name_space, request, length, error);
  if (result) return result;
  bool found = cache_find(cache, &known, STALE_NEVER, &hit);
  cache_request_free(&known);
  return found ? reply_of(&hit, reply, error) : 0;
}

SHEEP_API int32_t sheep_cache_put(sheep_cache *cache, const char *name_space, const void *request,
                                  size_t length, const void *body, size_t body_length,
                                  sheep_error *error) {
  cache_request known;
  if (!body && body_length) return error_set(error, SHEEP_E_INVALID, "body: is NULL");
  int32_t result = read_request(&known, cache, name_space, request, length, error);
  if (result) return result;
  result = cache_keep(cache, &known, 200, body ? body : "", body_length);
  cache_request_free(&known);
  return result;
}

SHEEP_API int32_t sheep_cache_delete(sheep_cache *cache, const char *name_space,
                                     const void *request, size_t length, sheep_error *error) {
  cache_request known;
  int32_t result = read_request(&known, cache, name_space, request, length, error);
  if (result) return result;
  cache_key key = cache_key_of(&known);
  result = store_delete(cache->entries, &key);
  cache_request_free(&known);
  return result;
}

SHEEP_API int32_t sheep_cache_invalidate_model(sheep_cache *cache, const char *model) {
  char *spelling;
  size_t length;
  int32_t result = cache_model_spelling(model, &spelling, &length);
  if (result) return result;
  store_invalidate(cache->entries, spelling, length);
  mem_free(spelling);
  return SHEEP_OK;
}

SHEEP_API void sheep_cache_clear(sheep_cache *cache) { store_clear(cache->entries); }

/* -------------------------------------------------------------------------- files */

static snapshot_terms terms_of(const char *name_space) {
  const char *owner = name_space ? name_space : "";
  return (snapshot_terms){
      .name_space = owner,
      .namespace_length = strlen(owner),
      .now_us = clock_now_us(),
      .wall_us = clock_wall_us(),
      .salt = random_number(),
  };
}

static int32_t check_file_path(const char *path, sheep_error *error) {
  return path && *path ? SHEEP_OK : error_set(error, SHEEP_E_INVALID, "path: is empty");
}

SHEEP_API int32_t sheep_cache_save(sheep_cache *cache, const char *name_space, const char *path,
                                   sheep_error *error) {
  snapshot_terms terms = terms_of(name_space);
  snapshot_report report = {0};
  int32_t result = check_file_path(path, error);
  return result ? result : snapshot_save(cache->entries, path, &terms, &report, error);
}

/* A file knows no prices. */
static void set_prices(sheep_cache *cache) {
  for (size_t i = 0; i < cache->rules.model_count; i++) {
    const model_rule *rule = &cache->rules.models[i];
    if (rule->price) store_set_price(cache->entries, rule->model, rule->length, rule->price);
  }
}

SHEEP_API int32_t sheep_cache_load(sheep_cache *cache, const char *name_space, const char *path,
                                   sheep_cache_loaded *loaded, sheep_error *error) {
  snapshot_terms terms = terms_of(name_space);
  snapshot_report report = {0};
  int32_t result = check_file_path(path, error);
  if (!result) result = snapshot_load(cache->entries, path, &terms, &report, error);
  set_prices(cache);
  sheep_cache_loaded all = {
      .entries = report.entries,
      .expired = report.expired,
      .refused = report.refused,
      .damaged = report.damaged + report.truncated,
      .damaged_bytes = report.dropped_bytes,
  };
  if (loaded && struct_write(loaded, &all, sizeof all) != SHEEP_OK && !result)
    return error_set(error, SHEEP_E_INVALID, "loaded: its size was not set");
  return result;
}

/* ------------------------------------------------------------------------ figures */

static uint64_t counted(const _Atomic uint64_t *counter) {
  return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)counter, memory_order_relaxed);
}

static void read_store(const store_stats *from, sheep_cache_stats *to) {
  to->hits = from->hits;
  to->stale_hits = from->stale_hits;
  to->misses = from->misses;
  to->stores = from->stores;
  to->evictions = from->evictions;
  to->expirations = from->expirations;
  to->invalidations = from->invalidations;
  to->deletions = from->deletions;
  to->entries = from->entries;
  to->bytes = from->bytes;
  to->saved_prompt_tokens = from->prompt_tokens;
  to->saved_completion_tokens = from->completion_tokens;
  to->saved_nanodollars = from->nanodollars;
  to->refused_too_large = from->refused[STORE_TOO_LARGE];
  to->refused_outdated = from->refused[STORE_OUTDATED];
  to->refused_no_ttl = from->refused[STORE_NO_TTL];
  to->refused_too_many_models = from->refused[STORE_TOO_MANY_MODELS];
  to->refused_no_memory = from->refused[STORE_NO_MEMORY];
}

static void read_cache(const sheep_cache *from, sheep_cache_stats *to) {
  uint64_t recounted = counted(&from->recounted_misses);
  to->misses -= recounted < to->misses ? recounted : to->misses;
  to->coalesced = counted(&from->coalesced);
  to->refused_status = counted(&from->judged[VERDICT_NOT_200]);
  to->refused_not_json = counted(&from->judged[VERDICT_NOT_JSON]);
  to->refused_error = counted(&from->judged[VERDICT_ERROR]);
  to->refused_no_choices = counted(&from->judged[VERDICT_NO_CHOICES]);
  to->refused_truncated = counted(&from->judged[VERDICT_TRUNCATED]);
  to->refused_filtered = counted(&from->judged[VERDICT_FILTERED]);
  to->refused_no_model = counted(&from->without_model);
}

SHEEP_API int32_t sheep_cache_get_stats(sheep_cache *cache, sheep_cache_stats *stats) {
  store_stats stored;
  sheep_cache_stats all = {0};
  store_read_stats(cache->entries, &stored);
  read_store(&stored, &all);
  read_cache(cache, &all);
  return struct_write(stats, &all, sizeof all);
}
