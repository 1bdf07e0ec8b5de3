/* S3-FIFO (Yang, Zhang, Qiu, Yue and Rashmi, SOSP '23): what is new waits in a
 * small queue, a tenth of the budget; what is hit there twice goes to the main
 * queue, the rest goes out and leaves its hash in a ghost table. What comes back
 * while it is remembered starts in the main queue, where a hit earns an entry
 * another turn. So what is asked for once never displaces what is asked for often.
 *
 * The entries' list nodes are its links; their `recency` holds the hits (2 bits),
 * the queue (1) and the tick of joining it (28). s3fifo_hit is called under one of
 * the shard's locks, all else under all of them. */
#ifndef SHEEP_EVICTION_S3FIFO_H
#define SHEEP_EVICTION_S3FIFO_H

#include "entry.h"

/* One that was evicted from the small queue. */
typedef struct ghost {
  uint32_t hash;
  uint32_t when; /* in evictions; 0: empty */
} ghost;

typedef struct s3fifo {
  list small;
  list main;
  size_t small_bytes;
  size_t small_share; /* above it, the small queue gives */
  uint32_t entry_count;
  uint32_t tick;
  uint32_t evictions; /* from the small queue */
  ghost *ghosts;
  uint32_t ghost_buckets;
} s3fifo;

/* Takes the ghosts' memory out of the budget. False when memory ran out. */
bool s3fifo_init(s3fifo *queues, size_t *budget);
void s3fifo_free(s3fifo *queues);
void s3fifo_insert(s3fifo *queues, cache_entry *entry);
void s3fifo_hit(cache_entry *entry);
void s3fifo_remove(s3fifo *queues, cache_entry *entry);
cache_entry *s3fifo_victim(s3fifo *queues);
uint32_t s3fifo_rank(const s3fifo *queues, const cache_entry *entry);

#endif
