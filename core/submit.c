/* What happens to a request in its caller's thread: checks, the look-up in the pool's
 * cache, and the way into the I/O thread's mailbox. */
#include "alloc.h"
#include "clock.h"
#include "flight.h"
#include "pool.h"
#include "queue.h"
#include "structs.h"

#include <string.h>

enum { CACHE_CONTROLS = SHEEP_NO_CACHE | SHEEP_NO_STORE | SHEEP_LOOKED_UP };

/* What is made of a request. */
typedef struct submission {
  call *own;  /* whose event comes */
  call *sent; /* what the I/O thread gets: `own`, a carrier, or NULL after a hit */
  bool hit;   /* `own` is answered */
} submission;

SHEEP_API int32_t sheep_request_init(sheep_request *request, size_t size) {
  return struct_init(request, size);
}

/* --------------------------------------------------------------------- the cache */

/* Own headers may make the answer another's. */
static bool may_be_cached(const sheep_pool *pool, const sheep_request *request) {
  return pool->settings->cache && request->body && !request->header_count &&
         strcmp(request->method, "POST") == 0 && strcmp(request->path, "/chat/completions") == 0;
}

/* True when the answer is there. */
static bool look_up(submission *made, const flight *wanted, uint32_t control) {
  cache_hit hit;
  if (control & (SHEEP_NO_CACHE | SHEEP_LOOKED_UP)) return false;
  if (!cache_find(wanted->cache, &wanted->request, STALE_WHILE_REVALIDATE, &hit)) return false;
  call_set_hit(made->own, &hit);
  return made->hit = true;
}

static call *make_carrier(flight *wanted, const sheep_request *request, const time_limits *limits,
                          call *first) {
  call *carrier = call_new(request, limits);
  if (!carrier) return NULL;
  carrier->flight = wanted;
  wanted->carrier = carrier;
  wanted->first = first;
  return carrier;
}

/* A stale hit sends a refresh besides; without memory for it the next one will. */
static int32_t fly(submission *made, flight *wanted, const sheep_request *request,
                   const time_limits *limits) {
  made->own = call_new_sharing(request, limits);
  bool hit = made->own && look_up(made, wanted, request->cache_control);
  bool fresh = hit && made->own->cached == SHEEP_CACHED_FRESH;
  if (made->own && !fresh)
    made->sent = make_carrier(wanted, request, limits, hit ? NULL : made->own);
  if (!made->sent) flight_free(wanted);
  if (hit || made->sent) return SHEEP_OK;
  call_free(made->own);
  return SHEEP_E_NOMEM;
}

static int32_t prepare_cached(const sheep_pool *pool, const sheep_request *request,
                              const time_limits *limits, submission *made, sheep_error *error) {
  sheep_error reason = {0};
  const config *settings = pool->settings;
  flight *wanted = flight_new(settings->cache, settings->cache_namespace, request, &reason);
  if (!wanted) return error_set(error, reason.code, "body: %s", reason.message);
  if (fly(made, wanted, request, limits) == SHEEP_OK) return SHEEP_OK;
  return error_set(error, SHEEP_E_NOMEM, "out of memory");
}

/* ------------------------------------------------------------------------ submit */

static int32_t check_request(const sheep_request *request, sheep_error *error) {
  int32_t result = check_method(request->method, error);
  if (!result) result = check_path(request->path, error);
  if (!result) result = check_headers(request->headers, request->header_count, error);
  if (!result && request->body_length && !request->body)
    return error_set(error, SHEEP_E_INVALID, "body: is NULL, but body_length is not 0");
  if (!result && request->cache_control & ~(uint32_t)CACHE_CONTROLS)
    return error_set(error, SHEEP_E_INVALID, "cache_control: sets a flag unknown to this version");
  return result;
}

static int32_t prepare(const sheep_pool *pool, const sheep_request *request, submission *made,
                       sheep_error *error) {
  time_limits limits;
  int32_t result = check_request(request, error);
  if (!result) result = config_limits(pool->settings, request, &limits, error);
  if (result) return result;
  if (may_be_cached(pool, request)) return prepare_cached(pool, request, &limits, made, error);
  made->own = made->sent = call_new(request, &limits);
  return made->own ? SHEEP_OK : error_set(error, SHEEP_E_NOMEM, "out of memory");
}

static void discard(const submission *made) {
  if (made->sent && made->sent != made->own) {
    flight_free(made->sent->flight);
    call_free(made->sent);
  }
  call_free(made->own);
}

/* Under the pool's lock, like what follows. A fresh hit needs no I/O thread. */
static int32_t make_ready(sheep_pool *pool, const submission *made, sheep_error *error) {
  if (pool->state != POOL_OPEN) return error_set(error, SHEEP_E_CLOSED, "the pool is closed");
  if (pool->running || !made->sent) return SHEEP_OK;
  sheep_error reason;
  pool->running = engine_new(pool->settings, &pool->counters, &reason);
  return pool->running ? SHEEP_OK : error_set(error, reason.code, "%s", reason.message);
}

static void deliver_hit(sheep_pool *pool, call *own) {
  own->state = CALL_DONE;
  own->latency_us = clock_now_us() - own->submitted_us;
  count_add(&pool->counters.answered, 1);
  count_add(&pool->counters.ended, 1);
  queue_deliver(own->queue, own);
}

/* Under the lock nothing can follow the close into the mailbox. */
static void hand_over(sheep_pool *pool, sheep_queue *queue, const submission *made, int64_t now_us) {
  call *own = made->own;
  own->running = pool->running;
  own->id = ++pool->last_id;
  own->submitted_us = now_us;
  if (made->sent) made->sent->submitted_us = now_us;
  count_add(&pool->counters.submitted, 1);
  queue_expect(queue, own);
  if (made->hit) deliver_hit(pool, own);
  if (made->sent) engine_submit(pool->running, made->sent);
}

SHEEP_API int32_t sheep_submit(sheep_pool *pool, sheep_queue *queue, const sheep_request *request,
                               uint64_t *number, sheep_error *error) {
  sheep_request asked;
  submission made = {0};
  int64_t now_us = clock_now_us();
  int32_t result = struct_read(&asked, sizeof asked, request, "request", error);
  if (result) return result;
  if (!asked.method) asked.method = "POST";
  result = prepare(pool, &asked, &made, error);
  if (result) return result;
  pthread_mutex_lock(&pool->lock);
  result = make_ready(pool, &made, error);
  uint64_t id = pool->last_id + 1;
  if (!result) hand_over(pool, queue, &made, now_us);
  pthread_mutex_unlock(&pool->lock);
  if (result) discard(&made);
  if (!result && number) *number = id;
  return result;
}

SHEEP_API int32_t sheep_cancel(sheep_pool *pool, uint64_t number) {
  pthread_mutex_lock(&pool->lock);
  int32_t result = pool->running ? engine_cancel(pool->running, number) : SHEEP_OK;
  pthread_mutex_unlock(&pool->lock);
  return result;
}
