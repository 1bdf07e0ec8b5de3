/* S3-FIFO: a small queue, a main queue, and ghosts. */
#include "eviction_s3fifo.h"

#include "alloc.h"

enum { HITS_MASK = 3, IN_MAIN = 4, TICK_SHIFT = 3, MOST_HITS = 3, HITS_TO_STAY = 2 };
enum { SMALL_SHARE = 10 };          /* a tenth, as published */
enum { GHOSTS_IN_BUCKET = 8 };      /* a cache line of them */
enum { BUDGET_FOR_A_GHOST = 512 };  /* bytes: about as many ghosts as entries */
enum { PATIENCE = 64 };             /* entries that a victim's choice may pass over */

static const uint32_t tick_mask = ENTRY_RECENCY_MASK >> TICK_SHIFT;

bool s3fifo_init(s3fifo *queues, size_t *budget) {
  size_t buckets = *budget / BUDGET_FOR_A_GHOST / GHOSTS_IN_BUCKET + 1;
  if (buckets > UINT32_MAX) buckets = UINT32_MAX;
  queues->ghosts = mem_zalloc(buckets * GHOSTS_IN_BUCKET * sizeof(ghost));
  if (!queues->ghosts) return false;
  queues->ghost_buckets = (uint32_t)buckets;
  size_t taken = buckets * GHOSTS_IN_BUCKET * sizeof(ghost);
  *budget -= taken < *budget ? taken : *budget;
  queues->small_share = *budget / SMALL_SHARE;
  list_init(&queues->small);
  list_init(&queues->main);
  return true;
}

void s3fifo_free(s3fifo *queues) { mem_free(queues->ghosts); }

/* ---------------------------------------------------------------------- ghosts */

/* All hashes of a shard begin alike, so they are mixed first (Knuth's multiplier). */
static ghost *bucket_of(s3fifo *queues, uint32_t hash) {
  uint64_t bucket = (uint64_t)(hash * UINT32_C(2654435761)) * queues->ghost_buckets >> 32;
  return &queues->ghosts[bucket * GHOSTS_IN_BUCKET];
}

static void ghost_remember(s3fifo *queues, uint32_t hash) {
  ghost *bucket = bucket_of(queues, hash);
  ghost *oldest = bucket;
  for (int i = 1; i < GHOSTS_IN_BUCKET; i++)
    if (bucket[i].when < oldest->when) oldest = &bucket[i];
  *oldest = (ghost){hash, ++queues->evictions};
}

/* As many are remembered as there are entries. */
static bool ghost_recall(s3fifo *queues, uint32_t hash) {
  ghost *bucket = bucket_of(queues, hash);
  for (int i = 0; i < GHOSTS_IN_BUCKET; i++) {
    if (bucket[i].hash != hash || !bucket[i].when) continue;
    bool remembered = queues->evictions - bucket[i].when < queues->entry_count;
    bucket[i].when = 0;
    return remembered;
  }
  return false;
}

/* ---------------------------------------------------------------------- queues */

static uint32_t hits_of(const cache_entry *entry) { return entry_recency(entry) & HITS_MASK; }

static bool is_in_main(const cache_entry *entry) { return entry_recency(entry) & IN_MAIN; }

static void join(s3fifo *queues, cache_entry *entry, bool in_main, uint32_t hits) {
  uint32_t tick = ++queues->tick & tick_mask;
  entry_set_recency(entry, tick << TICK_SHIFT | (in_main ? IN_MAIN : 0) | hits);
  list_append(in_main ? &queues->main : &queues->small, entry_node(entry));
  if (!in_main) queues->small_bytes += entry_cost(entry);
}

static void leave(s3fifo *queues, cache_entry *entry) {
  list_remove(entry_node(entry));
  if (!is_in_main(entry)) queues->small_bytes -= entry_cost(entry);
}

void s3fifo_insert(s3fifo *queues, cache_entry *entry) {
  join(queues, entry, ghost_recall(queues, entry->hash), 0);
  queues->entry_count++;
}

/* Of hits at the same moment, some may not count. */
void s3fifo_hit(cache_entry *entry) {
  uint32_t recency = entry_recency(entry);
  if ((recency & HITS_MASK) < MOST_HITS) entry_set_recency(entry, recency + 1);
}

void s3fifo_remove(s3fifo *queues, cache_entry *entry) {
  leave(queues, entry);
  queues->entry_count--;
}

/* Lets an entry that was hit enough go on; false: it must go. */
static bool spare(s3fifo *queues, cache_entry *entry) {
  uint32_t hits = hits_of(entry);
  bool in_main = is_in_main(entry);
  if (hits < (in_main ? 1 : HITS_TO_STAY)) return false;
  leave(queues, entry);
  join(queues, entry, true, in_main ? hits - 1 : 0);
  return true;
}

static cache_entry *oldest(s3fifo *queues) {
  bool small = !list_empty(&queues->small) &&
               (queues->small_bytes >= queues->small_share || list_empty(&queues->main));
  list *queue = small ? &queues->small : &queues->main;
  return list_empty(queue) ? NULL : entry_of_node(queue->next);
}

cache_entry *s3fifo_victim(s3fifo *queues) {
  cache_entry *entry = oldest(queues);
  for (int passed = 0; entry && passed < PATIENCE && spare(queues, entry); passed++)
    entry = oldest(queues);
  if (entry && !is_in_main(entry)) ghost_remember(queues, entry->hash);
  return entry;
}

uint32_t s3fifo_rank(const s3fifo *queues, const cache_entry *entry) {
  uint32_t age = (queues->tick - (entry_recency(entry) >> TICK_SHIFT)) & tick_mask;
  return tick_mask - age + (is_in_main(entry) ? tick_mask + 1 : 0);
}
