/* A part of the store: an index, an eviction order, a byte budget and counters, and
 * the locks over them. Which shard an entry belongs to is the store's affair.
 *
 * There is a lock for each of a few lanes; a thread has its lane. Who looks up takes
 * the lock of its own lane, who changes anything takes all: so threads that hit the
 * same shard don't wait for each other, nor hand a cache line to and fro.
 *
 * Invariants, whenever no lock is held:
 * - counters.bytes is the cost of all linked entries, of their attachments and of
 *   the index's blocks, and never more than the budget;
 * - every linked entry is in the index and in the eviction order, claims its model,
 *   and its attachment, if it has one, is in `attachments`.
 * Under a lock nothing is freed, no callback runs, nothing waits, and the work is
 * bounded: what takes longer lets the locks go in between. */
#ifndef SHEEP_SHARD_H
#define SHEEP_SHARD_H

#include "attachment.h"
#include "eviction.h"
#include "models.h"

/* What the shards of a store share; it outlives them. */
typedef struct shard_settings {
  size_t budget; /* bytes, of each shard */
  size_t item_limit;
  int64_t stale_us; /* how long entries are kept after they expired */
  eviction_policy policy;
  models *known;
  graveyard *yard;
} shard_settings;

/* Read by any thread at any time. Those of a lane are written under its lock, of the
 * others most under all locks. */
typedef struct shard_counters {
  _Atomic uint64_t stale_hits;
  _Atomic uint64_t misses;
  _Atomic uint64_t stores;
  _Atomic uint64_t evictions;
  _Atomic uint64_t expirations;
  _Atomic uint64_t invalidations; /* entries removed because their model was invalidated */
  _Atomic uint64_t deletions;
  _Atomic uint64_t entries;
  _Atomic uint64_t bytes;
  _Atomic uint64_t attachments;
  _Atomic uint64_t attachment_bytes; /* part of bytes */
  _Atomic uint64_t attachments_dropped;
} shard_counters;

/* All that a hit writes, but for its entry: two cache lines. */
typedef struct shard_lane {
  _Alignas(64) pthread_mutex_t lock;
  _Atomic uint64_t hits; /* without stale ones */
  _Atomic uint64_t prompt_tokens; /* of replies that were hit, stale or not */
  _Atomic uint64_t completion_tokens;
  _Atomic uint64_t nanodollars; /* that those cost */
} shard_lane;

enum { SHARD_LANES = 4 };

typedef struct shard {
  shard_lane lanes[SHARD_LANES];
  const shard_settings *settings;
  size_t budget;
  uint32_t sweep_hand; /* buckets below it are yet to be looked through in this turn */
  bool turn_owed;      /* for entries that were invalidated */
  uint64_t swept_generation;
  int64_t next_sweep;
  list attachments; /* longest attached first */
  eviction order;
  entry_index index;
  shard_counters counters;
} shard;

/* All locks, in order; for a fork too. */
void shard_lock_all(shard *part);
void shard_unlock_all(shard *part);

/* A reply that was found. Both references are the caller's to release. */
typedef struct cache_hit {
  cache_entry *entry;
  attachment *attached; /* NULL: none */
  int64_t age_us;
  int64_t ttl_us; /* left; INT64_MAX: never expires; negative: stale for so long */
  bool stale;
} cache_hit;

/* An entry of a scan: a reference, and a claim on its model. */
typedef struct scanned {
  cache_entry *entry;
  uint32_t rank; /* lower: would be evicted sooner */
} scanned;

enum { SCAN_ROOM = 256 };

#define SCAN_OVER UINT32_MAX

/* In zeroed memory. False when memory ran out. */
bool shard_init(shard *part, const shard_settings *settings);
void shard_free(shard *part);

/* `stale_us`: how long after it expired an entry still serves, up to the shard's. */
bool shard_get(shard *part, const cache_key *key, int64_t now_us, int64_t stale_us, cache_hit *hit);
/* Takes over the reference and the model's claim. False: it has no room for it. */
bool shard_put(shard *part, const cache_key *key, cache_entry *entry, int64_t now_us);
bool shard_delete(shard *part, const cache_key *key);

/* Takes over the attachment's one reference, if true. False: the entry is gone, has
 * one already, or there is no room. */
bool shard_attach(shard *part, cache_entry *entry, attachment *attached);
void shard_drop_attachments(shard *part);

/* Removes all that has expired or was invalidated, a bounded part at a time. */
void shard_reclaim(shard *part, int64_t now_us);

/* A scan sees every entry that stays in throughout exactly once. It begins with 0 as
 * its cursor, and is over when that is SCAN_OVER. */
void shard_scan_begin(shard *part);
/* Fills `batch`, which has SCAN_ROOM; returns how many, and moves the cursor. */
size_t shard_scan(shard *part, uint32_t *cursor, scanned *batch);
void shard_scan_end(shard *part);

#endif
