/* fork while other threads submit. Not for AddressSanitizer: a child can find the
 * locks of its allocator taken, for ever, by threads that it doesn't have. */
#include "unit.h"

#include "calls.h"
#include "child.h"
#include "gateway.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define ANSWERED_PATH "/x/id=busy,echo/"

typedef struct submitter {
  sheep_pool *pool;
  atomic_bool *stop;
  int wrong;
} submitter;

static void *submit_until_told(void *argument) {
  submitter *self = argument;
  sheep_queue *queue = sheep_queue_new(NULL);
  while (!atomic_load(self->stop)) {
    sheep_request request = {.size = sizeof request, .path = ANSWERED_PATH};
    sheep_event event;
    self->wrong += sheep_submit(self->pool, queue, &request, NULL, NULL) != SHEEP_OK;
    if (sheep_queue_wait(queue, &event, 1, 30000) == 1) {
      self->wrong += event.result != SHEEP_OK;
      sheep_reply_free(event.reply);
    } else {
      self->wrong++;
    }
  }
  sheep_queue_free(queue);
  return NULL;
}

static void child_uses_and_frees(sheep_pool *pool, sheep_queue *queue) {
  child_call(pool, queue, ANSWERED_PATH, "[]");
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

static void forks_while_threads_submit(void **state) {
  (void)state;
  enum { THREADS = 4, FORKS = 25 };
  pthread_t threads[THREADS];
  submitter submitters[THREADS];
  atomic_bool stop = false;
  sheep_pool *pool = pool_to(gateway_origin());
  sheep_queue *queue = queue_new();
  for (int i = 0; i < THREADS; i++) {
    submitters[i] = (submitter){pool, &stop, 0};
    assert_int_equal(pthread_create(&threads[i], NULL, submit_until_told, &submitters[i]), 0);
  }
  for (int i = 0; i < FORKS; i++) child_assert_success(child_fork(child_uses_and_frees, pool, queue));
  atomic_store(&stop, true);
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(submitters[i].wrong, 0);
  }
  assert_settled(pool);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(forks_while_threads_submit)};
  return cmocka_run_group_tests(tests, gateway_start, gateway_stop);
}
