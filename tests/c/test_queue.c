/* queue.h: completion queues, without any engine behind them. */
#include "unit.h"

#include "alloc.h"
#include "clock.h"
#include "failing.h"
#include "queue.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

enum { MANY = 1000 };

static const time_limits no_limits = {-1, -1, -1, -1, -1};

static sheep_queue *new_queue(void) {
  sheep_queue *queue = sheep_queue_new(NULL);
  assert_non_null(queue);
  return queue;
}

/* A call that the queue waits for. */
static call *expected_call(sheep_queue *queue, uint64_t id) {
  const sheep_request request = {.tag = id * 10, .method = "POST", .path = "/"};
  call *made = call_new(&request, &no_limits);
  assert_non_null(made);
  made->id = id;
  queue_expect(queue, made);
  return made;
}

static void deliver(sheep_queue *queue, uint64_t id) { queue_deliver(queue, expected_call(queue, id)); }

static void free_replies(const sheep_event *events, int32_t count) {
  for (int32_t i = 0; i < count; i++) sheep_reply_free(events[i].reply);
}

static int readable(const sheep_queue *queue) {
  struct pollfd asked = {.fd = sheep_queue_fd(queue), .events = POLLIN};
  return poll(&asked, 1, 0);
}

static void an_event_tells_of_its_call(void **state) {
  (void)state;
  sheep_queue *queue = new_queue();
  call *made = expected_call(queue, 3);
  call_set_result(made, SHEEP_E_READ, "gone");
  queue_deliver(queue, made);
  sheep_event event;
  assert_int_equal(sheep_queue_drain(queue, &event, 1), 1);
  assert_int_equal(event.tag, 30);
  assert_int_equal(event.call, 3);
  assert_int_equal(event.result, SHEEP_E_READ);
  assert_int_equal(event.kind, SHEEP_EVENT_DONE);
  assert_string_equal(sheep_reply_message(event.reply), "gone");
  sheep_reply_free(event.reply);
  assert_int_equal(sheep_queue_drain(queue, &event, 1), 0);
  sheep_queue_free(queue);
}

static void drains_in_the_order_of_the_ends(void **state) {
  (void)state;
  sheep_queue *queue = new_queue();
  sheep_event events[4];
  call *late = expected_call(queue, 1);
  deliver(queue, 2);
  deliver(queue, 3);
  queue_deliver(queue, late);
  static const uint64_t order[] = {2, 3, 1};
  assert_int_equal(sheep_queue_drain(queue, events, 4), 3);
  for (int i = 0; i < 3; i++) assert_int_equal(events[i].call, order[i]);
  free_replies(events, 3);
  sheep_queue_free(queue);
}

static void is_readable_while_events_are_left(void **state) {
  (void)state;
  sheep_queue *queue = new_queue();
  sheep_event events[2];
  assert_int_equal(readable(queue), 0);
  for (uint64_t i = 1; i <= 3; i++) deliver(queue, i);
  assert_int_equal(sheep_queue_drain(queue, events, 0), 0);
  assert_int_equal(sheep_queue_drain(queue, events, -1), 0);
  assert_int_equal(sheep_queue_drain(queue, events, 2), 2);
  free_replies(events, 2);
  assert_int_equal(readable(queue), 1);
  assert_int_equal(sheep_queue_drain(queue, events, 2), 1);
  free_replies(events, 1);
  assert_int_equal(readable(queue), 0);
  sheep_queue_free(queue);
}

/* -------------------------------------------------------------------- waiting */

static void waits_no_longer_than_told_and_no_shorter(void **state) {
  (void)state;
  sheep_queue *queue = new_queue();
  sheep_event event;
  assert_int_equal(sheep_queue_wait(queue, &event, 1, 0), 0);
  int64_t began = clock_now_us();
  assert_int_equal(sheep_queue_wait(queue, &event, 1, 30), 0);
  assert_true(clock_now_us() - began >= 30000);
  assert_int_equal(sheep_queue_wait(queue, &event, 0, -1), 0);
  sheep_queue_free(queue);
}

static void what_is_there_is_not_waited_for(void **state) {
  (void)state;
  static const int64_t times[] = {0, 1, -1, INT64_MAX, INT64_MIN, -5};
  sheep_queue *queue = new_queue();
  for (size_t i = 0; i < LENGTH_OF(times); i++) {
    sheep_event event;
    deliver(queue, i);
    assert_int_equal(sheep_queue_wait(queue, &event, 1, times[i]), 1);
    sheep_reply_free(event.reply);
  }
  sheep_queue_free(queue);
}

static void *deliver_many(void *argument) {
  for (uint64_t i = 0; i < MANY; i++) deliver(argument, i);
  return NULL;
}

static void another_thread_ends_the_wait(void **state) {
  (void)state;
  static const int64_t times[] = {-1, INT64_MAX, 60000};
  for (size_t t = 0; t < LENGTH_OF(times); t++) {
    sheep_queue *queue = new_queue();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, deliver_many, queue), 0);
    for (uint64_t next = 0; next < MANY;) {
      sheep_event events[7];
      int32_t count = sheep_queue_wait(queue, events, 7, times[t]);
      assert_in_range(count, 1, 7);
      for (int32_t i = 0; i < count; i++) assert_int_equal(events[i].call, next++);
      free_replies(events, count);
    }
    pthread_join(thread, NULL);
    sheep_queue_free(queue);
  }
}

static void on_alarm(int number) { (void)number; }

static void a_signal_ends_the_wait(void **state) {
  (void)state;
  sheep_queue *queue = new_queue();
  struct sigaction before, action = {.sa_handler = on_alarm};
  const struct itimerval soon = {{0, 10000}, {0, 10000}}, never = {{0, 0}, {0, 0}};
  sheep_event event;
  assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
  assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
  assert_int_equal(sheep_queue_wait(queue, &event, 1, -1), 0);
  assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
  assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
  sheep_queue_free(queue);
}

/* -------------------------------------------------------------------- freeing */

static uint64_t cancelled[8];
static size_t cancelled_count;

static int32_t note_cancel(struct engine *running, uint64_t id) {
  assert_null(running);
  cancelled[cancelled_count++] = id;
  return SHEEP_OK;
}

static void freed_it_throws_its_events_away(void **state) {
  (void)state;
  sheep_queue *queue = new_queue();
  for (uint64_t i = 1; i <= 3; i++) deliver(queue, i);
  sheep_queue_free(queue);
  sheep_queue_free(NULL);
}

static void freed_it_cancels_and_outlives_what_is_outstanding(void **state) {
  (void)state;
  sheep_queue *queue = new_queue();
  call *first = expected_call(queue, 1);
  deliver(queue, 2);
  call *third = expected_call(queue, 3);
  queue_set_canceller(note_cancel);
  cancelled_count = 0;
  sheep_queue_free(queue);
  assert_int_equal(cancelled_count, 2);
  assert_int_equal(cancelled[0], 1);
  assert_int_equal(cancelled[1], 3);
  queue_deliver(queue, third);
  queue_deliver(queue, first); /* the queue goes with its last call */
}

static void make_and_free(void *context) {
  (void)context;
  sheep_error error;
  sheep_queue *queue = sheep_queue_new(&error);
  if (!queue) assert_int_equal(error.code, SHEEP_E_NOMEM);
  sheep_queue_free(queue);
}

static void without_memory_there_is_no_queue(void **state) {
  (void)state;
  fail_each_allocation(make_and_free, NULL, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_event_tells_of_its_call),
      cmocka_unit_test(drains_in_the_order_of_the_ends),
      cmocka_unit_test(is_readable_while_events_are_left),
      cmocka_unit_test(waits_no_longer_than_told_and_no_shorter),
      cmocka_unit_test(what_is_there_is_not_waited_for),
      cmocka_unit_test(another_thread_ends_the_wait),
      cmocka_unit_test(a_signal_ends_the_wait),
      cmocka_unit_test(freed_it_throws_its_events_away),
      cmocka_unit_test(freed_it_cancels_and_outlives_what_is_outstanding),
      cmocka_unit_test(without_memory_there_is_no_queue),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
