/* Pools, queues and replies may be freed in any order, with calls in any state. */
#include "unit.h"

#include "calls.h"
#include "gateway.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* A pool whose calls are held by the gateway: two are sent, two wait. */
static sheep_pool *held_pool(sheep_queue *queue) {
  sheep_pool_options options = options_for(gateway_url("id=held,hold"));
  options.max_connections = 2;
  sheep_pool *pool = pool_with(&options);
  for (int i = 0; i < 4; i++) submit(pool, queue);
  await_in_flight(pool, 2);
  return pool;
}

static void pool_before_queue_with_calls_outstanding(void **state) {
  (void)state;
  sheep_queue *queue = queue_new();
  sheep_pool_free(held_pool(queue));
  await_results(queue, 4, SHEEP_E_CLOSED);
  assert_int_equal(sheep_queue_drain(queue, &(sheep_event){0}, 1), 0);
  sheep_queue_free(queue);
}

static void pool_before_queue_with_events_undrained(void **state) {
  (void)state;
  sheep_queue *queue = queue_new();
  sheep_pool_free(held_pool(queue));
  sheep_queue_free(queue);
}

static void queue_before_pool_with_calls_outstanding(void **state) {
  (void)state;
  sheep_queue *queue = queue_new();
  sheep_pool *pool = held_pool(queue);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

static void neither_ever_used(void **state) {
  (void)state;
  sheep_queue *queue = queue_new();
  sheep_pool *pool = pool_to("http://h");
  sheep_pool_close(pool);
  assert_settled(pool);
  sheep_pool_free(pool);
  sheep_queue_free(queue);
}

static void a_reply_outlives_pool_and_queue(void **state) {
  (void)state;
  sheep_queue *queue = queue_new();
  sheep_pool *pool = pool_to(gateway_url("id=outlives,echo"));
  submit(pool, queue);
  sheep_event event = await_event(queue);
  sheep_pool_free(pool);
  sheep_queue_free(queue);
  assert_string_equal(sheep_reply_body(event.reply, NULL), small_request().body);
  assert_string_equal(sheep_reply_header(event.reply, "Content-Type"), "application/json");
  sheep_reply_free(event.reply);
}

/* The caller's own strings are freed as soon as the call returns. */
static void nothing_of_the_caller_is_kept(void **state) {
  (void)state;
  char url[512], path[] = "/chat", body[] = "{\"a\": 1}", method[] = "PUT", name[] = "X-A", value[] = "1";
  strcpy(url, gateway_url("id=copies,echo"));
  sheep_pool *pool = pool_to(url);
  sheep_queue *queue = queue_new();
  sheep_request request = small_request();
  const sheep_header header = {name, value};
  memset(url, '!', strlen(url));
  request.method = method;
  request.path = path;
  request.body = body;
  request.body_length = strlen(body);
  request.headers = &header;
  request.header_count = 1;
  submit_request(pool, queue, &request);
  path[0] = body[0] = method[0] = name[0] = value[0] = '!';
  sheep_event event = await_event(queue);
  assert_int_equal(event.result, SHEEP_OK);
  assert_string_equal(sheep_reply_body(event.reply, NULL), "{\"a\": 1}");
  sheep_reply_free(event.reply);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

static void one_queue_serves_several_pools(void **state) {
  (void)state;
  sheep_queue *queue = queue_new();
  sheep_pool *held = held_pool(queue);
  sheep_pool *answered = pool_to(gateway_url("id=beside"));
  submit(answered, queue);
  assert_int_equal(await_result(queue), SHEEP_OK);
  sheep_pool_free(held);
  await_results(queue, 4, SHEEP_E_CLOSED);
  submit(answered, queue);
  assert_int_equal(await_result(queue), SHEEP_OK);
  sheep_pool_free(answered);
  sheep_queue_free(queue);
}

static void one_pool_serves_several_queues(void **state) {
  (void)state;
  enum { QUEUES = 5 };
  sheep_pool *pool = pool_to(gateway_url("id=several"));
  sheep_queue *queues[QUEUES];
  for (int i = 0; i < QUEUES; i++) queues[i] = queue_new();
  for (int round = 0; round < 3; round++) {
    uint64_t numbers[QUEUES];
    for (int i = 0; i < QUEUES; i++) numbers[i] = submit(pool, queues[i]);
    for (int i = 0; i < QUEUES; i++) {
      sheep_event event = await_event(queues[i]);
      assert_int_equal(event.call, numbers[i]);
      sheep_reply_free(event.reply);
    }
  }
  for (int i = 0; i < QUEUES; i++) sheep_queue_free(queues[i]);
  sheep_pool_free(pool);
}

static void the_descriptor_follows_the_events(void **state) {
  (void)state;
  sheep_queue *queue = queue_new();
  sheep_pool *pool = pool_to(gateway_url("id=polled"));
  struct pollfd asked = {.fd = sheep_queue_fd(queue), .events = POLLIN};
  assert_int_equal(poll(&asked, 1, 0), 0);
  submit(pool, queue);
  assert_int_equal(poll(&asked, 1, 30000), 1);
  assert_int_equal(await_result(queue), SHEEP_OK);
  assert_int_equal(poll(&asked, 1, 0), 0);
  sheep_pool_free(pool);
  sheep_queue_free(queue);
}

static void *wait_for_four(void *queue) {
  sheep_event events[4];
  for (int left = 4; left;) {
    int32_t count = sheep_queue_wait(queue, events, 4, -1);
    for (int32_t i = 0; i < count; i++) {
      if (events[i].result != SHEEP_E_CLOSED) return queue;
      sheep_reply_free(events[i].reply);
    }
    left -= count;
  }
  return NULL;
}

static void a_close_ends_a_wait_without_limit(void **state) {
  (void)state;
  sheep_queue *queue = queue_new();
  sheep_pool *pool = held_pool(queue);
  pthread_t waiting;
  void *wrong = queue;
  assert_int_equal(pthread_create(&waiting, NULL, wait_for_four, queue), 0);
  sheep_pool_free(pool);
  pthread_join(waiting, &wrong);
  assert_null(wrong);
  sheep_queue_free(queue);
}

/* ------------------------------------------------------- what else a process has */

static void call_and_free(const char *url) {
  sheep_queue *queue = queue_new();
  sheep_pool *pool = pool_to(url);
  for (int i = 0; i < 10; i++) submit(pool, queue);
  await_results(queue, 10, SHEEP_OK);
  sheep_pool_free(pool);
  sheep_queue_free(queue);
}

static void every_descriptor_is_given_back(void **state) {
  (void)state;
  call_and_free(gateway_url("id=first")); /* what libraries open once stays */
  int before = open_descriptors();
  call_and_free(gateway_url("id=descriptors"));
  await_descriptors(before);
}

/* To those that are open. */
static void limit_descriptors(struct rlimit *before) {
  int lowest_free = dup(STDIN_FILENO);
  close(lowest_free);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
  struct rlimit fewer = {(rlim_t)lowest_free, before->rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &fewer), 0);
}

static void without_descriptors_nothing_starts(void **state) {
  (void)state;
  struct rlimit before;
  sheep_error error = {0};
  sheep_queue *queue = queue_new();
  sheep_pool *pool = pool_to(gateway_url("id=unstarted"));
  sheep_request request = small_request();
  limit_descriptors(&before);
  sheep_queue *refused = sheep_queue_new(&error);
  int32_t result = sheep_submit(pool, queue, &request, NULL, NULL);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_null(refused);
  assert_int_equal(error.code, SHEEP_E_SYSTEM);
  assert_int_equal(result, SHEEP_E_SYSTEM);
  submit(pool, queue);
  assert_int_equal(await_result(queue), SHEEP_OK);
  assert_settled(pool);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

/* One call gets the connection that is there, the others get an error at once. */
static void without_descriptors_kept_connections_serve(void **state) {
  (void)state;
  struct rlimit before;
  sheep_queue *queue = queue_new();
  sheep_pool *pool = pool_to(gateway_origin());
  submit_path(pool, queue, "/");
  assert_int_equal(await_result(queue), SHEEP_OK);
  limit_descriptors(&before);
  for (int i = 0; i < 3; i++) submit_path(pool, queue, "/x/id=limited,hold/");
  int32_t results[] = {await_result(queue), await_result(queue)};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(results[0], SHEEP_E_SYSTEM);
  assert_int_equal(results[1], SHEEP_E_SYSTEM);
  gateway_await_active("limited", 1);
  gateway_release("limited");
  assert_int_equal(await_result(queue), SHEEP_OK);
  assert_settled(pool);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

/* The signal is blocked in every thread but the pool's, if that were to take it. */
static void signals_are_the_callers(void **state) {
  (void)state;
  sigset_t waited_for, before;
  sigemptyset(&waited_for);
  sigaddset(&waited_for, SIGUSR1);
  sheep_queue *queue = queue_new();
  sheep_pool *pool = held_pool(queue);
  assert_int_equal(pthread_sigmask(SIG_BLOCK, &waited_for, &before), 0);
  assert_int_equal(kill(getpid(), SIGUSR1), 0);
  assert_int_equal(sigtimedwait(&waited_for, NULL, &(struct timespec){.tv_sec = 30}), SIGUSR1);
  assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
  sheep_pool_free(pool);
  sheep_queue_free(queue);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pool_before_queue_with_calls_outstanding),
      cmocka_unit_test(pool_before_queue_with_events_undrained),
      cmocka_unit_test(queue_before_pool_with_calls_outstanding),
      cmocka_unit_test(neither_ever_used),
      cmocka_unit_test(a_reply_outlives_pool_and_queue),
      cmocka_unit_test(nothing_of_the_caller_is_kept),
      cmocka_unit_test(one_queue_serves_several_pools),
      cmocka_unit_test(one_pool_serves_several_queues),
      cmocka_unit_test(the_descriptor_follows_the_events),
      cmocka_unit_test(a_close_ends_a_wait_without_limit),
      cmocka_unit_test(every_descriptor_is_given_back),
      cmocka_unit_test(without_descriptors_nothing_starts),
      cmocka_unit_test(without_descriptors_kept_connections_serve),
      cmocka_unit_test(signals_are_the_callers),
  };
  return cmocka_run_group_tests(tests, gateway_start, gateway_stop);
}
