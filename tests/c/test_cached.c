/* Caches through the ABI: by themselves, and in pools, where identical requests share
 * one; with memory that runs out, and from several threads. */
#include "unit.h"

#include "calls.h"
#include "failing.h"
#include "gateway.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char request_text[] =
    "{\"model\":\"gpt-4.1\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"stream\":false}";
static const char reply_text[] =
    "{\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}";

static sheep_cache *cache_with(const sheep_cache_options *options) {
  sheep_error error;
  sheep_cache *cache = sheep_cache_new(options, &error);
  if (!cache) fail_msg("%s", error.message);
  return cache;
}

static int32_t put(sheep_cache *cache, const char *name_space, const char *request) {
  return sheep_cache_put(cache, name_space, request, strlen(request), reply_text, strlen(reply_text), NULL);
}

/* Whether it is found, and is what was put. */
static bool finds(sheep_cache *cache, const char *name_space, const char *request) {
  sheep_reply *reply = NULL;
  int32_t found = sheep_cache_get(cache, name_space, request, strlen(request), &reply, NULL);
  if (found != 1) return false;
  assert_string_equal(sheep_reply_body(reply, NULL), reply_text);
  assert_int_equal(sheep_reply_status(reply), 200);
  assert_int_equal(sheep_reply_cached(reply), SHEEP_CACHED_FRESH);
  sheep_reply_free(reply);
  return true;
}

static sheep_cache_stats figures(sheep_cache *cache) {
  sheep_cache_stats stats = {.size = sizeof stats};
  assert_int_equal(sheep_cache_get_stats(cache, &stats), SHEEP_OK);
  return stats;
}

/* -------------------------------------------------------------------- by itself */

static void is_found_by_any_spelling_in_its_namespace(void **state) {
  (void)state;
  sheep_cache *cache = cache_with(NULL);
  const char *spelled = "{ \"messages\" : [{\"content\":\"\\u0048ello\",\"role\":\"user\"}],\n\"model\":\"gpt-4.1\"}";
  assert_int_equal(put(cache, "a", request_text), 1);
  assert_true(finds(cache, "a", request_text));
  assert_true(finds(cache, "a", spelled));
  assert_false(finds(cache, "b", request_text));
  assert_false(finds(cache, NULL, request_text));
  sheep_cache_stats stats = figures(cache);
  assert_int_equal(stats.hits, 2);
  assert_int_equal(stats.misses, 2);
  assert_int_equal(stats.saved_prompt_tokens, 6);
  assert_int_equal(stats.saved_nanodollars, 2 * 7 * 8000);
  sheep_cache_free(cache);
}

static void is_removed_by_model_by_request_and_all(void **state) {
  (void)state;
  const char *others = "{\"model\":\"\\u00e9\",\"messages\":[]}";
  sheep_cache *cache = cache_with(NULL);
  put(cache, NULL, request_text);
  put(cache, NULL, others);
  assert_int_equal(sheep_cache_invalidate_model(cache, "gpt-4.1"), SHEEP_OK);
  assert_false(finds(cache, NULL, request_text));
  assert_true(finds(cache, NULL, others));
  assert_int_equal(sheep_cache_invalidate_model(cache, "\xc3\xa9"), SHEEP_OK);
  assert_false(finds(cache, NULL, others));
  assert_int_equal(sheep_cache_invalidate_model(cache, "\xff"), SHEEP_E_INVALID);
  put(cache, NULL, request_text);
  assert_int_equal(sheep_cache_delete(cache, NULL, request_text, strlen(request_text), NULL), 1);
  assert_int_equal(sheep_cache_delete(cache, NULL, request_text, strlen(request_text), NULL), 0);
  put(cache, NULL, request_text);
  sheep_cache_clear(cache);
  assert_false(finds(cache, NULL, request_text));
  sheep_cache_free(cache);
}

static void refuses_what_has_no_canonical_form(void **state) {
  (void)state;
  sheep_cache *cache = cache_with(NULL);
  const char *const refused[] = {"", "[]", "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}", "{} x", "{\"a\":01}"};
  for (size_t i = 0; i < LENGTH_OF(refused); i++) {
    sheep_error error = {0};
    sheep_reply *reply;
    char key[SHEEP_KEY_SIZE];
    size_t length = strlen(refused[i]);
    assert_int_equal(sheep_cache_key(cache, refused[i], length, key, &error), SHEEP_E_INVALID);
    assert_int_equal(error.code, SHEEP_E_INVALID);
    assert_non_null(strstr(error.message, "byte"));
    assert_int_equal(sheep_cache_get(cache, NULL, refused[i], length, &reply, NULL), SHEEP_E_INVALID);
    assert_int_equal(put(cache, NULL, refused[i]), SHEEP_E_INVALID);
  }
  assert_int_equal(sheep_cache_key(cache, NULL, 0, (char[SHEEP_KEY_SIZE]){0}, NULL), SHEEP_E_INVALID);
  assert_int_equal(figures(cache).entries, 0);
  sheep_cache_free(cache);
}

static void names_the_wrong_option(void **state) {
  (void)state;
  const sheep_model_rule nameless[] = {{NULL, 0, 0}};
  const sheep_model_rule negative[] = {{"m", -3, 0}};
  const struct {
    const char *name;
    sheep_cache_options options;
  } wrong[] = {
      {"flags", {.flags = 128}},
      {"policy", {.policy = 2}},
      {"shards", {.shards = 3}},
      {"shards", {.shards = 2048}},
      {"max_bytes", {.max_bytes = 100}},
      {"max_bytes", {.max_bytes = -1}},
      {"max_item_bytes", {.max_item_bytes = -1}},
      {"ttl", {.ttl_ms = -3}},
      {"stale_if_error", {.stale_if_error_ms = -1}},
      {"stale_while_revalidate", {.stale_while_revalidate_ms = -1}},
      {"models", {.models = nameless, .model_count = 1}},
      {"ttl", {.models = negative, .model_count = 1}},
  };
  for (size_t i = 0; i < LENGTH_OF(wrong); i++) {
    sheep_error error = {0};
    sheep_cache_options options = wrong[i].options;
    options.size = sizeof options;
    assert_null(sheep_cache_new(&options, &error));
    assert_int_equal(error.code, SHEEP_E_INVALID);
    assert_memory_equal(error.message, wrong[i].name, strlen(wrong[i].name));
  }
}

static void is_saved_and_loaded(void **state) {
  (void)state;
  char path[] = "/tmp/holysheep-cache-XXXXXX";
  close(mkstemp(path));
  sheep_cache *cache = cache_with(NULL);
  put(cache, "a", request_text);
  assert_int_equal(sheep_cache_save(cache, "mine", path, NULL), SHEEP_OK);
  sheep_cache *fresh = cache_with(NULL);
  sheep_error error = {0};
  sheep_cache_loaded loaded = {.size = sizeof loaded};
  assert_int_equal(sheep_cache_load(fresh, "yours", path, &loaded, &error), SHEEP_E_INVALID);
  assert_int_equal(sheep_cache_load(fresh, "mine", path, &loaded, &error), SHEEP_OK);
  assert_int_equal(loaded.entries, 1);
  assert_int_equal(loaded.damaged, 0);
  assert_true(finds(fresh, "a", request_text));
  assert_int_equal(figures(fresh).saved_nanodollars, 7 * 8000);
  assert_int_equal(sheep_cache_load(fresh, NULL, "", NULL, &error), SHEEP_E_INVALID);
  assert_int_equal(sheep_cache_load(fresh, NULL, "/nowhere/at/all", NULL, &error), SHEEP_E_SYSTEM);
  unlink(path);
  sheep_cache_free(cache);
  sheep_cache_free(fresh);
}

/* --------------------------------------------------------------------- in a pool */

static sheep_pool *cached_pool(const char *base_url, sheep_cache *cache) {
  sheep_pool_options options = options_for(base_url);
  options.cache = cache;
  return pool_with(&options);
}

static sheep_request request_for(const char *body, uint32_t control) {
  sheep_request request = small_request();
  request.body = body;
  request.body_length = strlen(body);
  request.cache_control = control;
  return request;
}

/* What sheep_reply_cached says of the answer to a call. */
static int32_t call_cached(sheep_pool *pool, sheep_queue *queue, const sheep_request *request) {
  submit_request(pool, queue, request);
  sheep_event event = await_event(queue);
  assert_int_equal(event.result, SHEEP_OK);
  int32_t cached = sheep_reply_cached(event.reply);
  sheep_reply_free(event.reply);
  return cached;
}

static void a_hit_is_there_at_once(void **state) {
  (void)state;
  sheep_cache *cache = cache_with(NULL);
  sheep_pool *pool = cached_pool(gateway_url("id=hit"), cache);
  sheep_queue *queue = queue_new();
  sheep_request request = request_for(request_text, 0);
  assert_int_equal(call_cached(pool, queue, &request), 0);
  submit_request(pool, queue, &request);
  sheep_event event;
  assert_int_equal(sheep_queue_drain(queue, &event, 1), 1);
  assert_int_equal(sheep_reply_cached(event.reply), SHEEP_CACHED_FRESH);
  assert_int_equal(sheep_reply_sent(event.reply), SHEEP_ANSWERED);
  sheep_header header;
  assert_int_equal(sheep_reply_header_at(event.reply, 0, &header), SHEEP_E_INVALID);
  assert_string_equal(sheep_reply_reason(event.reply), "OK");
  sheep_pool_free(pool);
  sheep_cache_free(cache);
  assert_non_null(strstr(sheep_reply_body(event.reply, NULL), "chatcmpl-1"));
  sheep_reply_free(event.reply);
  sheep_queue_free(queue);
  assert_int_equal(gateway_count("hit").requests, 1);
}

static void controls_and_own_headers_bypass_the_cache(void **state) {
  (void)state;
  const sheep_header own[] = {{"Authorization", "Bearer another"}};
  sheep_cache *cache = cache_with(NULL);
  sheep_pool *pool = cached_pool(gateway_url("id=bypass"), cache);
  sheep_queue *queue = queue_new();
  sheep_request plain = request_for(request_text, 0);
  sheep_request unstored = request_for(request_text, SHEEP_NO_STORE);
  sheep_request uncached = request_for(request_text, SHEEP_NO_CACHE);
  sheep_request headed = request_for(request_text, 0);
  headed.headers = own;
  headed.header_count = 1;
  assert_int_equal(call_cached(pool, queue, &unstored), 0);
  assert_int_equal(call_cached(pool, queue, &plain), 0);
  assert_int_equal(call_cached(pool, queue, &plain), SHEEP_CACHED_FRESH);
  assert_int_equal(call_cached(pool, queue, &headed), 0);
  assert_int_equal(call_cached(pool, queue, &uncached), 0);
  sheep_request elsewhere = plain;
  elsewhere.path = "/embeddings";
  assert_int_equal(call_cached(pool, queue, &elsewhere), 0);
  assert_int_equal(gateway_count("bypass").requests, 5);
  assert_settled(pool);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
  sheep_cache_free(cache);
}

static void a_body_that_is_refused_is_not_submitted(void **state) {
  (void)state;
  sheep_error error = {0};
  sheep_cache *cache = cache_with(NULL);
  sheep_pool *pool = cached_pool(gateway_url("id=refused"), cache);
  sheep_queue *queue = queue_new();
  sheep_request twice = request_for("{\"model\":\"m\",\"model\":\"n\"}", 0);
  assert_int_equal(sheep_submit(pool, queue, &twice, NULL, &error), SHEEP_E_INVALID);
  assert_memory_equal(error.message, "body: ", 6);
  assert_int_equal(stats_of(pool).submitted, 0);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
  sheep_cache_free(cache);
}

enum { SHARING = 100 };

static void cancel_of_the_first_leaves_the_others_served(void **state) {
  (void)state;
  sheep_cache *cache = cache_with(NULL);
  sheep_pool *pool = cached_pool(gateway_url("id=shared,hold"), cache);
  sheep_queue *queue = queue_new();
  sheep_request request = request_for(request_text, 0);
  uint64_t first = submit_request(pool, queue, &request);
  for (int i = 1; i < SHARING; i++) submit_request(pool, queue, &request);
  gateway_await_active("shared", 1);
  assert_int_equal(sheep_cancel(pool, first), SHEEP_OK);
  assert_int_equal(await_result(queue), SHEEP_E_CANCELLED);
  gateway_release("shared");
  await_results(queue, SHARING - 1, SHEEP_OK);
  assert_settled(pool);
  assert_int_equal(figures(cache).coalesced, SHARING - 1);
  assert_int_equal(gateway_count("shared").requests, 1);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
  sheep_cache_free(cache);
}

static void freeing_one_queue_leaves_another_served(void **state) {
  (void)state;
  sheep_cache *cache = cache_with(NULL);
  sheep_pool *pool = cached_pool(gateway_url("id=queues,hold"), cache);
  sheep_queue *leaving = queue_new();
  sheep_queue *staying = queue_new();
  sheep_request request = request_for(request_text, 0);
  submit_request(pool, leaving, &request);
  submit_request(pool, staying, &request);
  gateway_await_active("queues", 1);
  sheep_queue_free(leaving);
  gateway_release("queues");
  assert_int_equal(await_result(staying), SHEEP_OK);
  assert_int_equal(gateway_count("queues").requests, 1);
  sheep_queue_free(staying);
  sheep_pool_free(pool);
  sheep_cache_free(cache);
}

/* -------------------------------------------------------------- memory that runs out */

static bool is_clean(int32_t result) {
  return result == SHEEP_OK || result == SHEEP_E_CANCELLED || result == SHEEP_E_NOMEM || result == SHEEP_E_SYSTEM;
}

static void share_and_cancel(sheep_pool *pool, sheep_queue *queue) {
  sheep_request request = request_for(request_text, 0);
  int accepted = 0;
  for (int i = 0; i < 4; i++) {
    uint64_t number;
    if (sheep_submit(pool, queue, &request, &number, NULL) != SHEEP_OK) continue;
    if (i == 1) sheep_cancel(pool, number);
    accepted++;
  }
  for (int i = 0; i < accepted; i++) assert_true(is_clean(await_result(queue)));
  assert_settled(pool);
}

static void use_by_itself(sheep_cache *cache, const char *path) {
  char key[SHEEP_KEY_SIZE];
  sheep_reply *reply = NULL;
  int32_t stored = put(cache, NULL, request_text);
  assert_true(stored >= 0 || stored == SHEEP_E_NOMEM);
  int32_t found = sheep_cache_get(cache, NULL, request_text, strlen(request_text), &reply, NULL);
  if (found == 1) sheep_reply_free(reply);
  assert_true(found >= 0 || found == SHEEP_E_NOMEM);
  assert_true(is_clean(sheep_cache_key(cache, request_text, strlen(request_text), key, NULL)));
  assert_true(is_clean(sheep_cache_save(cache, NULL, path, NULL)));
  assert_true(is_clean(sheep_cache_invalidate_model(cache, "gpt-4.1")));
  int32_t loaded = sheep_cache_load(cache, NULL, path, NULL, NULL);
  assert_true(is_clean(loaded) || loaded == SHEEP_E_INVALID);
}

typedef struct cached_scenario {
  const char *base_url;
  const char *path;
} cached_scenario;

static void run(void *context) {
  const cached_scenario *self = context;
  sheep_error error = {0};
  sheep_cache *cache = sheep_cache_new(NULL, &error);
  if (!cache) {
    assert_int_equal(error.code, SHEEP_E_NOMEM);
    return;
  }
  sheep_pool_options options = options_for(self->base_url);
  options.cache = cache;
  sheep_pool *pool = sheep_pool_new(&options, &error);
  sheep_queue *queue = sheep_queue_new(&error);
  if (pool && queue) share_and_cancel(pool, queue);
  use_by_itself(cache, self->path);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
  sheep_cache_free(cache);
}

static void any_allocation_may_fail(void **state) {
  (void)state;
  char path[] = "/tmp/holysheep-cache-XXXXXX";
  char url[256];
  close(mkstemp(path));
  snprintf(url, sizeof url, "%s", gateway_url("id=failing"));
  cached_scenario self = {url, path};
  fail_each_allocation(run, &self, 40);
  unlink(path);
}

/* ------------------------------------------------------------------------ threads */

enum { THREADS = 4, CALLS_EACH = 300, DIFFERENT = 20 };

typedef struct thread_work {
  sheep_pool *pool;
  sheep_cache *cache;
  uint64_t seed;
} thread_work;

static void *work(void *context) {
  thread_work *self = context;
  sheep_queue *queue = queue_new();
  for (int i = 0; i < CALLS_EACH; i++) {
    char body[160];
    int number = (int)random_below(&self->seed, DIFFERENT);
    snprintf(body, sizeof body, "{\"model\":\"m%d\",\"messages\":[],\"seed\":%d}", number % 3, number);
    sheep_request request = request_for(body, 0);
    uint64_t call = submit_request(self->pool, queue, &request);
    if (random_below(&self->seed, 10) == 0) sheep_cancel(self->pool, call);
    if (random_below(&self->seed, 20) == 0) sheep_cache_invalidate_model(self->cache, "m1");
    if (random_below(&self->seed, 40) == 0) sheep_cache_clear(self->cache);
    if (i % 8 == 7) {
      for (int k = 0; k < 8; k++) assert_true(is_clean(await_result(queue)));
    }
  }
  for (int k = 0; k < CALLS_EACH % 8; k++) assert_true(is_clean(await_result(queue)));
  sheep_queue_free(queue);
  return NULL;
}

static void threads_share_a_cached_pool(void **state) {
  (void)state;
  sheep_cache *cache = cache_with(NULL);
  sheep_pool *pool = cached_pool(gateway_url("id=threads,delay=1"), cache);
  pthread_t threads[THREADS];
  thread_work works[THREADS];
  for (int i = 0; i < THREADS; i++) {
    works[i] = (thread_work){pool, cache, (uint64_t)i + 1};
    assert_int_equal(pthread_create(&threads[i], NULL, work, &works[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  assert_settled(pool);
  sheep_cache_stats stats = figures(cache);
  assert_true(stats.hits > 0);
  assert_true(stats.stores > 0);
  sheep_pool_free(pool);
  sheep_cache_free(cache);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_found_by_any_spelling_in_its_namespace),
      cmocka_unit_test(is_removed_by_model_by_request_and_all),
      cmocka_unit_test(refuses_what_has_no_canonical_form),
      cmocka_unit_test(names_the_wrong_option),
      cmocka_unit_test(is_saved_and_loaded),
      cmocka_unit_test(a_hit_is_there_at_once),
      cmocka_unit_test(controls_and_own_headers_bypass_the_cache),
      cmocka_unit_test(a_body_that_is_refused_is_not_submitted),
      cmocka_unit_test(cancel_of_the_first_leaves_the_others_served),
      cmocka_unit_test(freeing_one_queue_leaves_another_served),
      cmocka_unit_test(any_allocation_may_fail),
      cmocka_unit_test(threads_share_a_cached_pool),
  };
  return cmocka_run_group_tests(tests, gateway_start, gateway_stop);
}
