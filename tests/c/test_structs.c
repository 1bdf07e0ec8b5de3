/* The option structs of callers that were built against an older or a newer header,
 * and what is refused at the door. */
#include "unit.h"

#include "calls.h"
#include "gateway.h"

#include <stdlib.h>
#include <string.h>

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)NULL)->member))

static void assert_invalid(int32_t result, const sheep_error *error, const char *argument) {
  assert_int_equal(result, SHEEP_E_INVALID);
  assert_int_equal(error->code, SHEEP_E_INVALID);
  assert_memory_equal(error->message, argument, strlen(argument));
}

/* ---------------------------------------------------------------------- init */

static void init_zeroes_all_but_the_size(void **state) {
  (void)state;
  char block[64];
  memset(block, 'x', sizeof block);
  assert_int_equal(sheep_pool_options_init((sheep_pool_options *)(void *)block, 48), SHEEP_OK);
  uint32_t size;
  memcpy(&size, block, sizeof size);
  assert_int_equal(size, 48);
  for (size_t i = sizeof size; i < sizeof block; i++) assert_int_equal(block[i], i < 48 ? 0 : 'x');
}

static void init_refuses_impossible_sizes(void **state) {
  (void)state;
  static const size_t impossible[] = {0, 3, 4097, SIZE_MAX};
  sheep_pool_options options;
  sheep_request request;
  for (size_t i = 0; i < LENGTH_OF(impossible); i++) {
    assert_int_equal(sheep_pool_options_init(&options, impossible[i]), SHEEP_E_INVALID);
    assert_int_equal(sheep_request_init(&request, impossible[i]), SHEEP_E_INVALID);
  }
  assert_int_equal(sheep_pool_options_init(NULL, sizeof options), SHEEP_E_INVALID);
  assert_int_equal(sheep_request_init(NULL, sizeof request), SHEEP_E_INVALID);
}

/* ------------------------------------------------------------------- options */

/* The first `size` bytes of a struct in a block of its own, so that a sanitizer sees
 * any access beyond; freed by the caller. */
static void *shrunk(const void *whole, uint32_t size) {
  char *block = malloc(size);
  assert_non_null(block);
  memcpy(block, whole, size);
  memcpy(block, &size, sizeof size);
  return block;
}

/* What lies behind the caller's struct is bad in every member. */
static void options_of_an_older_caller(void **state) {
  (void)state;
  static const size_t sizes[] = {
      END_OF(sheep_pool_options, base_url), END_OF(sheep_pool_options, api_key),
      END_OF(sheep_pool_options, ca_file), END_OF(sheep_pool_options, key_file),
      END_OF(sheep_pool_options, proxy), END_OF(sheep_pool_options, user_agent),
      END_OF(sheep_pool_options, header_count), END_OF(sheep_pool_options, connect_timeout_ms),
      END_OF(sheep_pool_options, keepalive_expiry_ms), sizeof(sheep_pool_options),
  };
  const sheep_pool_options whole = options_for("http://h");
  for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
    sheep_pool_options followed;
    memset(&followed, 0xfe, sizeof followed);
    memcpy(&followed, &whole, sizes[i]);
    followed.size = (uint32_t)sizes[i];
    sheep_pool_free(pool_with(&followed));
    sheep_pool_options *exact = shrunk(&whole, (uint32_t)sizes[i]);
    sheep_pool_free(pool_with(exact));
    free(exact);
  }
}

static void options_too_old_to_hold_a_url(void **state) {
  (void)state;
  static const uint32_t sizes[] = {END_OF(sheep_pool_options, size), END_OF(sheep_pool_options, insecure)};
  const sheep_pool_options whole = options_for("http://h");
  for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
    sheep_error error = {0};
    sheep_pool_options *older = shrunk(&whole, sizes[i]);
    assert_null(sheep_pool_new(older, &error));
    assert_invalid(error.code, &error, "base_url: ");
    free(older);
  }
}

typedef struct newer_options {
  sheep_pool_options known;
  uint64_t later[2];
} newer_options;

static void options_of_a_newer_caller(void **state) {
  (void)state;
  sheep_error error = {0};
  newer_options newer = {.known = options_for("http://h")};
  newer.known.size = sizeof newer;
  sheep_pool_free(pool_with(&newer.known));
  newer.later[1] = UINT64_C(1) << 63;
  assert_null(sheep_pool_new(&newer.known, &error));
  assert_invalid(error.code, &error, "options: ");
  newer.known.size = sizeof newer.known;
  sheep_pool_free(pool_with(&newer.known));
}

static void options_that_were_not_set_up(void **state) {
  (void)state;
  static const uint32_t sizes[] = {0, 1, 3, 4097, UINT32_MAX};
  sheep_pool_options options = options_for("http://h");
  for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
    sheep_error error = {0};
    options.size = sizes[i];
    assert_null(sheep_pool_new(&options, &error));
    assert_invalid(error.code, &error, "options: ");
  }
  assert_null(sheep_pool_new(NULL, NULL));
}

static void a_bad_option_is_named_and_the_key_is_not_shown(void **state) {
  (void)state;
  sheep_error error = {0};
  sheep_pool_options options = options_for("ftp://h");
  options.api_key = "sk-secret";
  assert_null(sheep_pool_new(&options, &error));
  assert_invalid(error.code, &error, "base_url: ");
  options.api_key = "sk-secret\n";
  assert_null(sheep_pool_new(&options, &error));
  assert_invalid(error.code, &error, "api_key: ");
  assert_null(strstr(error.message, "secret"));
  assert_null(sheep_pool_new(&options, NULL));
}

/* ------------------------------------------------------------------- requests */

/* An empty body comes back: what lies behind the caller's struct wasn't sent. */
static void assert_sends_nothing(sheep_pool *pool, sheep_queue *queue, const sheep_request *request) {
  submit_request(pool, queue, request);
  sheep_event event = await_event(queue);
  size_t length = 1;
  assert_int_equal(event.result, SHEEP_OK);
  assert_int_equal(sheep_reply_status(event.reply), 200);
  assert_string_equal(sheep_reply_body(event.reply, &length), "");
  assert_int_equal(length, 0);
  sheep_reply_free(event.reply);
}

static void requests_of_an_older_caller(void **state) {
  (void)state;
  static const size_t sizes[] = {
      END_OF(sheep_request, path), END_OF(sheep_request, body), END_OF(sheep_request, body_length),
      END_OF(sheep_request, header_count), END_OF(sheep_request, read_timeout_ms), sizeof(sheep_request),
  };
  sheep_pool *pool = pool_to(gateway_url("id=older,echo"));
  sheep_queue *queue = queue_new();
  sheep_request whole = small_request();
  whole.body_length = 0;
  for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
    sheep_request followed;
    memset(&followed, 0xfe, sizeof followed);
    memcpy(&followed, &whole, sizes[i]);
    followed.size = (uint32_t)sizes[i];
    assert_sends_nothing(pool, queue, &followed);
    sheep_request *exact = shrunk(&whole, (uint32_t)sizes[i]);
    assert_sends_nothing(pool, queue, exact);
    free(exact);
  }
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

typedef struct newer_request {
  sheep_request known;
  uint64_t later[2];
} newer_request;

static void requests_of_a_newer_caller(void **state) {
  (void)state;
  sheep_pool *pool = pool_to(gateway_url("id=newer"));
  sheep_queue *queue = queue_new();
  sheep_error error = {0};
  newer_request newer = {.known = small_request()};
  newer.known.size = sizeof newer;
  submit_request(pool, queue, &newer.known);
  assert_int_equal(await_result(queue), SHEEP_OK);
  newer.later[0] = 1;
  assert_invalid(sheep_submit(pool, queue, &newer.known, NULL, &error), &error, "request: ");
  assert_int_equal(stats_of(pool).submitted, 1);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

static void a_bad_request_is_named_and_not_submitted(void **state) {
  (void)state;
  const sheep_header bad = {"X", "a\nb"};
  const struct {
    const char *argument;
    sheep_request request;
  } cases[] = {
      {"request: ", {.size = 0}},
      {"cache_control: ", {.size = sizeof(sheep_request), .cache_control = 8, .path = "/"}},
      {"path: ", {.size = sizeof(sheep_request)}},
      {"path: ", {.size = sizeof(sheep_request), .path = "no slash"}},
      {"method: ", {.size = sizeof(sheep_request), .path = "/", .method = "G T"}},
      {"body: ", {.size = sizeof(sheep_request), .path = "/", .body_length = 1}},
      {"headers: ", {.size = sizeof(sheep_request), .path = "/", .headers = &bad, .header_count = 1}},
      {"total_timeout: ", {.size = sizeof(sheep_request), .path = "/", .total_timeout_ms = -2}},
  };
  sheep_pool *pool = pool_to("http://h");
  sheep_queue *queue = queue_new();
  for (size_t i = 0; i < LENGTH_OF(cases); i++) {
    sheep_error error = {0};
    assert_invalid(sheep_submit(pool, queue, &cases[i].request, NULL, &error), &error, cases[i].argument);
    assert_int_equal(sheep_submit(pool, queue, &cases[i].request, NULL, NULL), SHEEP_E_INVALID);
  }
  assert_int_equal(sheep_submit(pool, queue, NULL, NULL, NULL), SHEEP_E_INVALID);
  assert_int_equal(stats_of(pool).submitted, 0);
  assert_int_equal(sheep_queue_drain(queue, &(sheep_event){0}, 1), 0);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

/* ---------------------------------------------------------------------- stats */

static void stats_fill_no_more_than_the_caller_has(void **state) {
  (void)state;
  sheep_pool *pool = pool_to(gateway_url("id=stats"));
  sheep_queue *queue = queue_new();
  submit(pool, queue);
  assert_int_equal(await_result(queue), SHEEP_OK);
  struct {
    sheep_pool_stats known;
    uint64_t later;
  } block;
  memset(&block, 'x', sizeof block);
  block.known.size = END_OF(sheep_pool_stats, submitted);
  assert_int_equal(sheep_pool_get_stats(pool, &block.known), SHEEP_OK);
  assert_int_equal(block.known.submitted, 1);
  assert_int_equal(block.known.answered, UINT64_C(0x7878787878787878));
  block.known.size = sizeof block;
  assert_int_equal(sheep_pool_get_stats(pool, &block.known), SHEEP_OK);
  assert_int_equal(block.known.size, sizeof block);
  assert_int_equal(block.known.answered, 1);
  assert_int_equal(block.later, 0);
  block.known.size = 3;
  assert_int_equal(sheep_pool_get_stats(pool, &block.known), SHEEP_E_INVALID);
  block.known.size = 4097;
  assert_int_equal(sheep_pool_get_stats(pool, &block.known), SHEEP_E_INVALID);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
}

/* --------------------------------------------------------------------- others */

static void free_functions_take_null(void **state) {
  (void)state;
  sheep_pool_free(NULL);
  sheep_queue_free(NULL);
  sheep_reply_free(NULL);
}

static void the_version_is_three_numbers(void **state) {
  (void)state;
  const char *digits = "0123456789";
  const char *rest = sheep_version();
  for (int i = 0; i < 3; i++) {
    size_t length = strspn(rest, digits);
    assert_in_range(length, 1, 4);
    rest += length;
    if (i < 2) assert_int_equal(*rest++, '.');
  }
  assert_string_equal(rest, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(init_zeroes_all_but_the_size),
      cmocka_unit_test(init_refuses_impossible_sizes),
      cmocka_unit_test(options_of_an_older_caller),
      cmocka_unit_test(options_too_old_to_hold_a_url),
      cmocka_unit_test(options_of_a_newer_caller),
      cmocka_unit_test(options_that_were_not_set_up),
      cmocka_unit_test(a_bad_option_is_named_and_the_key_is_not_shown),
      cmocka_unit_test(requests_of_an_older_caller),
      cmocka_unit_test(requests_of_a_newer_caller),
      cmocka_unit_test(a_bad_request_is_named_and_not_submitted),
      cmocka_unit_test(stats_fill_no_more_than_the_caller_has),
      cmocka_unit_test(free_functions_take_null),
      cmocka_unit_test(the_version_is_three_numbers),
  };
  return cmocka_run_group_tests(tests, gateway_start, gateway_stop);
}
