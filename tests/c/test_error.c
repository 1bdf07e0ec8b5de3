/* error.h: numbers, names, messages. */
#include "unit.h"

#include "error.h"

#include <string.h>

#define NUMBERED(code, number) {code, #code, number}

/* The numbers are part of the ABI: they never change. */
static const struct {
  int32_t code;
  const char *name;
  int32_t number;
} errors[] = {
    NUMBERED(SHEEP_OK, 0),
    NUMBERED(SHEEP_E_NOMEM, -1),
    NUMBERED(SHEEP_E_INVALID, -2),
    NUMBERED(SHEEP_E_CLOSED, -3),
    NUMBERED(SHEEP_E_CANCELLED, -4),
    NUMBERED(SHEEP_E_FORKED, -5),
    NUMBERED(SHEEP_E_SYSTEM, -6),
    NUMBERED(SHEEP_E_RESOLVE, -10),
    NUMBERED(SHEEP_E_CONNECT, -11),
    NUMBERED(SHEEP_E_TLS, -12),
    NUMBERED(SHEEP_E_PROXY, -13),
    NUMBERED(SHEEP_E_CONNECT_TIMEOUT, -20),
    NUMBERED(SHEEP_E_WRITE_TIMEOUT, -21),
    NUMBERED(SHEEP_E_READ_TIMEOUT, -22),
    NUMBERED(SHEEP_E_POOL_TIMEOUT, -23),
    NUMBERED(SHEEP_E_TOTAL_TIMEOUT, -24),
    NUMBERED(SHEEP_E_READ, -30),
    NUMBERED(SHEEP_E_WRITE, -31),
    NUMBERED(SHEEP_E_PROTOCOL, -32),
    NUMBERED(SHEEP_E_DECODING, -33),
    NUMBERED(SHEEP_E_TOO_LARGE, -34),
};

static void every_number_has_its_name(void **state) {
  (void)state;
  for (size_t i = 0; i < LENGTH_OF(errors); i++) {
    assert_int_equal(errors[i].code, errors[i].number);
    assert_string_equal(sheep_error_name(errors[i].number), errors[i].name);
  }
  static const int32_t unknown[] = {1, -7, -25, -35, INT32_MIN, INT32_MAX};
  for (size_t i = 0; i < LENGTH_OF(unknown); i++)
    assert_string_equal(sheep_error_name(unknown[i]), "SHEEP_E_UNKNOWN");
}

static void every_number_has_a_line_of_text(void **state) {
  (void)state;
  assert_string_equal(error_default_message(SHEEP_OK), "");
  for (size_t i = 1; i < LENGTH_OF(errors); i++) {
    const char *message = error_default_message(errors[i].code);
    assert_in_range(strlen(message), 1, sizeof(((sheep_error *)NULL)->message) - 1);
    assert_null(strchr(message, '\n'));
    assert_string_not_equal(message, "unknown error");
  }
  assert_string_equal(error_default_message(-1000), "unknown error");
}

static void fills_in_code_and_message(void **state) {
  (void)state;
  sheep_error error;
  assert_int_equal(error_set(&error, SHEEP_E_INVALID, "path: %d", 7), SHEEP_E_INVALID);
  assert_int_equal(error.code, SHEEP_E_INVALID);
  assert_string_equal(error.message, "path: 7");
  assert_int_equal(error_set(NULL, SHEEP_E_CLOSED, "nobody reads this"), SHEEP_E_CLOSED);
}

static void a_long_message_is_cut_off(void **state) {
  (void)state;
  struct {
    sheep_error error;
    char behind;
  } kept = {.behind = 'b'};
  assert_int_equal(error_set(&kept.error, SHEEP_E_TLS, "%*d", 1000, 1), SHEEP_E_TLS);
  assert_int_equal(strlen(kept.error.message), sizeof kept.error.message - 1);
  assert_int_equal(kept.behind, 'b');
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_number_has_its_name),
      cmocka_unit_test(every_number_has_a_line_of_text),
      cmocka_unit_test(fills_in_code_and_message),
      cmocka_unit_test(a_long_message_is_cut_off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
