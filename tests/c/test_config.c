/* config.h: a pool's options, checked, completed and copied. */
#include "unit.h"

#include "config.h"
#include "failing.h"
#include "version.h"

#include <string.h>

static sheep_pool_options options_for(const char *url) {
  return (sheep_pool_options){.size = sizeof(sheep_pool_options), .base_url = url};
}

static void zero_means_the_default(void **state) {
  (void)state;
  sheep_pool_options options = options_for("http://h/v1");
  config *made = config_new(&options, NULL);
  assert_non_null(made);
  assert_int_equal(made->max_connections, 100);
  assert_int_equal(made->max_keepalive, 20);
  assert_true(made->verify);
  assert_string_equal(made->user_agent, "holysheep/" SHEEP_VERSION);
  assert_null(made->api_key);
  assert_null(made->proxy.text);
  assert_int_equal(made->limits.connect, 30000);
  assert_int_equal(made->limits.write, 30000);
  assert_int_equal(made->limits.read, 30000);
  assert_int_equal(made->limits.pool, -1);
  assert_int_equal(made->limits.total, -1);
  assert_int_equal(made->keepalive_expiry_ms, 30000);
  assert_int_equal(made->max_reply_bytes, 64 << 20);
  config_free(made);
}

static void minus_one_means_none(void **state) {
  (void)state;
  sheep_pool_options options = options_for("http://h");
  options.max_keepalive = -1;
  options.connect_timeout_ms = options.write_timeout_ms = options.read_timeout_ms = -1;
  options.keepalive_expiry_ms = -1;
  config *made = config_new(&options, NULL);
  assert_non_null(made);
  assert_int_equal(made->max_keepalive, 0);
  assert_int_equal(made->limits.connect, -1);
  assert_int_equal(made->limits.write, -1);
  assert_int_equal(made->limits.read, -1);
  assert_int_equal(made->keepalive_expiry_ms, INT64_MAX);
  config_free(made);
}

/* The caller's strings are overwritten; the copy must not change. */
static void copies_every_text(void **state) {
  (void)state;
  char url[] = "http://h/v1", key[] = "sk-1", agent[] = "agent/1", name[] = "X-A", value[] = "1";
  char proxy[] = "http://p:3128";
  sheep_header headers[] = {{name, value}, {"X-Empty", ""}};
  sheep_pool_options options = options_for(url);
  options.api_key = key;
  options.user_agent = agent;
  options.proxy = proxy;
  options.headers = headers;
  options.header_count = 2;
  config *made = config_new(&options, NULL);
  assert_non_null(made);
  url[0] = key[0] = agent[0] = name[0] = value[0] = proxy[0] = '!';
  assert_string_equal(made->origin.text, "http://h/v1");
  assert_string_equal(made->api_key, "sk-1");
  assert_string_equal(made->user_agent, "agent/1");
  assert_string_equal(made->proxy.text, "http://p:3128");
  assert_int_equal(made->header_count, 2);
  assert_string_equal(made->header_lines[0], "X-A: 1");
  assert_string_equal(made->header_lines[1], "X-Empty;");
  config_free(made);
}

static void assert_refused(const sheep_pool_options *options, const char *argument) {
  sheep_error error = {0};
  assert_null(config_new(options, &error));
  assert_int_equal(error.code, SHEEP_E_INVALID);
  assert_memory_equal(error.message, argument, strlen(argument));
  assert_null(strstr(error.message, "secret"));
}

#define ASSERT_REFUSED(argument, ...)                             \
  do {                                                            \
    sheep_pool_options options = {.base_url = "http://h", __VA_ARGS__}; \
    assert_refused(&options, argument ": ");                      \
  } while (0)

static void names_the_option_that_is_out_of_bounds(void **state) {
  (void)state;
  ASSERT_REFUSED("max_connections", .max_connections = 100001);
  ASSERT_REFUSED("max_connections", .max_connections = UINT32_MAX);
  ASSERT_REFUSED("max_keepalive", .max_keepalive = -2);
  ASSERT_REFUSED("max_keepalive", .max_keepalive = INT32_MIN);
  ASSERT_REFUSED("insecure", .insecure = 2);
  ASSERT_REFUSED("max_reply_bytes", .max_reply_bytes = -1);
  ASSERT_REFUSED("connect_timeout", .connect_timeout_ms = -2);
  ASSERT_REFUSED("write_timeout", .write_timeout_ms = -2);
  ASSERT_REFUSED("read_timeout", .read_timeout_ms = -2);
  ASSERT_REFUSED("pool_timeout", .pool_timeout_ms = -2);
  ASSERT_REFUSED("total_timeout", .total_timeout_ms = INT64_MAX);
  ASSERT_REFUSED("keepalive_expiry", .keepalive_expiry_ms = INT64_MIN);
}

static void names_the_option_whose_text_is_bad(void **state) {
  (void)state;
  const sheep_header bad = {"X", "secret\n"};
  assert_refused(&(sheep_pool_options){.api_key = "secret"}, "base_url: ");
  ASSERT_REFUSED("api_key", .api_key = "");
  ASSERT_REFUSED("api_key", .api_key = "secret\n");
  ASSERT_REFUSED("proxy", .proxy = "http://secret@");
  ASSERT_REFUSED("headers", .user_agent = "secret\r\nX: y");
  ASSERT_REFUSED("headers", .headers = &bad, .header_count = 1);
  ASSERT_REFUSED("headers", .header_count = 1);
}

static void files_must_be_readable(void **state) {
  (void)state;
  ASSERT_REFUSED("ca_file", .ca_file = "/nonexistent/secret.pem");
  ASSERT_REFUSED("cert_file", .cert_file = "/nonexistent/secret.pem");
  ASSERT_REFUSED("key_file", .key_file = "/nonexistent/secret.pem", .cert_file = "/dev/null");
  ASSERT_REFUSED("key_file", .key_file = "/dev/null");
  sheep_pool_options options = {.base_url = "https://h", .ca_file = "/dev/null", .cert_file = "/dev/null",
                                .key_file = "/dev/null"};
  config *made = config_new(&options, NULL);
  assert_non_null(made);
  assert_string_equal(made->ca_file, "/dev/null");
  assert_string_equal(made->cert_file, "/dev/null");
  assert_string_equal(made->key_file, "/dev/null");
  config_free(made);
}

static void the_greatest_values_are_taken(void **state) {
  (void)state;
  sheep_pool_options options = options_for("http://h");
  options.max_connections = 100000;
  options.max_keepalive = INT32_MAX;
  options.max_reply_bytes = INT64_MAX;
  options.insecure = 1;
  config *made = config_new(&options, NULL);
  assert_non_null(made);
  assert_int_equal(made->max_connections, 100000);
  assert_int_equal(made->max_keepalive, INT32_MAX);
  assert_true(made->max_reply_bytes >= SIZE_MAX / 2);
  assert_false(made->verify);
  config_free(made);
}

static void a_request_has_its_own_limits_or_the_pools(void **state) {
  (void)state;
  sheep_pool_options options = options_for("http://h");
  options.pool_timeout_ms = 7;
  config *made = config_new(&options, NULL);
  assert_non_null(made);
  sheep_request request = {.read_timeout_ms = 5, .write_timeout_ms = -1, .total_timeout_ms = 9};
  time_limits limits;
  assert_int_equal(config_limits(made, &request, &limits, NULL), SHEEP_OK);
  assert_int_equal(limits.connect, 30000);
  assert_int_equal(limits.write, -1);
  assert_int_equal(limits.read, 5);
  assert_int_equal(limits.pool, 7);
  assert_int_equal(limits.total, 9);
  config_free(made);
}

static void a_request_with_a_bad_limit_is_refused(void **state) {
  (void)state;
  sheep_pool_options options = options_for("http://h");
  config *made = config_new(&options, NULL);
  assert_non_null(made);
  const struct {
    const char *name;
    sheep_request request;
  } bad[] = {
      {"connect_timeout: ", {.connect_timeout_ms = -2}}, {"write_timeout: ", {.write_timeout_ms = -2}},
      {"read_timeout: ", {.read_timeout_ms = -2}},       {"pool_timeout: ", {.pool_timeout_ms = -2}},
      {"total_timeout: ", {.total_timeout_ms = -2}},
  };
  for (size_t i = 0; i < LENGTH_OF(bad); i++) {
    time_limits limits;
    sheep_error error;
    assert_int_equal(config_limits(made, &bad[i].request, &limits, &error), SHEEP_E_INVALID);
    assert_memory_equal(error.message, bad[i].name, strlen(bad[i].name));
  }
  config_free(made);
}

static void make_one(void *context) {
  sheep_error error;
  config *made = config_new(context, &error);
  if (!made) assert_int_equal(error.code, SHEEP_E_NOMEM);
  config_free(made);
}

static void without_memory_nothing_is_left(void **state) {
  (void)state;
  const sheep_header headers[] = {{"X-A", "1"}, {"X-B", ""}};
  sheep_pool_options options = {.base_url = "http://h", .api_key = "k", .proxy = "http://p",
                                .user_agent = "a", .ca_file = "/dev/null",
                                .cert_file = "/dev/null", .key_file = "/dev/null",
                                .headers = headers, .header_count = 2};
  fail_each_allocation(make_one, &options, 13);
  config_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(zero_means_the_default),
      cmocka_unit_test(minus_one_means_none),
      cmocka_unit_test(copies_every_text),
      cmocka_unit_test(names_the_option_that_is_out_of_bounds),
      cmocka_unit_test(names_the_option_whose_text_is_bad),
      cmocka_unit_test(files_must_be_readable),
      cmocka_unit_test(the_greatest_values_are_taken),
      cmocka_unit_test(a_request_has_its_own_limits_or_the_pools),
      cmocka_unit_test(a_request_with_a_bad_limit_is_refused),
      cmocka_unit_test(without_memory_nothing_is_left),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
