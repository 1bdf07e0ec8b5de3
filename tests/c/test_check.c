/* check.h: what users give is refused before it goes on the wire, by a message
 * that names the argument and never shows the value. */
#include "unit.h"

#include "check.h"
#include "failing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `count` times the letter 'a' between two texts; the caller frees it. */
static char *stretched(const char *before, size_t count, const char *after) {
  size_t head = strlen(before);
  char *text = malloc(head + count + strlen(after) + 1);
  assert_non_null(text);
  memcpy(text, before, head);
  memset(text + head, 'a', count);
  strcpy(text + head + count, after);
  return text;
}

static void assert_names(const sheep_error *error, int32_t result, const char *argument) {
  assert_int_equal(result, SHEEP_E_INVALID);
  assert_int_equal(error->code, SHEEP_E_INVALID);
  assert_memory_equal(error->message, argument, strlen(argument));
  assert_null(strchr(error->message, '\n'));
}

/* ----------------------------------------------------------------- base URLs */

static void takes_base_urls_apart(void **state) {
  (void)state;
  static const struct {
    const char *given, *text, *host;
    uint16_t port;
    bool tls;
  } cases[] = {
      {"http://example.com", "http://example.com", "example.com", 80, false},
      {"https://example.com", "https://example.com", "example.com", 443, true},
      {"HTTPS://Example.com/v1", "HTTPS://Example.com/v1", "Example.com", 443, true},
      {"http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1", "127.0.0.1", 8080, false},
      {"http://h:1//", "http://h:1", "h", 1, false},
      {"http://h:65535/", "http://h:65535", "h", 65535, false},
      {"https://[::1]/v1", "https://[::1]/v1", "::1", 443, true},
      {"http://[fe80::1%eth0]:8080", "http://[fe80::1%eth0]:8080", "fe80::1%eth0", 8080, false},
      {"http://a_b-c.example:080", "http://a_b-c.example:080", "a_b-c.example", 80, false},
      {"http://h/a@b", "http://h/a@b", "h", 80, false},
  };
  for (size_t i = 0; i < LENGTH_OF(cases); i++) {
    base_url url;
    sheep_error error;
    assert_int_equal(check_base_url(cases[i].given, &url, &error), SHEEP_OK);
    assert_string_equal(url.text, cases[i].text);
    assert_string_equal(url.host, cases[i].host);
    assert_int_equal(url.port, cases[i].port);
    assert_int_equal(url.tls, cases[i].tls);
    base_url_free(&url);
    assert_null(url.text);
  }
}

static void refuses_bad_base_urls(void **state) {
  (void)state;
  static const char *const bad[] = {
      NULL, "", "example.com", "/v1", "ftp://h", "http:/h", "http//h", "file:///etc/passwd",
      "http://", "http:///v1", "http://:80", "http://?", "https://#",
      "http://h:", "http://h:0", "http://h:65536", "http://h:99999999999999999999", "http://h:-1",
      "http://h:8o", "http://h:80:80", "http://::1/", "http://[::1", "http://[]", "http://[::1]80",
      "http://[::1]:", "http://[g<>]", "http://h!", "http://h\\h", "http://a,b", "http://[::1]]",
      "http://user@h", "http://user:password@h/", "http://@h", "http://h?query", "http://h/v1?q=1",
      "http://h/v1#part", "http://h /", "http://h/v 1", "http://h/\n", "http://h\r\nX: y",
      "http://h/\x7f", "http://h/\xc3\xa9", "http://\xc3\xa9/", "\thttp://h",
  };
  for (size_t i = 0; i < LENGTH_OF(bad); i++) {
    base_url url;
    sheep_error error;
    assert_names(&error, check_base_url(bad[i], &url, &error), "base_url: ");
    assert_null(url.text);
    assert_null(url.host);
  }
}

static void base_urls_have_a_greatest_length(void **state) {
  (void)state;
  base_url url;
  sheep_error error;
  char *longest = stretched("http://h/", 8192 - strlen("http://h/"), "");
  char *longer = stretched("http://h/", 8193 - strlen("http://h/"), "");
  char *host = stretched("http://", 256, "/");
  assert_int_equal(check_base_url(longest, &url, &error), SHEEP_OK);
  base_url_free(&url);
  assert_names(&error, check_base_url(longer, &url, &error), "base_url: ");
  assert_names(&error, check_base_url(host, &url, &error), "base_url: ");
  host[7 + 255] = '/';
  assert_int_equal(check_base_url(host, &url, &error), SHEEP_OK);
  base_url_free(&url);
  free(longest);
  free(longer);
  free(host);
}

static void check_one_url(void *context) {
  (void)context;
  base_url url;
  sheep_error error;
  int32_t result = check_base_url("http://h:8080/v1", &url, &error);
  if (result) {
    assert_int_equal(result, SHEEP_E_NOMEM);
    assert_int_equal(error.code, SHEEP_E_NOMEM);
  }
  base_url_free(&url);
}

static void base_urls_without_memory(void **state) {
  (void)state;
  fail_each_allocation(check_one_url, NULL, 2);
}

/* -------------------------------------------------------------------- proxies */

static void takes_proxies_apart(void **state) {
  (void)state;
  static const struct {
    const char *given, *host;
    uint16_t port;
  } cases[] = {
      {"http://proxy:3128", "proxy", 3128},
      {"http://proxy", "proxy", 80},
      {"http://user:p@ss@proxy:3128/", "proxy", 3128},
      {"http://user@[::1]:3128", "::1", 3128},
  };
  for (size_t i = 0; i < LENGTH_OF(cases); i++) {
    base_url url;
    sheep_error error;
    assert_int_equal(check_proxy(cases[i].given, &url, &error), SHEEP_OK);
    assert_string_equal(url.host, cases[i].host);
    assert_int_equal(url.port, cases[i].port);
    base_url_free(&url);
  }
}

static void refuses_bad_proxies_without_showing_the_password(void **state) {
  (void)state;
  static const char *const bad[] = {
      "", "proxy:3128", "https://proxy", "socks5://u:secret@proxy", "http://u:secret@",
      "http://u:secret@proxy:0", "http://u:secret@pro xy", "http://u:secret@proxy:port",
      "http://u:sec\nret@proxy",
  };
  for (size_t i = 0; i < LENGTH_OF(bad); i++) {
    base_url url;
    sheep_error error;
    assert_names(&error, check_proxy(bad[i], &url, &error), "proxy: ");
    assert_null(strstr(error.message, "secret"));
    assert_null(url.text);
  }
}

/* ----------------------------------------------------------- keys and methods */

static void checks_api_keys(void **state) {
  (void)state;
  static const char *const bad[] = {"", "sk-secret\n", "\rsk-secret", "sk-secret\t", "sk-secr\xc3\xa9t",
                                    "sk-secret\x7f"};
  sheep_error error;
  char *longest = stretched("", 32768, "");
  char *longer = stretched("", 32769, "");
  assert_int_equal(check_api_key("sk-Az09_.~+/=", &error), SHEEP_OK);
  assert_int_equal(check_api_key(longest, &error), SHEEP_OK);
  assert_names(&error, check_api_key(longer, &error), "api_key: ");
  for (size_t i = 0; i < LENGTH_OF(bad); i++) {
    assert_names(&error, check_api_key(bad[i], &error), "api_key: ");
    assert_null(strstr(error.message, "secr"));
  }
  free(longest);
  free(longer);
}

static void checks_methods(void **state) {
  (void)state;
  static const char *const good[] = {"GET", "POST", "DELETE", "M-SEARCH", "get"};
  static const char *const bad[] = {"", "GET ", "GE T", "G\nET", "GET/", "GE\xc3\xa9",
                                    "THIS-METHOD-IS-LONGER-THAN-32-BYT"};
  sheep_error error;
  for (size_t i = 0; i < LENGTH_OF(good); i++) assert_int_equal(check_method(good[i], &error), SHEEP_OK);
  for (size_t i = 0; i < LENGTH_OF(bad); i++)
    assert_names(&error, check_method(bad[i], &error), "method: ");
}

static void checks_paths(void **state) {
  (void)state;
  static const char *const good[] = {"/", "/chat/completions", "/a?b=c&d=%20", "/../x", "//"};
  static const char *const bad[] = {NULL, "", "chat", "?q", "/a b", "/a#b", "/a\n", "/a\r\nHost: x",
                                    "/\xc3\xa9", "http://h/"};
  sheep_error error;
  char *longer = stretched("/", 8192, "");
  for (size_t i = 0; i < LENGTH_OF(good); i++) assert_int_equal(check_path(good[i], &error), SHEEP_OK);
  for (size_t i = 0; i < LENGTH_OF(bad); i++)
    assert_names(&error, check_path(bad[i], &error), "path: ");
  assert_names(&error, check_path(longer, &error), "path: ");
  longer[8192] = '\0';
  assert_int_equal(check_path(longer, &error), SHEEP_OK);
  free(longer);
}

/* -------------------------------------------------------------------- headers */

static void takes_any_field_value_without_control_characters(void **state) {
  (void)state;
  const sheep_header headers[] = {
      {"X-Empty", ""},
      {"x_1!#$%&'*+-.^`|~", "a\tb"},
      {"Accept", "\xc3\xa9 \xff"},
      {"Authorization", "Basic eA=="},
  };
  sheep_error error;
  assert_int_equal(check_headers(headers, LENGTH_OF(headers), &error), SHEEP_OK);
  assert_int_equal(check_headers(NULL, 0, &error), SHEEP_OK);
}

static void refuses_bad_headers_without_showing_their_values(void **state) {
  (void)state;
  const sheep_header bad[] = {
      {NULL, "secret"}, {"", "secret"}, {"A B", "secret"}, {"A:", "secret"}, {"A\n", "secret"},
      {"\xc3\xa9", "secret"}, {"X", NULL}, {"X", "secret\r\nY: z"}, {"X", "secret\n"}, {"X", "\x01secret"},
      {"X", "secret\x7f"},
  };
  sheep_error error;
  for (size_t i = 0; i < LENGTH_OF(bad); i++) {
    const sheep_header two[] = {{"Accept", "*/*"}, bad[i]};
    assert_names(&error, check_headers(two, 2, &error), "headers: ");
    assert_null(strstr(error.message, "secret"));
  }
  assert_names(&error, check_headers(NULL, 1, &error), "headers: ");
}

static void refuses_headers_that_frame_the_message(void **state) {
  (void)state;
  static const char *const reserved[] = {"Host", "content-length", "Transfer-Encoding", "CONNECTION",
                                         "Upgrade", "Expect", "Keep-Alive", "TE", "Trailer",
                                         "Proxy-Connection"};
  sheep_error error;
  for (size_t i = 0; i < LENGTH_OF(reserved); i++) {
    const sheep_header header = {reserved[i], "x"};
    assert_names(&error, check_headers(&header, 1, &error), "headers: ");
  }
}

static void headers_are_bounded_in_size_and_number(void **state) {
  (void)state;
  sheep_header many[257];
  sheep_error error;
  char *value = stretched("", 65537, "");
  char *name = stretched("", 257, "");
  for (size_t i = 0; i < LENGTH_OF(many); i++) many[i] = (sheep_header){"X", "y"};
  assert_int_equal(check_headers(many, 256, &error), SHEEP_OK);
  assert_names(&error, check_headers(many, 257, &error), "headers: ");
  assert_names(&error, check_headers(&(sheep_header){"X", value}, 1, &error), "headers: ");
  assert_names(&error, check_headers(&(sheep_header){name, "x"}, 1, &error), "headers: ");
  value[65536] = name[256] = '\0';
  assert_int_equal(check_headers(&(sheep_header){name, value}, 1, &error), SHEEP_OK);
  free(value);
  free(name);
}

/* ------------------------------------------------------------------- durations */

static void checks_durations(void **state) {
  (void)state;
  static const int64_t century = INT64_C(100) * 366 * 24 * 3600 * 1000;
  static const int64_t good[] = {-1, 0, 1, 30000};
  static const int64_t bad[] = {-2, INT64_MIN, INT64_MAX};
  sheep_error error;
  for (size_t i = 0; i < LENGTH_OF(good); i++)
    assert_int_equal(check_timeout("read_timeout", good[i], &error), SHEEP_OK);
  for (size_t i = 0; i < LENGTH_OF(bad); i++)
    assert_names(&error, check_timeout("read_timeout", bad[i], &error), "read_timeout: ");
  assert_int_equal(check_timeout("t", century, &error), SHEEP_OK);
  assert_names(&error, check_timeout("t", century + 1, &error), "t: ");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_base_urls_apart),
      cmocka_unit_test(refuses_bad_base_urls),
      cmocka_unit_test(base_urls_have_a_greatest_length),
      cmocka_unit_test(base_urls_without_memory),
      cmocka_unit_test(takes_proxies_apart),
      cmocka_unit_test(refuses_bad_proxies_without_showing_the_password),
      cmocka_unit_test(checks_api_keys),
      cmocka_unit_test(checks_methods),
      cmocka_unit_test(checks_paths),
      cmocka_unit_test(takes_any_field_value_without_control_characters),
      cmocka_unit_test(refuses_bad_headers_without_showing_their_values),
      cmocka_unit_test(refuses_headers_that_frame_the_message),
      cmocka_unit_test(headers_are_bounded_in_size_and_number),
      cmocka_unit_test(checks_durations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
