/* A trace of object numbers, replayed against the store and against exact LRU of the
 * same size. Every entry takes the same bytes, so that sizes can be compared. */
#ifndef TESTS_STORE_REPLAY_H
#define TESTS_STORE_REPLAY_H

#include <stddef.h>
#include <stdint.h>

struct store_options;

typedef struct replayed {
  double hit_ratio;
  size_t entries; /* held at the end */
} replayed;

/* With a budget for `entries`; of `options`, max_bytes is set here. */
replayed replay_store(const uint32_t *trace, size_t length, struct store_options options, size_t entries);
replayed replay_exact_lru(const uint32_t *trace, size_t length, size_t entries);

#endif
