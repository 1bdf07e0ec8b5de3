/* The pool as the ABI shows it. */
#include "pool.h"

#include "alloc.h"
#include "clock.h"
#include "fork.h"
#include "queue.h"
#include "version.h"

#include <string.h>

typedef enum pool_state { POOL_OPEN, POOL_CLOSING, POOL_CLOSED } pool_state;

struct sheep_pool {
  pthread_mutex_t lock; /* taken before any queue's */
  pthread_cond_t closed;
  pool_state state;
  engine *running; /* NULL before the first submission */
  config *settings;
  uint64_t last_id;
  pool_counters counters;
  list_node registry_link;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static list registry = {&registry, &registry};

SHEEP_API const char *sheep_version(void) { return SHEEP_VERSION; }

/* A caller built against an older or newer header has a smaller or larger struct. */
static int32_t init_struct(void *object, size_t size) {
  if (!object || size < sizeof(uint32_t) || size > 4096) return SHEEP_E_INVALID;
  memset(object, 0, size);
  uint32_t stored = (uint32_t)size;
  memcpy(object, &stored, sizeof stored);
  return SHEEP_OK;
}

SHEEP_API int32_t sheep_pool_options_init(sheep_pool_options *options, size_t size) {
  return init_struct(options, size);
}

SHEEP_API int32_t sheep_request_init(sheep_request *request, size_t size) {
  return init_struct(request, size);
}

/* Copies what the caller's struct has of ours; members it doesn't know are zero.
 * One that is larger than ours may not ask for what this library doesn't know. */
static int32_t read_struct(void *own, size_t own_size, const void *given, const char *name,
                           sheep_error *error) {
  uint32_t size = 0;
  if (given) memcpy(&size, given, sizeof size);
  if (size < sizeof size || size > 4096)
    return error_set(error, SHEEP_E_INVALID, "%s: was not set up by its init function", name);
  const char *bytes = given;
  for (size_t i = own_size; i < size; i++) {
    if (bytes[i]) return error_set(error, SHEEP_E_INVALID, "%s: sets a member unknown to this version", name);
  }
  memset(own, 0, own_size);
  memcpy(own, given, size < own_size ? size : own_size);
  return SHEEP_OK;
}

static sheep_pool *make_pool(config *settings) {
  sheep_pool *pool = mem_zalloc(sizeof *pool);
  if (!pool) return NULL;
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->closed, NULL);
  pool->settings = settings;
  pthread_mutex_lock(&registry_lock);
  list_append(&registry, &pool->registry_link);
  pthread_mutex_unlock(&registry_lock);
  return pool;
}

/* When the library is loaded: a queue may be made, and the process fork, before
 * the first pool is; and no lock is needed. */
__attribute__((constructor)) static void set_up_library(void) {
  queue_set_canceller(engine_cancel);
  fork_watch();
}

SHEEP_API sheep_pool *sheep_pool_new(const sheep_pool_options *options, sheep_error *error) {
  sheep_pool_options own;
  if (read_struct(&own, sizeof own, options, "options", error) != SHEEP_OK) return NULL;
  config *settings = config_new(&own, error);
  if (!settings) return NULL;
  sheep_pool *pool = make_pool(settings);
  if (!pool) {
    error_set(error, SHEEP_E_NOMEM, "out of memory");
    config_free(settings);
  }
  return pool;
}

/* Only one caller closes; the others wait for it. */
static engine *begin_closing(sheep_pool *pool) {
  while (pool->state == POOL_CLOSING) pthread_cond_wait(&pool->closed, &pool->lock);
  if (pool->state == POOL_CLOSED) return NULL;
  engine *running = pool->running;
  pool->running = NULL;
  pool->state = running ? POOL_CLOSING : POOL_CLOSED;
  return running;
}

SHEEP_API void sheep_pool_close(sheep_pool *pool) {
  pthread_mutex_lock(&pool->lock);
  engine *running = begin_closing(pool);
  pthread_mutex_unlock(&pool->lock);
  if (!running) return;
  engine_close(running);
  pthread_mutex_lock(&pool->lock);
  pool->state = POOL_CLOSED;
  pthread_cond_broadcast(&pool->closed);
  pthread_mutex_unlock(&pool->lock);
}

SHEEP_API void sheep_pool_free(sheep_pool *pool) {
  if (!pool) return;
  sheep_pool_close(pool);
  pthread_mutex_lock(&registry_lock);
  list_remove(&pool->registry_link);
  pthread_mutex_unlock(&registry_lock);
  pthread_cond_destroy(&pool->closed);
  pthread_mutex_destroy(&pool->lock);
  config_free(pool->settings);
  mem_free(pool);
}

/* ------------------------------------------------------------------- submit */

static int32_t check_request(const sheep_request *request, sheep_error *error) {
  int32_t result = check_method(request->method, error);
  if (!result) result = check_path(request->path, error);
  if (!result) result = check_headers(request->headers, request->header_count, error);
  if (!result && request->body_length && !request->body)
    return error_set(error, SHEEP_E_INVALID, "body: is NULL, but body_length is not 0");
  if (!result && request->reserved)
    return error_set(error, SHEEP_E_INVALID, "request: reserved must be 0");
  return result;
}

static int32_t copy_call(const sheep_pool *pool, const sheep_request *request, call **made,
                         sheep_error *error) {
  time_limits limits;
  int32_t result = check_request(request, error);
  if (!result) result = config_limits(pool->settings, request, &limits, error);
  if (result) return result;
  *made = call_new(request, &limits);
  return *made ? SHEEP_OK : error_set(error, SHEEP_E_NOMEM, "out of memory");
}

/* Under the pool's lock. */
static int32_t make_ready(sheep_pool *pool, sheep_error *error) {
  if (pool->state != POOL_OPEN) return error_set(error, SHEEP_E_CLOSED, "the pool is closed");
  if (pool->running) return SHEEP_OK;
  sheep_error reason;
  pool->running = engine_new(pool->settings, &pool->counters, &reason);
  return pool->running ? SHEEP_OK : error_set(error, reason.code, "%s", reason.message);
}

/* Under the pool's lock, so that nothing can follow the close into the mailbox. */
static void hand_over(sheep_pool *pool, sheep_queue *queue, call *made) {
  made->running = pool->running;
  made->id = ++pool->last_id;
  made->submitted_us = clock_now_us();
  count_add(&pool->counters.submitted, 1);
  queue_expect(queue, made);
  engine_submit(pool->running, made);
}

SHEEP_API int32_t sheep_submit(sheep_pool *pool, sheep_queue *queue, const sheep_request *request,
                               uint64_t *number, sheep_error *error) {
  sheep_request own;
  call *made = NULL;
  int32_t result = read_struct(&own, sizeof own, request, "request", error);
  if (result) return result;
  if (!own.method) own.method = "POST";
  result = copy_call(pool, &own, &made, error);
  if (result) return result;
  pthread_mutex_lock(&pool->lock);
  result = make_ready(pool, error);
  uint64_t id = pool->last_id + 1;
  if (!result) hand_over(pool, queue, made);
  pthread_mutex_unlock(&pool->lock);
  if (result) call_free(made);
  if (!result && number) *number = id;
  return result;
}

SHEEP_API int32_t sheep_cancel(sheep_pool *pool, uint64_t number) {
  pthread_mutex_lock(&pool->lock);
  int32_t result = pool->running ? engine_cancel(pool->running, number) : SHEEP_OK;
  pthread_mutex_unlock(&pool->lock);
  return result;
}

/* -------------------------------------------------------------------- stats */

static void read_counters(const pool_counters *from, sheep_pool_stats *to) {
  uint64_t ended = count_get(&from->ended);
  to->in_flight = (uint32_t)count_get(&from->in_flight);
  to->submitted = count_get(&from->submitted);
  uint64_t begun = ended + to->in_flight;
  to->waiting = to->submitted > begun ? to->submitted - begun : 0;
  to->answered = count_get(&from->answered);
  to->connections_opened = count_get(&from->connections_opened);
  to->connections_reused = count_get(&from->connections_reused);
  to->bytes_sent = count_get(&from->bytes_sent);
  to->bytes_received = count_get(&from->bytes_received);
  to->cancelled = count_get(&from->cancelled);
  to->closed = count_get(&from->closed);
  to->connect_errors = count_get(&from->connect_errors);
  to->connect_timeouts = count_get(&from->connect_timeouts);
  to->write_timeouts = count_get(&from->write_timeouts);
  to->read_timeouts = count_get(&from->read_timeouts);
  to->pool_timeouts = count_get(&from->pool_timeouts);
  to->total_timeouts = count_get(&from->total_timeouts);
  to->read_errors = count_get(&from->read_errors);
  to->write_errors = count_get(&from->write_errors);
  to->protocol_errors = count_get(&from->protocol_errors);
  to->decoding_errors = count_get(&from->decoding_errors);
  to->too_large = count_get(&from->too_large);
  to->other_errors = count_get(&from->other_errors);
}

SHEEP_API int32_t sheep_pool_get_stats(const sheep_pool *pool, sheep_pool_stats *stats) {
  uint32_t size = stats->size;
  int32_t result = init_struct(stats, size);
  if (result) return result;
  sheep_pool_stats all = {.size = size};
  read_counters(&pool->counters, &all);
  memcpy(stats, &all, size < sizeof all ? size : sizeof all);
  return SHEEP_OK;
}

/* --------------------------------------------------------------------- fork */

void pools_lock(void) {
  pthread_mutex_lock(&registry_lock);
  for (list_node *node = registry.next; node != &registry; node = node->next)
    pthread_mutex_lock(&list_entry(node, sheep_pool, registry_link)->lock);
}

void pools_unlock(void) {
  for (list_node *node = registry.next; node != &registry; node = node->next)
    pthread_mutex_unlock(&list_entry(node, sheep_pool, registry_link)->lock);
  pthread_mutex_unlock(&registry_lock);
}

static void abandon_engine(sheep_pool *pool) {
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->closed, NULL);
  if (pool->state == POOL_CLOSING) pool->state = POOL_CLOSED;
  pool->running = NULL;
  atomic_store(&pool->counters.in_flight, 0);
  atomic_store(&pool->counters.ended, atomic_load(&pool->counters.submitted));
}

void pools_after_fork_in_child(void) {
  pthread_mutex_init(&registry_lock, NULL);
  for (list_node *node = registry.next; node != &registry; node = node->next)
    abandon_engine(list_entry(node, sheep_pool, registry_link));
}
