/* Many threads at one pool. Threads note what is wrong; only the main one asserts. */
#include "unit.h"

#include "calls.h"
#include "gateway.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

enum { THREADS = 8, CALLS = 250 };

typedef struct worker {
  sheep_pool *pool;
  sheep_queue *queue;
  uint64_t name; /* the upper half of its tags */
  atomic_int *enough;
  pthread_barrier_t *barrier;
  int accepted;
  int refused; /* because the pool was closed */
  int wrong;
} worker;

static void start(pthread_t *threads, worker *workers, const worker *example, void *(*body)(void *worker)) {
  for (uint64_t i = 0; i < THREADS; i++) {
    workers[i] = *example;
    workers[i].name = i;
    assert_int_equal(pthread_create(&threads[i], NULL, body, &workers[i]), 0);
  }
}

/* Returns how many calls were accepted in all. */
static int join(const pthread_t *threads, const worker *workers) {
  int accepted = 0;
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(workers[i].wrong, 0);
    accepted += workers[i].accepted;
  }
  return accepted;
}

static int32_t submit_tagged(worker *self, uint64_t tag, uint64_t *number) {
  sheep_request request = {.size = sizeof request, .tag = self->name << 32 | tag, .path = "/c",
                           .body = "{}", .body_length = 2};
  return sheep_submit(self->pool, self->queue, &request, number, NULL);
}

/* Takes one event, which must be one of this worker's own. */
static void take_own(worker *self, int32_t result) {
  sheep_event event;
  if (sheep_queue_wait(self->queue, &event, 1, 30000) != 1) {
    self->wrong++;
    return;
  }
  self->wrong += event.result != result || event.tag >> 32 != self->name;
  sheep_reply_free(event.reply);
}

static void *call_in_pairs(void *argument) {
  worker *self = argument;
  self->queue = sheep_queue_new(NULL);
  for (uint64_t i = 0; self->queue && i < CALLS; i += 2) {
    self->wrong += submit_tagged(self, i, NULL) != SHEEP_OK;
    self->wrong += submit_tagged(self, i + 1, NULL) != SHEEP_OK;
    take_own(self, SHEEP_OK);
    take_own(self, SHEEP_OK);
    sheep_pool_stats stats = {.size = sizeof stats};
    self->wrong += sheep_pool_get_stats(self->pool, &stats) != SHEEP_OK;
    self->accepted += 2;
  }
  sheep_queue_free(self->queue);
  return NULL;
}

static void each_with_a_queue_of_its_own(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  worker workers[THREADS];
  sheep_pool *pool = pool_to(gateway_url("id=own"));
  start(threads, workers, &(worker){.pool = pool}, call_in_pairs);
  assert_int_equal(join(threads, workers), THREADS * CALLS);
  assert_settled(pool);
  assert_int_equal(stats_of(pool).answered, THREADS * CALLS);
  sheep_pool_free(pool);
}

static void *only_submit(void *argument) {
  worker *self = argument;
  for (uint64_t i = 0; i < CALLS; i++) {
    if (submit_tagged(self, i, NULL) == SHEEP_OK)
      self->accepted++;
    else
      self->wrong++;
  }
  return NULL;
}

static void all_with_one_queue(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  worker workers[THREADS];
  static bool seen[THREADS][CALLS];
  sheep_pool *pool = pool_to(gateway_url("id=shared"));
  sheep_queue *queue = queue_new();
  start(threads, workers, &(worker){.pool = pool, .queue = queue}, only_submit);
  for (int i = 0; i < THREADS * CALLS; i++) {
    sheep_event event = await_event(queue);
    assert_int_equal(event.result, SHEEP_OK);
    bool *tag = &seen[event.tag >> 32][(uint32_t)event.tag];
    assert_false(*tag);
    *tag = true;
    sheep_reply_free(event.reply);
  }
  assert_int_equal(join(threads, workers), THREADS * CALLS);
  assert_settled(pool);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

/* Cancels about every other call, from the thread that submitted it. */
static void *submit_and_cancel(void *argument) {
  worker *self = argument;
  uint64_t seed = self->name;
  for (uint64_t i = 0; i < CALLS; i++) {
    uint64_t number = 0;
    if (submit_tagged(self, i, &number) != SHEEP_OK) self->wrong++;
    self->accepted++;
    uint64_t before = number - random_below(&seed, 4);
    if (i % 2) self->wrong += sheep_cancel(self->pool, before) != SHEEP_OK;
  }
  return NULL;
}

static void cancels_from_every_thread(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  worker workers[THREADS];
  sheep_pool_options options = options_for(gateway_url("id=crossed,delay=1"));
  options.max_connections = 10;
  sheep_pool *pool = pool_with(&options);
  sheep_queue *queue = queue_new();
  start(threads, workers, &(worker){.pool = pool, .queue = queue}, submit_and_cancel);
  for (int i = 0; i < THREADS * CALLS; i++) {
    int32_t result = await_result(queue);
    assert_true(result == SHEEP_OK || result == SHEEP_E_CANCELLED);
  }
  assert_int_equal(join(threads, workers), THREADS * CALLS);
  assert_settled(pool);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

/* Until the pool is closed under it. */
static void *submit_until_closed(void *argument) {
  worker *self = argument;
  for (uint64_t i = 0; !self->refused; i++) {
    int32_t result = submit_tagged(self, i, NULL);
    if (result == SHEEP_E_CLOSED)
      self->refused++;
    else if (result == SHEEP_OK)
      self->accepted++;
    else
      self->wrong++;
    if (self->accepted == 20) atomic_fetch_add(self->enough, 1);
    if (i % 8 == 0) usleep(100);
  }
  return NULL;
}

/* Whoever closes, nothing is left when it returns. */
static void *close_it(void *argument) {
  worker *self = argument;
  sheep_pool_stats stats = {.size = sizeof stats};
  sheep_pool_close(self->pool);
  self->wrong += sheep_pool_get_stats(self->pool, &stats) != SHEEP_OK;
  self->wrong += stats.in_flight || stats.waiting;
  return NULL;
}

static void close_from_every_thread(sheep_pool *pool) {
  pthread_t threads[THREADS];
  worker workers[THREADS];
  start(threads, workers, &(worker){.pool = pool}, close_it);
  join(threads, workers);
}

static void closed_while_others_submit(void **state) {
  (void)state;
  for (int round = 0; round < 5; round++) {
    pthread_t threads[THREADS];
    worker workers[THREADS];
    atomic_int enough = 0;
    sheep_pool *pool = pool_to(gateway_url("id=race,delay=2"));
    sheep_queue *queue = queue_new();
    start(threads, workers, &(worker){.pool = pool, .queue = queue, .enough = &enough}, submit_until_closed);
    while (atomic_load(&enough) < THREADS) usleep(500);
    close_from_every_thread(pool);
    int accepted = join(threads, workers);
    assert_settled(pool);
    for (int i = 0; i < accepted; i++) await_result(queue);
    assert_int_equal(sheep_queue_drain(queue, &(sheep_event){0}, 1), 0);
    assert_int_equal(stats_of(pool).submitted, accepted);
    sheep_pool_free(pool);
    sheep_queue_free(queue);
  }
}

/* Pools and queues that come and go in every thread. */
static void *make_and_free(void *argument) {
  worker *self = argument;
  for (int i = 0; i < 20; i++) {
    sheep_pool_options options = {.size = sizeof options, .base_url = gateway_origin()};
    self->pool = sheep_pool_new(&options, NULL);
    self->queue = sheep_queue_new(NULL);
    for (uint64_t tag = 0; tag < 3; tag++) self->wrong += submit_tagged(self, tag, NULL) != SHEEP_OK;
    take_own(self, SHEEP_OK);
    if (i % 2) sheep_queue_free(self->queue);
    sheep_pool_free(self->pool);
    if (i % 2 == 0) sheep_queue_free(self->queue);
  }
  return NULL;
}

static void pools_come_and_go_in_every_thread(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  worker workers[THREADS];
  start(threads, workers, &(worker){0}, make_and_free);
  join(threads, workers);
}

/* A queue is freed while the pool's thread delivers to it, and while it is closed. */
static void *free_queues(void *argument) {
  worker *self = argument;
  for (int i = 0; i < 40; i++) {
    self->queue = sheep_queue_new(NULL);
    for (uint64_t tag = 0; tag < 5; tag++) {
      int32_t result = submit_tagged(self, tag, NULL);
      self->accepted += result == SHEEP_OK;
      self->wrong += result != SHEEP_OK && result != SHEEP_E_CLOSED;
    }
    sheep_queue_free(self->queue);
    if (i == 20) atomic_fetch_add(self->enough, 1);
  }
  return NULL;
}

static void queues_freed_while_the_pool_closes(void **state) {
  (void)state;
  for (int round = 0; round < 5; round++) {
    pthread_t threads[THREADS];
    worker workers[THREADS];
    atomic_int enough = 0;
    sheep_pool *pool = pool_to(gateway_origin());
    start(threads, workers, &(worker){.pool = pool, .enough = &enough}, free_queues);
    while (atomic_load(&enough) < THREADS / 2) usleep(500);
    sheep_pool_close(pool);
    assert_settled(pool);
    assert_int_equal(join(threads, workers), stats_of(pool).submitted);
    sheep_pool_free(pool);
  }
}

static void *free_the_queue(void *argument) {
  worker *self = argument;
  pthread_barrier_wait(self->barrier);
  sheep_queue_free(self->queue);
  return NULL;
}

/* Its cancels may come when the pool's thread reads no letters any more. */
static void a_long_queue_freed_while_the_pool_closes(void **state) {
  (void)state;
  for (int round = 0; round < 20; round++) {
    pthread_t thread;
    pthread_barrier_t barrier;
    worker self = {.pool = pool_to(gateway_origin()), .queue = queue_new(), .barrier = &barrier};
    for (uint64_t i = 0; i < 1000; i++) assert_int_equal(submit_tagged(&self, i, NULL), SHEEP_OK);
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, free_the_queue, &self), 0);
    pthread_barrier_wait(&barrier);
    sheep_pool_close(self.pool);
    pthread_join(thread, NULL);
    assert_settled(self.pool);
    pthread_barrier_destroy(&barrier);
    sheep_pool_free(self.pool);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_with_a_queue_of_its_own),
      cmocka_unit_test(all_with_one_queue),
      cmocka_unit_test(cancels_from_every_thread),
      cmocka_unit_test(closed_while_others_submit),
      cmocka_unit_test(pools_come_and_go_in_every_thread),
      cmocka_unit_test(queues_freed_while_the_pool_closes),
      cmocka_unit_test(a_long_queue_freed_while_the_pool_closes),
  };
  return cmocka_run_group_tests(tests, gateway_start, gateway_stop);
}
