/* judge.h: whether a reply may be stored. */
#include "unit.h"

#include "failing.h"

#include "alloc.h"
#include "judge.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

/* The tests write ' for ", to be legible. Exactly as long as the text, so that
 * AddressSanitizer sees what is read. */
static verdict judge_part(int32_t status, const char *legible, size_t length, uint32_t flags,
                          usage *spent) {
  char *body = calloc(1, length + 1);
  for (size_t i = 0; i < length; i++) body[i] = legible[i] == '\'' ? '"' : legible[i];
  verdict judged = judge_reply(status, body, length, flags, spent);
  free(body);
  return judged;
}

static verdict judge(const char *legible, uint32_t flags) {
  usage spent;
  return judge_part(200, legible, strlen(legible), flags, &spent);
}

#define CHOICE(reason) \
  "{'index':0,'message':{'role':'assistant','content':'hi'},'finish_reason':" reason "}"

static void a_whole_reply_is_stored(void **state) {
  (void)state;
  assert_int_equal(judge("{'choices':[" CHOICE("'stop'") "]}", 0), VERDICT_STORE);
  assert_int_equal(judge("{'choices':[" CHOICE("'tool_calls'") "]}", 0), VERDICT_STORE);
  assert_int_equal(judge("{'choices':[" CHOICE("null") "]}", 0), VERDICT_STORE);
  assert_int_equal(judge("{'choices':[{'text':'hi'}]}", 0), VERDICT_STORE);
  assert_int_equal(judge("{'error':null,'choices':[{'error':null}]}", 0), VERDICT_STORE);
  assert_int_equal(judge("{'choices':[{'text':'\\u0000\\ud83d\\ude00'}]}", 0), VERDICT_STORE);
}

static void only_200_is_stored(void **state) {
  (void)state;
  static const int32_t others[] = {0, 199, 201, 202, 204, 206, 301, 400, 429, 500};
  const char *body = "{'choices':[" CHOICE("'stop'") "],'usage':{'prompt_tokens':1}}";
  for (size_t i = 0; i < LENGTH_OF(others); i++) {
    usage spent = {1, 1, 1};
    assert_int_equal(judge_part(others[i], body, strlen(body), 0, &spent), VERDICT_NOT_200);
    assert_int_equal(spent.prompt_tokens, 0);
  }
}

/* Each is what cJSON, or a server in a hurry, takes for JSON. */
static void what_readers_may_not_agree_on_is_not_stored(void **state) {
  (void)state;
  static const char *const bodies[] = {
      "", "[]", "null", "'choices'", "<html></html>",
      "{'choices':[{}]", "{'choices':[{}]}}", "{'choices':[{}]}x",
      "{'choices':[{}],'a':01}", "{'choices':[{}],'a':NaN}", "{'choices':[{}],'a':.5}",
      "{'choices':[{}],'a':'\t'}", "{'choices':\v[{}]}",
      "{'choices':[{}],'a':'\\ud800'}",
      "{'choices':[{}],'a':'\xff'}", "{'choices':[{}],'a':'\xed\xa0\x80'}",
      "{'choices':[{}],'choices':[]}", "{'choices':[{'a':1,'a':2}]}",
      "\xef\xbb\xbf{'choices':[{}]}"};
  for (size_t i = 0; i < LENGTH_OF(bodies); i++)
    assert_int_equal(judge(bodies[i], 0), VERDICT_NOT_JSON);
  usage spent;
  assert_int_equal(judge_part(200, "{'choices':[{}]}\0", 17, 0, &spent), VERDICT_NOT_JSON);
}

static void every_truncation_is_not_stored(void **state) {
  (void)state;
  const char *body = "{'id':'a','choices':[" CHOICE("'stop'") "],'usage':{'prompt_tokens':12}}";
  usage spent;
  for (size_t length = 0; length < strlen(body); length++)
    assert_int_equal(judge_part(200, body, length, 0, &spent), VERDICT_NOT_JSON);
}

static void a_reply_without_choices_is_not_stored(void **state) {
  (void)state;
  static const char *const bodies[] = {
      "{}", "{'choices':[]}", "{'choices':{}}", "{'choices':null}", "{'choices':[1]}",
      "{'choices':[{},null]}", "{'Choices':[{}]}", "{'choices\\u0000':[{}]}",
      "{'a':{'choices':[{}]}}"};
  for (size_t i = 0; i < LENGTH_OF(bodies); i++)
    assert_int_equal(judge(bodies[i], 0), VERDICT_NO_CHOICES);
}

static void an_error_is_not_stored(void **state) {
  (void)state;
  assert_int_equal(judge("{'error':{'message':'busy'}}", 0), VERDICT_ERROR);
  assert_int_equal(judge("{'error':'busy','choices':[{}]}", 0), VERDICT_ERROR);
  assert_int_equal(judge("{'choices':[{},{'error':{'code':502}}]}", 0), VERDICT_ERROR);
}

static void a_choice_cut_short_is_stored_only_if_allowed(void **state) {
  (void)state;
  const char *truncated = "{'choices':[" CHOICE("'stop'") "," CHOICE("'length'") "]}";
  assert_int_equal(judge(truncated, 0), VERDICT_TRUNCATED);
  assert_int_equal(judge(truncated, JUDGE_ALLOW_FILTERED), VERDICT_TRUNCATED);
  assert_int_equal(judge(truncated, JUDGE_ALLOW_TRUNCATED), VERDICT_STORE);
  const char *filtered = "{'choices':[" CHOICE("'content_filter'") "]}";
  assert_int_equal(judge(filtered, 0), VERDICT_FILTERED);
  assert_int_equal(judge(filtered, JUDGE_ALLOW_TRUNCATED), VERDICT_FILTERED);
  assert_int_equal(judge(filtered, JUDGE_ALLOW_FILTERED), VERDICT_STORE);
}

static void usage_is_read_and_lies_are_not(void **state) {
  (void)state;
  usage spent;
  const char *body = "{'choices':[{'finish_reason':'length'}],'usage':"
                     "{'prompt_tokens':12,'completion_tokens':34,'total_tokens':46}}";
  assert_int_equal(judge_part(200, body, strlen(body), 0, &spent), VERDICT_TRUNCATED);
  assert_int_equal(spent.prompt_tokens, 12);
  assert_int_equal(spent.completion_tokens, 34);
  assert_int_equal(spent.total_tokens, 46);
  body = "{'choices':[{}],'usage':"
         "{'prompt_tokens':-1,'completion_tokens':1e300,'total_tokens':'46'}}";
  assert_int_equal(judge_part(200, body, strlen(body), 0, &spent), VERDICT_STORE);
  assert_int_equal(spent.prompt_tokens + spent.completion_tokens + spent.total_tokens, 0);
  body = "{'choices':[{}],'usage':{'prompt_tokens':1073741824,'completion_tokens':1073741825}}";
  judge_part(200, body, strlen(body), 0, &spent);
  assert_int_equal(spent.prompt_tokens, JUDGE_MOST_TOKENS);
  assert_int_equal(spent.completion_tokens, 0);
  body = "{'choices':[{}],'usage':null}";
  assert_int_equal(judge_part(200, body, strlen(body), 0, &spent), VERDICT_STORE);
}

static void scenario(void *context) {
  verdict judged = judge(context, 0);
  assert_true(judged == VERDICT_STORE || judged == VERDICT_NOT_JSON);
}

static void without_memory_nothing_is_stored(void **state) {
  (void)state;
  cJSON_Hooks hooks = {mem_alloc, mem_free};
  cJSON_InitHooks(&hooks);
  fail_each_allocation(scenario, (void *)(uintptr_t)"{'b':1,'choices':[{'text':'a'}]}", 8);
  cJSON_InitHooks(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_whole_reply_is_stored),
      cmocka_unit_test(only_200_is_stored),
      cmocka_unit_test(what_readers_may_not_agree_on_is_not_stored),
      cmocka_unit_test(every_truncation_is_not_stored),
      cmocka_unit_test(a_reply_without_choices_is_not_stored),
      cmocka_unit_test(an_error_is_not_stored),
      cmocka_unit_test(a_choice_cut_short_is_stored_only_if_allowed),
      cmocka_unit_test(usage_is_read_and_lies_are_not),
      cmocka_unit_test(without_memory_nothing_is_stored),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
