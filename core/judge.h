/* Whether a reply may be stored, and what it cost. Pure; any thread.
 *
 * A stored reply is handed out again for hours, so only one that is whole and that
 * every reader agrees on is: JSON as strict as json.loads, without a name that occurs
 * twice, with at least one choice, and none of them cut short. */
#ifndef SHEEP_JUDGE_H
#define SHEEP_JUDGE_H

#include <stddef.h>
#include <stdint.h>

typedef enum verdict {
  VERDICT_STORE,
  VERDICT_NOT_200,
  VERDICT_NOT_JSON,   /* or in doubt: twice a name, NaN, half a surrogate pair; or no memory */
  VERDICT_ERROR,      /* has an `error` that isn't null, as some gateways send with 200 */
  VERDICT_NO_CHOICES, /* no `choices`, or not a list of objects, or an empty one */
  VERDICT_TRUNCATED,  /* a choice's `finish_reason` is "length" */
  VERDICT_FILTERED    /* or "content_filter" */
} verdict;

/* Lets replies pass that would be TRUNCATED, or FILTERED. */
#define JUDGE_ALLOW_TRUNCATED 1u
#define JUDGE_ALLOW_FILTERED 2u

enum { JUDGE_MOST_TOKENS = 1 << 30 };

/* The reply's `usage`; 0 for what isn't there or isn't a number from 0 up to
 * JUDGE_MOST_TOKENS, so that billions of them can be added up. */
typedef struct usage {
  int64_t prompt_tokens;
  int64_t completion_tokens;
  int64_t total_tokens;
} usage;

/* `spent` is filled in when the status is 200 and the body JSON, and zero if not. */
verdict judge_reply(int32_t status, const char *body, size_t length, uint32_t flags, usage *spent);

#endif
