/* escape.h: strings as json.dumps writes them, against a plain writer of them. */
#include "unit.h"

#include "failing.h"

#include "alloc.h"
#include "error.h"
#include "escape.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than any way of cutting a text into words and blocks. */
enum { MOST_UNITS = 1300 };

static void plainly_put(buf *out, const char *format, unsigned unit) {
  char text[16];
  int length = snprintf(text, sizeof text, format, unit);
  assert_int_equal(buf_append(out, text, (size_t)length, SIZE_MAX), SHEEP_OK);
}

static void plainly_put_unit(buf *out, unsigned unit) {
  const char *short_escapes = "\bb\tt\nn\ff\rr\"\"\\\\";
  for (const char *pair = short_escapes; *pair; pair += 2) {
    if (unit != (unsigned char)pair[0]) continue;
    plainly_put(out, "\\%c", (unsigned char)pair[1]);
    return;
  }
  plainly_put(out, unit >= 0x20 && unit <= 0x7e ? "%c" : "\\u%04x", unit);
}

static buf plainly_escaped(const uint32_t *codes, size_t count) {
  buf out = {0};
  plainly_put(&out, "%c", '"');
  for (size_t i = 0; i < count; i++) {
    if (codes[i] >= 0x10000) plainly_put_unit(&out, 0xd800 + ((codes[i] - 0x10000) >> 10));
    plainly_put_unit(&out, codes[i] < 0x10000 ? codes[i] : 0xdc00 + (codes[i] & 0x3ff));
  }
  plainly_put(&out, "%c", '"');
  return out;
}

static size_t encode_utf8(uint32_t code, char *to) {
  if (code < 0x80) return to[0] = (char)code, 1;
  size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static const unsigned lead[] = {0, 0xc0, 0xe0, 0xf0};
  to[0] = (char)(lead[more] | code >> 6 * more);
  for (size_t i = 1; i <= more; i++) to[i] = (char)(0x80 | (code >> 6 * (more - i) & 0x3f));
  return more + 1;
}

static void assert_written(const buf *out, const buf *expected) {
  assert_int_equal(out->length, expected->length);
  assert_memory_equal(out->data, expected->data, expected->length + 1);
}

/* The arrays are as long as the text, so that AddressSanitizer sees what is read. */
static void assert_units(const uint32_t *codes, size_t count, size_t width) {
  buf expected = plainly_escaped(codes, count), out = {0};
  void *units = malloc(count * width + 1);
  for (size_t i = 0; i < count; i++) {
    if (width == 1) ((uint8_t *)units)[i] = (uint8_t)codes[i];
    if (width == 2) ((uint16_t *)units)[i] = (uint16_t)codes[i];
    if (width == 4) ((uint32_t *)units)[i] = codes[i];
  }
  if (width == 1) assert_int_equal(escape_latin1(&out, units, count), SHEEP_OK);
  if (width == 2) assert_int_equal(escape_ucs2(&out, units, count), SHEEP_OK);
  if (width == 4) assert_int_equal(escape_ucs4(&out, units, count), SHEEP_OK);
  assert_written(&out, &expected);
  free(units);
  buf_free(&out);
  buf_free(&expected);
}

/* Up to a closing quote, if there is nothing that JSON wants escaped. */
static void assert_raw_json(const char *text, size_t length, const buf *expected) {
  for (size_t i = 0; i < length; i++) {
    if ((unsigned char)text[i] < 0x20 || text[i] == '"' || text[i] == '\\') return;
  }
  char *quoted = malloc(length + 1);
  memcpy(quoted, text, length);
  quoted[length] = '"';
  buf out = {0};
  const char *at = quoted, *fault;
  assert_int_equal(escape_json(&out, &at, quoted + length + 1, &fault), SHEEP_OK);
  assert_written(&out, expected);
  free(quoted);
  buf_free(&out);
}

static void assert_utf8(const uint32_t *codes, size_t count) {
  buf expected = plainly_escaped(codes, count), out = {0};
  char *text = malloc(count * 4 + 1);
  size_t length = 0;
  for (size_t i = 0; i < count; i++) length += encode_utf8(codes[i], text + length);
  char *exact = malloc(length + 1);
  memcpy(exact, text, length);
  assert_int_equal(escape_utf8(&out, exact, length), SHEEP_OK);
  assert_written(&out, &expected);
  assert_raw_json(exact, length, &expected);
  free(exact);
  free(text);
  buf_free(&out);
  buf_free(&expected);
}

/* From before the text, as it is in JSON, to after it. */
static void assert_json(const uint32_t *codes, size_t count) {
  buf expected = plainly_escaped(codes, count), out = {0};
  const char *at = expected.data + 1, *fault;
  assert_int_equal(escape_json(&out, &at, expected.data + expected.length, &fault), SHEEP_OK);
  assert_ptr_equal(at, expected.data + expected.length);
  assert_written(&out, &expected);
  buf_free(&out);
  buf_free(&expected);
}

static void assert_all_ways(const uint32_t *codes, size_t count) {
  uint32_t greatest = 0;
  bool surrogates = false;
  for (size_t i = 0; i < count; i++) {
    if (codes[i] > greatest) greatest = codes[i];
    surrogates |= (codes[i] & ~0x7ffu) == 0xd800;
  }
  assert_units(codes, count, 4);
  assert_json(codes, count);
  if (greatest <= 0xff) assert_units(codes, count, 1);
  if (greatest <= 0xffff) assert_units(codes, count, 2);
  if (!surrogates) assert_utf8(codes, count);
}

static void every_code_point_by_itself(void **state) {
  (void)state;
  for (uint32_t code = 0; code < 0x10000; code++) assert_all_ways(&code, 1);
  for (uint32_t code = 0x10000; code < 0x110000; code += 61) assert_all_ways(&code, 1);
  uint32_t last = 0x10ffff;
  assert_all_ways(&last, 1);
}

static void one_special_character_at_every_place(void **state) {
  (void)state;
  static const uint32_t special[] = {'"', '\\', '\n', 0, 0x7f, 0xe9, 0x1ea1, 0x4e2d, 0x1f600};
  uint32_t codes[80];
  for (size_t kind = 0; kind < LENGTH_OF(special); kind++) {
    for (size_t count = 1; count <= LENGTH_OF(codes); count++) {
      for (size_t i = 0; i < count; i++) codes[i] = ' ' + (uint32_t)i;
      codes[count / 3] = special[kind];
      assert_all_ways(codes, count);
      codes[count - 1] = special[kind];
      assert_all_ways(codes, count);
    }
  }
}

static uint32_t random_code(uint64_t *seed, uint64_t kind) {
  static const uint32_t bounds[] = {0x80, 0x100, 0x2000, 0x10000, 0x110000};
  return (uint32_t)random_below(seed, bounds[kind]);
}

static void mixtures_of_every_length(void **state) {
  (void)state;
  static uint32_t codes[MOST_UNITS];
  uint64_t seed = 4;
  for (size_t count = 0; count < MOST_UNITS; count += 1 + count / 100) {
    for (uint64_t kind = 0; kind < 5; kind++) {
      for (size_t i = 0; i < count; i++)
        codes[i] = random_code(&seed, random_below(&seed, 3) ? 0 : kind);
      assert_all_ways(codes, count);
    }
  }
}

/* Each becomes as long as it can: the room that is made must do. */
static void nothing_but_the_longest_escapes(void **state) {
  (void)state;
  static const uint32_t longest[] = {0x7f, 0, 0xff, 0x1ea1, 0xd800, 0x4e2d, 0x10ffff};
  static uint32_t codes[MOST_UNITS];
  for (size_t kind = 0; kind < LENGTH_OF(longest); kind++) {
    for (size_t count = 250; count < MOST_UNITS; count += 7) {
      for (size_t i = 0; i < count; i++) codes[i] = longest[kind];
      assert_all_ways(codes, count);
    }
  }
}

/* Longer than the room that is made at a time, were it not looked at again. */
static void long_runs_of_nothing_to_escape(void **state) {
  (void)state;
  static uint32_t codes[20 * MOST_UNITS];
  for (size_t i = 0; i < LENGTH_OF(codes); i++) codes[i] = 'a' + (uint32_t)(i % 26);
  assert_all_ways(codes, LENGTH_OF(codes));
  codes[LENGTH_OF(codes) - 1] = 0x1ea1;
  assert_all_ways(codes, LENGTH_OF(codes));
}

static void appends_to_what_is_there(void **state) {
  (void)state;
  buf out = {0};
  assert_int_equal(buf_append(&out, "{", 1, SIZE_MAX), SHEEP_OK);
  assert_int_equal(escape_latin1(&out, (const uint8_t *)"a", 1), SHEEP_OK);
  assert_int_equal(escape_utf8(&out, "", 0), SHEEP_OK);
  assert_string_equal(out.data, "{\"a\"\"\"");
  buf_free(&out);
}

static void assert_not_utf8(const char *text) {
  size_t length = strlen(text);
  char *exact = malloc(length);
  memcpy(exact, text, length);
  buf out = {0};
  assert_int_equal(buf_append(&out, "as it was", 9, SIZE_MAX), SHEEP_OK);
  assert_int_equal(escape_utf8(&out, exact, length), SHEEP_E_INVALID);
  assert_string_equal(out.data, "as it was");
  buf_free(&out);
  free(exact);
}

static void text_that_is_not_utf8_is_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "\x80",         "\xbf",         "\xc0\x80",     "\xc1\xbf",     "\xc2",
      "\xc2 ",        "\xc2\xc2\x80", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe1\x80",
      "\xe1\x80 ",    "\xe1 \x80",    "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80",
      "\xf0\x8f\xbf\xbf", "\xf1\x80\x80", "\xf1\x80\x80 ", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
      "\xff",         "\xfe\xbf\xbf\xbf", "\xf8\x90\x80\x80", "\xfc\x80\x80\x80"};
  char text[2 * MOST_UNITS];
  for (size_t i = 0; i < LENGTH_OF(wrong); i++) {
    for (size_t before = 0; before < 600; before = before < 40 ? before + 1 : before + 59) {
      memset(text, 'x', before);
      strcpy(text + before, wrong[i]);
      assert_not_utf8(text);
    }
  }
}

static void assert_json_refused(const char *text, size_t where, const char *what) {
  buf out = {0};
  const char *at = text, *fault;
  assert_int_equal(escape_json(&out, &at, text + strlen(text), &fault), SHEEP_E_INVALID);
  assert_int_equal(at - text, where);
  assert_string_equal(fault, what);
  assert_int_equal(out.length, 0);
  buf_free(&out);
}

static void a_fault_in_a_json_string_is_told_with_its_place(void **state) {
  (void)state;
  assert_json_refused("", 0, "the text ends within a string");
  assert_json_refused("abc", 3, "the text ends within a string");
  assert_json_refused("abc\\", 3, "the text ends within a string");
  assert_json_refused("a\\x\"", 1, "a backslash before what isn't an escape");
  assert_json_refused("a\\'\"", 1, "a backslash before what isn't an escape");
  assert_json_refused("a\\u12", 1, "\\u without four hex digits");
  assert_json_refused("\\u12g4\"", 0, "\\u without four hex digits");
  assert_json_refused("\\u+123\"", 0, "\\u without four hex digits");
  assert_json_refused("\\u 123\"", 0, "\\u without four hex digits");
  assert_json_refused("\\u\x10\x10\x10\x10\"", 0, "\\u without four hex digits");
  assert_json_refused("\\u00\xb1\xb1\"", 0, "\\u without four hex digits");
  assert_json_refused("ab\n\"", 2, "a control character in a string");
  assert_json_refused("ab\x1f\"", 2, "a control character in a string");
  assert_json_refused("0123456789\xc3\"", 10, "not UTF-8");
  assert_json_refused("\xed\xa0\x80\"", 0, "not UTF-8");
}

/* At every length, so that the fault is at each place of a word and of a block. */
static void a_fault_after_a_long_text_is_found(void **state) {
  (void)state;
  char text[MOST_UNITS];
  for (size_t before = 0; before < 1100; before++) {
    memset(text, 'x', before);
    strcpy(text + before, "\t\"");
    assert_json_refused(text, before, "a control character in a string");
  }
}

static void assert_same_string(const char *json, const char *expected) {
  buf out = {0};
  const char *at = json, *fault;
  assert_int_equal(escape_json(&out, &at, json + strlen(json), &fault), SHEEP_OK);
  assert_string_equal(out.data, expected);
  assert_string_equal(at, "rest");
  buf_free(&out);
}

static void every_spelling_of_a_json_string_becomes_one(void **state) {
  (void)state;
  assert_same_string("\"rest", "\"\"");
  assert_same_string("a\\/b/c\"rest", "\"a/b/c\"");
  assert_same_string("\\u0041\\u000A\\u000a\\n\"rest", "\"A\\n\\n\\n\"");
  assert_same_string("\\u0022\\u005C\\u007F\x7f\"rest", "\"\\\"\\\\\\u007f\\u007f\"");
  assert_same_string("\\uD83D\\uDE00\xf0\x9f\x98\x80\"rest", "\"\\ud83d\\ude00\\ud83d\\ude00\"");
  assert_same_string("\\uDE00\\uD83D\"rest", "\"\\ude00\\ud83d\"");
  assert_same_string("\\u1EA1\xe1\xba\xa1\"rest", "\"\\u1ea1\\u1ea1\"");
  assert_same_string("\\u0000\"rest", "\"\\u0000\"");
}

static void compare(const char *a, const char *b, int expected) {
  int order = escape_compare(a, strlen(a), b, strlen(b));
  assert_int_equal((order > 0) - (order < 0), expected);
  order = escape_compare(b, strlen(b), a, strlen(a));
  assert_int_equal((order > 0) - (order < 0), -expected);
}

/* Each string comes before the next by its code points. */
static void order_is_by_code_points(void **state) {
  (void)state;
  static const char *const ascending[] = {
      "", "\\u0000", "\\t", "\\n", "\\u001f", " ", "!", "\\\"", "#", "A", "AA", "A\\\\",
      "Aa", "B", "[", "\\\\", "\\\\n", "]", "a", "a\\n", "a\\u0080", "a\\u1ea1", "n", "u", "~",
      "\\u007f", "\\u0080", "\\u00e9", "\\ud7ff", "\\ud800", "\\ud800a", "\\udc00", "\\udfff",
      "\\ue000", "\\uffff", "\\ud800\\udc00", "\\ud83d\\ude00", "\\udbff\\udfff"};
  for (size_t i = 0; i < LENGTH_OF(ascending); i++) {
    compare(ascending[i], ascending[i], 0);
    for (size_t j = i + 1; j < LENGTH_OF(ascending); j++) compare(ascending[i], ascending[j], -1);
  }
}

static void scenario(void *context) {
  (void)context;
  static uint32_t codes[MOST_UNITS];
  for (size_t i = 0; i < MOST_UNITS; i++) codes[i] = 0x1f600;
  buf out = {0};
  int32_t result = escape_latin1(&out, (const uint8_t *)"as it was", 9);
  if (!result) {
    result = escape_ucs4(&out, codes, MOST_UNITS);
    assert_int_equal(out.length, result ? 11 : 11 + 2 + 12 * MOST_UNITS);
    assert_memory_equal(out.data, "\"as it was\"", 11);
    assert_int_equal(out.data[out.length], '\0');
  }
  assert_true(result == SHEEP_OK || result == SHEEP_E_NOMEM);
  buf_free(&out);
}

static void without_memory_the_text_is_as_it_was(void **state) {
  (void)state;
  fail_each_allocation(scenario, NULL, 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_code_point_by_itself),
      cmocka_unit_test(one_special_character_at_every_place),
      cmocka_unit_test(mixtures_of_every_length),
      cmocka_unit_test(nothing_but_the_longest_escapes),
      cmocka_unit_test(long_runs_of_nothing_to_escape),
      cmocka_unit_test(appends_to_what_is_there),
      cmocka_unit_test(text_that_is_not_utf8_is_refused),
      cmocka_unit_test(a_fault_in_a_json_string_is_told_with_its_place),
      cmocka_unit_test(a_fault_after_a_long_text_is_found),
      cmocka_unit_test(every_spelling_of_a_json_string_becomes_one),
      cmocka_unit_test(order_is_by_code_points),
      cmocka_unit_test(without_memory_the_text_is_as_it_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
