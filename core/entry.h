/* A cached reply: what is known of it, its key and its value, in one immutable
 * block that is counted by reference. So a hit takes a reference and copies
 * nothing, and touches the fewest cache lines: the header is one line long, the
 * key follows it.
 *
 * Who may read what: a holder of a reference reads what never changes once the
 * entry is made; `next` and `attached` belong to the shard's locks. */
#ifndef SHEEP_ENTRY_H
#define SHEEP_ENTRY_H

#include "hash.h"
#include "list.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct attachment;

/* Times of the entries are monotonic microseconds of 48 bits, nine years of them;
 * the last value means never. */
#define ENTRY_TIME_MAX ((INT64_C(1) << 48) - 1)

/* The widths of what is kept short; entry_new wants lengths within them. */
enum { ENTRY_NAMESPACE_MAX = (1 << 15) - 1, ENTRY_RECENCY_MASK = INT32_MAX };

/* The recency of an entry that is in no shard. */
#define ENTRY_UNLINKED UINT32_MAX

typedef struct cache_entry cache_entry;

struct cache_entry {
  cache_entry *next; /* in its bucket's chain; when removed, in a list of garbage */
  struct attachment *attached;
  uint64_t expires : 48; /* ENTRY_TIME_MAX: never */
  uint64_t namespace_length : 15;
  uint64_t queued : 1; /* a list node stands before the block */
  uint64_t generation : 48; /* when its request was looked up; see models.h */
  uint64_t model : 16;
  uint64_t stored_ms : 40; /* see entry_age_us */
  uint64_t prompt_tokens : 24;
  uint32_t completion_tokens;
  uint32_t hash;
  _Atomic uint32_t references;
  uint32_t text_length; /* of the key, without the namespace */
  uint32_t value_length;
  _Atomic uint32_t recency; /* what the eviction policy makes of it; relaxed */
  char bytes[];          /* namespace, key text, value, NUL */
};

/* What a reply is found by: all bytes of both texts count, the digest (of any
 * kind, as long as equal keys have equal ones) only says where to look. */
typedef struct cache_key {
  const char *name_space;
  size_t namespace_length;
  const char *text;
  size_t text_length;
  digest128 digest;
} cache_key;

/* What to store. */
typedef struct cache_value {
  const char *data;
  size_t length;
  const char *model;
  size_t model_length;
  int64_t ttl_us; /* INT64_MAX: never expires */
  int64_t price;  /* of its model: billionths of a dollar a token, up to INT32_MAX */
  int64_t age_us; /* that it already has, when it comes from a file */
  uint32_t prompt_tokens; /* up to 2^24 - 1 are told apart */
  uint32_t completion_tokens;
} cache_value;

/* Where an entry is: the high bits choose the shard, the low ones the slot. */
static inline uint32_t key_hash(const cache_key *key) { return (uint32_t)key->digest.low; }

/* The bytes that an entry takes from its shard's budget: the block as malloc
 * rounds it. SIZE_MAX when a length is beyond what an entry can hold. */
size_t entry_cost_of(const cache_key *key, size_t value_length, bool queued);
size_t entry_cost(const cache_entry *entry);

/* A copy, with one reference; model and generation are the caller's to set. NULL
 * when memory ran out. The lengths must have an entry_cost_of. */
cache_entry *entry_new(const cache_key *key, const cache_value *value, bool queued, int64_t now_us);

static inline void entry_retain(cache_entry *entry) {
  atomic_fetch_add_explicit(&entry->references, 1, memory_order_relaxed);
}

/* Gives one reference back, from any thread; the entry may outlive its store. */
void entry_release(cache_entry *entry);

static inline uint32_t entry_recency(const cache_entry *entry) {
  return atomic_load_explicit(&((cache_entry *)(uintptr_t)entry)->recency, memory_order_relaxed);
}

static inline void entry_set_recency(cache_entry *entry, uint32_t recency) {
  atomic_store_explicit(&entry->recency, recency, memory_order_relaxed);
}

/* How long ago it was stored, in whole milliseconds. */
int64_t entry_age_us(const cache_entry *entry, int64_t now_us);

static inline bool bytes_equal(const char *left, const char *right, size_t length) {
  return !length || !memcmp(left, right, length);
}

/* Whether all of the key is the same. */
static inline bool entry_has_key(const cache_entry *entry, const cache_key *key) {
  return entry->hash == key_hash(key) && entry->text_length == key->text_length &&
         entry->namespace_length == key->namespace_length &&
         bytes_equal(entry->bytes, key->name_space, key->namespace_length) &&
         bytes_equal(entry->bytes + key->namespace_length, key->text, key->text_length);
}

static inline const char *entry_value(const cache_entry *entry) {
  return entry->bytes + entry->namespace_length + entry->text_length;
}

/* The list node of an entry that was made with `queued`. */
static inline list_node *entry_node(cache_entry *entry) { return (list_node *)(void *)entry - 1; }

static inline cache_entry *entry_of_node(list_node *node) { return (cache_entry *)(void *)(node + 1); }

#endif
