/* A cache: the store of replies, the rules of what goes into it, and its figures.
 * Any thread may call any function. Monotonic time is read here and passed down.
 *
 * `references` counts its user and each pool that looks into it. The registry of
 * caches is for fork; its lock is taken before those of the stores. */
#ifndef SHEEP_CACHE_H
#define SHEEP_CACHE_H

#include "cache_rules.h"
#include "judge.h"
#include "store.h"

enum { VERDICTS = VERDICT_FILTERED + 1 };

struct sheep_cache {
  _Atomic uint32_t references;
  store *entries;
  cache_rules rules;
  _Atomic uint64_t coalesced;
  _Atomic uint64_t recounted_misses; /* that the store counted twice */
  _Atomic uint64_t judged[VERDICTS];
  _Atomic uint64_t without_model;
  list_node registry_link;
};

void cache_register(sheep_cache *cache);
void cache_retain(sheep_cache *cache);
/* NULL is accepted. */
void cache_release(sheep_cache *cache);

/* What a request is known by in a cache. */
typedef struct cache_request {
  const char *text; /* canonical, NUL-terminated */
  size_t length;
  char *owned;            /* the text's memory, or NULL: it is another's */
  const char *name_space; /* of the pool */
  size_t namespace_length;
  digest128 digest;
  uint64_t generation; /* of the store when the request was made */
  const char *model;   /* in `text`, once cache_keep has looked for it */
  size_t model_length;
} cache_request;

/* Makes the canonical form of a body. SHEEP_E_INVALID when it is refused (canon.h),
 * SHEEP_E_TOO_LARGE, SHEEP_E_NOMEM. */
int32_t cache_request_init(cache_request *request, const sheep_cache *cache, const char *name_space,
                           const void *body, size_t length, sheep_error *error);
/* The same for a text that is canonical already and stays the caller's. */
void cache_request_borrow(cache_request *request, const sheep_cache *cache, const char *name_space,
                          const char *text, size_t length);
void cache_request_free(cache_request *request);

/* Whether one answer may serve both: the same text, of the same namespace, and nothing
 * was invalidated between the two. */
bool cache_request_is_same(const cache_request *one, const cache_request *other);

cache_key cache_key_of(const cache_request *request);

typedef enum stale_use { STALE_NEVER, STALE_WHILE_REVALIDATE, STALE_IF_ERROR } stale_use;

/* cache_hit_release must follow a hit. */
bool cache_find(sheep_cache *cache, const cache_request *request, stale_use use, cache_hit *hit);
/* The same for a request that was looked up before: a miss is not counted again. */
bool cache_find_again(sheep_cache *cache, const cache_request *request, stale_use use,
                      cache_hit *hit);
void cache_hit_release(cache_hit *hit);

/* Stores a reply if it may be stored; true: it is. Counts why not. */
bool cache_keep(sheep_cache *cache, cache_request *request, int32_t status, const char *body,
                size_t length);

/* Around fork, in this order, after the queues' locks; see fork.c. */
void caches_lock(void);
void caches_unlock(void);

#endif
