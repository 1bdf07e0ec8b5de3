/* Any bytes as a snapshot: loading ends, keeps to the budget and to the size of the
 * file in what it says, and every entry that it brings is whole. Most mutants get
 * their checksums set right, or none would come past the first one. */
#include "snapshot.h"
#include "snapshot_format.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

enum { MAX_BYTES = 64 << 10, SHARDS = 2 };

static const snapshot_terms terms = {.name_space = "ours", .namespace_length = 4, .now_us = 1000, .wall_us = 2000000};

static void require(int holds) {
  if (!holds) abort();
}

/* -------------------------------------------------------------------- checksums */

static size_t seal_header(uint8_t *data, size_t size) {
  snapshot_header header;
  if (size < SNAPSHOT_HEADER || !header_decode(&header, data)) return size;
  size_t end = SNAPSHOT_HEADER + (size_t)header.namespace_length;
  if (end + SNAPSHOT_CHECKSUM > size) return size;
  checksum_encode(hash_64(data, end), data + end);
  return end + SNAPSHOT_CHECKSUM;
}

/* Returns where the next record begins, if this one ends before that. */
static size_t seal_record(uint8_t *data, size_t size, uint64_t mark) {
  record_head head;
  checksum_encode(mark, data);
  checksum_encode(hash_64(data, SNAPSHOT_HEAD - SNAPSHOT_CHECKSUM), data + SNAPSHOT_HEAD - SNAPSHOT_CHECKSUM);
  if (!head_decode(&head, data, mark)) return SNAPSHOT_HEAD;
  uint64_t rest = (uint64_t)head.namespace_length + head.text_length + head.value_length;
  if (head.kind == RECORD_END || rest + head.model_length > size - SNAPSHOT_HEAD) return SNAPSHOT_HEAD;
  uint8_t *body = data + SNAPSHOT_HEAD;
  head.model_checksum = hash_64(body, head.model_length);
  head.body_checksum = hash_64(body + head.model_length, (size_t)rest);
  head_encode(&head, data);
  return SNAPSHOT_HEAD + head.model_length + (size_t)rest;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, most);
  if (seed % 4 == 0) return size;
  snapshot_header header;
  size_t place = seal_header(data, size);
  if (place >= size || !header_decode(&header, data)) return size;
  while (size - place >= SNAPSHOT_HEAD) place += seal_record(data + place, size - place, header.mark);
  return size;
}

/* ---------------------------------------------------------------------- loading */

static void check_entries(store *cache, uint32_t number) {
  scanned batch[SCAN_ROOM];
  shard *part = store_shard(cache, number);
  shard_scan_begin(part);
  for (uint32_t cursor = 0; cursor != SCAN_OVER;) {
    size_t count = shard_scan(part, &cursor, batch);
    for (size_t i = 0; i < count; i++) {
      size_t length;
      require(models_name(store_models(cache), batch[i].entry->model, &length) != NULL);
      require(entry_value(batch[i].entry)[batch[i].entry->value_length] == '\0');
      models_release(store_models(cache), batch[i].entry->model);
      entry_release(batch[i].entry);
    }
  }
  shard_scan_end(part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  store *cache = store_new(&(store_options){.max_bytes = MAX_BYTES, .shards = SHARDS});
  FILE *file = fmemopen((void *)(uintptr_t)data, size, "r");
  snapshot_report report;
  require(cache && file);
  int32_t result = snapshot_read(cache, file, size, &terms, &report, NULL);
  fclose(file);
  store_stats stats;
  store_read_stats(cache, &stats);
  require(stats.bytes <= MAX_BYTES && stats.entries <= report.entries && report.dropped_bytes <= size);
  require(!result || (result == SHEEP_E_INVALID && !report.entries));
  for (uint32_t i = 0; i < SHARDS; i++) check_entries(cache, i);
  store_free(cache);
  return 0;
}
