/* The entries of a shard by their hash: buckets of one cache line, so that finding
 * an entry takes a miss for the bucket and one for the entry. A bucket holds seven
 * pointers and as many tags (a byte of the hash), which spare the look at other
 * entries; what is more hangs on the seventh as a chain.
 *
 * It grows and shrinks by single buckets (linear hashing: Litwin, VLDB 1980), so
 * that no look-up ever waits for a rehash of all. Buckets live in segments and never
 * move; it takes four segments to double their number, so that at most a fifth is
 * there in vain.
 *
 * Invariants, but for the steps that index_settle still owes:
 * - one to four entries a bucket on average (or as many buckets as it began with, or
 *   no memory for more);
 * - an entry's bucket is the low bits of its hash, as many as there are buckets;
 *   the buckets that are not split yet in this round take one bit less;
 * - in a bucket the used places come first, and only the seventh has a chain.
 * Read under one of the shard's locks, changed under all. It allocates nothing itself. */
#ifndef SHEEP_INDEX_H
#define SHEEP_INDEX_H

#include "entry.h"

enum { INDEX_PLACES = 7, INDEX_FIRST_BUCKETS = 4, INDEX_SEGMENTS = 81 };

/* Entries in a bucket beyond which the shard makes room, so that keys made to
 * collide cannot make look-ups slow. */
enum { INDEX_BUCKET_MOST = 40 };

typedef struct bucket {
  cache_entry *entries[INDEX_PLACES];
  uint8_t tags[8];
} bucket;

typedef struct entry_index {
  uint32_t bucket_count;
  uint32_t entry_count;
  uint32_t segment_count; /* that it was given, with the first */
  uint32_t frozen;        /* scans under way, during which no entry may change buckets */
  bucket *segments[INDEX_SEGMENTS];
  _Alignas(64) bucket first[INDEX_FIRST_BUCKETS];
} entry_index;

void index_init(entry_index *index);

/* NULL: there is none with this key. */
cache_entry *index_find(const entry_index *index, const cache_key *key);
void index_insert(entry_index *index, cache_entry *entry);
/* It must be in. */
void index_remove(entry_index *index, cache_entry *entry);

/* The number of the bucket of a hash, and what is in a bucket, up to
 * INDEX_BUCKET_MOST; returns how many. */
uint32_t index_bucket_of(const entry_index *index, uint32_t hash);
uint32_t index_read(const entry_index *index, uint32_t number, cache_entry **entries);
/* Fetches the entries of a bucket into the cache, all at once. */
void index_prefetch(const entry_index *index, uint32_t number);

/* The bytes of the block that the next insertion would need to be given; 0: none. */
size_t index_wants(const entry_index *index);
/* `block` is zeroed and has as many bytes as index_wants says. */
void index_give(entry_index *index, void *block);
/* Splits or merges up to `steps` buckets towards the invariant; true: that was all. */
bool index_settle(entry_index *index, uint32_t steps);
/* Takes a block that is no longer used, and its bytes, for the caller to free; NULL:
 * there is none. */
void *index_take_unused(entry_index *index, size_t *bytes);

#endif
