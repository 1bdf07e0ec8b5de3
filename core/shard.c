/* A part of the store, and its locks. */
#include "shard.h"

#include "alloc.h"
#include "stats.h"

enum { SWEPT_BY_PUT = 1, SWEPT_BY_GET = 1, SWEPT_BY_RECLAIM = 16 }; /* buckets */
enum { SWEEP_EVERY_US = 4000 };    /* by look-ups, while there is nothing to catch up with */
enum { REMOVALS_A_ROUND = 16 };    /* under one lock, for one entry that needs the room */
enum { MOST_ROUNDS = 64 };         /* after which it no longer lets others go first */
enum { SETTLE_STEPS = 8 };         /* of the index, and as many for each entry removed */
enum { ATTACHMENTS_SHARE = 8 };    /* an eighth of the budget */
enum { SECOND_CHANCES = 8 };

/* For what is written under a lock. */
static void tally(_Atomic uint64_t *counter, uint64_t amount) {
  uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
  atomic_store_explicit(counter, value + amount, memory_order_relaxed);
}

static void untally(_Atomic uint64_t *counter, uint64_t amount) { tally(counter, (uint64_t)0 - amount); }

static uint64_t tallied(_Atomic uint64_t *counter) { return atomic_load_explicit(counter, memory_order_relaxed); }

/* What was removed under the lock, to be freed without it. */
typedef struct garbage {
  cache_entry *entries; /* linked by `next`, with their attachments */
  mpsc_node *attachments;
  void *blocks; /* of the index; linked by their first word */
  uint32_t entry_count;
} garbage;

/* ------------------------------------------------------------ entering, leaving */

static void init_lock(pthread_mutex_t *lock) {
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
  pthread_mutex_init(lock, &attributes);
  pthread_mutexattr_destroy(&attributes);
#else
  pthread_mutex_init(lock, NULL);
#endif
}

void shard_lock_all(shard *part) {
  for (int i = 0; i < SHARD_LANES; i++) pthread_mutex_lock(&part->lanes[i].lock);
}

void shard_unlock_all(shard *part) {
  for (int i = 0; i < SHARD_LANES; i++) pthread_mutex_unlock(&part->lanes[i].lock);
}

/* Threads get their lanes in turn. */
static shard_lane *own_lane(shard *part) {
  static _Atomic uint32_t threads;
  static _Thread_local uint32_t own; /* 0: none yet */
  if (!own) own = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % SHARD_LANES;
  return &part->lanes[own - 1];
}

static void free_garbage(const shard *part, garbage *removed) {
  while (removed->attachments) {
    attachment *attached = (attachment *)(void *)removed->attachments;
    removed->attachments = attached->link.next;
    attachment_release(attached);
  }
  while (removed->entries) {
    cache_entry *entry = removed->entries;
    removed->entries = entry->next;
    if (entry->attached) attachment_release(entry->attached);
    models_release(part->settings->known, entry->model);
    entry_release(entry);
  }
  while (removed->blocks) {
    void *block = removed->blocks;
    removed->blocks = *(void **)block;
    mem_free(block);
  }
}

static void take_unused_blocks(shard *part, garbage *removed) {
  size_t bytes;
  for (void **block; (block = index_take_unused(&part->index, &bytes));) {
    untally(&part->counters.bytes, bytes);
    *block = removed->blocks;
    removed->blocks = block;
  }
}

static void leave(shard *part, garbage *removed) {
  index_settle(&part->index, SETTLE_STEPS * (1 + removed->entry_count));
  take_unused_blocks(part, removed);
  shard_unlock_all(part);
  free_garbage(part, removed);
  *removed = (garbage){0};
}

/* ------------------------------------------------------------------- removing */

/* Takes an attachment off the books; its reference is still the entry's. */
static void uncount_attachment(shard *part, attachment *attached) {
  list_remove(&attached->recent);
  untally(&part->counters.bytes, attached->cost);
  untally(&part->counters.attachment_bytes, attached->cost);
  untally(&part->counters.attachments, 1);
  tally(&part->counters.attachments_dropped, 1);
}

static void remove_entry(shard *part, cache_entry *entry, garbage *removed) {
  index_remove(&part->index, entry);
  eviction_remove(&part->order, entry);
  if (entry->attached) uncount_attachment(part, entry->attached);
  untally(&part->counters.bytes, entry_cost(entry));
  untally(&part->counters.entries, 1);
  entry_set_recency(entry, ENTRY_UNLINKED);
  entry->next = removed->entries;
  removed->entries = entry;
  removed->entry_count++;
}

/* The one attached longest, but for those that were hit since it was last asked. */
static attachment *choose_attachment(shard *part) {
  attachment *oldest = NULL;
  for (int chances = 0; chances <= SECOND_CHANCES; chances++) {
    oldest = list_entry(part->attachments.next, attachment, recent);
    if (!atomic_exchange_explicit(&oldest->used, false, memory_order_relaxed)) break;
    list_remove(&oldest->recent);
    list_append(&part->attachments, &oldest->recent);
  }
  return oldest;
}

static bool drop_attachment(shard *part, garbage *removed) {
  if (list_empty(&part->attachments)) return false;
  attachment *attached = choose_attachment(part);
  uncount_attachment(part, attached);
  attached->owner->attached = NULL;
  attached->link.next = removed->attachments;
  removed->attachments = &attached->link;
  return true;
}

static bool evict(shard *part, garbage *removed) {
  cache_entry *victim = eviction_victim(&part->order);
  if (!victim) return false;
  remove_entry(part, victim, removed);
  tally(&part->counters.evictions, 1);
  return true;
}

typedef enum room { ROOM_MADE, ROOM_NOT_YET, ROOM_NEVER } room;

static bool has_room(shard *part, size_t bytes) {
  return bytes <= part->budget && tallied(&part->counters.bytes) <= part->budget - bytes;
}

/* Makes room by at most `most` removals: of attachments first if it may. */
static room make_room(shard *part, size_t bytes, uint32_t most, bool attachments_first, garbage *removed) {
  for (; !has_room(part, bytes); most--) {
    if (!most) return ROOM_NOT_YET;
    if (attachments_first && drop_attachment(part, removed)) continue;
    if (!evict(part, removed)) return ROOM_NEVER;
  }
  return ROOM_MADE;
}

/* ------------------------------------------------------------------ reclaiming */

static int64_t time_left(const cache_entry *entry, int64_t now_us) {
  return entry->expires == ENTRY_TIME_MAX ? INT64_MAX : (int64_t)entry->expires - now_us;
}

typedef enum life { ALIVE, INVALIDATED, EXPIRED } life;

/* Whether anything can come of it still. */
static life life_of(const shard *part, const cache_entry *entry, int64_t now_us) {
  if (!models_current(part->settings->known, entry->model, entry->generation)) return INVALIDATED;
  return time_left(entry, now_us) <= -part->settings->stale_us ? EXPIRED : ALIVE;
}

static void remove_if_dead(shard *part, cache_entry *entry, int64_t now_us, garbage *removed) {
  life found = life_of(part, entry, now_us);
  if (found == ALIVE) return;
  tally(found == EXPIRED ? &part->counters.expirations : &part->counters.invalidations, 1);
  remove_entry(part, entry, removed);
}

static void sweep_bucket(shard *part, uint32_t number, int64_t now_us, garbage *removed) {
  cache_entry *entries[INDEX_BUCKET_MOST];
  index_prefetch(&part->index, number);
  uint32_t count = index_read(&part->index, number, entries);
  for (uint32_t i = 0; i < count; i++) remove_if_dead(part, entries[i], now_us, removed);
}

static void start_turn(shard *part) {
  part->swept_generation = models_generation(part->settings->known);
  part->sweep_hand = part->index.bucket_count;
  part->turn_owed = true;
}

/* Looks through the next buckets. It goes from the last one down, as the index does
 * when it shrinks: so nothing moves from where it has yet to look to where it has
 * looked. After an invalidation a whole turn is owed. */
static void sweep(shard *part, uint32_t buckets, int64_t now_us, garbage *removed) {
  if (part->swept_generation != models_generation(part->settings->known)) start_turn(part);
  part->next_sweep = now_us + SWEEP_EVERY_US;
  for (; buckets; buckets--) {
    if (part->sweep_hand > part->index.bucket_count || !part->sweep_hand)
      part->sweep_hand = part->index.bucket_count;
    sweep_bucket(part, --part->sweep_hand, now_us, removed);
    if (!part->sweep_hand) part->turn_owed = false;
  }
}

static bool sweep_is_due(const shard *part, int64_t now_us) {
  return part->turn_owed || now_us >= part->next_sweep ||
         part->swept_generation != models_generation(part->settings->known);
}

/* Other sweeps may help to end the turn; invalidations meanwhile, which begin it anew,
 * don't keep this one going without end. */
void shard_reclaim(shard *part, int64_t now_us) {
  garbage removed = {0};
  shard_lock_all(part);
  start_turn(part);
  uint32_t rounds = 2 + 2 * (part->index.bucket_count / SWEPT_BY_RECLAIM);
  for (;;) {
    if (part->turn_owed) sweep(part, SWEPT_BY_RECLAIM, now_us, &removed);
    bool done = index_settle(&part->index, SETTLE_STEPS * (1 + removed.entry_count)) && !part->turn_owed;
    leave(part, &removed);
    if (done || !--rounds) return;
    shard_lock_all(part);
  }
}

/* -------------------------------------------------------------------- look-ups */

static void touch(shard *part, cache_entry *entry) {
  eviction_hit(&part->order, entry);
  attachment *attached = entry->attached;
  if (attached && !atomic_load_explicit(&attached->used, memory_order_relaxed))
    atomic_store_explicit(&attached->used, true, memory_order_relaxed);
}

static void count_hit(shard *part, shard_lane *lane, const cache_entry *entry, bool stale) {
  if (stale)
    count_add(&part->counters.stale_hits, 1);
  else
    tally(&lane->hits, 1);
  tally(&lane->prompt_tokens, entry->prompt_tokens);
  tally(&lane->completion_tokens, entry->completion_tokens);
  tally(&lane->nanodollars, ((uint64_t)entry->prompt_tokens + entry->completion_tokens) *
                                models_price(part->settings->known, entry->model));
}

static void take(shard *part, cache_entry *entry, int64_t now_us, cache_hit *hit) {
  int64_t left = time_left(entry, now_us);
  *hit = (cache_hit){.entry = entry,
                     .attached = entry->attached,
                     .age_us = entry_age_us(entry, now_us),
                     .ttl_us = left,
                     .stale = left <= 0};
  entry_retain(entry);
  if (hit->attached) attachment_retain(hit->attached);
  touch(part, entry);
}

typedef enum finding { FOUND, NOT_FOUND, FOUND_DEAD } finding;

static finding find(shard *part, const cache_key *key, int64_t now_us, int64_t stale_us, cache_hit *hit) {
  cache_entry *entry = index_find(&part->index, key);
  if (!entry) return NOT_FOUND;
  if (life_of(part, entry, now_us) != ALIVE) return FOUND_DEAD;
  int64_t left = time_left(entry, now_us);
  if (left <= 0 && left <= -stale_us) return NOT_FOUND;
  take(part, entry, now_us, hit);
  return FOUND;
}

/* What a look-up has found to do that changes something. */
static void tend(shard *part, const cache_key *dead, int64_t now_us) {
  garbage removed = {0};
  shard_lock_all(part);
  cache_entry *entry = dead ? index_find(&part->index, dead) : NULL;
  if (entry) remove_if_dead(part, entry, now_us, &removed);
  if (sweep_is_due(part, now_us)) sweep(part, SWEPT_BY_GET, now_us, &removed);
  leave(part, &removed);
}

bool shard_get(shard *part, const cache_key *key, int64_t now_us, int64_t stale_us, cache_hit *hit) {
  shard_lane *lane = own_lane(part);
  pthread_mutex_lock(&lane->lock);
  finding found = find(part, key, now_us, stale_us, hit);
  if (found == FOUND) count_hit(part, lane, hit->entry, hit->stale);
  bool sweeping = sweep_is_due(part, now_us);
  pthread_mutex_unlock(&lane->lock);
  if (found != FOUND) count_add(&part->counters.misses, 1);
  if (found == FOUND_DEAD || sweeping) tend(part, found == FOUND_DEAD ? key : NULL, now_us);
  return found == FOUND;
}

bool shard_delete(shard *part, const cache_key *key) {
  garbage removed = {0};
  shard_lock_all(part);
  cache_entry *entry = index_find(&part->index, key);
  if (entry) {
    remove_entry(part, entry, &removed);
    tally(&part->counters.deletions, 1);
  }
  leave(part, &removed);
  return entry != NULL;
}

/* --------------------------------------------------------------------- storing */

/* An entry on its way in, with the block that the index may need for it. */
typedef struct newcomer {
  const cache_key *key;
  cache_entry *entry;
  void *block;
  size_t block_bytes;
  bool no_block; /* memory ran out: the chains grow longer instead */
} newcomer;

static void keep_bucket_short(shard *part, uint32_t hash, garbage *removed) {
  cache_entry *entries[INDEX_BUCKET_MOST];
  uint32_t count = index_read(&part->index, index_bucket_of(&part->index, hash), entries);
  if (count < INDEX_BUCKET_MOST) return;
  remove_entry(part, entries[count - 1], removed);
  tally(&part->counters.evictions, 1);
}

static void grow_index(shard *part, newcomer *coming) {
  if (!coming->block || index_wants(&part->index) != coming->block_bytes) return;
  index_give(&part->index, coming->block);
  tally(&part->counters.bytes, coming->block_bytes);
  coming->block = NULL;
}

static void link_entry(shard *part, newcomer *coming, garbage *removed) {
  cache_entry *entry = coming->entry;
  grow_index(part, coming);
  keep_bucket_short(part, entry->hash, removed);
  index_insert(&part->index, entry);
  eviction_insert(&part->order, entry);
  tally(&part->counters.bytes, entry_cost(entry));
  tally(&part->counters.entries, 1);
  tally(&part->counters.stores, 1);
}

/* One turn with the lock. An older entry of the same key gives its room. */
static room put_round(shard *part, newcomer *coming, uint32_t most, garbage *removed) {
  cache_entry *older = index_find(&part->index, coming->key);
  if (older) remove_entry(part, older, removed);
  size_t wanted = coming->no_block ? 0 : index_wants(&part->index);
  if (wanted && wanted != coming->block_bytes) {
    coming->block_bytes = wanted;
    return ROOM_NOT_YET;
  }
  room made = make_room(part, entry_cost(coming->entry) + wanted, most, true, removed);
  if (made == ROOM_MADE) link_entry(part, coming, removed);
  return made;
}

/* Brings the block that the last round asked for; without the lock. */
static void bring_block(newcomer *coming, size_t had_bytes) {
  if (coming->block_bytes == had_bytes) return;
  mem_free(coming->block);
  coming->block = mem_zalloc(coming->block_bytes);
  coming->no_block = !coming->block;
}

bool shard_put(shard *part, const cache_key *key, cache_entry *entry, int64_t now_us) {
  newcomer coming = {.key = key, .entry = entry};
  garbage removed = {0};
  room made = ROOM_NOT_YET;
  for (int round = 0; made == ROOM_NOT_YET; round++) {
    size_t had_bytes = coming.block_bytes;
    shard_lock_all(part);
    sweep(part, SWEPT_BY_PUT, now_us, &removed);
    made = put_round(part, &coming, round < MOST_ROUNDS ? REMOVALS_A_ROUND : UINT32_MAX, &removed);
    leave(part, &removed);
    bring_block(&coming, had_bytes);
  }
  mem_free(coming.block);
  if (made == ROOM_MADE) return true;
  models_release(part->settings->known, entry->model);
  entry_release(entry);
  return false;
}

/* ----------------------------------------------------------------- attachments */

static bool share_has_room(shard *part, size_t bytes) {
  return tallied(&part->counters.attachment_bytes) + bytes <= part->budget / ATTACHMENTS_SHARE;
}

/* Within their share, attachments of hot entries may displace cold entries. */
static room attach_round(shard *part, cache_entry *entry, attachment *attached, uint32_t most,
                         garbage *removed) {
  if (entry_recency(entry) == ENTRY_UNLINKED || entry->attached) return ROOM_NEVER;
  for (; !share_has_room(part, attached->cost); most--) {
    if (!most) return ROOM_NOT_YET;
    drop_attachment(part, removed);
  }
  room made = make_room(part, attached->cost, most, false, removed);
  if (made != ROOM_MADE || entry_recency(entry) == ENTRY_UNLINKED) return made == ROOM_MADE ? ROOM_NEVER : made;
  entry->attached = attached;
  list_append(&part->attachments, &attached->recent);
  tally(&part->counters.bytes, attached->cost);
  tally(&part->counters.attachment_bytes, attached->cost);
  tally(&part->counters.attachments, 1);
  return ROOM_MADE;
}

bool shard_attach(shard *part, cache_entry *entry, attachment *attached) {
  garbage removed = {0};
  room made = ROOM_NOT_YET;
  if (attached->cost > part->budget / ATTACHMENTS_SHARE) return false;
  for (int round = 0; made == ROOM_NOT_YET; round++) {
    shard_lock_all(part);
    made = attach_round(part, entry, attached, round < MOST_ROUNDS ? REMOVALS_A_ROUND : UINT32_MAX, &removed);
    leave(part, &removed);
  }
  return made == ROOM_MADE;
}

void shard_drop_attachments(shard *part) {
  garbage removed = {0};
  for (bool more = true; more;) {
    shard_lock_all(part);
    for (int i = 0; i < REMOVALS_A_ROUND && more; i++) more = drop_attachment(part, &removed);
    leave(part, &removed);
  }
}

/* ----------------------------------------------------------------------- scans */

void shard_scan_begin(shard *part) {
  shard_lock_all(part);
  part->index.frozen++;
  shard_unlock_all(part);
}

static size_t scan_bucket(shard *part, uint32_t number, scanned *batch) {
  cache_entry *entries[INDEX_BUCKET_MOST];
  uint32_t count = index_read(&part->index, number, entries);
  for (uint32_t i = 0; i < count; i++) {
    entry_retain(entries[i]);
    models_claim_again(part->settings->known, entries[i]->model);
    batch[i] = (scanned){entries[i], eviction_rank(&part->order, entries[i])};
  }
  return count;
}

size_t shard_scan(shard *part, uint32_t *cursor, scanned *batch) {
  size_t count = 0;
  pthread_mutex_t *lock = &own_lane(part)->lock;
  pthread_mutex_lock(lock);
  while (*cursor < part->index.bucket_count && count + INDEX_BUCKET_MOST <= SCAN_ROOM)
    count += scan_bucket(part, (*cursor)++, batch + count);
  if (*cursor >= part->index.bucket_count) *cursor = SCAN_OVER;
  pthread_mutex_unlock(lock);
  return count;
}

void shard_scan_end(shard *part) {
  garbage removed = {0};
  bool settled = false;
  for (bool first = true; !settled; first = false) {
    shard_lock_all(part);
    if (first) part->index.frozen--;
    settled = index_settle(&part->index, SWEPT_BY_RECLAIM);
    leave(part, &removed);
  }
}

/* ------------------------------------------------------------------------ life */

bool shard_init(shard *part, const shard_settings *settings) {
  part->settings = settings;
  part->budget = settings->budget;
  index_init(&part->index);
  list_init(&part->attachments);
  for (int i = 0; i < SHARD_LANES; i++) init_lock(&part->lanes[i].lock);
  return eviction_init(&part->order, settings->policy, &part->index, &part->budget);
}

static void remove_bucket(shard *part, uint32_t number, garbage *removed) {
  cache_entry *entries[INDEX_BUCKET_MOST];
  uint32_t count = index_read(&part->index, number, entries);
  for (uint32_t i = 0; i < count; i++) remove_entry(part, entries[i], removed);
}

void shard_free(shard *part) {
  garbage removed = {0};
  shard_lock_all(part);
  for (uint32_t number = 0; number < part->index.bucket_count; number++) remove_bucket(part, number, &removed);
  index_settle(&part->index, UINT32_MAX);
  leave(part, &removed);
  eviction_free(&part->order);
  for (int i = 0; i < SHARD_LANES; i++) pthread_mutex_destroy(&part->lanes[i].lock);
}
