/* The policies behind one interface, and LRU by a moving window. */
#include "eviction.h"

enum { WINDOW = 16, LATEST = 16 };

static uint32_t lru_now(const lru *recent) {
  return atomic_load_explicit(&((lru *)(uintptr_t)recent)->tick, memory_order_relaxed);
}

/* Ticks since this entry's use. After two billion it starts anew, and one that was
 * idle for so long stays a little longer. */
static uint32_t lru_age(const lru *recent, const cache_entry *entry) {
  return (lru_now(recent) - entry_recency(entry)) & ENTRY_RECENCY_MASK;
}

/* Threads that do so at the same time may share a tick. */
static void lru_advance(lru *recent) {
  atomic_store_explicit(&recent->tick, lru_now(recent) + 1, memory_order_relaxed);
}

static void lru_use(lru *recent, cache_entry *entry) {
  entry_set_recency(entry, lru_now(recent) & ENTRY_RECENCY_MASK);
}

/* What is hit next is more recent. */
static void lru_insert(lru *recent, cache_entry *entry) {
  lru_advance(recent);
  lru_use(recent, entry);
  lru_advance(recent);
}

static void lru_hit(lru *recent, cache_entry *entry, uint32_t entry_count) {
  if (entry_count < WINDOW)
    lru_advance(recent);
  else if (lru_age(recent, entry) <= entry_count / LATEST)
    return;
  lru_use(recent, entry);
}

/* The buckets that a window of entries takes, when they are filled as usual. */
static void prefetch_window(const entry_index *index, uint32_t hand) {
  for (uint32_t i = 0; i < WINDOW / 4 && hand + i < index->bucket_count; i++)
    index_prefetch(index, hand + i);
}

static cache_entry *oldest_of(const lru *recent, cache_entry *oldest, cache_entry **entries, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (!oldest || lru_age(recent, entries[i]) > lru_age(recent, oldest)) oldest = entries[i];
  return oldest;
}

static cache_entry *lru_victim(lru *recent, const entry_index *index) {
  cache_entry *entries[INDEX_BUCKET_MOST];
  cache_entry *oldest = NULL;
  if (recent->hand >= index->bucket_count) recent->hand = 0;
  prefetch_window(index, recent->hand);
  uint32_t seen = 0;
  for (uint32_t buckets = 0; seen < WINDOW && buckets < index->bucket_count; buckets++) {
    uint32_t count = index_read(index, recent->hand, entries);
    oldest = oldest_of(recent, oldest, entries, count);
    seen += count;
    recent->hand = recent->hand + 1 < index->bucket_count ? recent->hand + 1 : 0;
  }
  return oldest;
}

bool eviction_init(eviction *order, eviction_policy policy, entry_index *index, size_t *budget) {
  *order = (eviction){.policy = policy, .index = index};
  return policy == EVICTION_LRU || s3fifo_init(&order->queues, budget);
}

void eviction_free(eviction *order) {
  if (order->policy == EVICTION_S3FIFO) s3fifo_free(&order->queues);
}

void eviction_insert(eviction *order, cache_entry *entry) {
  if (order->policy == EVICTION_LRU)
    lru_insert(&order->recent, entry);
  else
    s3fifo_insert(&order->queues, entry);
}

void eviction_hit(eviction *order, cache_entry *entry) {
  if (order->policy == EVICTION_LRU)
    lru_hit(&order->recent, entry, order->index->entry_count);
  else
    s3fifo_hit(entry);
}

void eviction_remove(eviction *order, cache_entry *entry) {
  if (order->policy == EVICTION_S3FIFO) s3fifo_remove(&order->queues, entry);
}

cache_entry *eviction_victim(eviction *order) {
  if (order->policy == EVICTION_LRU) return lru_victim(&order->recent, order->index);
  return s3fifo_victim(&order->queues);
}

uint32_t eviction_rank(const eviction *order, const cache_entry *entry) {
  if (order->policy == EVICTION_LRU) return ENTRY_RECENCY_MASK - lru_age(&order->recent, entry);
  return s3fifo_rank(&order->queues, entry);
}
