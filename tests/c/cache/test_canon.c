/* canon.h: the canonical request. */
#include "unit.h"

#include "failing.h"

#include "alloc.h"
#include "canon.h"
#include "error.h"
#include "hash.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The tests write ' for ", to be legible. Exactly as long as the text, so that
 * AddressSanitizer sees what is read. */
static char *quoted(const char *text, size_t length) {
  char *copy = calloc(1, length + 1);
  for (size_t i = 0; i < length; i++) copy[i] = text[i] == '\'' ? '"' : text[i];
  return copy;
}

static void assert_becomes(const char *legible, uint32_t flags, const char *legibly_expected) {
  size_t length = strlen(legible), expected_length = strlen(legibly_expected);
  char *text = quoted(legible, length), *expected = quoted(legibly_expected, expected_length);
  buf out = {0};
  sheep_error error = {0};
  assert_int_equal(canon_write(text, length, flags, &out, &error), SHEEP_OK);
  assert_int_equal(out.length, expected_length);
  assert_memory_equal(out.data, expected, expected_length);
  assert_int_equal(out.data[out.length], '\0');
  buf_free(&out);
  free(expected);
  free(text);
}

static void assert_refused(const char *legible, size_t length, size_t where, const char *what) {
  char *text = quoted(legible, length), expected[200];
  snprintf(expected, sizeof expected, "JSON at byte %zu: %s", where, what);
  buf out = {0};
  assert_int_equal(buf_append(&out, "as it was", 9, SIZE_MAX), SHEEP_OK);
  sheep_error error = {0};
  assert_int_equal(canon_write(text, length, 0, &out, &error), SHEEP_E_INVALID);
  assert_string_equal(error.message, expected);
  assert_int_equal(error.code, SHEEP_E_INVALID);
  assert_string_equal(out.data, "as it was");
  assert_int_equal(canon_write(text, length, 0, &out, NULL), SHEEP_E_INVALID);
  buf_free(&out);
  free(text);
}

static void refuse(const char *text, size_t where, const char *what) {
  assert_refused(text, strlen(text), where, what);
}

static void spaces_and_order_do_not_count(void **state) {
  (void)state;
  assert_becomes("{}", 0, "{}");
  assert_becomes(" \t\r\n{ \n} ", 0, "{}");
  assert_becomes("{'b':[],'a':{},'c':[ ]}", 0, "{'a': {}, 'b': [], 'c': []}");
  assert_becomes("{'b' : [1 ,2,[ 3]], 'a':null}", 0, "{'a': null, 'b': [1, 2, [3]]}");
  assert_becomes("{'model':'m','messages':[{'role':'user','content':'hi'}],"
                 "'temperature':0.7,'max_tokens':2048}", 0,
                 "{'max_tokens': 2048, 'messages': [{'content': 'hi', 'role': 'user'}], "
                 "'model': 'm', 'temperature': 0.7}");
}

static void objects_are_sorted_at_every_depth(void **state) {
  (void)state;
  assert_becomes("{'z':{'b':{'d':1,'c':2},'a':3},'y':[{'f':{},'e':[{'h':4,'g':5}]}]}",
                 0,
                 "{'y': [{'e': [{'g': 5, 'h': 4}], 'f': {}}], "
                 "'z': {'a': 3, 'b': {'c': 2, 'd': 1}}}");
  assert_becomes("{'a':{'x':{'b':1,'a':2}},'b':{'y':{'b':3,'a':4}}}", 0,
                 "{'a': {'x': {'a': 2, 'b': 1}}, 'b': {'y': {'a': 4, 'b': 3}}}");
}

/* U+FFFF comes before U+10000, which UTF-16 and the escapes of both would put first; '"'
 * before '#', DEL before U+0080, and the empty name before all. */
static void names_are_sorted_by_code_point(void **state) {
  (void)state;
  assert_becomes("{'\\ud83d\\ude00':1,'\\uffff':2,'#':3,'\\'':4,'\xc2\x80':5,'\x7f':6,'':7,"
                 "'\\ud83d':8}", 0,
                 "{'': 7, '\\'': 4, '#': 3, '\\u007f': 6, '\\u0080': 5, '\\ud83d': 8, "
                 "'\\uffff': 2, '\\ud83d\\ude00': 1}");
}

static void numbers_keep_their_spelling(void **state) {
  (void)state;
  const char *const numbers[] = {
      "0", "-0", "1", "1.0", "1e0", "1E0", "1e+2", "-1.50e-07", "0.1", "1e999",
      "9007199254740992", "9007199254740993", "123456789012345678901234567890123456789012345678901",
      "NaN", "Infinity", "-Infinity", "true", "false", "null"};
  for (size_t i = 0; i < LENGTH_OF(numbers); i++) {
    char text[300], expected[300];
    snprintf(text, sizeof text, "{'a':[%s,%s],'b':%s}", numbers[i], numbers[i], numbers[i]);
    snprintf(expected, sizeof expected, "{'a': [%s, %s], 'b': %s}", numbers[i], numbers[i],
             numbers[i]);
    assert_becomes(text, 0, expected);
  }
}

static void how_the_answer_is_sent_is_left_out(void **state) {
  (void)state;
  assert_becomes("{'stream':true}", 0, "{}");
  assert_becomes("{'stream':true,'a':1}", 0, "{'a': 1}");
  assert_becomes("{'a':1,'stream':{'z':1,'y':[{'c':1,'b':2}]}}", 0, "{'a': 1}");
  assert_becomes("{'b':{'d':1,'c':2},'str\\u0065am_options':{'d':1,'c':2},'a':1}", 0,
                 "{'a': 1, 'b': {'c': 2, 'd': 1}}");
  assert_becomes("{'a':{'stream':true},'streams':1,'strea':2}", 0,
                 "{'a': {'stream': true}, 'strea': 2, 'streams': 1}");
}

static void labels_are_left_out_when_asked(void **state) {
  (void)state;
  const char *text = "{'user':'u','store':true,'safety_identifier':'s','metadata':{},"
                     "'prompt_cache_key':'k','prompt_cache_retention':'24h','service_tier':'flex'}";
  assert_becomes(text, CANON_UNLABELLED, "{'metadata': {}, 'service_tier': 'flex'}");
  assert_becomes(text, 0,
                 "{'metadata': {}, 'prompt_cache_key': 'k', 'prompt_cache_retention': '24h', "
                 "'safety_identifier': 's', 'service_tier': 'flex', 'store': true, 'user': 'u'}");
  assert_becomes("{'a':[{'user':1}]}", CANON_UNLABELLED, "{'a': [{'user': 1}]}");
}

static void order_is_kept_where_a_model_reads_it(void **state) {
  (void)state;
  assert_becomes("{'tools':[{'b':{'d':1,'c':2},'a':3}],'messages':[{'b':1,'a':2}]}", 0,
                 "{'messages': [{'a': 2, 'b': 1}], 'tools': [{'b': {'d': 1, 'c': 2}, 'a': 3}]}");
  assert_becomes("{'response_format':{'z':[{'y':1,'x':2}],'a':1},'functions':{'b':1,'a':2}}", 0,
                 "{'functions': {'b': 1, 'a': 2}, "
                 "'response_format': {'z': [{'y': 1, 'x': 2}], 'a': 1}}");
  assert_becomes("{'a':{'tools':{'b':1,'a':2}}}", 0, "{'a': {'tools': {'a': 2, 'b': 1}}}");
}

static void a_name_that_occurs_twice_is_refused(void **state) {
  (void)state;
  const char *twice = "a member's name occurs twice";
  refuse("{'a':1,'a':1}", 7, twice);
  refuse("{'a':1,'b':2,'\\u0061':1}", 13, twice);
  refuse("{'x':[{'b':1,'a':1,'b':1}]}", 19, twice);
  refuse("{'':1,'b':1,'':1}", 12, twice);
  refuse("{'tools':[{'b':1,'a':1,'b':1}]}", 23, twice);
  refuse("{'tools':1,'tools':2}", 11, twice);
  refuse("{'stream':1,'stream':2}", 12, twice);
  refuse("{'stream':{'a':1,'a':2}}", 17, twice);
  refuse("{'user':1,'user':2}", 10, twice);
  refuse("{'\\ud83d\\ude00':1,'\xf0\x9f\x98\x80':1}", 18, twice);
}

static void what_is_not_a_json_object_is_refused(void **state) {
  (void)state;
  refuse("", 0, "the text ends too early");
  refuse("  ", 2, "the text ends too early");
  refuse("[]", 0, "not an object");
  refuse(" 'a'", 1, "not an object");
  refuse("\xef\xbb\xbf{}", 0, "not an object");
  refuse("{} {}", 3, "more text after the object");
  refuse("{}\f", 2, "more text after the object");
  assert_refused("{}\0", 3, 2, "more text after the object");
  refuse("{", 1, "the text ends too early");
  refuse("{a:1}", 1, "not a member's name");
  refuse("{'a' 1}", 5, "no ':' after a member's name");
  refuse("{'a':}", 5, "not a value");
  refuse("{'a':1,}", 7, "not a member's name");
  refuse("{,'a':1}", 1, "not a member's name");
  refuse("{'a':1 'b':2}", 7, "neither ',' nor '}' after a member");
  refuse("{'a':[1 2]}", 8, "neither ',' nor ']' after an element");
  refuse("{'a':[1,]}", 8, "not a value");
  refuse("{'a':[", 6, "the text ends too early");
  refuse("{'a':[}", 6, "not a value");
  refuse("{'a':`b`}", 5, "not a value");
  refuse("{'a':tru}", 5, "not a value");
  refuse("{'a':/**/1}", 5, "not a value");
  assert_refused("{'a\0':1}", 8, 3, "a control character in a string");
  assert_refused("{'a':\0}", 7, 5, "not a value");
  refuse("{'a':'\xff'}", 6, "not UTF-8");
  refuse("{'a':'b\\x'}", 7, "a backslash before what isn't an escape");
  refuse("{'a':'b", 7, "the text ends too early");
}

static void what_is_not_a_number_is_refused(void **state) {
  (void)state;
  refuse("{'a':01}", 6, "neither ',' nor '}' after a member");
  refuse("{'a':-}", 6, "not a value");
  refuse("{'a':+1}", 5, "not a value");
  refuse("{'a':.5}", 5, "not a value");
  refuse("{'a':1.}", 7, "not a value");
  refuse("{'a':1.e1}", 7, "not a value");
  refuse("{'a':1e}", 7, "not a value");
  refuse("{'a':1e+}", 8, "not a value");
  refuse("{'a':0x10}", 6, "neither ',' nor '}' after a member");
  refuse("{'a':-NaN}", 6, "not a value");
  refuse("{'a':-Inf}", 5, "not a value");
  refuse("{'a':nan}", 5, "not a value");
}

/* Every beginning of a text that holds one of everything. */
static void a_text_that_ends_early_is_refused(void **state) {
  (void)state;
  const char *text = "{'a':[1.5e+7,-Infinity,true,NaN,null,{}],'b\\u0041\\n':{'c':'d\xc3\xa9'}}";
  for (size_t length = 0; length < strlen(text); length++) {
    char *beginning = quoted(text, length);
    buf out = {0};
    sheep_error error;
    assert_int_equal(canon_write(beginning, length, 0, &out, &error), SHEEP_E_INVALID);
    buf_free(&out);
    free(beginning);
  }
}

/* {"a":{"a": ... 1 ... }}, or with arrays in place of the inner objects. */
static buf nested(uint32_t depth, const char *open, const char *close) {
  buf text = {0};
  assert_int_equal(buf_append(&text, "{\"a\":", 5, SIZE_MAX), SHEEP_OK);
  for (uint32_t i = 1; i < depth; i++)
    assert_int_equal(buf_append(&text, open, strlen(open), SIZE_MAX), SHEEP_OK);
  assert_int_equal(buf_append(&text, "1", 1, SIZE_MAX), SHEEP_OK);
  for (uint32_t i = 1; i < depth; i++)
    assert_int_equal(buf_append(&text, close, strlen(close), SIZE_MAX), SHEEP_OK);
  assert_int_equal(buf_append(&text, "}", 1, SIZE_MAX), SHEEP_OK);
  return text;
}

static void depth_is_bounded(void **state) {
  (void)state;
  const char *const pairs[][2] = {{"{\"a\":", "}"}, {"[", "]"}};
  for (size_t i = 0; i < LENGTH_OF(pairs); i++) {
    buf deepest = nested(CANON_DEPTH, pairs[i][0], pairs[i][1]), out = {0};
    assert_int_equal(canon_write(deepest.data, deepest.length, 0, &out, NULL), SHEEP_OK);
    buf deeper = nested(CANON_DEPTH + 1, pairs[i][0], pairs[i][1]);
    size_t where = 5 + (CANON_DEPTH - 1) * strlen(pairs[i][0]);
    assert_refused(deeper.data, deeper.length, where, "nested too deeply");
    buf bomb = nested(1000000, pairs[i][0], pairs[i][1]);
    assert_refused(bomb.data, bomb.length, where, "nested too deeply");
    buf_free(&deepest);
    buf_free(&deeper);
    buf_free(&bomb);
    buf_free(&out);
  }
}

static void siblings_are_no_depth(void **state) {
  (void)state;
  buf text = {0}, out = {0};
  for (int i = 0; i < 3 * CANON_DEPTH; i++)
    assert_int_equal(buf_append(&text, i ? ", {}" : "{\"a\": [[]", i ? 4 : 9, SIZE_MAX), SHEEP_OK);
  assert_int_equal(buf_append(&text, "]}", 2, SIZE_MAX), SHEEP_OK);
  assert_int_equal(canon_write(text.data, text.length, 0, &out, NULL), SHEEP_OK);
  assert_string_equal(out.data, text.data);
  buf_free(&text);
  buf_free(&out);
}

static void a_request_that_is_too_large_is_not_read(void **state) {
  (void)state;
  buf out = {0};
  sheep_error error;
  assert_int_equal(canon_write("{}", (size_t)CANON_MOST_BYTES + 1, 0, &out, &error),
                   SHEEP_E_TOO_LARGE);
  assert_string_equal(error.message, "the request is larger than 128 MiB");
  assert_null(out.data);
}

static void a_message_holds_nothing_of_the_text(void **state) {
  (void)state;
  const char *text = "{\"secret\":\"secret\",\"secret\":secret}";
  buf out = {0};
  sheep_error error;
  assert_int_equal(canon_write(text, strlen(text), 0, &out, &error), SHEEP_E_INVALID);
  assert_null(strstr(error.message, "secret"));
}

static void appends_to_what_is_there(void **state) {
  (void)state;
  buf out = {0};
  assert_int_equal(buf_append(&out, "9:namespace", 11, SIZE_MAX), SHEEP_OK);
  assert_int_equal(canon_write("{\"b\":1,\"a\":2}", 13, 0, &out, NULL), SHEEP_OK);
  assert_string_equal(out.data, "9:namespace{\"a\": 2, \"b\": 1}");
  buf_free(&out);
}

enum { MANY = 10000 };

/* Names in an order that is far from any, sorted or not, in one object. */
static buf many_members(void) {
  buf text = {0};
  char member[40];
  for (unsigned i = 0; i < MANY; i++) {
    const char *before = i ? ", " : "{";
    int length = snprintf(member, sizeof member, "%s\"%05u\": %u", before, i * 7919 % MANY, i);
    assert_int_equal(buf_append(&text, member, (size_t)length, SIZE_MAX), SHEEP_OK);
  }
  assert_int_equal(buf_append(&text, "}", 1, SIZE_MAX), SHEEP_OK);
  return text;
}

static void many_members_are_sorted(void **state) {
  (void)state;
  buf text = many_members(), out = {0}, again = {0};
  assert_int_equal(canon_write(text.data, text.length, 0, &out, NULL), SHEEP_OK);
  assert_int_equal(out.length, text.length);
  const char *at = out.data + 1;
  for (unsigned i = 0; i < MANY; i++) {
    char name[16];
    snprintf(name, sizeof name, "\"%05u\": ", i);
    assert_memory_equal(at, name, 9);
    at += strcspn(at, ",}") + 2;
  }
  assert_int_equal(canon_write(out.data, out.length, 0, &again, NULL), SHEEP_OK);
  assert_string_equal(again.data, out.data);
  buf_free(&text);
  buf_free(&out);
  buf_free(&again);
}

static void long_strings_are_whole(void **state) {
  (void)state;
  enum { LONG = 1 << 20 };
  buf text = {0}, out = {0};
  static char filler[LONG];
  memset(filler, 'x', sizeof filler);
  filler[LONG - 1] = '\x7f';
  assert_int_equal(buf_append(&text, "{\"b\": 1, \"a\": \"", 15, SIZE_MAX), SHEEP_OK);
  assert_int_equal(buf_append(&text, filler, sizeof filler, SIZE_MAX), SHEEP_OK);
  assert_int_equal(buf_append(&text, "\"}", 2, SIZE_MAX), SHEEP_OK);
  assert_int_equal(canon_write(text.data, text.length, 0, &out, NULL), SHEEP_OK);
  assert_memory_equal(out.data, "{\"a\": \"", 7);
  assert_memory_equal(out.data + 7, filler, LONG - 1);
  assert_string_equal(out.data + 7 + LONG - 1, "\\u007f\", \"b\": 1}");
  buf_free(&text);
  buf_free(&out);
}

static void the_name_in_redis_is_the_articles(void **state) {
  (void)state;
  const char *canonical = "{\"max_tokens\": 2048, \"messages\": [], \"model\": \"gpt-4.1\"}";
  char name[CANON_REDIS_NAME];
  assert_int_equal(canon_redis_name(canonical, strlen(canonical), name), SHEEP_OK);
  char hex[HASH_SHA256_HEX];
  assert_int_equal(hash_sha256_hex(canonical, strlen(canonical), hex), SHEEP_OK);
  assert_memory_equal(name, "holysheep:", 10);
  assert_memory_equal(name + 10, hex, 32);
  assert_int_equal(strlen(name), 42);
}

static void scenario(void *context) {
  const buf *text = context;
  buf out = {0};
  sheep_error error = {0};
  int32_t result = canon_write(text->data, text->length, 0, &out, &error);
  if (result) {
    assert_int_equal(result, SHEEP_E_NOMEM);
    assert_string_equal(error.message, "out of memory");
    assert_int_equal(out.length, 0);
  } else {
    assert_int_equal(out.length, text->length);
  }
  buf_free(&out);
}

static void without_memory_it_fails_and_leaks_nothing(void **state) {
  (void)state;
  buf text = many_members();
  fail_each_allocation(scenario, &text, 10);
  buf_free(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(spaces_and_order_do_not_count),
      cmocka_unit_test(objects_are_sorted_at_every_depth),
      cmocka_unit_test(names_are_sorted_by_code_point),
      cmocka_unit_test(numbers_keep_their_spelling),
      cmocka_unit_test(how_the_answer_is_sent_is_left_out),
      cmocka_unit_test(labels_are_left_out_when_asked),
      cmocka_unit_test(order_is_kept_where_a_model_reads_it),
      cmocka_unit_test(a_name_that_occurs_twice_is_refused),
      cmocka_unit_test(what_is_not_a_json_object_is_refused),
      cmocka_unit_test(what_is_not_a_number_is_refused),
      cmocka_unit_test(a_text_that_ends_early_is_refused),
      cmocka_unit_test(depth_is_bounded),
      cmocka_unit_test(siblings_are_no_depth),
      cmocka_unit_test(a_request_that_is_too_large_is_not_read),
      cmocka_unit_test(a_message_holds_nothing_of_the_text),
      cmocka_unit_test(appends_to_what_is_there),
      cmocka_unit_test(many_members_are_sorted),
      cmocka_unit_test(long_strings_are_whole),
      cmocka_unit_test(the_name_in_redis_is_the_articles),
      cmocka_unit_test(without_memory_it_fails_and_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
