/* call.h: the copy of a request, and the reply it becomes. */
#include "unit.h"

#include "call.h"
#include "failing.h"

#include <stdlib.h>
#include <string.h>

static const time_limits limits = {1, 2, 3, 4, 5};

static call *plain_call(void) {
  const sheep_request request = {.method = "POST", .path = "/p"};
  call *made = call_new(&request, &limits);
  assert_non_null(made);
  return made;
}

static int32_t add_header(call *pending, const char *line) {
  return call_add_header(pending, line, strlen(line));
}

/* A call whose reply's head has begun: "200 OK". */
static call *answered_call(void) {
  call *made = plain_call();
  assert_int_equal(call_set_status_line(made, 200, "OK", 2), SHEEP_OK);
  return made;
}

/* ---------------------------------------------------------------- the request */

static void copies_all_of_the_request(void **state) {
  (void)state;
  char method[] = "PUT", path[] = "/path", body[] = "{\"a\": \"\\u0000\"}", name[] = "X-A", value[] = "1";
  const sheep_header headers[] = {{name, value}, {"X-Empty", ""}, {"X-B", "2"}};
  const sheep_request request = {.tag = 7, .method = method, .path = path, .body = body,
                                 .body_length = 5, .headers = headers, .header_count = 3};
  call *made = call_new(&request, &limits);
  assert_non_null(made);
  method[0] = path[0] = body[0] = name[0] = value[0] = '!';
  assert_int_equal(made->tag, 7);
  assert_string_equal(made->method, "PUT");
  assert_string_equal(made->path, "/path");
  assert_int_equal(made->body_length, 5);
  assert_string_equal(made->body, "{\"a\":");
  assert_int_equal(made->header_count, 3);
  assert_memory_equal(made->header_lines, "X-A: 1\0X-Empty;\0X-B: 2", 23);
  assert_memory_equal(&made->limits, &limits, sizeof limits);
  call_free(made);
}

static void an_empty_body_is_not_no_body(void **state) {
  (void)state;
  const sheep_request with = {.method = "POST", .path = "/", .body = "", .body_length = 0};
  const sheep_request without = {.method = "POST", .path = "/"};
  call *first = call_new(&with, &limits);
  call *second = call_new(&without, &limits);
  assert_string_equal(first->body, "");
  assert_null(second->body);
  call_free(first);
  call_free(second);
}

static void a_body_of_binary_bytes_is_kept(void **state) {
  (void)state;
  const sheep_request request = {.method = "POST", .path = "/", .body = "a\0b\xff", .body_length = 4};
  call *made = call_new(&request, &limits);
  assert_int_equal(made->body_length, 4);
  assert_memory_equal(made->body, "a\0b\xff", 5);
  call_free(made);
}

static void an_impossible_body_is_refused(void **state) {
  (void)state;
  const sheep_request request = {.method = "POST", .path = "/", .body = "", .body_length = SIZE_MAX};
  assert_null(call_new(&request, &limits));
}

/* ------------------------------------------------------------------ the reply */

static void before_an_answer_all_is_empty(void **state) {
  (void)state;
  call *made = plain_call();
  sheep_header header;
  size_t length = 1;
  assert_int_equal(sheep_reply_status(made), 0);
  assert_string_equal(sheep_reply_reason(made), "");
  assert_string_equal(sheep_reply_body(made, &length), "");
  assert_int_equal(length, 0);
  assert_null(sheep_reply_header(made, "Date"));
  assert_int_equal(sheep_reply_header_at(made, 0, &header), SHEEP_E_INVALID);
  assert_string_equal(sheep_reply_message(made), "");
  assert_int_equal(sheep_reply_sent(made), SHEEP_NOT_SENT);
  call_free(made);
}

static void keeps_the_head_in_order(void **state) {
  (void)state;
  call *made = plain_call();
  assert_int_equal(call_set_status_line(made, 404, "Not Found, sorry", 9), SHEEP_OK);
  assert_int_equal(add_header(made, "Set-Cookie: a=1"), SHEEP_OK);
  assert_int_equal(add_header(made, "X-Empty:"), SHEEP_OK);
  assert_int_equal(add_header(made, "set-cookie:\t b: 2 \t"), SHEEP_OK);
  assert_int_equal(sheep_reply_status(made), 404);
  assert_string_equal(sheep_reply_reason(made), "Not Found");
  static const sheep_header expected[] = {{"Set-Cookie", "a=1"}, {"X-Empty", ""}, {"set-cookie", "b: 2"}};
  sheep_header header;
  for (size_t i = 0; i < LENGTH_OF(expected); i++) {
    assert_int_equal(sheep_reply_header_at(made, i, &header), SHEEP_OK);
    assert_string_equal(header.name, expected[i].name);
    assert_string_equal(header.value, expected[i].value);
  }
  assert_int_equal(sheep_reply_header_at(made, 3, &header), SHEEP_E_INVALID);
  assert_int_equal(sheep_reply_header_at(made, SIZE_MAX, &header), SHEEP_E_INVALID);
  call_free(made);
}

static void finds_a_header_in_any_case(void **state) {
  (void)state;
  call *made = answered_call();
  assert_int_equal(add_header(made, "Retry-After: 7"), SHEEP_OK);
  assert_int_equal(add_header(made, "X-Name: Date"), SHEEP_OK);
  assert_string_equal(sheep_reply_header(made, "RETRY-after"), "7");
  assert_null(sheep_reply_header(made, "Retry"));
  assert_null(sheep_reply_header(made, "Date")); /* a value is no name */
  assert_null(sheep_reply_header(made, "OK"));
  call_free(made);
}

static void an_interim_head_is_forgotten(void **state) {
  (void)state;
  call *made = plain_call();
  assert_int_equal(call_set_status_line(made, 103, "Early Hints", 11), SHEEP_OK);
  assert_int_equal(add_header(made, "Link: </a>"), SHEEP_OK);
  assert_int_equal(call_set_status_line(made, 200, "", 0), SHEEP_OK);
  assert_int_equal(sheep_reply_status(made), 200);
  assert_string_equal(sheep_reply_reason(made), "");
  assert_null(sheep_reply_header(made, "Link"));
  call_free(made);
}

/* RFC 9112, 5.2: what a folded line holds belongs to the value before it. */
static void folded_lines_are_joined_by_a_space(void **state) {
  (void)state;
  call *made = answered_call();
  assert_int_equal(add_header(made, "X-Long: first"), SHEEP_OK);
  assert_int_equal(add_header(made, " \t second"), SHEEP_OK);
  assert_int_equal(add_header(made, "\tthird \t"), SHEEP_OK);
  assert_int_equal(add_header(made, "  "), SHEEP_OK);
  assert_int_equal(add_header(made, "X-Next: n"), SHEEP_OK);
  assert_string_equal(sheep_reply_header(made, "X-Long"), "first second third");
  assert_string_equal(sheep_reply_header(made, "X-Next"), "n");
  call_free(made);
}

/* ... and there must be one: the reason phrase is none. */
static void a_folded_line_without_a_header_is_refused(void **state) {
  (void)state;
  call *made = plain_call();
  assert_int_equal(add_header(made, " X: y"), SHEEP_E_PROTOCOL);
  assert_int_equal(call_set_status_line(made, 200, "OK", 2), SHEEP_OK);
  assert_int_equal(add_header(made, " X: y"), SHEEP_E_PROTOCOL);
  assert_string_equal(sheep_reply_reason(made), "OK");
  call_free(made);
}

/* The strings of a head are told apart by NULs. */
static void a_nul_in_the_head_is_refused(void **state) {
  (void)state;
  call *made = plain_call();
  assert_int_equal(call_set_status_line(made, 200, "O\0K", 3), SHEEP_E_PROTOCOL);
  assert_int_equal(call_set_status_line(made, 200, "OK", 2), SHEEP_OK);
  assert_int_equal(call_add_header(made, "X: a\0b", 6), SHEEP_E_PROTOCOL);
  assert_int_equal(call_add_header(made, "X\0: a", 5), SHEEP_E_PROTOCOL);
  assert_int_equal(add_header(made, "X: a"), SHEEP_OK);
  assert_int_equal(call_add_header(made, " b\0Injected\0c", 13), SHEEP_E_PROTOCOL);
  assert_null(sheep_reply_header(made, "Injected"));
  assert_string_equal(sheep_reply_header(made, "X"), "a");
  call_free(made);
}

static void a_line_that_is_no_header_is_refused(void **state) {
  (void)state;
  call *made = answered_call();
  assert_int_equal(add_header(made, "no colon"), SHEEP_E_PROTOCOL);
  assert_int_equal(call_add_header(made, "", 0), SHEEP_E_PROTOCOL);
  assert_int_equal(call_add_header(made, "Cut: off", 3), SHEEP_E_PROTOCOL);
  call_free(made);
}

static void a_head_without_end_is_refused(void **state) {
  (void)state;
  call *made = answered_call();
  int32_t result = SHEEP_OK;
  int lines = 0;
  for (; !result && lines < 1000000; lines++) result = add_header(made, "X-Pad: pppppppppppppppppp");
  assert_int_not_equal(result, SHEEP_OK);
  assert_in_range(made->head.length, 1, 1 << 20);
  call_free(made);
}

/* ---------------------------------------------------------------- the outcome */

static void remembers_the_last_outcome(void **state) {
  (void)state;
  call *made = plain_call();
  call_set_result(made, SHEEP_E_CONNECT, "nobody listens");
  assert_string_equal(sheep_reply_message(made), "nobody listens");
  call_set_result(made, SHEEP_E_CANCELLED, NULL);
  assert_int_equal(made->result, SHEEP_E_CANCELLED);
  assert_string_equal(sheep_reply_message(made), "the call was cancelled");
  call_set_result(made, SHEEP_OK, "ignored");
  assert_string_equal(sheep_reply_message(made), "");
  call_free(made);
}

static int32_t answer(call *made) {
  int32_t result = call_set_status_line(made, 200, "OK", 2);
  if (!result) result = add_header(made, "X: y");
  if (!result) result = add_header(made, " z");
  if (!result) result = buf_append(&made->reply, "body", 4, 4);
  call_set_result(made, result ? result : SHEEP_E_READ, "a message");
  return result;
}

static void live_a_life(void *context) {
  (void)context;
  const sheep_request request = {.method = "POST", .path = "/p"};
  call *made = call_new(&request, &limits);
  if (!made) return;
  int32_t result = answer(made);
  assert_true(result == SHEEP_OK || result == SHEEP_E_NOMEM);
  assert_true(*sheep_reply_message(made));
  call_free(made);
}

static void without_memory_it_still_has_an_outcome(void **state) {
  (void)state;
  fail_each_allocation(live_a_life, NULL, 4);
  call_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(copies_all_of_the_request),
      cmocka_unit_test(an_empty_body_is_not_no_body),
      cmocka_unit_test(a_body_of_binary_bytes_is_kept),
      cmocka_unit_test(an_impossible_body_is_refused),
      cmocka_unit_test(before_an_answer_all_is_empty),
      cmocka_unit_test(keeps_the_head_in_order),
      cmocka_unit_test(finds_a_header_in_any_case),
      cmocka_unit_test(an_interim_head_is_forgotten),
      cmocka_unit_test(folded_lines_are_joined_by_a_space),
      cmocka_unit_test(a_folded_line_without_a_header_is_refused),
      cmocka_unit_test(a_nul_in_the_head_is_refused),
      cmocka_unit_test(a_line_that_is_no_header_is_refused),
      cmocka_unit_test(a_head_without_end_is_refused),
      cmocka_unit_test(remembers_the_last_outcome),
      cmocka_unit_test(without_memory_it_still_has_an_outcome),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
