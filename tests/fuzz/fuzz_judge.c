/* Any bytes as a reply: what is stored is a JSON object by the canonicaliser, which is
 * as strict as json.loads, and what it is said to have cost is within bounds. */
#include "canon.h"
#include "judge.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds) {
  if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  usage spent;
  verdict judged = judge_reply(200, (const char *)data, size, 0, &spent);
  require(spent.prompt_tokens >= 0 && spent.prompt_tokens <= JUDGE_MOST_TOKENS);
  require(spent.completion_tokens >= 0 && spent.completion_tokens <= JUDGE_MOST_TOKENS);
  require(spent.total_tokens >= 0 && spent.total_tokens <= JUDGE_MOST_TOKENS);
  buf canonical = {0};
  if (canon_write((const char *)data, size, 0, &canonical, NULL))
    require(judged == VERDICT_NOT_JSON);
  buf_free(&canonical);
  return 0;
}
