/* Memory that runs out: each scenario runs once for every allocation that it makes,
 * with that one failing. Whatever fails, each accepted call has its one event, an
 * answer or a clean error, the pool works on, and neither memory nor descriptors leak.
 *
 * libcurl's own allocations are left alone: 7.88 divides by zero in multi_socket
 * after some of their failures. */
#include "unit.h"

#include "alloc.h"
#include "calls.h"
#include "failing.h"
#include "gateway.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Of the core, for one call of a pool: so many allocations fail at least. */
enum { LEAST = 15 };

/* The core cannot always tell a lack of memory from one of descriptors. */
static bool is_lack(int32_t result) { return result == SHEEP_E_NOMEM || result == SHEEP_E_SYSTEM; }

static void assert_lack(const sheep_error *error) {
  assert_true(is_lack(error->code));
  assert_true(*error->message);
}

/* -------------------------------------------------------------------- scenarios */

typedef struct scenario {
  sheep_pool_options options;
  sheep_request request;
  int calls;
  int32_t result; /* without any failure */
  bool echo;      /* the reply's body is the request's */
  bool cancel;
  bool close; /* with the calls outstanding */
  bool free_queue;
} scenario;

/* Returns how many calls were accepted. */
static int submit_all(const scenario *self, sheep_pool *pool, sheep_queue *queue) {
  int accepted = 0;
  for (int i = 0; i < self->calls; i++) {
    uint64_t number;
    sheep_error error = {0};
    if (sheep_submit(pool, queue, &self->request, &number, &error) != SHEEP_OK) {
      assert_lack(&error);
      continue;
    }
    /* A cancel that finds no memory may be asked for again. */
    if (self->cancel && sheep_cancel(pool, number) != SHEEP_OK)
      assert_int_equal(sheep_cancel(pool, number), SHEEP_OK);
    accepted++;
  }
  return accepted;
}

static bool is_clean(const scenario *self, const sheep_event *event) {
  return event->result == self->result || is_lack(event->result);
}

static void take_one(const scenario *self, sheep_queue *queue) {
  sheep_event event = await_event(queue);
  const char *message = sheep_reply_message(event.reply);
  if (!is_clean(self, &event)) fail_msg("ended in %s: %s", sheep_error_name(event.result), message);
  if (event.result == SHEEP_OK && self->echo)
    assert_string_equal(sheep_reply_body(event.reply, NULL), self->request.body);
  assert_true(!*message == (event.result == SHEEP_OK));
  sheep_reply_free(event.reply);
}

static void take_all(const scenario *self, sheep_queue *queue, int accepted) {
  for (int i = 0; i < accepted; i++) take_one(self, queue);
  assert_int_equal(sheep_queue_drain(queue, &(sheep_event){0}, 1), 0);
}

/* By now the one failure may be over, or still to come. */
static void assert_works_on(const scenario *self, sheep_pool *pool, sheep_queue *queue) {
  scenario again = *self;
  again.calls = 1;
  for (int i = 0; i < 2; i++) take_all(&again, queue, submit_all(&again, pool, queue));
  assert_settled(pool);
}

static void use(const scenario *self, sheep_pool *pool, sheep_queue *queue) {
  int accepted = submit_all(self, pool, queue);
  sheep_pool_stats stats = {.size = sizeof stats};
  assert_int_equal(sheep_pool_get_stats(pool, &stats), SHEEP_OK);
  if (self->free_queue) return;
  if (self->close) sheep_pool_close(pool);
  take_all(self, queue, accepted);
  if (!self->close) assert_works_on(self, pool, queue);
}

static void run(void *context) {
  const scenario *self = context;
  int descriptors = open_descriptors();
  sheep_error error = {0};
  sheep_pool *pool = sheep_pool_new(&self->options, &error);
  if (!pool) assert_lack(&error);
  sheep_queue *queue = sheep_queue_new(&error);
  if (!queue) assert_lack(&error);
  if (pool && queue) use(self, pool, queue);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
  await_descriptors(descriptors);
}

static scenario one_call(const char *base_url) {
  return (scenario){.options = options_for(base_url), .request = small_request(), .calls = 1};
}

/* ------------------------------------------------------------------------ tests */

static void a_pool_with_every_option(void **state) {
  (void)state;
  const sheep_header headers[] = {{"X-One", "1"}, {"X-Two", "2"}, {"X-Empty", ""}};
  scenario self = one_call(gateway_url("id=options"));
  self.options.api_key = "sk-secret";
  self.options.user_agent = "agent/1";
  self.options.ca_file = gateway_ca_file();
  self.options.headers = headers;
  self.options.header_count = LENGTH_OF(headers);
  fail_each_allocation(run, &self, LEAST + 8);
}

static void calls_that_are_answered(void **state) {
  (void)state;
  scenario self = one_call(gateway_url("id=answered,echo"));
  self.echo = true;
  self.calls = 3;
  fail_each_allocation(run, &self, LEAST + 4);
}

static void calls_with_headers_of_their_own(void **state) {
  (void)state;
  const sheep_header headers[] = {{"X-Own", "1"}, {"Accept", "text/plain"}};
  scenario self = one_call(gateway_url("id=headers,echo,gzip"));
  self.echo = true;
  self.request.headers = headers;
  self.request.header_count = LENGTH_OF(headers);
  fail_each_allocation(run, &self, LEAST);
}

static void other_methods(void **state) {
  (void)state;
  static const char *const methods[] = {"GET", "HEAD", "DELETE"};
  for (size_t i = 0; i < LENGTH_OF(methods); i++) {
    scenario self = one_call(gateway_url("id=methods,empty"));
    self.request.method = methods[i];
    self.request.body = NULL;
    self.request.body_length = 0;
    fail_each_allocation(run, &self, LEAST);
  }
}

static void errors_and_large_replies(void **state) {
  (void)state;
  scenario self = one_call(gateway_url("id=error,status=500,head_size=2000"));
  fail_each_allocation(run, &self, LEAST);
  self.options.base_url = gateway_url("id=large,size=300000,gzip");
  fail_each_allocation(run, &self, LEAST + 4);
}

static void a_server_that_hangs_up(void **state) {
  (void)state;
  scenario self = one_call(gateway_url("id=hangs,close=before"));
  self.result = SHEEP_E_PROTOCOL;
  fail_each_allocation(run, &self, LEAST);
}

/* Each call needs a connection of its own. */
static void connections_that_close(void **state) {
  (void)state;
  scenario self = one_call(gateway_url("id=closes,close=after,header=Connection:close"));
  fail_each_allocation(run, &self, LEAST);
}

static void a_name_to_look_up(void **state) {
  (void)state;
  char url[128];
  snprintf(url, sizeof url, "http://127.1%s", strrchr(gateway_origin(), ':'));
  scenario self = one_call(url);
  fail_each_allocation(run, &self, LEAST + 3);
}

static void tls(void **state) {
  (void)state;
  scenario self = one_call(gateway_tls_url("id=tls,echo,chunked"));
  self.echo = true;
  self.options.ca_file = gateway_ca_file();
  fail_each_allocation(run, &self, LEAST);
}

static void cancels(void **state) {
  (void)state;
  scenario self = one_call(gateway_url("id=cancelled,hold"));
  self.calls = 3;
  self.cancel = true;
  self.result = SHEEP_E_CANCELLED;
  fail_each_allocation(run, &self, 10);
}

static void a_close_with_calls_outstanding(void **state) {
  (void)state;
  scenario self = one_call(gateway_url("id=closed,hold"));
  self.options.max_connections = 2;
  self.calls = 4;
  self.close = true;
  self.result = SHEEP_E_CLOSED;
  fail_each_allocation(run, &self, 10);
}

static void a_queue_freed_with_calls_outstanding(void **state) {
  (void)state;
  scenario self = one_call(gateway_url("id=freed,hold"));
  self.calls = 4;
  self.free_queue = true;
  fail_each_allocation(run, &self, 10);
}

/* What libraries open once, and keep, is open before anything is counted. */
static int warm_up(void **state) {
  gateway_start(state);
  sheep_queue *queue = queue_new();
  sheep_pool *pool = pool_to(gateway_origin());
  submit(pool, queue);
  assert_int_equal(await_result(queue), SHEEP_OK);
  sheep_pool_free(pool);
  sheep_queue_free(queue);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_pool_with_every_option),
      cmocka_unit_test(calls_that_are_answered),
      cmocka_unit_test(calls_with_headers_of_their_own),
      cmocka_unit_test(other_methods),
      cmocka_unit_test(errors_and_large_replies),
      cmocka_unit_test(a_server_that_hangs_up),
      cmocka_unit_test(connections_that_close),
      cmocka_unit_test(a_name_to_look_up),
      cmocka_unit_test(tls),
      cmocka_unit_test(cancels),
      cmocka_unit_test(a_close_with_calls_outstanding),
      cmocka_unit_test(a_queue_freed_with_calls_outstanding),
  };
  return cmocka_run_group_tests(tests, warm_up, gateway_stop);
}
