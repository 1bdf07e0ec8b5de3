/* The store of a cache: replies by their key, in shards, within a byte budget.
 *
 * Any thread may call any function. Time is passed in: monotonic microseconds,
 * not negative. What a caller must know:
 * - A key is found only when its whole text and namespace are the same. Digests
 *   are store_digest's of the text.
 * - A hit gives references: read the value as long as you like, then call
 *   entry_release, and attachment_release if there is an attachment.
 * - Read store_generation when a request is looked up, and give it to store_put
 *   with the reply: then nothing is stored that was invalidated in between.
 * - max_bytes is never exceeded, not for a moment. It counts entries as malloc
 *   rounds them, attachments and the index. Beside it stand the shards and models
 *   (a quarter of a MiB, and up to 4,096 names), and what callers hold references to.
 * - Nothing runs by itself: what expired or was invalidated is never found, and
 *   its memory comes back in small steps of later calls, at once with store_reclaim. */
#ifndef SHEEP_STORE_H
#define SHEEP_STORE_H

#include "shard.h"

typedef struct store store;

/* Zero in a member means its default. */
typedef struct store_options {
  uint64_t max_bytes;  /* default 256 MiB, at least 16 KiB */
  uint64_t item_limit; /* of one entry's cost; default and at most: see store_new */
  uint32_t shards;     /* a power of two up to 1,024; default 64, fewer for small stores */
  eviction_policy policy;
  int64_t stale_us;    /* how long expired entries are kept for stale hits; default none */
  uint64_t seed;       /* random, so that nobody outside can make keys crowd in one place */
} store_options;

typedef enum store_result {
  STORE_STORED,
  STORE_TOO_LARGE,      /* over item_limit, or a text is longer than an entry can hold */
  STORE_OUTDATED,       /* the model or all was invalidated since that generation */
  STORE_NO_TTL,         /* zero or less */
  STORE_TOO_MANY_MODELS, /* 4,096 have entries, or the name is over 255 bytes */
  STORE_NO_MEMORY,
  STORE_RESULTS
} store_result;

typedef struct store_stats {
  uint64_t hits; /* without stale ones */
  uint64_t stale_hits;
  uint64_t misses;
  uint64_t prompt_tokens; /* of the replies that were hit: not paid for again */
  uint64_t completion_tokens;
  uint64_t nanodollars; /* that those cost */
  uint64_t stores;
  uint64_t evictions;
  uint64_t expirations;
  uint64_t invalidations; /* entries removed so far because of them */
  uint64_t deletions;
  uint64_t entries; /* with those that are dead and not removed yet */
  uint64_t bytes;
  uint64_t attachments;
  uint64_t attachment_bytes; /* part of `bytes` */
  uint64_t attachments_dropped;
  uint64_t waiting_bytes; /* of dropped attachments that store_take_dropped has to fetch */
  uint64_t refused[STORE_RESULTS]; /* by reason */
} store_stats;

/* NULL: memory ran out, or `options` are out of range. A shard has max_bytes / shards
 * to itself; an item may take an eighth of that by default, and at most all. By
 * default there are as many shards as leave each 256 KiB, up to 64. */
store *store_new(const store_options *options);
/* After all references to attachments were released: see store_drop_attachments. */
void store_free(store *cache);

digest128 store_digest(const store *cache, const char *text, size_t length);
uint64_t store_generation(const store *cache);

/* `stale_us`: also accept what expired less than that ago (as far as it is kept). */
bool store_get(store *cache, const cache_key *key, int64_t now_us, int64_t stale_us, cache_hit *hit);
/* Copies the key and the value. */
store_result store_put(store *cache, const cache_key *key, const cache_value *value, uint64_t generation,
                       int64_t now_us);
bool store_delete(store *cache, const cache_key *key);
/* Whether an entry of such lengths is within the item limit; reads only lengths. */
bool store_could_fit(const store *cache, const cache_key *key, size_t value_length);
/* Whether it is too large, so that nothing else need be asked; counted as refused. */
bool store_refuses(store *cache, const cache_key *key, size_t value_length);

/* Exactly this model's entries, or all, are not found from now on. O(1). */
void store_invalidate(store *cache, const char *model, size_t length);
void store_clear(store *cache);
/* What a token of a model costs, where entries of it are that came without a price. */
void store_set_price(store *cache, const char *model, size_t length, int64_t price);
/* Gives back the memory of all that is dead; looks at every entry, a few at a time. */
void store_reclaim(store *cache, int64_t now_us);

/* Hangs the host's object on an entry that was hit, for the next hits. If true the
 * store has it now, until store_take_dropped gives it back; if false it is still the
 * caller's (the entry is gone, has one, or there is no room or memory). `size`: the
 * bytes that it takes, for the budget, in which attachments take up to an eighth. */
bool store_attach(store *cache, cache_entry *entry, void *object, size_t size);
/* The objects that were dropped since the last call, for attachment_bury, which
 * gives them one by one. */
mpsc_node *store_take_dropped(store *cache);
/* Drops every attachment; those that a hit still holds follow when it is released. */
void store_drop_attachments(store *cache);

void store_read_stats(store *cache, store_stats *stats);

/* For scans, such as a snapshot's. */
uint32_t store_shard_count(const store *cache);
shard *store_shard(store *cache, uint32_t number);
models *store_models(store *cache);

/* Around a fork, by the forking thread: the child's copy is then whole. */
void store_lock_all(store *cache);
void store_unlock_all(store *cache);

#endif
