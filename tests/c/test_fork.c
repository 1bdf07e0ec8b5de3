/* fork with calls in flight: the child's pools work afresh, the parent is undisturbed.
 * ThreadSanitizer doesn't follow threads that a forked child starts. */
#include "unit.h"

#include "calls.h"
#include "child.h"
#include "gateway.h"

#include <poll.h>
#include <sys/wait.h>

enum { HELD = 6, CONNECTIONS = 4, NESTED = 2 };

#define HELD_PATH "/x/id=before,hold/"
#define ANSWERED_PATH "/x/id=after,echo/"

/* Two calls wait, the others are in flight. */
static sheep_pool *busy_pool(sheep_queue *queue) {
  sheep_pool_options options = options_for(gateway_origin());
  options.max_connections = CONNECTIONS;
  sheep_pool *pool = pool_with(&options);
  for (int i = 0; i < HELD; i++) submit_path(pool, queue, HELD_PATH);
  gateway_await_active("before", CONNECTIONS);
  return pool;
}

/* The parent's calls all end well, as if nothing had happened. */
static void finish_in_parent(sheep_pool *pool, sheep_queue *queue) {
  submit_path(pool, queue, ANSWERED_PATH);
  gateway_release("before");
  gateway_await_active("before", HELD - CONNECTIONS);
  gateway_release("before");
  await_results(queue, HELD + 1, SHEEP_OK);
  assert_settled(pool);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

/* ------------------------------------------------------------- in the child */

static void child_takes_forked_events(sheep_queue *queue, int32_t expected) {
  sheep_event events[HELD + 1];
  int32_t count = sheep_queue_wait(queue, events, HELD + 1, 0);
  CHILD_ASSERT(count == expected);
  for (int32_t i = 0; i < count; i++) {
    CHILD_ASSERT(events[i].result == SHEEP_E_FORKED);
    CHILD_ASSERT(sheep_reply_status(events[i].reply) == 0);
    CHILD_ASSERT(sheep_reply_sent(events[i].reply) == SHEEP_POSSIBLY_SENT);
    CHILD_ASSERT(*sheep_reply_message(events[i].reply));
    CHILD_ASSERT(!*sheep_reply_body(events[i].reply, NULL));
    CHILD_ASSERT(!sheep_reply_header(events[i].reply, "Content-Type"));
    sheep_reply_free(events[i].reply);
  }
  CHILD_ASSERT(sheep_queue_drain(queue, events, 1) == 0);
}

static void child_works_on_from(sheep_pool *pool, sheep_queue *queue, int32_t outstanding) {
  sheep_pool_stats stats = {.size = sizeof stats};
  CHILD_ASSERT(sheep_pool_get_stats(pool, &stats) == SHEEP_OK);
  CHILD_ASSERT(stats.in_flight == 0 && stats.waiting == 0);
  CHILD_ASSERT(sheep_cancel(pool, 1) == SHEEP_OK); /* a number of before: none of ours */
  child_takes_forked_events(queue, outstanding);
  for (int i = 0; i < 3; i++) child_call(pool, queue, ANSWERED_PATH, "{\"from\": \"child\"}");
  sheep_pool_free(pool);
  sheep_queue_free(queue);
}

static void child_works_on(sheep_pool *pool, sheep_queue *queue) { child_works_on_from(pool, queue, HELD); }

static void child_frees_the_queue_first(sheep_pool *pool, sheep_queue *queue) {
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

static void child_frees_the_pool_first(sheep_pool *pool, sheep_queue *queue) {
  sheep_pool_free(pool);
  child_takes_forked_events(queue, HELD);
  sheep_queue_free(queue);
}

static void child_makes_its_own(sheep_pool *pool, sheep_queue *queue) {
  sheep_pool_options options = {.size = sizeof options, .base_url = gateway_origin()};
  sheep_pool *own_pool = sheep_pool_new(&options, NULL);
  sheep_queue *own_queue = sheep_queue_new(NULL);
  CHILD_ASSERT(own_pool && own_queue);
  child_call(own_pool, own_queue, ANSWERED_PATH, "{}");
  sheep_pool_free(own_pool);
  sheep_queue_free(own_queue);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

/* A child's child, with calls of the child in flight. */
static void child_forks_again(sheep_pool *pool, sheep_queue *queue) {
  child_takes_forked_events(queue, HELD);
  sheep_request request = {.size = sizeof request, .path = "/x/id=nested,hold/"};
  for (int i = 0; i < NESTED; i++)
    CHILD_ASSERT(sheep_submit(pool, queue, &request, NULL, NULL) == SHEEP_OK);
  pid_t child = fork();
  CHILD_ASSERT(child >= 0);
  if (child == 0) {
    child_works_on_from(pool, queue, NESTED);
    _exit(0);
  }
  int status = -1;
  CHILD_ASSERT(waitpid(child, &status, 0) == child && status == 0);
  child_call(pool, queue, ANSWERED_PATH, "[1]");
  sheep_pool_free(pool);
  sheep_queue_free(queue);
}

/* --------------------------------------------------------------------- tests */

static void the_child_works_afresh_and_the_parent_on(void **state) {
  (void)state;
  static child_body *const bodies[] = {child_works_on, child_frees_the_queue_first,
                                       child_frees_the_pool_first, child_makes_its_own,
                                       child_forks_again};
  for (size_t i = 0; i < LENGTH_OF(bodies); i++) {
    sheep_queue *queue = queue_new();
    sheep_pool *pool = busy_pool(queue);
    child_assert_success(child_fork(bodies[i], pool, queue));
    assert_int_equal(stats_of(pool).in_flight, CONNECTIONS);
    finish_in_parent(pool, queue);
  }
  assert_int_equal(gateway_count("before").aborted, 0);
}

static void child_takes_one(sheep_pool *pool, sheep_queue *queue) {
  child_takes_forked_events(queue, 1);
  sheep_pool_free(pool);
  sheep_queue_free(queue);
}

/* Of what the parent's thread was receiving, the child must not show a half. */
static void a_reply_that_was_coming_in_is_not_shown(void **state) {
  (void)state;
  sheep_queue *queue = queue_new();
  sheep_pool *pool = pool_to(gateway_origin());
  uint64_t number = submit_path(pool, queue, "/x/id=dripping,drip=100/");
  gateway_await_active("dripping", 1);
  usleep(50000);
  child_assert_success(child_fork(child_takes_one, pool, queue));
  assert_int_equal(sheep_cancel(pool, number), SHEEP_OK);
  assert_int_equal(await_result(queue), SHEEP_E_CANCELLED);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

static void child_finds_it_closed(sheep_pool *pool, sheep_queue *queue) {
  sheep_request request = {.size = sizeof request, .path = "/"};
  sheep_event event;
  CHILD_ASSERT(sheep_submit(pool, queue, &request, NULL, NULL) == SHEEP_E_CLOSED);
  CHILD_ASSERT(sheep_queue_drain(queue, &event, 1) == 1);
  CHILD_ASSERT(event.result == SHEEP_OK); /* it had ended before */
  sheep_reply_free(event.reply);
  sheep_pool_free(pool);
  sheep_queue_free(queue);
}

static void what_had_ended_before_stays_as_it_was(void **state) {
  (void)state;
  sheep_queue *queue = queue_new();
  sheep_pool *pool = pool_to(gateway_origin());
  submit_path(pool, queue, ANSWERED_PATH);
  while (stats_of(pool).answered == 0) usleep(1000);
  sheep_pool_close(pool);
  child_assert_success(child_fork(child_finds_it_closed, pool, queue));
  assert_int_equal(await_result(queue), SHEEP_OK);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

static void child_signals_its_queue(sheep_pool *pool, sheep_queue *queue) {
  (void)pool;
  sheep_pool_options options = {.size = sizeof options, .base_url = gateway_origin()};
  sheep_pool *own = sheep_pool_new(&options, NULL);
  sheep_request request = {.size = sizeof request, .path = ANSWERED_PATH};
  CHILD_ASSERT(own);
  CHILD_ASSERT(sheep_submit(own, queue, &request, NULL, NULL) == SHEEP_OK);
  sheep_pool_stats stats = {.size = sizeof stats};
  do {
    usleep(1000);
    CHILD_ASSERT(sheep_pool_get_stats(own, &stats) == SHEEP_OK);
  } while (!stats.answered);
  sheep_pool_free(own);
}

/* Runs first: no pool of this process may have been made before the fork. */
static void a_queue_made_before_any_pool_is_not_shared(void **state) {
  (void)state;
  sheep_queue *queue = queue_new();
  child_assert_success(child_fork(child_signals_its_queue, NULL, queue));
  struct pollfd asked = {.fd = sheep_queue_fd(queue), .events = POLLIN};
  assert_int_equal(poll(&asked, 1, 0), 0);
  sheep_queue_free(queue);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_queue_made_before_any_pool_is_not_shared),
      cmocka_unit_test(the_child_works_afresh_and_the_parent_on),
      cmocka_unit_test(a_reply_that_was_coming_in_is_not_shown),
      cmocka_unit_test(what_had_ended_before_stays_as_it_was),
  };
  return cmocka_run_group_tests(tests, gateway_start, gateway_stop);
}
