/* 100,000 calls, cancelled at random moments: nothing may be left of them. */
#include "unit.h"

#include "calls.h"
#include "gateway.h"

#include <stdbool.h>
#include <stdlib.h>

enum { CALLS = 100000, CONNECTIONS = 200, MOST_OUTSTANDING = 1000 };

/* The tag of a call is its index in `numbers`. */
typedef struct storm {
  uint64_t seed;
  sheep_pool *pool;
  sheep_queue *queue;
  uint64_t *numbers;
  uint64_t *outstanding; /* tags, in no order */
  size_t *places;        /* of each tag in `outstanding` */
  size_t outstanding_count;
  uint64_t submitted;
  uint64_t answered;
  uint64_t cancelled;
} storm;

static void submit_one(storm *self) {
  sheep_request request = small_request();
  request.path = "/x/id=storm,delay=3/";
  request.tag = self->submitted++;
  self->numbers[request.tag] = submit_request(self->pool, self->queue, &request);
  self->places[request.tag] = self->outstanding_count;
  self->outstanding[self->outstanding_count++] = request.tag;
}

static void forget(storm *self, uint64_t tag) {
  size_t place = self->places[tag];
  assert_true(place < self->outstanding_count && self->outstanding[place] == tag); /* not twice */
  uint64_t last = self->outstanding[--self->outstanding_count];
  self->outstanding[place] = last;
  self->places[last] = place;
}

static void take_events(storm *self, int64_t timeout_ms) {
  sheep_event events[64];
  int32_t count = sheep_queue_wait(self->queue, events, 64, timeout_ms);
  for (int32_t i = 0; i < count; i++) {
    assert_int_equal(events[i].call, self->numbers[events[i].tag]);
    self->answered += events[i].result == SHEEP_OK;
    self->cancelled += events[i].result == SHEEP_E_CANCELLED;
    forget(self, events[i].tag);
    sheep_reply_free(events[i].reply);
  }
}

/* Mostly a recent one, which may be anywhere between the mailbox and the wire. */
static void cancel_one(storm *self) {
  size_t recent = self->outstanding_count < 32 ? self->outstanding_count : 32;
  bool any = random_below(&self->seed, 4) == 0;
  size_t back = random_below(&self->seed, any ? self->outstanding_count : recent) + 1;
  uint64_t tag = self->outstanding[self->outstanding_count - back];
  assert_int_equal(sheep_cancel(self->pool, self->numbers[tag]), SHEEP_OK);
}

static void run_storm(storm *self) {
  while (self->submitted < CALLS) {
    uint64_t burst = random_below(&self->seed, 20);
    for (; burst && self->submitted < CALLS; burst--) submit_one(self);
    uint64_t cancels = random_below(&self->seed, 20);
    for (; cancels && self->outstanding_count; cancels--) cancel_one(self);
    bool full = self->outstanding_count > MOST_OUTSTANDING;
    if (full || random_below(&self->seed, 4) == 0) take_events(self, full ? 30000 : 0);
  }
  for (uint64_t tag = 0; tag < CALLS; tag += 2)
    assert_int_equal(sheep_cancel(self->pool, self->numbers[tag]), SHEEP_OK);
}

static storm *storm_new(uint64_t seed) {
  storm *made = calloc(1, sizeof *made);
  assert_non_null(made);
  sheep_pool_options options = options_for(gateway_origin());
  options.max_connections = CONNECTIONS;
  made->seed = seed;
  made->pool = pool_with(&options);
  made->queue = queue_new();
  made->numbers = calloc(CALLS, sizeof *made->numbers);
  made->outstanding = calloc(CALLS, sizeof *made->outstanding);
  made->places = calloc(CALLS, sizeof *made->places);
  assert_true(made->numbers && made->outstanding && made->places);
  return made;
}

static void storm_free(storm *self) {
  sheep_queue_free(self->queue);
  sheep_pool_free(self->pool);
  free(self->numbers);
  free(self->outstanding);
  free(self->places);
  free(self);
}

/* All places of the pool can be used at once: none was lost. */
static void assert_every_place_is_free(storm *self) {
  for (int i = 0; i < CONNECTIONS; i++) submit_path(self->pool, self->queue, "/x/id=places,hold/");
  gateway_await_active("places", CONNECTIONS);
  gateway_release("places");
  await_results(self->queue, CONNECTIONS, SHEEP_OK);
  assert_settled(self->pool);
}

static void nothing_is_left_of_a_cancel_storm(void **state) {
  (void)state;
  storm *self = storm_new(42);
  run_storm(self);
  while (self->outstanding_count) {
    size_t before = self->outstanding_count;
    take_events(self, 30000);
    assert_true(self->outstanding_count < before);
  }
  assert_int_equal(self->answered + self->cancelled, CALLS);
  assert_true(self->cancelled > CALLS / 10);
  assert_true(self->answered > CALLS / 100);
  assert_settled(self->pool);
  assert_int_equal(stats_of(self->pool).cancelled, self->cancelled);
  gateway_await_active("storm", 0); /* the server saw the transfers stop */
  assert_every_place_is_free(self);
  storm_free(self);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_left_of_a_cancel_storm)};
  return cmocka_run_group_tests(tests, gateway_start, gateway_stop);
}
