/* If a submission succeeds, exactly one event follows, whatever becomes of the call. */
#include "unit.h"

#include "calls.h"
#include "gateway.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void assert_no_more(const sheep_pool *pool, sheep_queue *queue) {
  assert_int_equal(sheep_queue_drain(queue, &(sheep_event){0}, 1), 0);
  assert_settled(pool);
}

/* One call of a fresh pool, and its one event; the caller frees the reply. */
static sheep_event only_event(const sheep_pool_options *options, const sheep_request *request) {
  sheep_pool *pool = pool_with(options);
  sheep_queue *queue = queue_new();
  uint64_t number = submit_request(pool, queue, request);
  sheep_event event = await_event(queue);
  assert_int_equal(event.tag, request->tag);
  assert_int_equal(event.call, number);
  assert_no_more(pool, queue);
  assert_int_equal(sheep_cancel(pool, number), SHEEP_OK);
  sheep_pool_free(pool);
  assert_int_equal(sheep_queue_drain(queue, &(sheep_event){0}, 1), 0);
  sheep_queue_free(queue);
  return event;
}

static void assert_outcome(const sheep_pool_options *options, const sheep_request *request, int32_t result,
                           int32_t sent) {
  sheep_event event = only_event(options, request);
  assert_string_equal(sheep_error_name(event.result), sheep_error_name(result));
  assert_int_equal(sheep_reply_sent(event.reply), sent);
  assert_true(!*sheep_reply_message(event.reply) == (result == SHEEP_OK));
  assert_true(sheep_reply_latency_us(event.reply) >= 0);
  sheep_reply_free(event.reply);
}

/* -------------------------------------------------------------------- replies */

static void a_reply_has_status_headers_and_body(void **state) {
  (void)state;
  sheep_pool_options options = options_for(gateway_url("id=whole,status=404,echo,header=X-Extra:e"));
  sheep_request request = small_request();
  request.tag = UINT64_MAX;
  sheep_event event = only_event(&options, &request);
  size_t length = 0;
  sheep_header header;
  assert_int_equal(event.result, SHEEP_OK);
  assert_int_equal(sheep_reply_status(event.reply), 404);
  assert_string_equal(sheep_reply_reason(event.reply), "Not Found");
  assert_string_equal(sheep_reply_body(event.reply, &length), request.body);
  assert_int_equal(length, request.body_length);
  assert_string_equal(sheep_reply_header(event.reply, "x-extra"), "e");
  assert_int_equal(sheep_reply_header_at(event.reply, 0, &header), SHEEP_OK);
  assert_string_equal(header.value, sheep_reply_header(event.reply, header.name));
  assert_string_equal(sheep_reply_message(event.reply), "");
  sheep_reply_free(event.reply);
}

static void whatever_the_server_does_there_is_one_event(void **state) {
  (void)state;
  static const struct {
    const char *script;
    int32_t result, sent;
  } cases[] = {
      {"status=200", SHEEP_OK, SHEEP_ANSWERED},
      {"status=302,redirect", SHEEP_OK, SHEEP_ANSWERED},
      {"status=503", SHEEP_OK, SHEEP_ANSWERED},
      {"empty", SHEEP_OK, SHEEP_ANSWERED},
      {"gzip", SHEEP_OK, SHEEP_ANSWERED},
      {"interim=3", SHEEP_OK, SHEEP_ANSWERED},
      {"no_length", SHEEP_OK, SHEEP_ANSWERED},
      {"close=before", SHEEP_E_PROTOCOL, SHEEP_POSSIBLY_SENT},
      {"close=rst", SHEEP_E_READ, SHEEP_POSSIBLY_SENT},
      {"close=head", SHEEP_E_PROTOCOL, SHEEP_POSSIBLY_SENT},
      {"close=body", SHEEP_E_PROTOCOL, SHEEP_ANSWERED},
      {"truncate=1", SHEEP_E_PROTOCOL, SHEEP_ANSWERED},
      {"garbage", SHEEP_E_PROTOCOL, SHEEP_POSSIBLY_SENT},
      {"badchunk", SHEEP_E_PROTOCOL, SHEEP_ANSWERED},
      {"badgzip", SHEEP_E_DECODING, SHEEP_ANSWERED},
      {"size=5000", SHEEP_E_TOO_LARGE, SHEEP_ANSWERED},
      {"bomb=1", SHEEP_E_TOO_LARGE, SHEEP_ANSWERED},
  };
  for (size_t i = 0; i < LENGTH_OF(cases); i++) {
    char script[128], id[32];
    snprintf(id, sizeof id, "server%zu", i);
    snprintf(script, sizeof script, "id=%s,%s", id, cases[i].script);
    sheep_pool_options options = options_for(gateway_url(script));
    options.max_reply_bytes = 4096;
    sheep_request request = small_request();
    assert_outcome(&options, &request, cases[i].result, cases[i].sent);
    assert_int_equal(gateway_count(id).requests, 1); /* sent once */
  }
}

/* The server takes the second request of a connection and hangs up: libcurl alone
 * would send it once more. */
static void nothing_is_sent_twice(void **state) {
  (void)state;
  sheep_pool *pool = pool_to(gateway_url("id=once,reuse_close"));
  sheep_queue *queue = queue_new();
  for (int i = 0; i < 6; i++) {
    submit(pool, queue);
    sheep_event event = await_event(queue);
    assert_int_equal(event.result, i % 2 ? SHEEP_E_PROTOCOL : SHEEP_OK);
    assert_int_equal(sheep_reply_sent(event.reply), i % 2 ? SHEEP_POSSIBLY_SENT : SHEEP_ANSWERED);
    sheep_reply_free(event.reply);
  }
  assert_int_equal(gateway_count("once").requests, 6);
  assert_no_more(pool, queue);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

/* ----------------------------------------------------------------- no connection */

/* A port that nobody listens on, or one that takes connections and says nothing. */
static int bound_socket(char *url, size_t size, const char *scheme, int listening) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
  if (listening) assert_int_equal(listen(fd, 8), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
  snprintf(url, size, "%s://127.0.0.1:%d", scheme, ntohs(address.sin_port));
  return fd;
}

static void refused(void **state) {
  (void)state;
  char url[64];
  int fd = bound_socket(url, sizeof url, "http", 0);
  sheep_pool_options options = options_for(url);
  sheep_request request = small_request();
  assert_outcome(&options, &request, SHEEP_E_CONNECT, SHEEP_NOT_SENT);
  close(fd);
}

/* RFC 1035, 2.3.4: a label has at most 63 bytes, so no name server is asked. */
static void a_name_that_cannot_be(void **state) {
  (void)state;
  char url[128];
  snprintf(url, sizeof url, "http://%064d.test", 0);
  sheep_pool_options options = options_for(url);
  sheep_request request = small_request();
  assert_outcome(&options, &request, SHEEP_E_RESOLVE, SHEEP_NOT_SENT);
}

static void a_name_is_looked_up(void **state) {
  (void)state;
  char url[128];
  snprintf(url, sizeof url, "http://127.1:%s", strrchr(gateway_origin(), ':') + 1);
  sheep_pool_options options = options_for(url);
  sheep_request request = small_request();
  assert_outcome(&options, &request, SHEEP_OK, SHEEP_ANSWERED);
}

static void tls_with_a_known_authority_and_without(void **state) {
  (void)state;
  sheep_pool_options options = options_for(gateway_tls_url("id=tls"));
  sheep_request request = small_request();
  assert_outcome(&options, &request, SHEEP_E_TLS, SHEEP_NOT_SENT);
  assert_int_equal(gateway_count("tls").requests, 0);
  options.insecure = 1;
  assert_outcome(&options, &request, SHEEP_OK, SHEEP_ANSWERED);
  options.insecure = 0;
  options.ca_file = gateway_ca_file();
  assert_outcome(&options, &request, SHEEP_OK, SHEEP_ANSWERED);
}

/* -------------------------------------------------------------------- time-outs */

static void times_that_run_out(void **state) {
  (void)state;
  char silent[64];
  int fd = bound_socket(silent, sizeof silent, "https", 1);
  sheep_pool_options options = options_for(silent);
  sheep_request request = small_request();
  request.connect_timeout_ms = 40;
  assert_outcome(&options, &request, SHEEP_E_CONNECT_TIMEOUT, SHEEP_NOT_SENT);
  close(fd);
  options = options_for(gateway_url("id=slow,hold"));
  request = small_request();
  request.read_timeout_ms = 40;
  assert_outcome(&options, &request, SHEEP_E_READ_TIMEOUT, SHEEP_POSSIBLY_SENT);
  request.read_timeout_ms = -1;
  request.total_timeout_ms = 40;
  assert_outcome(&options, &request, SHEEP_E_TOTAL_TIMEOUT, SHEEP_POSSIBLY_SENT);
}

static void a_server_that_does_not_read(void **state) {
  (void)state;
  enum { MUCH = 32 << 20 };
  sheep_pool_options options = options_for(gateway_url("id=deaf,noread=60000"));
  sheep_request request = small_request();
  char *body = calloc(1, MUCH);
  assert_non_null(body);
  request.body = body;
  request.body_length = MUCH;
  request.write_timeout_ms = 40;
  assert_outcome(&options, &request, SHEEP_E_WRITE_TIMEOUT, SHEEP_POSSIBLY_SENT);
  free(body);
}

static void times_of_an_ended_call_run_out_unnoticed(void **state) {
  (void)state;
  sheep_pool *pool = pool_to(gateway_url("id=ended"));
  sheep_queue *queue = queue_new();
  sheep_request request = small_request();
  request.pool_timeout_ms = request.connect_timeout_ms = request.write_timeout_ms = 5000;
  request.read_timeout_ms = request.total_timeout_ms = 5000;
  for (int i = 0; i < 20; i++) {
    if (i == 10) request.total_timeout_ms = 1; /* either may come first */
    submit_request(pool, queue, &request);
    int32_t result = await_result(queue);
    assert_true(result == SHEEP_OK || (i >= 10 && result == SHEEP_E_TOTAL_TIMEOUT));
  }
  usleep(50000);
  submit(pool, queue);
  assert_int_equal(await_result(queue), SHEEP_OK);
  assert_no_more(pool, queue);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

static void no_place_in_time(void **state) {
  (void)state;
  sheep_pool_options options = options_for(gateway_url("id=full,hold"));
  options.max_connections = 1;
  sheep_pool *pool = pool_with(&options);
  sheep_queue *queue = queue_new();
  sheep_request request = small_request();
  uint64_t first = submit(pool, queue);
  request.pool_timeout_ms = 40;
  uint64_t second = submit_request(pool, queue, &request);
  sheep_event event = await_event(queue);
  assert_int_equal(event.call, second);
  assert_int_equal(event.result, SHEEP_E_POOL_TIMEOUT);
  assert_int_equal(sheep_reply_sent(event.reply), SHEEP_NOT_SENT);
  sheep_reply_free(event.reply);
  gateway_await_active("full", 1);
  gateway_release("full");
  event = await_event(queue);
  assert_int_equal(event.call, first);
  assert_int_equal(event.result, SHEEP_OK);
  sheep_reply_free(event.reply);
  assert_no_more(pool, queue);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

/* --------------------------------------------------------- cancel, close, free */

static void assert_cancels(sheep_pool *pool, sheep_queue *queue, uint64_t number, int32_t sent) {
  assert_int_equal(sheep_cancel(pool, number), SHEEP_OK);
  assert_int_equal(sheep_cancel(pool, number), SHEEP_OK);
  sheep_event event = await_event(queue);
  assert_int_equal(event.call, number);
  assert_int_equal(event.result, SHEEP_E_CANCELLED);
  assert_int_equal(sheep_reply_sent(event.reply), sent);
  sheep_reply_free(event.reply);
}

static void cancelled_while_active_and_while_waiting(void **state) {
  (void)state;
  sheep_pool_options options = options_for(gateway_origin());
  options.max_connections = 1;
  sheep_pool *pool = pool_with(&options);
  sheep_queue *queue = queue_new();
  uint64_t first = submit_path(pool, queue, "/x/id=first,hold/");
  uint64_t second = submit_path(pool, queue, "/x/id=second,hold/");
  uint64_t third = submit_path(pool, queue, "/x/id=third,hold/");
  gateway_await_active("first", 1);
  assert_cancels(pool, queue, second, SHEEP_NOT_SENT);
  assert_cancels(pool, queue, first, SHEEP_POSSIBLY_SENT);
  gateway_await_active("first", 0); /* the transfer stopped */
  gateway_await_active("third", 1); /* and its place went to the next */
  assert_cancels(pool, queue, third, SHEEP_POSSIBLY_SENT);
  gateway_await_active("third", 0);
  assert_int_equal(gateway_count("second").requests, 0);
  assert_no_more(pool, queue);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

static void unknown_numbers_are_left_alone(void **state) {
  (void)state;
  sheep_pool *pool = pool_to(gateway_url("id=unknown"));
  sheep_queue *queue = queue_new();
  assert_int_equal(sheep_cancel(pool, 1), SHEEP_OK); /* before the thread runs */
  uint64_t number = submit(pool, queue);
  assert_int_equal(sheep_cancel(pool, 0), SHEEP_OK);
  assert_int_equal(sheep_cancel(pool, number + 1), SHEEP_OK);
  assert_int_equal(sheep_cancel(pool, UINT64_MAX), SHEEP_OK);
  assert_int_equal(await_result(queue), SHEEP_OK);
  assert_true(submit(pool, queue) > number);
  assert_int_equal(await_result(queue), SHEEP_OK);
  assert_no_more(pool, queue);
  sheep_pool_close(pool);
  assert_int_equal(sheep_cancel(pool, number), SHEEP_OK);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

static void closed_with_calls_in_every_state(void **state) {
  (void)state;
  sheep_pool_options options = options_for(gateway_url("id=closed,hold"));
  options.max_connections = 2;
  sheep_pool *pool = pool_with(&options);
  sheep_queue *queue = queue_new();
  for (int i = 0; i < 5; i++) submit(pool, queue);
  gateway_await_active("closed", 2);
  for (int i = 0; i < 5; i++) submit(pool, queue);
  sheep_pool_close(pool);
  await_results(queue, 10, SHEEP_E_CLOSED);
  assert_no_more(pool, queue);
  sheep_request request = small_request();
  sheep_error error = {0};
  assert_int_equal(sheep_submit(pool, queue, &request, NULL, &error), SHEEP_E_CLOSED);
  assert_int_equal(error.code, SHEEP_E_CLOSED);
  sheep_pool_close(pool);
  assert_no_more(pool, queue);
  gateway_await_active("closed", 0);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

/* Calls that wait for the addresses, that are about to start, and that are sent. */
static void closed_while_a_name_is_looked_up(void **state) {
  (void)state;
  enum { CALLS = 200 };
  uint64_t seed = 3;
  char url[128];
  snprintf(url, sizeof url, "http://127.1%s", strrchr(gateway_origin(), ':'));
  for (int round = 0; round < 30; round++) {
    sheep_pool_options options = options_for(url);
    options.max_connections = CALLS;
    sheep_pool *pool = pool_with(&options);
    sheep_queue *queue = queue_new();
    for (int i = 0; i < CALLS; i++) submit_path(pool, queue, "/x/id=named,hold/");
    usleep((useconds_t)random_below(&seed, 3000));
    sheep_pool_close(pool);
    await_results(queue, CALLS, SHEEP_E_CLOSED);
    assert_no_more(pool, queue);
    sheep_queue_free(queue);
    sheep_pool_free(pool);
  }
}

static void a_freed_queue_takes_its_calls_along(void **state) {
  (void)state;
  sheep_pool_options options = options_for(gateway_origin());
  options.max_connections = 2;
  sheep_pool *pool = pool_with(&options);
  sheep_queue *freed = queue_new();
  sheep_queue *kept = queue_new();
  for (int i = 0; i < 4; i++) submit_path(pool, freed, "/x/id=orphan,hold/");
  submit_path(pool, kept, "/x/id=kept,hold/");
  gateway_await_active("orphan", 2);
  sheep_queue_free(freed);
  gateway_await_active("orphan", 0);
  gateway_await_active("kept", 1);
  gateway_release("kept");
  assert_int_equal(await_result(kept), SHEEP_OK);
  assert_no_more(pool, kept);
  assert_int_equal(stats_of(pool).cancelled, 4);
  sheep_queue_free(kept);
  sheep_pool_free(pool);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_reply_has_status_headers_and_body),
      cmocka_unit_test(whatever_the_server_does_there_is_one_event),
      cmocka_unit_test(nothing_is_sent_twice),
      cmocka_unit_test(refused),
      cmocka_unit_test(a_name_that_cannot_be),
      cmocka_unit_test(a_name_is_looked_up),
      cmocka_unit_test(tls_with_a_known_authority_and_without),
      cmocka_unit_test(times_that_run_out),
      cmocka_unit_test(a_server_that_does_not_read),
      cmocka_unit_test(times_of_an_ended_call_run_out_unnoticed),
      cmocka_unit_test(no_place_in_time),
      cmocka_unit_test(cancelled_while_active_and_while_waiting),
      cmocka_unit_test(unknown_numbers_are_left_alone),
      cmocka_unit_test(closed_with_calls_in_every_state),
      cmocka_unit_test(closed_while_a_name_is_looked_up),
      cmocka_unit_test(a_freed_queue_takes_its_calls_along),
  };
  return cmocka_run_group_tests(tests, gateway_start, gateway_stop);
}
