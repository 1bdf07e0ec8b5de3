/* The hit ratio of the store on a trace: little-endian uint32 object numbers, one for
 * each access, on standard input.
 *
 *     zcat OLTP.u32.gz | trace_sim lru|s3fifo SHARE
 *
 * SHARE is the part of the trace's objects that there is room for, 0.01 for example.
 * Exact LRU of the same size stands beside it. */
#include "replay.h"
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ACCESSES = 1 << 24 };

static int usage(void) {
  fprintf(stderr, "usage: trace_sim lru|s3fifo SHARE <trace\n");
  return 2;
}

static size_t count_objects(const uint32_t *trace, size_t length) {
  unsigned char *seen = calloc((size_t)1 << 29, 1);
  size_t count = 0;
  for (size_t i = 0; seen && i < length; i++) {
    unsigned char bit = (unsigned char)(1 << (trace[i] & 7));
    count += !(seen[trace[i] >> 3] & bit);
    seen[trace[i] >> 3] |= bit;
  }
  free(seen);
  return count;
}

int main(int argc, char **argv) {
  if (argc != 3) return usage();
  bool by_s3fifo = !strcmp(argv[1], "s3fifo");
  double share = strtod(argv[2], NULL);
  uint32_t *trace = malloc(MOST_ACCESSES * sizeof *trace);
  if (!trace || (!by_s3fifo && strcmp(argv[1], "lru")) || share <= 0 || share > 1) return usage();
  size_t length = fread(trace, sizeof *trace, MOST_ACCESSES, stdin);
  size_t objects = count_objects(trace, length);
  store_options options = {.policy = by_s3fifo ? EVICTION_S3FIFO : EVICTION_LRU};
  replayed ours = replay_store(trace, length, options, (size_t)(share * (double)objects));
  replayed exact = replay_exact_lru(trace, length, ours.entries);
  printf("%zu accesses, %zu objects, %zu entries: %s %.2f%%, exact LRU %.2f%%\n", length, objects, ours.entries,
         argv[1], 100 * ours.hit_ratio, 100 * exact.hit_ratio);
  free(trace);
  return 0;
}
