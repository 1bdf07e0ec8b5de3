/* The pool as the ABI shows it. */
#include "pool.h"

#include "alloc.h"
#include "fork.h"
#include "queue.h"
#include "structs.h"
#include "version.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static list registry = {&registry, &registry};

SHEEP_API const char *sheep_version(void) { return SHEEP_VERSION; }

SHEEP_API int32_t sheep_pool_options_init(sheep_pool_options *options, size_t size) {
  return struct_init(options, size);
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
  if (struct_read(&own, sizeof own, options, "options", error) != SHEEP_OK) return NULL;
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

SHEEP_API const char *sheep_pool_cache_namespace(const sheep_pool *pool) {
  return pool->settings->cache_namespace;
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
  sheep_pool_stats all = {0};
  read_counters(&pool->counters, &all);
  return struct_write(stats, &all, sizeof all);
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
