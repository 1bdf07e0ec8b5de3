/* Whether a reply may be stored, and what it cost. */
#include "judge.h"

#include "canon.h"
#include "json.h"

#include <stdbool.h>
#include <string.h>

/* The canonical form, because canon_write refuses what json.loads refuses and what
 * cJSON takes for JSON; what it leaves out of a request no reply has. */
static json_value *read_strictly(const char *body, size_t length) {
  buf canonical = {0};
  json_value *reply = NULL;
  if (canon_write(body, length, 0, &canonical, NULL) == 0)
    reply = json_parse(canonical.data, canonical.length);
  buf_free(&canonical);
  return reply;
}

static int64_t count_of(const json_value *counts, const char *name) {
  return json_count(json_member(counts, name), JUDGE_MOST_TOKENS, 0);
}

static usage read_usage(const json_value *reply) {
  const json_value *counts = json_member(reply, "usage");
  return (usage){
      .prompt_tokens = count_of(counts, "prompt_tokens"),
      .completion_tokens = count_of(counts, "completion_tokens"),
      .total_tokens = count_of(counts, "total_tokens"),
  };
}

static bool has_error(const json_value *value) {
  const json_value *error = json_member(value, "error");
  return error && !json_is_null(error);
}

static verdict judge_choice(const json_value *choice, uint32_t flags) {
  if (!json_is_object(choice)) return VERDICT_NO_CHOICES;
  if (has_error(choice)) return VERDICT_ERROR;
  const char *reason = json_string(json_member(choice, "finish_reason"));
  if (!reason) return VERDICT_STORE;
  if (strcmp(reason, "length") == 0 && !(flags & JUDGE_ALLOW_TRUNCATED)) return VERDICT_TRUNCATED;
  if (strcmp(reason, "content_filter") == 0 && !(flags & JUDGE_ALLOW_FILTERED))
    return VERDICT_FILTERED;
  return VERDICT_STORE;
}

static verdict judge_choices(const json_value *reply, uint32_t flags) {
  if (has_error(reply)) return VERDICT_ERROR;
  const json_value *choice = json_first(json_member(reply, "choices"));
  if (!choice) return VERDICT_NO_CHOICES;
  for (; choice; choice = json_next(choice)) {
    verdict judged = judge_choice(choice, flags);
    if (judged != VERDICT_STORE) return judged;
  }
  return VERDICT_STORE;
}

verdict judge_reply(int32_t status, const char *body, size_t length, uint32_t flags,
                    usage *spent) {
  *spent = (usage){0};
  if (status != 200) return VERDICT_NOT_200;
  json_value *reply = read_strictly(body, length);
  if (!reply) return VERDICT_NOT_JSON;
  *spent = read_usage(reply);
  verdict judged = judge_choices(reply, flags);
  json_free(reply);
  return judged;
}
