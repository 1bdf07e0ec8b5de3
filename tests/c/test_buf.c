/* buf.h: a growing byte buffer with a cap. */
#include "unit.h"

#include "alloc.h"
#include "buf.h"
#include "error.h"

#include <string.h>

static const size_t NO_LIMIT = SIZE_MAX;

static void appends_and_terminates(void **state) {
  (void)state;
  buf text = {0};
  assert_int_equal(buf_append(&text, "ab", 2, NO_LIMIT), SHEEP_OK);
  assert_int_equal(buf_append(&text, "", 0, NO_LIMIT), SHEEP_OK);
  assert_int_equal(buf_append(&text, "c\0d", 3, NO_LIMIT), SHEEP_OK);
  assert_int_equal(text.length, 5);
  assert_memory_equal(text.data, "abc\0d", 6);
  buf_free(&text);
  assert_null(text.data);
  assert_int_equal(text.length, 0);
}

static void nothing_appended_to_nothing_is_an_empty_string(void **state) {
  (void)state;
  buf text = {0};
  assert_int_equal(buf_append(&text, NULL, 0, 0), SHEEP_OK);
  assert_string_equal(text.data, "");
  buf_free(&text);
}

static void fills_up_to_the_limit_and_no_further(void **state) {
  (void)state;
  buf text = {0};
  assert_int_equal(buf_append(&text, "12345", 5, 8), SHEEP_OK);
  assert_int_equal(buf_append(&text, "6789", 4, 8), SHEEP_E_TOO_LARGE);
  assert_string_equal(text.data, "12345");
  assert_int_equal(buf_append(&text, "678", 3, 8), SHEEP_OK);
  assert_int_equal(buf_append(&text, "9", 1, 8), SHEEP_E_TOO_LARGE);
  assert_int_equal(buf_append(&text, "", 0, 8), SHEEP_OK);
  assert_string_equal(text.data, "12345678");
  assert_in_range(text.capacity, 9, 9);
  buf_free(&text);
}

static void a_limit_below_what_is_there_refuses(void **state) {
  (void)state;
  buf text = {0};
  assert_int_equal(buf_append(&text, "12345", 5, NO_LIMIT), SHEEP_OK);
  assert_int_equal(buf_append(&text, "", 0, 4), SHEEP_E_TOO_LARGE);
  assert_int_equal(buf_append(&text, "6", 1, 4), SHEEP_E_TOO_LARGE);
  assert_string_equal(text.data, "12345");
  buf_free(&text);
}

/* The bytes aren't touched: the sizes alone are refused. */
static void lengths_that_overflow_are_refused(void **state) {
  (void)state;
  buf text = {0};
  assert_int_equal(buf_append(&text, "12345", 5, NO_LIMIT), SHEEP_OK);
  assert_int_equal(buf_append(&text, "", SIZE_MAX, NO_LIMIT), SHEEP_E_TOO_LARGE);
  assert_int_equal(buf_append(&text, "", SIZE_MAX - 4, NO_LIMIT), SHEEP_E_TOO_LARGE);
  assert_int_equal(buf_append(&text, "", SIZE_MAX - 5, NO_LIMIT), SHEEP_E_NOMEM);
  assert_int_equal(buf_append(&text, "", SIZE_MAX / 2, NO_LIMIT), SHEEP_E_NOMEM);
  assert_string_equal(text.data, "12345");
  assert_int_equal(text.length, 5);
  buf_free(&text);
}

static void many_appends_take_few_allocations(void **state) {
  (void)state;
  buf text = {0};
  mem_fail_after(-1);
  for (int i = 0; i < 1000000; i++)
    assert_int_equal(buf_append(&text, "x", 1, NO_LIMIT), SHEEP_OK);
  assert_in_range(mem_count(), 2, 20);
  assert_int_equal(strlen(text.data), 1000000);
  buf_free(&text);
}

static void without_memory_the_buffer_is_as_it_was(void **state) {
  (void)state;
  char filler[4096];
  memset(filler, 'f', sizeof filler);
  buf text = {0};
  mem_fail_after(0);
  assert_int_equal(buf_append(&text, "a", 1, NO_LIMIT), SHEEP_E_NOMEM);
  assert_null(text.data);
  assert_int_equal(buf_append(&text, "a", 1, NO_LIMIT), SHEEP_OK);
  mem_fail_after(0);
  assert_int_equal(buf_append(&text, filler, sizeof filler, NO_LIMIT), SHEEP_E_NOMEM);
  mem_fail_after(-1);
  assert_string_equal(text.data, "a");
  assert_int_equal(buf_append(&text, filler, sizeof filler, NO_LIMIT), SHEEP_OK);
  assert_int_equal(text.length, 1 + sizeof filler);
  buf_free(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(appends_and_terminates),
      cmocka_unit_test(nothing_appended_to_nothing_is_an_empty_string),
      cmocka_unit_test(fills_up_to_the_limit_and_no_further),
      cmocka_unit_test(a_limit_below_what_is_there_refuses),
      cmocka_unit_test(lengths_that_overflow_are_refused),
      cmocka_unit_test(many_appends_take_few_allocations),
      cmocka_unit_test(without_memory_the_buffer_is_as_it_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
