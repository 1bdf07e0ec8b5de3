/* json.h: reading replies, and cJSON's traps. */
#include "unit.h"

#include "failing.h"

#include "alloc.h"
#include "json.h"

#include <cJSON.h>
#include <string.h>

static json_value *parse(const char *text) { return json_parse(text, strlen(text)); }

static void members_are_found_by_their_very_name(void **state) {
  (void)state;
  json_value *document = parse("{\"Error\":1,\"error\":{\"code\":\"x\"},\"error\":2}");
  assert_non_null(document);
  assert_true(json_is_object(document));
  assert_string_equal(json_string(json_member(json_member(document, "error"), "code")), "x");
  assert_int_equal(json_count(json_member(document, "Error"), 10, -1), 1);
  assert_null(json_member(document, "ERROR"));
  assert_null(json_member(json_member(document, "Error"), "code"));
  assert_null(json_member(NULL, "code"));
  json_free(document);
}

static void elements_come_in_order(void **state) {
  (void)state;
  json_value *document = parse(" [1, \"two\", null] ");
  const json_value *element = json_first(document);
  assert_int_equal(json_count(element, 10, -1), 1);
  element = json_next(element);
  assert_string_equal(json_string(element), "two");
  assert_false(json_is_null(element));
  element = json_next(element);
  assert_true(json_is_null(element));
  assert_null(json_string(element));
  assert_null(json_next(element));
  json_free(document);
}

static void what_has_no_elements_has_no_first(void **state) {
  (void)state;
  json_value *document = parse("{\"a\":[],\"b\":{\"c\":1}}");
  assert_null(json_first(json_member(document, "a")));
  assert_null(json_first(json_member(document, "b")));
  assert_null(json_first(NULL));
  assert_null(json_string(NULL));
  assert_false(json_is_null(NULL));
  assert_false(json_is_object(NULL));
  json_free(document);
}

static void more_than_one_value_is_none(void **state) {
  (void)state;
  assert_null(json_parse("{}x", 3));
  assert_null(json_parse("{} {}", 5));
  assert_null(json_parse("{}\0", 3));
  assert_null(json_parse("{}\0}", 4));
  assert_null(json_parse("", 0));
  assert_null(json_parse("{", 1));
  json_value *document = json_parse("{} \r\n\tx", 6);
  assert_non_null(document);
  json_free(document);
}

/* cJSON gives C strings, so "error\0..." would pass for "error". */
static void a_nul_ends_nothing(void **state) {
  (void)state;
  json_value *document = parse("{\"error\\u0000\":1,\"a\":\"b\\u0000c\\\\u0000\\u0000\"}");
  assert_null(json_member(document, "error"));
  assert_string_equal(json_string(json_member(document, "a")), "b\1c\\u0001\1");
  json_free(document);
}

static int64_t count(const char *number) {
  json_value *document = parse(number);
  int64_t counted = json_count(document, INT64_C(1) << 53, -7);
  json_free(document);
  return counted;
}

static void counts_are_whole_and_bounded(void **state) {
  (void)state;
  assert_int_equal(count("0"), 0);
  assert_int_equal(count("-0"), 0);
  assert_int_equal(count("17"), 17);
  assert_int_equal(count("1.7e1"), 17);
  assert_int_equal(count("9007199254740992"), INT64_C(9007199254740992));
  assert_int_equal(count("9007199254740994"), -7);
  assert_int_equal(count("1e400"), -7);
  assert_int_equal(count("-1"), -7);
  assert_int_equal(count("0.5"), -7);
  assert_int_equal(count("\"17\""), -7);
  assert_int_equal(count("true"), -7);
  assert_int_equal(count("[]"), -7);
  assert_int_equal(json_count(NULL, 1, -7), -7);
}

static void nesting_without_end_is_refused(void **state) {
  (void)state;
  static char text[200000];
  memset(text, '[', sizeof text);
  assert_null(json_parse(text, sizeof text));
}

static void scenario(void *context) {
  json_value *document = parse(context);
  if (document) assert_true(json_is_object(document));
  json_free(document);
}

static void without_memory_there_is_no_document(void **state) {
  (void)state;
  cJSON_Hooks hooks = {mem_alloc, mem_free};
  cJSON_InitHooks(&hooks);
  fail_each_allocation(scenario, (void *)(uintptr_t)"{\"a\":[1,{\"b\\u0000\":\"c\"}]}", 6);
  cJSON_InitHooks(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(members_are_found_by_their_very_name),
      cmocka_unit_test(elements_come_in_order),
      cmocka_unit_test(what_has_no_elements_has_no_first),
      cmocka_unit_test(more_than_one_value_is_none),
      cmocka_unit_test(a_nul_ends_nothing),
      cmocka_unit_test(counts_are_whole_and_bounded),
      cmocka_unit_test(nesting_without_end_is_refused),
      cmocka_unit_test(without_memory_there_is_no_document),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
