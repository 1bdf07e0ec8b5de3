/* The entries of a shard by their hash: linear hashing over buckets. */
#include "index.h"

#include <string.h>

enum { DENSE = 4, SPARSE = 4, LINE = 64 }; /* entries a bucket; a fourth of them; bytes */
enum { LAST_PLACE = INDEX_PLACES - 1 };

_Static_assert(sizeof(bucket) == LINE || sizeof(void *) != 8, "a bucket is one cache line");

void index_init(entry_index *index) {
  *index = (entry_index){.bucket_count = INDEX_FIRST_BUCKETS, .segment_count = 1};
  index->segments[0] = index->first;
}

/* The largest power of two that is not above `value`. */
static uint32_t floor_power(uint32_t value) { return UINT32_C(1) << (31 - __builtin_clz(value)); }

/* The segments after the first come in fours: a quarter each of the buckets from one
 * power of two to the next. */
static bucket *bucket_at(const entry_index *index, uint32_t number) {
  if (number < INDEX_FIRST_BUCKETS) return &index->segments[0][number];
  uint32_t power = floor_power(number);
  uint32_t log2_quarter = (uint32_t)__builtin_ctz(power) - 2;
  uint32_t rest = number - power;
  uint32_t segment = 1 + 4 * log2_quarter + (rest >> log2_quarter);
  return &index->segments[segment][rest & ((power >> 2) - 1)];
}

uint32_t index_bucket_of(const entry_index *index, uint32_t hash) {
  uint32_t whole = UINT32_MAX >> __builtin_clz(index->bucket_count);
  uint32_t number = hash & whole;
  return number < index->bucket_count ? number : number & (whole >> 1);
}

static bucket *bucket_of(const entry_index *index, uint32_t hash) {
  return bucket_at(index, index_bucket_of(index, hash));
}

/* Bits that choose neither the shard (of 64) nor the bucket (of 260,000). */
static uint8_t tag_of(uint32_t hash) { return (uint8_t)(hash >> 18); }

/* -------------------------------------------------------------------- look-ups */

/* The eight tags as a number whose lowest byte is the first. */
static uint64_t read_tags(const bucket *place) {
  uint64_t tags;
  memcpy(&tags, place->tags, sizeof tags);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  tags = __builtin_bswap64(tags);
#endif
  return tags;
}

/* The high bit of each byte that equals the tag; now and then also of one that
 * doesn't, above one that does. */
static uint64_t matching_tags(const bucket *place, uint8_t tag) {
  const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
  uint64_t differing = read_tags(place) ^ (ones * tag);
  return (differing - ones) & ~differing & highs;
}

static cache_entry *find_in_chain(cache_entry *entry, const cache_key *key) {
  while (entry && !entry_has_key(entry, key)) entry = entry->next;
  return entry;
}

cache_entry *index_find(const entry_index *index, const cache_key *key) {
  const bucket *place = bucket_of(index, key_hash(key));
  uint64_t matching = matching_tags(place, tag_of(key_hash(key)));
  for (; matching; matching &= matching - 1) {
    int number = __builtin_ctzll(matching) / 8;
    if (number == INDEX_PLACES) break;
    cache_entry *entry = place->entries[number];
    if (entry && entry_has_key(entry, key)) return entry;
  }
  cache_entry *last = place->entries[LAST_PLACE];
  return last && place->tags[INDEX_PLACES] ? find_in_chain(last->next, key) : NULL;
}

uint32_t index_read(const entry_index *index, uint32_t number, cache_entry **entries) {
  const bucket *place = bucket_at(index, number);
  uint32_t count = 0;
  while (count < INDEX_PLACES && place->entries[count]) {
    entries[count] = place->entries[count];
    count++;
  }
  if (count < INDEX_PLACES) return count;
  for (cache_entry *entry = entries[LAST_PLACE]->next; entry && count < INDEX_BUCKET_MOST; entry = entry->next)
    entries[count++] = entry;
  return count;
}

void index_prefetch(const entry_index *index, uint32_t number) {
  const bucket *place = bucket_at(index, number);
  for (int i = 0; i < INDEX_PLACES; i++) __builtin_prefetch(place->entries[i]);
}

/* ---------------------------------------------------------- putting in, taking out */

static void set_place(bucket *place, uint32_t number, cache_entry *entry, uint8_t tag) {
  place->entries[number] = entry;
  place->tags[number] = tag;
}

/* The seventh has a chain or not: its tag's neighbour says so, to spare a look. */
static void chain(bucket *place, cache_entry *rest) {
  place->entries[LAST_PLACE]->next = rest;
  place->tags[INDEX_PLACES] = rest != NULL;
}

static uint32_t used_places(const bucket *place) {
  uint32_t count = 0;
  while (count < INDEX_PLACES && place->entries[count]) count++;
  return count;
}

static void put(bucket *place, cache_entry *entry) {
  uint32_t used = used_places(place);
  entry->next = NULL;
  if (used < INDEX_PLACES) {
    set_place(place, used, entry, tag_of(entry->hash));
    return;
  }
  entry->next = place->entries[LAST_PLACE]->next;
  chain(place, entry);
}

/* Takes out the first of the chain; NULL: there is none. */
static cache_entry *unchain(bucket *place) {
  cache_entry *last = place->entries[LAST_PLACE];
  cache_entry *first = last ? last->next : NULL;
  if (first) chain(place, first->next);
  return first;
}

/* A place that becomes free goes to one from the chain, or to the last. */
static void free_place(bucket *place, uint32_t number) {
  cache_entry *moved = unchain(place);
  if (!moved) {
    uint32_t last = used_places(place) - 1;
    set_place(place, number, place->entries[last], place->tags[last]);
    set_place(place, last, NULL, 0);
    return;
  }
  moved->next = number == LAST_PLACE ? place->entries[LAST_PLACE]->next : NULL;
  set_place(place, number, moved, tag_of(moved->hash));
}

static void take_from_chain(bucket *place, cache_entry *entry) {
  cache_entry **link = &place->entries[LAST_PLACE]->next;
  while (*link != entry) link = &(*link)->next;
  *link = entry->next;
  place->tags[INDEX_PLACES] = place->entries[LAST_PLACE]->next != NULL;
}

void index_insert(entry_index *index, cache_entry *entry) {
  put(bucket_of(index, entry->hash), entry);
  index->entry_count++;
}

void index_remove(entry_index *index, cache_entry *entry) {
  bucket *place = bucket_of(index, entry->hash);
  uint32_t number = 0;
  while (number < INDEX_PLACES && place->entries[number] != entry) number++;
  if (number < INDEX_PLACES)
    free_place(place, number);
  else
    take_from_chain(place, entry);
  entry->next = NULL;
  index->entry_count--;
}

/* ------------------------------------------------------- growing and shrinking */

/* Buckets of a segment, from the second on. */
static uint32_t buckets_of(uint32_t segment) { return UINT32_C(1) << ((segment - 1) / 4); }

/* Buckets up to the end of a segment, those of the ones before it included. */
static uint32_t buckets_up_to(uint32_t segment) {
  if (!segment) return INDEX_FIRST_BUCKETS;
  return buckets_of(segment) * (4 + (segment - 1) % 4 + 1);
}

/* With what it takes to begin at a cache line, and a pointer to the block before it. */
static size_t block_bytes(uint32_t segment) { return (buckets_of(segment) + 1) * sizeof(bucket); }

static bool has_room(const entry_index *index) {
  return index->bucket_count < buckets_up_to(index->segment_count - 1);
}

size_t index_wants(const entry_index *index) {
  if (index->entry_count / DENSE < index->bucket_count || has_room(index)) return 0;
  return index->segment_count < INDEX_SEGMENTS ? block_bytes(index->segment_count) : 0;
}

void index_give(entry_index *index, void *block) {
  void **start = (void **)(((uintptr_t)block / LINE + 1) * LINE);
  start[-1] = block;
  index->segments[index->segment_count++] = (bucket *)(void *)start;
}

/* Empties a bucket into `entries`; returns how many. */
static uint32_t take_all(bucket *place, cache_entry **entries) {
  cache_entry *last = place->entries[LAST_PLACE];
  uint32_t count = used_places(place);
  memcpy(entries, place->entries, count * sizeof *entries);
  for (cache_entry *entry = last ? last->next : NULL; entry; entry = entry->next) entries[count++] = entry;
  memset(place, 0, sizeof *place);
  return count;
}

/* Adds a bucket, for those entries of its buddy that have the next bit of the hash. */
static void split_one(entry_index *index) {
  cache_entry *entries[INDEX_BUCKET_MOST];
  uint32_t added = index->bucket_count++;
  uint32_t buddy = added - floor_power(added);
  index_prefetch(index, buddy);
  uint32_t count = take_all(bucket_at(index, buddy), entries);
  for (uint32_t i = 0; i < count; i++) put(bucket_of(index, entries[i]->hash), entries[i]);
}

/* Takes the last bucket away, unless its buddy cannot hold both. */
static bool merge_one(entry_index *index) {
  cache_entry *entries[INDEX_BUCKET_MOST], *others[INDEX_BUCKET_MOST];
  uint32_t last = index->bucket_count - 1;
  uint32_t buddy = last - floor_power(last);
  uint32_t count = index_read(index, last, entries);
  if (count + index_read(index, buddy, others) > INDEX_BUCKET_MOST) return false;
  take_all(bucket_at(index, last), entries);
  index->bucket_count = last;
  for (uint32_t i = 0; i < count; i++) put(bucket_at(index, buddy), entries[i]);
  return true;
}

static bool is_dense(const entry_index *index) {
  return index->entry_count / DENSE >= index->bucket_count && has_room(index);
}

static bool is_sparse(const entry_index *index) {
  return index->bucket_count > INDEX_FIRST_BUCKETS &&
         (uint64_t)index->entry_count * SPARSE < (uint64_t)index->bucket_count * DENSE;
}

bool index_settle(entry_index *index, uint32_t steps) {
  if (index->frozen) return true;
  for (; steps; steps--) {
    if (is_dense(index))
      split_one(index);
    else if (!is_sparse(index) || !merge_one(index))
      return true;
  }
  return !is_dense(index) && !is_sparse(index);
}

void *index_take_unused(entry_index *index, size_t *bytes) {
  uint32_t last = index->segment_count - 1;
  if (!last || index->bucket_count > buckets_up_to(last - 1)) return NULL;
  if (index->entry_count / DENSE >= index->bucket_count) return NULL; /* given, to grow into */
  void **start = (void **)(void *)index->segments[last];
  index->segments[last] = NULL;
  index->segment_count = last;
  *bytes = block_bytes(last);
  return start[-1];
}
