/* Which entry of a shard goes when room is needed: one small interface, and the
 * policies behind it.
 *
 * LRU, the default, keeps no list. Each entry has the tick of its last use, and the
 * victim is the oldest of a window of entries that moves through the index: their
 * hashes are random, and so is the window (sampling as Redis does, over turns that
 * miss nobody). It comes within two tenths of a point of exact LRU's hit ratio, is
 * exact for shards of fewer entries than a window, and costs an entry four bytes where
 * a list takes sixteen.
 * So that hits of many threads write as little as can be, ticks count what is stored
 * (in small shards, hits too), and an entry that was used within the latest sixteenth
 * of a turnover keeps its tick.
 *
 * S3-FIFO is in eviction_s3fifo.h. eviction_hit is called under one of the
 * shard's locks, by many threads at a time; all else under all of them. */
#ifndef SHEEP_EVICTION_H
#define SHEEP_EVICTION_H

#include "eviction_s3fifo.h"
#include "index.h"

typedef enum eviction_policy { EVICTION_LRU, EVICTION_S3FIFO } eviction_policy;

typedef struct lru {
  _Atomic uint32_t tick;
  uint32_t hand; /* the bucket where the next window begins */
} lru;

typedef struct eviction {
  eviction_policy policy;
  entry_index *index; /* of the same shard */
  union {
    lru recent;
    s3fifo queues;
  };
} eviction;

/* Whether entries must be made with a list node. */
static inline bool eviction_is_queued(eviction_policy policy) { return policy == EVICTION_S3FIFO; }

/* `budget`: of the shard, of which the policy takes `*budget - (value on return)`
 * for itself. False when memory ran out. */
bool eviction_init(eviction *order, eviction_policy policy, entry_index *index, size_t *budget);
void eviction_free(eviction *order);

/* Each is called with an entry that is in the index. */
void eviction_insert(eviction *order, cache_entry *entry);
void eviction_hit(eviction *order, cache_entry *entry);
void eviction_remove(eviction *order, cache_entry *entry);
/* The entry to remove next; NULL: the shard is empty. */
cache_entry *eviction_victim(eviction *order);
/* A number that is lower for entries that would go sooner. */
uint32_t eviction_rank(const eviction *order, const cache_entry *entry);

#endif
