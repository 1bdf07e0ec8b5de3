/* Counters of a pool: written by its threads, read by any. Relaxed: each figure
 * is right by itself, their sum may be a moment apart. */
#ifndef SHEEP_STATS_H
#define SHEEP_STATS_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct pool_counters {
  _Atomic uint64_t in_flight;
  _Atomic uint64_t submitted;
  _Atomic uint64_t ended;
  _Atomic uint64_t answered;
  _Atomic uint64_t connections_opened;
  _Atomic uint64_t connections_reused;
  _Atomic uint64_t bytes_sent;
  _Atomic uint64_t bytes_received;
  _Atomic uint64_t cancelled;
  _Atomic uint64_t closed;
  _Atomic uint64_t connect_errors;
  _Atomic uint64_t connect_timeouts;
  _Atomic uint64_t write_timeouts;
  _Atomic uint64_t read_timeouts;
  _Atomic uint64_t pool_timeouts;
  _Atomic uint64_t total_timeouts;
  _Atomic uint64_t read_errors;
  _Atomic uint64_t write_errors;
  _Atomic uint64_t protocol_errors;
  _Atomic uint64_t decoding_errors;
  _Atomic uint64_t too_large;
  _Atomic uint64_t other_errors;
} pool_counters;

static inline void count_add(_Atomic uint64_t *counter, uint64_t amount) {
  atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static inline uint64_t count_get(const _Atomic uint64_t *counter) {
  return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)counter, memory_order_relaxed);
}

#endif
