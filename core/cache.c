/* A cache: what a request is known by, look-ups, and what is kept of a reply. */
#include "cache.h"

#include "alloc.h"
#include "canon.h"
#include "clock.h"

#include <pthread.h>
#include <string.h>

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static list registry = {&registry, &registry};

static void count(_Atomic uint64_t *counter) {
  atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* -------------------------------------------------------------------- lifetime */

void cache_register(sheep_cache *cache) {
  pthread_mutex_lock(&registry_lock);
  list_append(&registry, &cache->registry_link);
  pthread_mutex_unlock(&registry_lock);
}

void cache_retain(sheep_cache *cache) {
  atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
}

void cache_release(sheep_cache *cache) {
  if (!cache || atomic_fetch_sub_explicit(&cache->references, 1, memory_order_acq_rel) > 1) return;
  pthread_mutex_lock(&registry_lock);
  list_remove(&cache->registry_link);
  pthread_mutex_unlock(&registry_lock);
  store_free(cache->entries);
  cache_rules_free(&cache->rules);
  mem_free(cache);
}

/* --------------------------------------------------------------------- requests */

/* From a string's opening quote to what follows it. */
static const char *after_string(const char *at) {
  at++;
  while (*(at += strcspn(at, "\"\\")) == '\\') at += 2;
  return at + 1;
}

/* From a value of a canonical text to what follows it. */
static const char *after_value(const char *at) {
  int depth = 0;
  do {
    if (*at == '"') {
      at = after_string(at);
      continue;
    }
    depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
    at++;
  } while (depth > 0 || (*at != ',' && *at != '}'));
  return at;
}

/* The top object's member `model`, if it is a string. A canonical text is well-formed,
 * and its members are one space apart. */
static void find_model(cache_request *request, const char *text) {
  static const char name[] = "\"model\"";
  request->model = NULL;
  for (const char *at = text + 1; *at == '"' || *at == ' '; at++) {
    if (*at == ' ') at++;
    const char *value = after_string(at) + strlen(": ");
    if (strncmp(at, name, sizeof name - 1) != 0) {
      at = after_value(value);
      continue;
    }
    if (*value != '"') return;
    request->model = value + 1;
    request->model_length = (size_t)(after_string(value) - value) - 2;
    return;
  }
}

void cache_request_borrow(cache_request *request, const sheep_cache *cache, const char *name_space,
                          const char *text, size_t length) {
  *request = (cache_request){
      .text = text,
      .length = length,
      .name_space = name_space,
      .namespace_length = strlen(name_space),
      .digest = store_digest(cache->entries, text, length),
      .generation = store_generation(cache->entries),
  };
}

int32_t cache_request_init(cache_request *request, const sheep_cache *cache, const char *name_space,
                           const void *body, size_t length, sheep_error *error) {
  buf canonical = {0};
  int32_t result = canon_write(body, length, cache->rules.canon_flags, &canonical, error);
  if (result) {
    buf_free(&canonical);
    return result;
  }
  cache_request_borrow(request, cache, name_space, canonical.data, canonical.length);
  request->owned = canonical.data;
  return SHEEP_OK;
}

void cache_request_free(cache_request *request) {
  mem_free(request->owned);
  *request = (cache_request){0};
}

bool cache_request_is_same(const cache_request *one, const cache_request *other) {
  return one->digest.low == other->digest.low && one->generation == other->generation &&
         one->length == other->length && one->namespace_length == other->namespace_length &&
         memcmp(one->name_space, other->name_space, one->namespace_length) == 0 &&
         memcmp(one->text, other->text, one->length) == 0;
}

cache_key cache_key_of(const cache_request *request) {
  return (cache_key){
      .name_space = request->name_space,
      .namespace_length = request->namespace_length,
      .text = request->text,
      .text_length = request->length,
      .digest = request->digest,
  };
}

/* --------------------------------------------------------------------- look-ups */

static int64_t stale_us_of(const cache_rules *rules, stale_use use) {
  if (use == STALE_NEVER) return 0;
  return use == STALE_IF_ERROR ? rules->stale_if_error_us : rules->stale_while_revalidate_us;
}

bool cache_find(sheep_cache *cache, const cache_request *request, stale_use use, cache_hit *hit) {
  cache_key key = cache_key_of(request);
  return store_get(cache->entries, &key, clock_now_us(), stale_us_of(&cache->rules, use), hit);
}

bool cache_find_again(sheep_cache *cache, const cache_request *request, stale_use use,
                      cache_hit *hit) {
  bool found = cache_find(cache, request, use, hit);
  if (!found) count(&cache->recounted_misses);
  return found;
}

void cache_hit_release(cache_hit *hit) {
  entry_release(hit->entry);
  if (hit->attached) attachment_release(hit->attached);
}

/* ---------------------------------------------------------------------- storing */

static uint32_t tokens(int64_t number) { return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number; }

static cache_value value_of(const sheep_cache *cache, const cache_request *request,
                            const char *body, size_t length, const usage *spent) {
  const model_rule *rule = cache_rule_of(&cache->rules, request->model, request->model_length);
  return (cache_value){
      .data = body,
      .length = length,
      .model = request->model,
      .model_length = request->model_length,
      .ttl_us = rule ? rule->ttl_us : cache->rules.ttl_us,
      .price = rule ? rule->price : 0,
      .prompt_tokens = tokens(spent->prompt_tokens),
      .completion_tokens = tokens(spent->completion_tokens),
  };
}

bool cache_keep(sheep_cache *cache, cache_request *request, int32_t status, const char *body,
                size_t length) {
  usage spent;
  cache_key key = cache_key_of(request);
  if (status == 200 && store_refuses(cache->entries, &key, length)) return false;
  verdict judged = judge_reply(status, body, length, cache->rules.judge_flags, &spent);
  count(&cache->judged[judged]);
  if (judged != VERDICT_STORE) return false;
  find_model(request, request->text);
  if (!request->model) {
    count(&cache->without_model);
    return false;
  }
  cache_value value = value_of(cache, request, body, length, &spent);
  return store_put(cache->entries, &key, &value, request->generation, clock_now_us()) ==
         STORE_STORED;
}

/* ------------------------------------------------------------------------- fork */

void caches_lock(void) {
  pthread_mutex_lock(&registry_lock);
  for (list_node *node = registry.next; node != &registry; node = node->next)
    store_lock_all(list_entry(node, sheep_cache, registry_link)->entries);
}

void caches_unlock(void) {
  for (list_node *node = registry.next; node != &registry; node = node->next)
    store_unlock_all(list_entry(node, sheep_cache, registry_link)->entries);
  pthread_mutex_unlock(&registry_lock);
}
