/* The canonical request: the one text that all spellings of a request share, and
 * the cache's key. Pure, no state; any thread.
 *
 * It is what Python's json.dumps(json.loads(text), sort_keys=True) gives, but
 * - numbers, NaN, Infinity and -Infinity stay as they are spelled: 1, 1.0 and 1e0
 *   are three requests, and so are 2^53 and 2^53+1, which one double stands for;
 * - `stream` and `stream_options` are left out of the top object: they say how the
 *   answer is sent, not what it is;
 * - the members of objects within `tools`, `functions` and `response_format` of the
 *   top object keep their order: a model reads them in it;
 * - a name that occurs twice in one object is refused: servers differ on which of
 *   the two counts. */
#ifndef SHEEP_CANON_H
#define SHEEP_CANON_H

#include "buf.h"
#include "holysheep.h"

enum {
  CANON_DEPTH = 200,            /* objects and arrays within one another */
  CANON_MOST_BYTES = 128 << 20, /* of a request */
  CANON_REDIS_NAME = 43         /* "holysheep:", 32 hex digits, NUL */
};

/* Leaves out of the top object what labels a request without changing its answer:
 * `user`, `safety_identifier`, `prompt_cache_key`, `prompt_cache_retention` and
 * `store`. Not `metadata`, by which gateways choose a model or a guardrail, nor
 * `service_tier`, which the reply repeats and which has its own price. */
#define CANON_UNLABELLED 1u

/* Appends the canonical form of `length` bytes of UTF-8 at `text`, which need not be
 * terminated. Takes n log n time and, while at it, three times the text's memory, or
 * up to twenty if there is much to escape. SHEEP_E_INVALID says at which byte, from 0,
 * the text isn't a JSON object, or is one that is refused; SHEEP_E_TOO_LARGE above
 * CANON_MOST_BYTES; SHEEP_E_NOMEM. `out` is then as it was, and the message holds
 * nothing of the text. */
int32_t canon_write(const char *text, size_t length, uint32_t flags, buf *out, sheep_error *error);

/* How a member of the top object is treated; any other name is CANON_SORTED. */
typedef enum canon_treatment { CANON_SORTED, CANON_IN_ORDER, CANON_LEFT_OUT } canon_treatment;

/* By its name as it stands in the canonical form, without quotes. For those who write
 * that form themselves. */
canon_treatment canon_treatment_of(const char *name, size_t length, uint32_t flags);

/* The key in Redis of a canonical request: the article's, "holysheep:" and the first
 * 32 hex digits of its SHA-256. Fails as hash_sha256_hex does. */
int32_t canon_redis_name(const char *canonical, size_t length, char name[CANON_REDIS_NAME]);

#endif
