/* A cached reply: header, key and value in one block. */
#include "entry.h"

#include "alloc.h"

_Static_assert(sizeof(cache_entry) == 64 || sizeof(void *) != 8, "an entry's header is one cache line");

enum { MALLOC_HEADER = sizeof(void *), MALLOC_GRAIN = 2 * sizeof(void *) };

#define MOST_TOKENS ((UINT64_C(1) << 24) - 1)
#define STORED_MASK ((UINT64_C(1) << 40) - 1)

/* Added to `stored_ms`, since an entry that comes from a file can be older than
 * the monotonic clock: 17 years to either side. */
static const int64_t stored_bias = INT64_C(1) << 39;

/* With the value's NUL. */
static size_t block_size(size_t key_length, size_t value_length, bool queued) {
  return (queued ? sizeof(list_node) : 0) + offsetof(cache_entry, bytes) + key_length + value_length + 1;
}

static size_t rounded(size_t size) {
  return (size + MALLOC_HEADER + MALLOC_GRAIN - 1) / MALLOC_GRAIN * MALLOC_GRAIN;
}

size_t entry_cost_of(const cache_key *key, size_t value_length, bool queued) {
  if (key->namespace_length > ENTRY_NAMESPACE_MAX) return SIZE_MAX;
  if (key->text_length > UINT32_MAX / 4 || value_length > UINT32_MAX / 4) return SIZE_MAX;
  return rounded(block_size(key->namespace_length + key->text_length, value_length, queued));
}

size_t entry_cost(const cache_entry *entry) {
  size_t key_length = (size_t)entry->namespace_length + entry->text_length;
  return rounded(block_size(key_length, entry->value_length, entry->queued));
}

/* `value` from `now` on, no later than the last time there is. */
static int64_t time_after(int64_t now, int64_t value) {
  return value > ENTRY_TIME_MAX - now ? ENTRY_TIME_MAX : now + value;
}

static void set_header(cache_entry *entry, const cache_key *key, const cache_value *value, int64_t now_us) {
  uint64_t expires = (uint64_t)time_after(now_us, value->ttl_us);
  entry->next = NULL;
  entry->attached = NULL;
  entry->expires = expires & (uint64_t)ENTRY_TIME_MAX;
  entry->namespace_length = key->namespace_length & ENTRY_NAMESPACE_MAX;
  entry->stored_ms = (uint64_t)((now_us - value->age_us) / 1000 + stored_bias) & STORED_MASK;
  entry->prompt_tokens = (value->prompt_tokens < MOST_TOKENS ? value->prompt_tokens : MOST_TOKENS) & MOST_TOKENS;
  entry->completion_tokens = value->completion_tokens;
  entry->hash = key_hash(key);
  entry->text_length = (uint32_t)key->text_length;
  entry->value_length = (uint32_t)value->length;
  atomic_init(&entry->recency, ENTRY_UNLINKED);
  atomic_init(&entry->references, 1);
}

static void set_bytes(cache_entry *entry, const cache_key *key, const cache_value *value) {
  char *end = entry->bytes;
  if (key->namespace_length) memcpy(end, key->name_space, key->namespace_length);
  end += key->namespace_length;
  if (key->text_length) memcpy(end, key->text, key->text_length);
  end += key->text_length;
  if (value->length) memcpy(end, value->data, value->length);
  end[value->length] = '\0';
}

cache_entry *entry_new(const cache_key *key, const cache_value *value, bool queued, int64_t now_us) {
  void *block = mem_alloc(block_size(key->namespace_length + key->text_length, value->length, queued));
  if (!block) return NULL;
  cache_entry *entry = queued ? entry_of_node(block) : block;
  if (queued) list_init(block);
  entry->queued = queued;
  set_header(entry, key, value, now_us);
  set_bytes(entry, key, value);
  return entry;
}

void entry_release(cache_entry *entry) {
  if (atomic_fetch_sub_explicit(&entry->references, 1, memory_order_acq_rel) != 1) return;
  mem_free(entry->queued ? (void *)entry_node(entry) : entry);
}

int64_t entry_age_us(const cache_entry *entry, int64_t now_us) {
  int64_t age_ms = now_us / 1000 - ((int64_t)entry->stored_ms - stored_bias);
  return age_ms > 0 ? age_ms * 1000 : 0;
}
