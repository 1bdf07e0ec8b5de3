/* Pools, queues and calls through the public header. */
#include "unit.h"

#include "calls.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 };

sheep_pool_options options_for(const char *base_url) {
  sheep_pool_options options;
  assert_int_equal(sheep_pool_options_init(&options, sizeof options), SHEEP_OK);
  options.base_url = base_url;
  return options;
}

sheep_pool *pool_with(const sheep_pool_options *options) {
  sheep_error error = {0};
  sheep_pool *pool = sheep_pool_new(options, &error);
  if (!pool) fail_msg("no pool: %s", error.message);
  return pool;
}

sheep_pool *pool_to(const char *base_url) {
  sheep_pool_options options = options_for(base_url);
  return pool_with(&options);
}

sheep_queue *queue_new(void) {
  sheep_queue *queue = sheep_queue_new(NULL);
  assert_non_null(queue);
  return queue;
}

sheep_pool_stats stats_of(const sheep_pool *pool) {
  sheep_pool_stats stats = {.size = sizeof stats};
  assert_int_equal(sheep_pool_get_stats(pool, &stats), SHEEP_OK);
  return stats;
}

sheep_request small_request(void) {
  sheep_request request;
  assert_int_equal(sheep_request_init(&request, sizeof request), SHEEP_OK);
  request.path = "/chat/completions";
  request.body = "{\"model\": \"m\"}";
  request.body_length = strlen(request.body);
  return request;
}

uint64_t submit_request(sheep_pool *pool, sheep_queue *queue, const sheep_request *request) {
  uint64_t number = 0;
  sheep_error error = {0};
  if (sheep_submit(pool, queue, request, &number, &error) != SHEEP_OK)
    fail_msg("not submitted: %s", error.message);
  return number;
}

uint64_t submit(sheep_pool *pool, sheep_queue *queue) {
  sheep_request request = small_request();
  return submit_request(pool, queue, &request);
}

uint64_t submit_path(sheep_pool *pool, sheep_queue *queue, const char *path) {
  sheep_request request = small_request();
  request.path = path;
  return submit_request(pool, queue, &request);
}

sheep_event await_event(sheep_queue *queue) {
  sheep_event event = {0};
  assert_int_equal(sheep_queue_wait(queue, &event, 1, PATIENCE_MS), 1);
  assert_int_equal(event.kind, SHEEP_EVENT_DONE);
  assert_non_null(event.reply);
  return event;
}

int32_t await_result(sheep_queue *queue) {
  sheep_event event = await_event(queue);
  sheep_reply_free(event.reply);
  return event.result;
}

void await_results(sheep_queue *queue, int count, int32_t result) {
  for (int i = 0; i < count; i++) assert_int_equal(await_result(queue), result);
}

static uint64_t ended(const sheep_pool_stats *stats) {
  return stats->answered + stats->cancelled + stats->closed + stats->connect_errors +
         stats->connect_timeouts + stats->write_timeouts + stats->read_timeouts + stats->pool_timeouts +
         stats->total_timeouts + stats->read_errors + stats->write_errors + stats->protocol_errors +
         stats->decoding_errors + stats->too_large + stats->other_errors;
}

void assert_settled(const sheep_pool *pool) {
  sheep_pool_stats stats = stats_of(pool);
  assert_int_equal(stats.in_flight, 0);
  assert_int_equal(stats.waiting, 0);
  assert_int_equal(ended(&stats), stats.submitted);
}

void await_in_flight(const sheep_pool *pool, uint32_t count) {
  for (int tries = 0; stats_of(pool).in_flight != count; tries++) {
    assert_in_range(tries, 0, 30000);
    usleep(1000);
  }
}

int open_descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < 512; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

void await_descriptors(int count) {
  for (int tries = 0; open_descriptors() != count && tries < 5000; tries++) usleep(1000);
  assert_int_equal(open_descriptors(), count);
}
